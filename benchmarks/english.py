"""All English text of the catalogue that is on disk, as one corpus of short documents: about ten million words.

    for name in wikitext-2 cornell alpaca tinystories tinyshakespeare tldr-comparisons blimp
    do minigpt corpora fetch $name; done
    python benchmarks/english.py                       # writes corpora/english
    python run_pretrain.py --recipe benchmarks/english.toml --dropout 0.1
    minigpt evaluate blimp trained_models/english/pretrain

A document is a paragraph of an article, a conversation of a film, an instruction with its answer, a story or a post:
so a model often sees how sentences begin with nothing before them, which is how BLiMP asks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from minigpt import cli
from minigpt.data.catalogue import find
from minigpt.data.formats import FORMATS
from minigpt.data.formats.movie import dialogues
from minigpt.data.formats.reading import Reading
from minigpt.data.formats.text import END_OF_TEXT, split_documents
from minigpt.errors import UserError
from minigpt.files import write_atomically

SHORTEST = 60  # characters of a paragraph; headings are shorter


def paragraphs(place: Path) -> Iterator[str]:
    for article in FORMATS["wiki"].read(place).train:
        yield from (line for line in article.text.split("\n") if len(line) > SHORTEST)


def conversations(place: Path) -> Iterator[str]:
    for _, turns in dialogues(place, Reading()):
        yield "\n".join(turns)


def instructions(place: Path) -> Iterator[str]:
    for row in json.loads(place.read_text(encoding="utf-8")):
        yield "\n".join(row[key] for key in ("instruction", "input", "output") if row[key])


def stories(place: Path) -> Iterator[str]:
    yield from split_documents(place.read_text(encoding="utf-8"))


def posts(place: Path) -> Iterator[str]:
    for line in place.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        post = row.get("info", row)
        yield f"{post.get('title') or ''}\n{post.get('post') or ''}"


SOURCES: dict[str, Callable[[Path], Iterator[str]]] = {
    "wikitext-2": paragraphs,
    "cornell": conversations,
    "alpaca": instructions,
    "tinystories": stories,
    "tinyshakespeare": stories,
    "tldr-comparisons": posts,
}


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("corpora/english"), help="folder to write")
    cli.add_corpora_flag(parser)
    arguments = parser.parse_args()
    found = 0
    for name, read in SOURCES.items():
        try:
            place = find(name, arguments.corpora_dir)
        except UserError as error:
            print(f"{name}: left out: {error}")
            continue
        documents = list(dict.fromkeys(read(place)))
        text = f"\n{END_OF_TEXT}\n".join(documents)
        arguments.out.mkdir(parents=True, exist_ok=True)
        write_atomically(arguments.out / f"{name}.txt", text)
        print(f"{name}: {len(documents):,} documents, {len(text.split()):,} words")
        found += 1
    if not found:
        raise UserError("none of these corpora is on disk; minigpt corpora fetch NAME downloads one.")


if __name__ == "__main__":
    cli.run(main)
