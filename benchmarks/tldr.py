"""How well does a small reward model judge real summaries? Cross-validation on the TL;DR comparisons.

    python benchmarks/tldr.py --corpora-dir FOLDER      after python run_pretrain.py --recipe summary-tldr

Every comparison is judged once, by a reward model that has not seen its post: the posts are cut into five parts, and
each part is judged by a model that learned from the other four. All five start from one SFT model, which has learned
from the summaries of other posts only. Beside them: how often simply the longer summary is the better one.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from dataclasses import replace

from minigpt import CorpusLoader, cli
from minigpt.alignment.reward_metrics import RewardMetrics, wilson_interval
from minigpt.alignment.reward_training import RewardTraining, new_reward_model
from minigpt.config import RewardConfig, TrainingConfig
from minigpt.data.examples import Comparison
from minigpt.model.chat_model import ChatModel
from minigpt.model.checkpoint import load_model
from minigpt.recipe import load_recipe
from minigpt.registry import MODELS
from minigpt.training.device import Runtime, detect
from minigpt.training.language_modelling import LanguageModelling
from minigpt.training.trainer import Trainer

RECIPE = "summary-tldr"


def parts_by_prompt(comparisons: Sequence[Comparison], count: int, seed: int = 0) -> list[list[Comparison]]:
    """The comparisons in `count` parts, so that no prompt is in two of them."""
    groups = sorted({comparison.group for comparison in comparisons})
    random.Random(seed).shuffle(groups)
    part = {group: i % count for i, group in enumerate(groups)}
    return [[c for c in comparisons if part[c.group] == i] for i in range(count)]


def longer_is_better(comparisons: Sequence[Comparison]) -> float:
    """How many of the verdicts one gets right by counting words; a tie counts half."""
    words = [(len(c.chosen.split()), len(c.rejected.split())) for c in comparisons]
    return sum((better > worse) + 0.5 * (better == worse) for better, worse in words)


def judged_right(
    sft: ChatModel, learn: list[Comparison], measure: list[Comparison], config: RewardConfig, machine: Runtime
) -> tuple[float, int]:
    """How many of the comparisons `measure` a reward model that has learned from `learn` gets right."""
    corpus = CorpusLoader(learn, measure)
    model = new_reward_model(replace(sft, gpt=copy.deepcopy(sft.gpt)), corpus, config)
    objective = RewardTraining(model, corpus, machine)
    # Measured at the end only: choosing the best moment by what is measured would flatter it.
    trainer = Trainer(objective, replace(config, evaluations=1), machine)
    trainer.train()
    assert isinstance(trainer.scores, RewardMetrics)
    return trainer.scores.accuracy * trainer.scores.examples, trainer.scores.examples


def show(what: str, right: float, count: int) -> None:
    low, high = wilson_interval(right, count)
    print(f"{what:32}{right / count:7.1%} ({low:.1%} to {high:.1%}, {count:,} comparisons)", flush=True)


def main() -> None:
    parser = cli.Parser(description=__doc__)
    cli.add_corpora_flag(parser)
    parser.add_argument("--parts", type=int, default=5, help="parts of the cross-validation (default 5)")
    parser.add_argument("--sft-minutes", type=float, default=3.0, help="time for the SFT model (default 3)")
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    recipe, machine = load_recipe(RECIPE), detect(arguments.device, arguments.dtype)
    read = recipe.open_corpus("reward", arguments.corpora_dir)
    comparisons: list[Comparison] = [*read.train, *read.valid]
    compared = {comparison.prompt for comparison in comparisons}
    summaries = recipe.open_corpus("sft", arguments.corpora_dir)
    others = [talk for talk in [*summaries.train, *summaries.valid] if talk.turns[:-1] not in compared]
    sft = load_model(MODELS / RECIPE / "pretrain", machine.device)
    settings = TrainingConfig(**recipe.settings("sft") | {"minutes": arguments.sft_minutes})
    objective = LanguageModelling(sft, CorpusLoader(others), machine)
    trainer = Trainer(objective, settings, machine)
    trainer.train()
    sft = objective.chat
    print(f"SFT on {len(others):,} summaries of posts that nobody compared: {trainer.scores}", flush=True)
    config = RewardConfig(**recipe.settings("reward"))
    parts = parts_by_prompt(comparisons, arguments.parts)
    right = count = 0.0
    for i, measure in enumerate(parts):
        learn = [comparison for part in parts if part is not measure for comparison in part]
        some, of = judged_right(sft, learn, measure, config, machine)
        show(f"part {i + 1}", some, of)
        right, count = right + some, count + of
    show("reward model", right, int(count))
    show("the longer summary", longer_is_better(comparisons), len(comparisons))


if __name__ == "__main__":
    cli.run(main)
