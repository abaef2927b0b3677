"""WikiCorpus: WikiText-2 and WikiText-103, one document per article, with natural spacing restored.

Source: Merity et al. 2016, "Pointer Sentinel Mixture Models" (arXiv:1609.07843).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import UserError
from ..examples import Document
from ..source import ending
from .loader import CorpusLoader
from .reading import READERS, Reading
from .rows import Examples

ENDINGS = ("tokens", "raw", "txt")
MARKS = re.compile("(?:= )*")
JOINED = re.compile(r" ?@([-,.])@ ?")
BETWEEN_DIGITS = re.compile(r"(?<=\d) ([–:]) (?=\d)")
CLOSES = frozenset(".,;:!?%)]}…°”") | {"...", "....", ".."}
OPENS = frozenset("([{$£€₹#“„‘")
AFTER_APOSTROPHE = frozenset({"s", "t", "d", "m", "re", "ve", "ll"})


class WikiCorpus(CorpusLoader):
    """Articles of WikiText, in the publisher's own split.

    `words` of a document counts the published tokens: every whitespace-separated token of the
    article's non-blank lines, headings included, plus one end-of-line token for each of these lines.
    The customary count adds one end-of-line token for each *blank* line too (0.6 % more words in
    WikiText-2: 217,646 instead of 216,347 in its validation file), so a perplexity per word computed
    with our count is never flattered: it lies a little above the customary figure.
    """

    layout = "a folder with wiki.train.tokens and wiki.valid.tokens (or .raw, or train.txt and valid.txt)"

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        if path.is_file():
            return list(articles(path, reading)), None
        train, valid = _split_file(path, "train"), _split_file(path, "valid")
        if train is None:
            raise UserError(f"{path} holds no wiki.train.tokens; WikiCorpus expects {cls.layout}.")
        return list(articles(train, reading)), None if valid is None else list(articles(valid, reading))


def _split_file(folder: Path, split: str) -> Path | None:
    """The file of a split, by its published name, or else the one text file that has the split in its name."""
    names = [f"{stem}.{suffix}" for stem in (f"wiki.{split}", split) for suffix in ENDINGS]
    exact = [folder / name for name in names]
    others = [file for file in sorted(folder.glob(f"*{split}*")) if ending(file)[1:] in (*ENDINGS, "jsonl")]
    return next((file for file in exact if file.is_file()), others[0] if len(others) == 1 else None)


def articles(path: Path, reading: Reading) -> Iterator[Document]:
    """The articles of one WikiText file, in order. Raises UserError where there is not a single title."""
    title, count = "", 0
    body: list[str] = []
    lines = _lines(path, reading)
    for is_title, line in _with_titles(lines):
        if is_title:
            count += 1
            if body:
                yield _document(title, count - 1, body)
            title, body = line.strip("= "), []
        body.append(line)
    if not count:
        like = [number for number, line in enumerate(lines, start=1) if heading_level(line) == 1]
        if like:
            raise UserError(
                f"{path}:{like[0]}: {len(like):,} lines look like titles of articles, but the blank lines around them "
                "are missing, by which WikiText tells them; get a copy that has them."
            )
        raise UserError(
            f"{path}:1: no article title such as ' = Albert Einstein = ' in the file; is it WikiText? "
            "Plain text is read by TextCorpus."
        )
    reading.rows += count
    yield _document(title, count, body)


def _lines(path: Path, reading: Reading) -> list[str]:
    """The lines of a file; one of rows, as the datasets library exports it, has each line in the column text."""
    if ending(path) in READERS:
        lines = []
        for record in reading.records(path):
            if not isinstance(record.row.get("text"), str):
                raise UserError(f'{record.where}: expected {{"text": "…"}}, a line of WikiText in each row.')
            lines.append(record.row["text"])
        return lines
    return reading.text(path).split("\n")


def _with_titles(published: list[str]) -> Iterator[tuple[bool, str]]:
    """The non-blank lines, stripped, each with whether it is the title of an article.

    A title has one `=` on each side and stands between blank lines. The blank lines matter:
    the legends of some tables break into lines such as ' = Wins ; L = ' in the middle of an article.
    """
    lines = ["", *(line.strip() for line in published), ""]
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line:
            yield heading_level(line) == 1 and not before and not after, line


def heading_level(line: str) -> int:
    """Number of `=` on each side: 1 for ' = Title = ', 2 for ' = = Section = = ', 0 for running text."""
    line = line.strip()
    left, right = (match.end() for way in (line, line[::-1]) if (match := MARKS.match(way)))
    return left // 2 if left == right and line.strip(" =") else 0


def _document(title: str, number: int, lines: list[str]) -> Document:
    words = sum(len(line.split()) + 1 for line in lines)
    return Document("\n".join(map(detokenise, lines)), group=f"{detokenise(title)}#{number}", words=words)


def detokenise(text: str) -> str:
    """Undo WikiText's tokenisation: `well @-@ known , " so " ( it 's )` → `well-known, "so" (it's)`.

    Works line by line; `= = Section = =` becomes `== Section ==`, and `<unk>` stays as it is.
    Straight quotes are told apart by counting: the first of a line opens, the next one closes.
    A lone `'` after a word in s (or `<unk>`) ends a possessive unless it can only begin a quotation.
    """
    return "\n".join(_detokenise_line(line) for line in text.split("\n"))


def _detokenise_line(line: str) -> str:
    level = heading_level(line)
    if level:
        marks = "=" * level
        inner = _detokenise_line(line.strip()[2 * level : -2 * level])
        return f"{marks} {inner} {marks}"
    line = BETWEEN_DIGITS.sub(r"\1", JOINED.sub(r"\1", line))
    tokens = line.split()
    pieces: list[str] = []
    inside = {'"': False, "'": False}
    glue = True  # nothing stands before the first token
    for i, token in enumerate(tokens):
        left, right = token in CLOSES, token in OPENS
        if token == "'" and not inside["'"] and _is_possessive(tokens, i):
            left = True
        elif token in inside:
            left, right = inside[token], not inside[token]
            inside[token] = not inside[token]
        elif token == "’":
            left, right = True, tokens[i + 1 : i + 2] != [] and tokens[i + 1] in AFTER_APOSTROPHE
        elif token[0] == "'" and token[1:2].isalpha():
            left = True  # it 's, O 'Brien, don 't: an apostrophe in the middle of a word
        if not (glue or left):
            pieces.append(" ")
        pieces.append(token)
        glue = right
    return "".join(pieces)


def _is_possessive(tokens: list[str], i: int) -> bool:
    """Whether the lone `'` at i ends a word such as "series'" rather than opening a quotation."""
    if i == 0 or not tokens[i - 1].endswith(("s", "<unk>")):
        return False
    after = tokens[i + 1 : i + 2]
    return "'" not in tokens[i + 1 :] or (after != [] and after[0].islower())
