"""Does the mood follow the wish? One SFT model, and PPO twice with the same reward model, for and against its label.

    python benchmarks/expand.py                          what there is in trained_models/expand
    python benchmarks/expand.py --recipe expand-alpaca

64 held-out prompts, always the same, answered at temperature 1. P(wanted) is the reward model's probability of its
label for the answer alone, with the bootstrap's 95 % interval of the mean.
"""

from __future__ import annotations

from pathlib import Path

import torch

from minigpt import flags
from minigpt.checkpoint import load_model
from minigpt.contest import answer, divergence, score
from minigpt.errors import UserError
from minigpt.judging import bootstrap_interval
from minigpt.ppo import distinct
from minigpt.practice import split_prompts
from minigpt.recipe import load_recipe
from minigpt.reward import load_reward_model
from minigpt.runtime import detect
from minigpt.stage import MODELS
from minigpt.window import fit_prompts

ENTRANTS = ("sft", "ppo", "ppo-negative")
PROMPTS = 64


def main() -> None:
    parser = flags.Parser(description=__doc__)
    parser.add_argument("--recipe", default="expand", help="a recipe whose reward model learned from labels")
    parser.add_argument("--models", type=Path, help="folder of its models (default trained_models/RECIPE)")
    parser.add_argument("--corpora-dir", help="folder with corpora already on disk")
    flags.add_machine_flags(parser)
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    home, device = arguments.models or MODELS / recipe.name, detect(arguments.device, arguments.dtype).device
    reward, sft = load_reward_model(home / "reward", device), load_model(home / "sft", device)
    if not reward.labels:
        raise UserError(f"{home / 'reward'} did not learn from labels, so there is no probability of one.")
    length = recipe.answer_length
    _, held_out = split_prompts(recipe.open_corpus("ppo", arguments.corpora_dir))
    prompts = fit_prompts(sft, held_out, length)[0][:PROMPTS]
    asked = sum(len(prompt.turns[-1].text.split()) for prompt in prompts)
    print(f"{len(prompts)} held-out prompts of {asked / len(prompts):.1f} words; wanted: {reward.labels[0]}")
    print(f"{'':14}{'P(wanted)':>10}{'95 %':>20}{'words':>8}{'out/in':>8}{'distinct-2':>12}{'KL':>8}")
    variety = 0.0
    for name in ENTRANTS:
        if not (home / name).is_dir():
            continue
        model = load_model(home / name, device)
        episodes = answer(model, prompts, length, seed=0)
        wanted = torch.tensor(reward.log_odds(score(reward, episodes))).sigmoid().tolist()
        low, high = bootstrap_interval(wanted)
        words = sum(len(episode.text.split()) for episode in episodes)
        pairs = distinct([episode.text for episode in episodes])
        variety = variety or pairs
        print(
            f"{name:14}{sum(wanted) / len(wanted):10.3f}{f'{low:.3f} to {high:.3f}':>20}{words / len(prompts):8.1f}"
            f"{words / asked:8.1f}{pairs:6.2f} {pairs / variety:5.0%}{divergence(model, sft, episodes):8.2f}"
        )
        print(f"    {prompts[0].turns[-1].text} -> {' '.join(episodes[0].text.split())}")


if __name__ == "__main__":
    flags.run(main)
