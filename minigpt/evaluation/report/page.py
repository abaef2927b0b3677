"""The report card as one HTML page: a pure function of the numbers in report.json, and of those of an earlier one."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .changes import changes, within_chance
from .measures import STAGE_NAMES, look_up, marks_of, measure, titled
from .plots import charts
from .stages import SCRIPTS, SETTINGS, parent_of

HERE = Path(__file__).parent
#: Young models write control characters; browsers drop them, so each is shown by its picture (U+2400 and on).
PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}


def render(report: dict[str, Any], earlier: dict[str, Any] | None = None) -> str:
    """The whole page, with what changed since `earlier`. It needs no script and nothing from elsewhere, and says so to
    the browser: its policy lets in the style sheet of this hash and nothing else."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value.translate(PICTURES) if isinstance(value, str) else value,
    )
    environment.filters |= {
        "named": lambda model: STAGE_NAMES.get(model, model),
        "heading": lambda name: f"#{measure(name).label}",  # of a column of numbers
        "titled": titled,
        "signed": signed,
    }
    css = (HERE / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        report=report,
        earlier=earlier or {},
        changed=changes(earlier or {}, report),
        charts=charts(report, earlier or {}),
        style=Markup(css),
        style_hash=base64.b64encode(hashlib.sha256(css.encode()).digest()).decode(),
        look_up=look_up,
        measure=measure,
        marks_of=marks_of,
        within_chance=within_chance,
        parent_of=parent_of,
        scripts=SCRIPTS,
        settings_of=SETTINGS,
    )


def signed(text: str) -> str:
    """With a real minus sign before a number."""
    return f"−{text[1:]}" if text[:1] == "-" else text
