"""Wrong answers to lesson 01. The docstring is the sentence that the check has to answer with."""

from __future__ import annotations

import itertools
import re


def merge_pair__uses_a_piece_twice(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """a piece is used only once"""
    following = [*pieces[1:], ""]
    return [a + b if (a, b) == pair else a for a, b in zip(pieces, following, strict=True)]


def merge_pair__from_the_right(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """from left to right"""
    out: list[str] = []
    rest = list(pieces)
    while rest:
        piece = rest.pop()
        if rest and (rest[-1], piece) == pair:
            piece = rest.pop() + piece
        out.insert(0, piece)
    return out


def merge_pair__only_the_first(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """every occurrence is joined, not only the first"""
    for i, (a, b) in enumerate(itertools.pairwise(pieces)):
        if (a, b) == pair:
            return [*pieces[:i], a + b, *pieces[i + 2 :]]
    return list(pieces)


def merge_pair__what_it_makes_itself(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """a piece that was just made is not joined again"""
    out: list[str] = []
    for piece in pieces:
        if out and (out[-1].endswith(pair[0]) and piece == pair[1]):
            out[-1] += piece
        else:
            out.append(piece)
    return out


def detokenise__leaves_the_spaces(line: str) -> str:
    """no space stands around a joined"""
    return re.sub(r" ([,.;:!?])", r"\1", re.sub(r"@([-,.])@", r"\1", line))


def detokenise__forgets_the_marks(line: str) -> str:
    """no space stands in front of"""
    return re.sub(r" @([-,.])@ ", r"\1", line)


def detokenise__removes_every_space_before_a_dash(line: str) -> str:
    """a dash between words keeps its spaces"""
    line = re.sub(r" @([-,.])@ ", r"\1", line)
    return re.sub(r" ([,.;:!?])", r"\1", line).replace(" - ", "-")
