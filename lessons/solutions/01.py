"""Solutions of lesson 01."""

from __future__ import annotations

import re


def merge_pair(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    out: list[str] = []
    i = 0
    while i < len(pieces):
        if tuple(pieces[i : i + 2]) == pair:
            out.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            out.append(pieces[i])
            i += 1
    return out


def detokenise(line: str) -> str:
    line = re.sub(r" @([-,.])@ ", r"\1", line)
    return re.sub(r" ([,.;:!?])", r"\1", line)
