"""What changed since an earlier report: every number before and now, and whether that is better."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .measures import SHARE, STAGE_NAMES, Measure, Path, look_up, measure, spoken
from .stages import SETTINGS

COMPARED = ("stages", "knowledge", "grammar", "win_rate", "sentiment", "answers")
#: Texts that are compared too: they say why numbers changed.
IDENTITIES = ("sha256", "machine")
UNSAID = ("stages", "figures", "answers", "entrants")  # parts of a path that tell a reader nothing


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
        parts = (part for part in self.path[:-1] if part not in UNSAID)
        return ", ".join(STAGE_NAMES.get(part) or spoken(part) for part in parts)

    @property
    def label(self) -> str:
        """What the number is called."""
        if "settings" in self.path:
            return self.path[-1]
        return "weights" if self.path[-1] == "sha256" else measure(self.path[-1]).label


def leaves(report: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Every number that two reports can be compared by, every setting, and what tells models and machines apart.
    Lists are drawn, not compared."""
    stack: list[tuple[Path, Any]] = [((part,), report[part]) for part in reversed(COMPARED) if part in report]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            stack += [((*path, key), inner) for key, inner in reversed(value.items())]
        elif "settings" in path or path[-1] in IDENTITIES or type(value) in (int, float):
            yield path, value


def changes(earlier: dict[str, Any], report: dict[str, Any]) -> dict[Path, Change]:
    """What became of every number of either report, in the order of `report`; nothing if there is no earlier one."""
    if not earlier:
        return {}
    before, now = _with_defaults(earlier, report), _with_defaults(report, earlier)
    return {path: _change(path, before.get(path), now.get(path), (earlier, report)) for path in now | before}


def _with_defaults(report: dict[str, Any], other: dict[str, Any]) -> dict[Path, Any]:
    """The leaves of a report; a setting that only the other one lists has its default here."""
    found = dict(leaves(report))
    for path, _ in leaves(other):
        if path[2:3] == ("settings",) and path not in found and path[1] in report["stages"]:
            _, stage, _, setting = path
            if setting in SETTINGS[stage]:
                found[path] = SETTINGS[stage][setting].default
    return found


def _change(path: Path, before: Any, now: Any, reports: tuple[dict[str, Any], ...]) -> Change:
    # A setting may share its name with a measurement ("kl").
    kind = Measure(path[-1]) if "settings" in path else measure(path[-1])
    if path[-1] == "sha256":
        before, now = before and before[:8], now and now[:8]
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
    if path[0] == "win_rate":
        return report["questions"]
    owner = look_up(report, path[:-1]) or {}
    return owner.get("questions") or owner.get("examples")


def within_chance(before: float, after: float, n: int) -> bool:
    """Whether two shares of `n` each differ by less than 95 % of differences by chance would."""
    return abs(after - before) <= 1.96 * math.sqrt((before * (1 - before) + after * (1 - after)) / n)


def changes_table(found: dict[Path, Change]) -> str:
    """For the terminal: every change, and how many numbers are as they were."""
    changed = [change for change in found.values() if change.word != "same"]
    rows = [("", "", "before", "now", "change"), *((c.where, c.label, c.before, c.now, c.word) for c in changed)]
    left = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{row[0]:{left[0]}}  {row[1]:{left[1]}}  {row[2]:>{left[2]}}  {row[3]:>{left[3]}}  {row[4]}" for row in rows
    ]
    return "\n".join([*(lines if changed else []), f"{len(found) - len(changed)} numbers are the same."])
