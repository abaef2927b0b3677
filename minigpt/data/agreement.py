"""Do the annotators of a doccano project agree? Cohen's kappa for each two of them, and the texts they part on.

    minigpt corpora agreement project.zip

The archive is the export of a project in which everybody labels for themselves: it holds a file for each annotator.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .. import cli
from ..errors import UserError
from .formats.labels import Annotation, read_annotators
from .formats.reading import Reading
from .source import check_exists

SHOWN = 10  # texts that are printed where annotators disagree, unless told


class Agreement(NamedTuple):
    """Two annotators on the `texts` that both of them gave one label: the share of equal labels, and `kappa`,
    which is 1 for full agreement and 0 for as much as chance alone would bring; nan where it is undefined."""

    first: str
    second: str
    texts: int
    same: float
    kappa: float


def cohens_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """(observed - expected) / (1 - expected) agreement of two annotators' labels of the same texts (Cohen 1960).

    Expected is how often two people would agree by chance who use each label as often as these do. nan for no texts,
    and where both always give the same single label: then chance alone explains everything.
    """
    if not first:
        return math.nan
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / len(first)
    left, right = Counter(first), Counter(second)
    expected = sum(left[label] * right[label] for label in left) / len(first) ** 2
    return (observed - expected) / (1 - expected) if expected < 1 else math.nan


def single_labels(annotations: Sequence[Annotation]) -> tuple[dict[str, str], Counter[str]]:
    """The label of each text that has exactly one, and how many texts do not count, by reason."""
    labels: dict[str, str] = {}
    given: dict[str, set[str]] = {}
    left_out: Counter[str] = Counter()
    for text, names in annotations:
        if text:
            given.setdefault(text, set()).update(names)
        else:
            left_out["empty"] += 1
    for text, found in given.items():
        if len(found) == 1:
            labels[text] = min(found)
        else:
            left_out["with several labels" if found else "without a label"] += 1
    return labels, left_out


def agreements(labels: Mapping[str, Mapping[str, str]]) -> list[Agreement]:
    """Every two annotators compared; `labels` holds, by annotator, the label of each text."""
    pairs = []
    for (first, left), (second, right) in itertools.combinations(labels.items(), 2):
        shared = [text for text in left if text in right]
        ours, theirs = [left[text] for text in shared], [right[text] for text in shared]
        same = sum(a == b for a, b in zip(ours, theirs, strict=True)) / max(1, len(shared))
        pairs.append(Agreement(first, second, len(shared), same, cohens_kappa(ours, theirs)))
    return pairs


def disagreements(labels: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """The texts that got different labels, with who gave which, in the order of the first annotator's file."""
    given: dict[str, dict[str, str]] = {}
    for name, own in labels.items():
        for text, label in own.items():
            given.setdefault(text, {})[name] = label
    return {text: names for text, names in given.items() if len(set(names.values())) > 1}


def report(path: Path, shown: int = SHOWN, skip_bad_rows: bool = False) -> str:
    """What the annotators of an archive did, how far each two agree, and the first texts on which they do not."""
    check_exists(path, "name the .zip that doccano exported, or the folder it was unpacked to")
    labels: dict[str, dict[str, str]] = {}
    lines = []
    reading = Reading(skip_bad_rows)
    for name, made in read_annotators(path, reading).items():
        own, left_out = single_labels(made)
        lines.append(f"{name}: {len(own):,} texts labelled" + "".join(f", {n:,} {why}" for why, n in left_out.items()))
        if own:  # a member of the project who has labelled nothing agrees with nobody
            labels[name] = own
    if len(labels) < 2:
        raise UserError(f"{path} holds labels of fewer than two annotators; let another one label the same texts.")
    lines += [reading.summary(), ""]
    for pair in agreements(labels):
        kappa = "undefined" if math.isnan(pair.kappa) else f"{pair.kappa:+.3f}"
        lines.append(f"{pair.first} and {pair.second}: {pair.texts:,} texts, {pair.same:.1%} alike, kappa {kappa}")
    torn = disagreements(labels)
    first = f", the first {shown}" if len(torn) > shown else ""
    lines.append(f"\n{len(torn):,} texts on which they disagree{first}:")
    for text, names in itertools.islice(torn.items(), shown):
        lines.append(f"  {' '.join(text.split())}\n      " + ", ".join(f"{n}: {label}" for n, label in names.items()))
    return "\n".join(lines)


def main() -> None:
    parser = cli.Parser(prog="minigpt corpora agreement", description=__doc__)
    parser.add_argument("archive", type=Path, help="the .zip that doccano exported, or its folder")
    parser.add_argument("--show", type=int, default=SHOWN, help=f"texts to print (default {SHOWN})")
    cli.add_reading_flag(parser)
    arguments = parser.parse_args()
    print(report(arguments.archive, arguments.show, arguments.skip_bad_rows))
