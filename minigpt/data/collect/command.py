"""Turn web pages into a corpus: of saved pages, a list of addresses, or a feed.

    minigpt corpora collect add saved_pages/                      a folder of .html files; no network
    minigpt corpora collect add addresses.txt                     one address a line
    minigpt corpora collect add https://example.org/feed.xml      RSS or Atom, or a single page
    minigpt corpora collect search "old harbour"
    minigpt corpora collect export pages.jsonl                    for run_pretrain.py --format text --corpus
    minigpt corpora collect export rows.jsonl --format doccano    for labelling

Every page is fetched and kept once; the same command again fetches what is new. So a scheduler can run it every day:

    Linux, macOS (crontab -e)
        0 6 * * *  cd ~/minigpt && .venv/bin/minigpt corpora collect add addresses.txt
    Windows
        schtasks /Create /SC DAILY /ST 06:00 /TN collect /TR "cmd /c cd /d C:\\minigpt && .venv\\Scripts\\minigpt
        corpora collect add addresses.txt"

It goes by robots.txt, names itself, and asks a host for one page a second. Who wrote a page still owns it: before you
pass on a corpus, or a model that learned from it, find out whether you may.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ... import cli
from ...errors import UserError
from ...files import write_atomically
from ..formats.doccano import DoccanoRow
from ..fulltext import snippet
from .collector import NO_PAGE, Collector, sources
from .extract import need_extra
from .pages import KEPT, Pages
from .visitor import AGENT, Visitor

STORE = Path("corpora") / "collected.sqlite"
FORMATS = ("text", "doccano")


def add(arguments: argparse.Namespace) -> None:
    """Read or fetch what is new, and say what became of it."""
    need_extra()
    for name in ("delay", "timeout", "largest", "shortest"):
        if getattr(arguments, name) < 0:
            raise UserError(f"--{name} is {getattr(arguments, name)}; it cannot be negative.")
    files, addresses, others = sources(arguments.places)
    pages = Pages(arguments.store)
    visitor = Visitor(arguments.agent, arguments.delay, arguments.timeout, int(arguments.largest * 1e6))
    collector = Collector(pages, visitor, arguments.shortest, arguments.again)
    collector.counts[NO_PAGE] += others
    try:
        collector.read(files)
        collector.visit(addresses)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{arguments.store} keeps what was collected; the same command goes on.") from None
    finally:
        print(f"this run:  {collector.summary()}")
        print(f"pages:     {pages.counts()[KEPT]:,} in {arguments.store}")
        pages.close()


def search(arguments: argparse.Namespace) -> None:
    """Print where the words occur."""
    try:
        found = open_store(arguments.store).search(arguments.words, arguments.limit)
    except ValueError:
        raise UserError("there is no word to search for; name at least one.") from None
    for row in found:
        print(f"{row['url']}  {row['title']}")
        print(f"    {' '.join(snippet(row['body'], arguments.words)['snippet'].split())}")
    print(f"{len(found)} pages" + (f" (the newest; --limit is {arguments.limit})" * (len(found) == arguments.limit)))


def export(arguments: argparse.Namespace) -> None:
    """Write the kept pages as JSON Lines."""
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows(arguments)]
    if not lines:
        raise UserError(f"{arguments.store} holds no page yet; add some first.")
    write_atomically(arguments.out, "".join(lines))
    print(f"{len(lines):,} rows in {arguments.out}")


def rows(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each page, or for each of its paragraphs. The page is the group: it is never in both training and
    validation."""
    for page in open_store(arguments.store).kept():
        about = {"url": page["url"], "title": page["title"], "date": page["date"]}
        for text in page["body"].split("\n") if arguments.paragraphs else [page["body"]]:
            if arguments.format == "doccano":
                yield DoccanoRow(text, metadata=about).as_row()
            else:
                yield {"text": text, "group": page["url"], **about}


def open_store(path: Path) -> Pages:
    """The store that there is. Raises UserError if there is none."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; collect pages with minigpt corpora collect add.")
    return Pages(path)


def make_parser() -> argparse.ArgumentParser:
    parser = cli.Parser(prog="minigpt corpora collect", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    adding = commands.add_parser("add", help="read or fetch pages that are not known yet")
    adding.add_argument(
        "places", nargs="+", metavar="PLACE", help="folder, .html file, list of addresses, feed, or URL"
    )
    adding.add_argument("--shortest", type=int, default=200, help="characters that a page must have (default 200)")
    adding.add_argument("--largest", type=float, default=5.0, help="megabytes that it may have (default 5)")
    adding.add_argument("--delay", type=float, default=1.0, help="seconds between two pages of a host (default 1)")
    adding.add_argument("--timeout", type=float, default=20.0, help="seconds for one page (default 20)")
    adding.add_argument("--agent", default=AGENT, help=f"name of the visitor; add how to reach you (default {AGENT})")
    adding.add_argument("--again", action="store_true", help="try once more what was not kept")
    searching = commands.add_parser("search", help="find words in the pages")
    searching.add_argument("words", type=cli.typed)
    searching.add_argument("--limit", type=int, default=20, help="most pages to show (default 20)")
    exporting = commands.add_parser("export", help="write the pages as JSON Lines")
    exporting.add_argument("out", type=Path)
    exporting.add_argument("--format", choices=FORMATS, default="text", help="text (default), or doccano's import")
    exporting.add_argument("--paragraphs", action="store_true", help="a row for each paragraph, not for each page")
    for command in (adding, searching, exporting):
        command.add_argument("--store", type=Path, default=STORE, help=f"SQLite file of the pages (default {STORE})")
    return parser


def main() -> None:
    arguments = make_parser().parse_args()
    {"add": add, "search": search, "export": export}[arguments.command](arguments)
