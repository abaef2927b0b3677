"""Copy finished models in bf16: half the size, with the run's figures and samples, but without what resuming needs.

    minigpt export trained_models/tinytown/{pretrain,sft,reward,ppo} --out somewhere/else

Without --out they become the models that come with minigpt, in trained_models/shipped, and the tokenizer of the last
one the tokenizer that every corpus without its own shares.
"""

from __future__ import annotations

from pathlib import Path

import torch

from . import cli
from .errors import UserError
from .files import write_atomically
from .model.checkpoint import CARD, VALUE_HEAD, read_card, read_model, save_model
from .registry import MODELS, SHIPPED
from .textbook import SHARED_TOKENIZER
from .training.run_state import METRICS, SAMPLES


def main() -> None:
    parser = cli.Parser(prog="minigpt export", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="model folders; each copy is named after its stage")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"where the copies go (default {MODELS / SHIPPED})")
    arguments = parser.parse_args()
    for folder in arguments.folders:
        card = read_card(folder)
        chat, heads = read_model(folder)
        if missing := [name for name in ("stage", "sha256") if not card.get(name)]:
            raise UserError(f"{folder / CARD}: {missing[0]} is missing; name a folder that a run_*.py script wrote.")
        target = (arguments.out or MODELS / SHIPPED) / card["stage"]
        save_model(target, chat, {**card, "made_from": card["sha256"]}, dtype=torch.bfloat16, heads=heads)
        for name in (VALUE_HEAD, METRICS, SAMPLES):
            if (folder / name).is_file():
                write_atomically(target / name, (folder / name).read_bytes())
        if arguments.out is None:
            write_atomically(SHARED_TOKENIZER, chat.tokenizer.model)
        size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
        print(f"{folder} -> {target} ({size:.1f} MB)")
