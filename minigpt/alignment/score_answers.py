"""`run_reward.py --score`: the reward of given answers, from the command line or from a file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..data.examples import Turn
from ..data.formats.prompts import prompt_of
from ..data.formats.reading import Reading
from ..errors import UserError
from ..recipe import load_recipe
from ..registry import MODELS
from ..training.device import detect
from .reward_model import load_reward_model

ANSWER_KEYS = ("answer", "completion", "response")


def print_scores(arguments: argparse.Namespace) -> None:
    """One line for each answer: its reward, and the answer. Rewards count in standard deviations of the SFT model's."""
    folder = Path(arguments.out) if arguments.out else MODELS / load_recipe(arguments.recipe).name / "reward"
    model = load_reward_model(folder, detect(arguments.device, arguments.dtype).device)
    if arguments.score:
        examples = read_examples(Path(arguments.score), arguments.skip_bad_rows)
    elif arguments.prompt is None or arguments.answer is None:
        raise UserError("--score needs --prompt and --answer, or a .jsonl file of prompts and answers.")
    else:
        examples = [("--answer", (Turn("user", arguments.prompt),), arguments.answer)]
    encoded = []
    for place, prompt, answer in examples:
        try:
            encoded.append(model.encode(prompt, answer))
        except ValueError as error:
            raise UserError(f"{place}: {error}; shorten them.") from None
    for reward, (_, _, answer) in zip(model.score_ids(encoded), examples, strict=True):
        print(f"{reward:+.3f}\t{' '.join(answer.split())}")


def read_examples(path: Path, skip_bad_rows: bool = False) -> list[tuple[str, tuple[Turn, ...], str]]:
    """(file:line, prompt, answer) of each row of a .jsonl or .csv file."""
    examples = []
    reading = Reading(skip_bad_rows)
    for where, row, *_ in reading.records(path):
        with reading.row(where):
            answer = next((row[key] for key in ANSWER_KEYS if isinstance(row.get(key), str)), None)
            prompt = prompt_of(row)
            if not answer:
                raise ValueError(f"there is no answer to score; name it {', '.join(ANSWER_KEYS)}")
            examples.append((where, prompt, answer))
    if reading.dropped or reading.mended:
        print(reading.summary(), file=sys.stderr)
    return examples
