"""What changed since an earlier report: every number before and now, and whether that is better."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from ...recipe import STAGES
from .measures import SHARE, STAGE_NAMES, Measure, measure

Path = tuple[str, ...]
COMPARED = ("stages", "exam", "contest", "mood", "answers")
#: Texts that are compared too: they say why numbers changed.
IDENTITIES = ("sha256", "machine")


def look_up(report: dict[str, Any], path: Path) -> Any:
    """What the report says at `path`; None if it says nothing there."""
    here: Any = report
    for key in path:
        here = here.get(key) if isinstance(here, dict) else None
    return here


def leaves(report: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Every number that two reports can be compared by, every setting, and what tells models and machines apart.
    Lists are drawn, not compared."""
    stack: list[tuple[Path, Any]] = [((part,), report[part]) for part in reversed(COMPARED) if part in report]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [((*path, key), inner) for key, inner in reversed(value.items())]
        elif "settings" in path or path[-1] in IDENTITIES or is_number(value):
            yield path, value


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Change:
    """A number before and now. `word` says what became of it; `verdict` is 1 for better, -1 for worse, else 0."""

    path: Path
    before: str
    now: str
    word: str
    verdict: int = 0

    @property
    def where(self) -> str:
        """Whose number it is."""
        match self.path:
            case ("stages", stage, "settings", _):
                return f"{STAGE_NAMES[stage]}, setting"
            case ("exam", stage, _):
                return f"{STAGE_NAMES[stage]}, exam"
            case ("contest", column, entrant, _):
                return f"{STAGE_NAMES.get(entrant, entrant)}, contest, {column.replace('_', '-')}"
            case ("mood", _, entrant, _):
                return f"{STAGE_NAMES.get(entrant, entrant)}, mood"
            case ("mood", _):
                return "Mood"
            case ("answers", prompt, _, stage, _):
                return f"{STAGE_NAMES[stage]} on “{prompt}”"
        return STAGE_NAMES[self.path[1]]


def changes(earlier: dict[str, Any], report: dict[str, Any]) -> dict[Path, Change]:
    """What became of every number of either report, in the order of `report`."""
    before, now = _with_defaults(earlier, report), _with_defaults(report, earlier)
    return {path: _change(path, before.get(path), now.get(path), (earlier, report)) for path in now | before}


def _with_defaults(report: dict[str, Any], other: dict[str, Any]) -> dict[Path, Any]:
    """The leaves of a report; a setting that only the other one lists has its default here."""
    found = dict(leaves(report))
    for path, _ in leaves(other):
        if path[2:3] == ("settings",) and path not in found and path[1] in report["stages"]:
            defaults = {field.name: field.default for field in fields(STAGES[path[1]])}
            if path[3] in defaults:
                found[path] = defaults[path[3]]
    return found


def _change(path: Path, before: Any, now: Any, reports: tuple[dict[str, Any], ...]) -> Change:
    if "settings" in path:  # knobs may share a name with a measurement ("kl"), but are settings
        kind = Measure(path[-1])
    else:
        kind = measure(path[-1])
    if path[-1] == "sha256":
        kind, before, now = Measure("weights"), before and before[:8], now and now[:8]
    texts = ("–" if before is None else kind.write(before), "–" if now is None else kind.write(now))
    if before is None or now is None:
        return Change(path, *texts, "new" if before is None else "gone")
    if texts[0] == texts[1]:
        return Change(path, *texts, "same")
    if isinstance(before, str | bool) or "settings" in path:
        return Change(path, *texts, "changed")
    difference = now - before
    verdict = int(math.copysign(kind.better, kind.better * difference)) if kind.better else 0
    word = {1: "better", -1: "worse", 0: "higher" if difference > 0 else "lower"}[verdict]
    sizes = [sample_size(report, path) for report in reports]
    if kind.form == SHARE and all(sizes) and within_chance(before, now, min(n for n in sizes if n)):
        word, verdict = f"{word}, within chance", 0
    return Change(path, *texts, f"{kind.write_difference(difference)} {word}", verdict)


def sample_size(report: dict[str, Any], path: Path) -> int | None:
    """Of how many questions or judgements a share is the share; None if that is not known."""
    if path[0] == "contest":
        return report["questions"]
    owner = look_up(report, path[:-1]) or {}
    return owner.get("questions") or owner.get("examples")


def within_chance(before: float, after: float, n: int) -> bool:
    """Whether two shares of `n` each differ by less than 95 % of differences by chance would."""
    return abs(after - before) <= 1.96 * math.sqrt((before * (1 - before) + after * (1 - after)) / n)


def changes_table(found: dict[Path, Change]) -> str:
    """For the terminal: every change, and how many numbers are as they were."""
    changed = [change for change in found.values() if change.word != "same"]
    rows = [("", "", "before", "now", "change")]
    rows += [(c.where, label(c.path), c.before, c.now, c.word) for c in changed]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
    return "\n".join([*(lines if changed else []), f"{len(found) - len(changed)} numbers are the same."])


def label(path: Path) -> str:
    """What the last part of a path is called."""
    if "settings" in path:
        return path[-1]
    return "weights" if path[-1] == "sha256" else measure(path[-1]).label
