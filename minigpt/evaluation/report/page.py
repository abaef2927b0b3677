"""The report card as one HTML page: a pure function of the numbers in report.json, and of those of an earlier one."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .changes import Change, Path, label, look_up
from .markup import Markup, escape, join, tag
from .measures import STAGE_NAMES, measure
from .style import STYLE

NOTHING = tag("span", "–", class_="nothing")


@dataclass(frozen=True)
class Page:
    """What the sections write: `report`, with what changed since `earlier` beside each number."""

    report: dict[str, Any]
    earlier: dict[str, Any] = field(default_factory=dict)
    changed: dict[Path, Change] = field(default_factory=dict)

    @property
    def stages(self) -> dict[str, dict[str, Any]]:
        return self.report["stages"]

    def number(self, *path: str) -> Markup:
        """The number at `path`, with its exact value for programs, and what became of it."""
        value = look_up(self.report, path)
        if value is None:
            return NOTHING
        written = proper(measure(path[-1]).write(value))
        exact = tag("data", written, value=json.dumps(value), data_path=json.dumps(path, ensure_ascii=False))
        return join(exact, self.change(*path))

    def change(self, *path: str) -> Markup | None:
        change = self.changed.get(path)
        if change is None or change.word == "same":
            return None
        return tag("span", proper(change.word), class_=f"change {VERDICTS[change.verdict]}".strip())


def proper(text: str) -> str:
    """With a real minus sign before numbers."""
    return text.replace("-", "−") if text[:1] == "-" else text


VERDICTS = {1: "better", 0: "", -1: "worse"}
LONG = 24  # rows of a table that is folded away at first
#: A section is left out if it returns None.
Section = Callable[[Page], Markup | None]


def table(columns: Sequence[object], rows: Sequence[Sequence[object]], caption: object, numeric: set[int]) -> Markup:
    """A table that scrolls by itself where the page is narrow. Columns in `numeric` are set to the right."""

    def look(i: int) -> str | None:
        return "n" if i in numeric else None

    head = tag("tr", *(tag("th", column, scope="col", class_=look(i)) for i, column in enumerate(columns)))
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell, class_=look(i)) for i, cell in enumerate(row) if i))
        for row in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", *body))
    # Whoever has no mouse scrolls it with the arrow keys, so it must take the focus.
    return tag("div", whole, class_="scroll", role="region", aria_label=plain(caption), tabindex="0")


def plain(caption: object) -> str:
    """The words of a caption, without its markup."""
    text = str(caption)
    while "<" in text and isinstance(caption, Markup):
        start = text.index("<")
        text = text[:start] + text[text.index(">", start) + 1 :]
    return text


def section(name: str, title: str, *children: object) -> Markup:
    return tag("section", tag("h2", title, id=f"{name}-title"), *children, id=name, aria_labelledby=f"{name}-title")


def render(page: Page, sections: dict[str, tuple[str, Section]]) -> str:
    """The whole page. `sections`: {id: (title, what writes its content)}."""
    report = page.report
    written = {name: (title, write(page)) for name, (title, write) in sections.items()}
    present = {name: (title, content) for name, (title, content) in written.items() if content is not None}
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, (title, _) in present.items()]
    title = f"Report card: {report['recipe']}"
    # The page needs no script and nothing from elsewhere, and says so: only the style sheet of this hash is let in.
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    header = tag(
        "header",
        tag("p", "minigpt report card", class_="eyebrow"),
        tag("h1", report["title"]),
        tag("p", introduction(page), class_="lede"),
        tag("nav", tag("ul", *links), aria_label="Sections"),
    )
    main = tag("main", *(section(name, title, content) for name, (title, content) in present.items()), id="main")
    footer = tag(
        "footer",
        tag("p", "Made by ", tag("code", f"minigpt report --recipe {report['recipe']}"),
            " from the run folders and from the models' answers. The .json file beside this page holds every number.",
            class_="small muted"),
    )  # fmt: skip
    skip = tag("a", "Skip to the content", href="#main", class_="skip")
    return f"<!doctype html>\n{tag('html', head, tag('body', skip, header, main, footer), lang='en')}\n"


def introduction(page: Page) -> Markup:
    """Which stages there are, and what their models look like."""
    names = [STAGE_NAMES[stage] for stage in page.stages]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    shapes = list(dict.fromkeys(facts["shape"] for facts in page.stages.values()))
    text = f"{listed}. {'One shape: ' if len(shapes) == 1 and len(names) > 1 else ''}{'; '.join(shapes)}."
    return escape(text)


def changes_section(page: Page) -> Markup | None:
    """Everything that is not as it was in the earlier report."""
    if not page.earlier:
        return None
    changed = [change for change in page.changed.values() if change.word != "same"]
    same = len(page.changed) - len(changed)
    asked = page.earlier.get("questions"), page.report.get("questions")
    notes = [f"{same:,} numbers are the same."]
    if page.earlier["recipe"] != page.report["recipe"]:
        notes.append(f"The earlier report is of another recipe, {page.earlier['recipe']}.")
    if asked[0] != asked[1]:
        notes.append(f"It asked {asked[0]} questions a column, this one {asked[1]}.")
    rows = [
        [c.where, label(c.path), tag("span", proper(c.word), class_=VERDICTS[c.verdict] or None), proper(c.before),
         proper(c.now)]
        for c in changed
    ]  # fmt: skip
    if not rows:
        return tag("p", " ".join(notes), class_="muted")
    better, worse = (sum(change.verdict == verdict for change in changed) for verdict in (1, -1))
    told = f"{len(changed):,} changes: {better:,} better, {worse:,} worse"
    whole = table(("Where", "What", "Change", "Before", "Now"), rows, told, {3, 4})
    return join(
        tag("p", " ".join(notes), class_="muted"),
        tag("details", tag("summary", told), whole, open=len(rows) <= LONG),
    )
