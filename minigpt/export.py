"""Copy finished models into trained_models/shipped, in bf16: half the size, and no state of the run.

The tokenizer of the last one becomes the tokenizer that every corpus without its own shares.

    minigpt export trained_models/tinytown/{pretrain,sft,reward,ppo}
"""

from __future__ import annotations

from pathlib import Path

import torch

from . import cli
from .errors import UserError
from .files import write_atomically
from .model.checkpoint import CARD, VALUE_HEAD, read_card, read_model, save_model
from .textbook import SHARED_TOKENIZER

SHIPPED = Path("trained_models") / "shipped"


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="model folders; each is shipped under its stage's name")
    for folder in parser.parse_args().folders:
        card = read_card(folder)
        chat, heads = read_model(folder)
        if missing := [name for name in ("stage", "sha256") if not card.get(name)]:
            raise UserError(f"{folder / CARD}: {missing[0]} is missing; name a folder that a run_*.py script wrote.")
        target = SHIPPED / card["stage"]
        save_model(target, chat, {**card, "made_from": card["sha256"]}, dtype=torch.bfloat16, heads=heads)
        if (folder / VALUE_HEAD).is_file():
            write_atomically(target / VALUE_HEAD, (folder / VALUE_HEAD).read_bytes())
        write_atomically(SHARED_TOKENIZER, chat.tokenizer.model)
        size = sum(path.stat().st_size for path in target.iterdir()) / 1e6
        print(f"{folder} -> {target} ({size:.1f} MB)")
