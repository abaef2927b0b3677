"""minigpt corpora tinytown: write the corpora of Tinytown and show what they look like."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from .town import Town
from .writers import write_corpora


def sample(town: Town) -> str:
    """A resident and a few dialogues, to read."""
    resident = town.residents[0]
    lines = [resident.name, *(f"  {topic}: {value}" for topic, value in resident.facts.items()), ""]
    for dialogue in town.dialogues(5):
        speakers = {"user": "Visitor", "assistant": "Guide"}
        lines += [f"{speakers[turn.role]}: {turn.text}" for turn in dialogue.turns]
        lines += [f"  ({', '.join(dialogue.qualities)})", ""]
    return "\n".join(lines)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="minigpt corpora tinytown", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="which Tinytown (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("corpora/tinytown"), help="folder to write to")
    parser.add_argument("--sample", action="store_true", help="only show a sample, write nothing")
    args = parser.parse_args()
    if args.sample:
        print(sample(Town(args.seed)))
        return 0
    start = time.perf_counter()
    contents = write_corpora(args.out, args.seed)
    print(sample(Town(args.seed)))
    for what, number in contents["counts"].items():
        print(f"{number:>9,} {what}")
    print(f"{args.out} is complete ({time.perf_counter() - start:.1f} s).")
    return 0
