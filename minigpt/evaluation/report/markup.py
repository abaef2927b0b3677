"""HTML that cannot be injected into: whatever is not markup already is escaped."""

from __future__ import annotations

import html
from typing import Any

#: Young models write control characters; browsers drop them, so each is shown by its picture (U+2400 and on).
PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {127: 0x2421}
VOID = {"meta", "rect", "circle", "line", "path", "polyline"}


class Markup(str):
    """Text that is HTML already."""


def escape(value: object) -> Markup:
    """The HTML that shows `value` as it is."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value).translate(PICTURES)))


def join(*children: object) -> Markup:
    """One after the other; None is nothing."""
    return Markup("".join(escape(child) for child in children if child is not None))


def tag(name: str, /, *children: object, **attributes: Any) -> Markup:
    """An element. `class_` gives class, `aria_label` gives aria-label; True is a bare attribute, None is none."""
    written = []
    for key, value in attributes.items():
        if value is not None and value is not False:
            key = key.strip("_").replace("_", "-")
            written.append(f" {key}" if value is True else f' {key}="{escape(value)}"')
    start = f"<{name}{''.join(written)}"
    return Markup(f"{start}/>" if name in VOID else f"{start}>{join(*children)}</{name}>")
