"""Does the sentiment follow the wish? How likely a stage's answers bear the label that the reward model wants.

    minigpt evaluate sentiment                                 what there is in trained_models/expand
    minigpt evaluate sentiment --recipe expand-alpaca

One SFT model and one reward model make as many policies as there are wishes: beside `ppo`, every folder `ppo-...` of
the recipe takes part. Held-out prompts, always the same, answered at temperature 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from .. import cli
from ..alignment.ppo_run import split_prompts
from ..alignment.reward_metrics import bootstrap_interval
from ..alignment.reward_model import load_reward_model
from ..alignment.stop_rules import distinct
from ..errors import UserError
from ..model.checkpoint import load_model
from ..model.responses import fit_prompts
from ..recipe import Recipe, load_recipe
from ..registry import MODELS, stages_of
from ..training.device import detect
from .win_rate import answer, kl_from

PROMPTS = 64


@dataclass(frozen=True)
class Sentiment:
    """Of one entrant's answers. `wanted` is the mean probability, by the reward model, that an answer alone bears its
    label, with the bootstrap's 95 % `interval`; `longer` how many characters come out for each that goes in; `kl` is
    in nats from the SFT model."""

    wanted: float
    interval: tuple[float, float]
    longer: float
    distinct_2: float
    kl: float
    example: str


class SentimentResult(NamedTuple):
    """The label that the reward model wants, what was asked, and how every entrant's answers score."""

    label: str
    prompts: list[str]
    entrants: dict[str, Sentiment]


def entrants(home: Path) -> list[str]:
    """The SFT model and every policy that has grown out of it, by the names of their folders."""
    names = [model.folder.name for model in stages_of(home.name, home.parent)]
    return [*(name for name in names if name == "sft"), *(name for name in names if name.startswith("ppo"))]


def measure_sentiment(recipe: Recipe, home: Path, device: torch.device, corpora: str | None = None) -> SentimentResult:
    """Let every entrant answer. Raises UserError if the reward model has not learned from labels."""
    reward, sft = load_reward_model(home / "reward", device), load_model(home / "sft", device)
    if not reward.labels:
        raise UserError(f"{home / 'reward'} did not learn from labels, so there is no probability of one.")
    _, held_out = split_prompts(recipe.open_corpus("ppo", corpora))
    prompts = fit_prompts(sft, held_out, recipe.answer_length)[0][:PROMPTS]
    if not prompts:
        raise UserError(f"recipe {recipe.name} holds out no prompt for PPO; there is nothing to answer.")
    asked = [prompt.turns[-1].text for prompt in prompts]
    found = {}
    for name in entrants(home):
        model = load_model(home / name, device)
        responses = answer(model, prompts, recipe.answer_length, seed=0)
        texts = [response.text for response in responses]
        wanted = torch.tensor(reward.log_odds(reward.score_responses(responses))).sigmoid().tolist()
        found[name] = Sentiment(
            wanted=sum(wanted) / len(wanted),
            interval=bootstrap_interval(wanted),
            longer=sum(map(len, texts)) / sum(map(len, asked)),
            distinct_2=distinct(texts),
            kl=kl_from(sft, model, responses),
            example=" ".join(texts[0].split()),
        )
    return SentimentResult(reward.labels[0], asked, found)


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--recipe", default="expand", help="a recipe whose reward model learned from labels")
    cli.add_corpora_flag(parser)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    device = detect(arguments.device, arguments.dtype).device
    result = measure_sentiment(recipe, MODELS / recipe.name, device, arguments.corpora_dir)
    variety = result.entrants["sft"].distinct_2
    print(f"{len(result.prompts)} held-out prompts such as: {result.prompts[0]}")
    print(f"{'':14}{f'P({result.label})':>14}{'95 %':>20}{'longer':>10}{'distinct-2':>16}{'KL':>8}")
    for name, mood in result.entrants.items():
        low, high = mood.interval
        print(
            f"{name:14}{mood.wanted:14.3f}{f'{low:.3f} to {high:.3f}':>20}{mood.longer:10.1f}"
            f"{mood.distinct_2:10.2f} {mood.distinct_2 / variety:5.0%}{mood.kl:8.2f}\n    {mood.example}"
        )
