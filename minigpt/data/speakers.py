"""Who speaks in a TV script, and what one of them answers.

    minigpt corpora speakers script_lines.csv                              who has how many lines
    minigpt corpora speakers script_lines.csv --top 20 --chart lines.png   the same as a picture
    minigpt corpora speakers script_lines.csv --speaker "Lisa Simpson" --out windows.jsonl

The last one writes a row for every spoken line of the script: the lines before it in its scene (`context`, oldest
first), the line itself (`answer`), and whether the chosen character says it (`label`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from .. import cli
from ..errors import UserError
from ..files import write_atomically
from .formats.reading import Reading
from .formats.script import CONTEXT_LINES, GROUP_BY, Window, count_lines, find_character, read_windows
from .source import check_exists


def rows_of(windows: Sequence[Window], character: str) -> list[dict[str, object]]:
    """What `--out` writes."""
    return [
        {
            "context": [line.told() for line in window.context],
            "answer": window.line.told(),
            "label": window.line.character == character,
            "episode": window.line.episode,
        }
        for window in windows
    ]


def draw_chart(lines: Sequence[tuple[str, int]], path: Path) -> None:
    """A bar for each speaker, the most talkative on top."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1 + 0.3 * len(lines)), layout="constrained")
    ax = figure.subplots()
    names, counts = [name for name, _ in lines], [count for _, count in lines]
    ax.bar_label(ax.barh(names, counts), fmt="{:,.0f}", padding=3)
    ax.invert_yaxis()
    ax.margins(x=0.12)
    ax.set(title="Who speaks most", xlabel="lines")
    ax.grid(axis="x", alpha=0.3)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    write_atomically(path, drawn.getvalue())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = cli.Parser(prog="minigpt corpora speakers", description=__doc__)
    parser.add_argument("script", type=Path, help="script_lines.csv, or the folder that holds it")
    parser.add_argument("--top", type=int, default=12, help="how many speakers are shown (default 12)")
    parser.add_argument("--chart", type=Path, metavar="FILE.png", help="also draw them")
    parser.add_argument("--speaker", default="", help="whose lines are answers (default: who answers most often)")
    parser.add_argument("--out", type=Path, metavar="FILE.jsonl", help="write a row for every spoken line")
    parser.add_argument(
        "--context-lines", type=int, default=CONTEXT_LINES, help=f"lines before each (default {CONTEXT_LINES})"
    )
    parser.add_argument(
        "--group-by", default=",".join(GROUP_BY), metavar="COLUMNS",
        help=f"lines belong together that agree in these (default {','.join(GROUP_BY)})",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    if options.top < 1:
        raise UserError(f"--top is {options.top}; show at least 1 speaker.")
    check_exists(options.script, "name a script_lines.csv or its folder")
    reading = Reading()
    windows = list(read_windows(options.script, options.context_lines, options.group_by.split(","), reading))
    lines = count_lines(windows)
    for name, count in lines[: options.top]:
        print(f"{count:>9,}  {name}")
    print(f"{len(windows):>9,}  lines of {len(lines):,} speakers; {reading.summary()}")
    if options.chart:
        draw_chart(lines[: options.top], options.chart)
        print(f"{options.chart} shows the first {min(options.top, len(lines))} of them.")
    if options.out:
        rows = rows_of(windows, find_character(windows, options.script, options.speaker))
        write_atomically(options.out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        answers = [row for row in rows if row["label"]]
        first = sum(not row["context"] for row in answers)
        print(
            f"{options.out}: {len(rows):,} rows, {len(answers):,} the character's, {first:,} of these without context."
        )
