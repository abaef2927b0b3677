"""What the reward model of the films can tell apart, and what PPO makes of it.

    python benchmarks/film.py --corpora-dir FOLDER     what there is in trained_models/movie

On held-out prompts the film's own reply stands against what the SFT model says in a chat, and against a reply from
another scene; pairs of the same reply are left out. Then 200 held-out prompts, answered at temperature 1 by each stage,
and ten questions in a chat.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from minigpt import flags
from minigpt.chat import CHATTY
from minigpt.checkpoint import load_model
from minigpt.contest import answer, divergence, score
from minigpt.corpus import ComparisonCorpus
from minigpt.examples import Comparison, Prompt, Turn
from minigpt.judging import wilson_interval
from minigpt.policy import draw_answers
from minigpt.ppo import distinct
from minigpt.practice import split_prompts
from minigpt.recipe import load_recipe
from minigpt.reward import RewardModel, load_reward_model
from minigpt.runtime import detect
from minigpt.stage import MODELS
from minigpt.window import fit_prompts

PROMPTS = 200
QUESTIONS = (
    "How are you?", "What is your name?", "Where are you going?", "Do you love me?", "Who is that man?",
    "What time is it?", "I'm hungry.", "Why did you do it?", "Can you help me?", "Good night.",
)  # fmt: skip


def show_accuracy(reward: RewardModel, name: str, own: Sequence[Comparison], others: Sequence[str]) -> None:
    """Print how often the film's own reply scores higher than the other one."""
    pairs = [(c, other) for c, other in zip(own, others, strict=True) if other not in ("", c.chosen)]
    scores = [reward.score([(c.prompt, c.chosen), (c.prompt, other)]) for c, other in pairs]
    right = sum(better > worse for better, worse in scores)
    low, high = wilson_interval(right, len(pairs))
    print(f"{name:40}{right / len(pairs):7.1%} ({low:.1%} to {high:.1%}, {len(pairs)} pairs)")


def main() -> None:
    parser = flags.Parser(description=__doc__)
    parser.add_argument("--recipe", default="movie", help="a recipe whose rater is the film (default movie)")
    parser.add_argument("--corpora-dir", help="folder with corpora already on disk (or set MINIGPT_CORPORA)")
    flags.add_machine_flags(parser)
    arguments = parser.parse_args()
    recipe, device = load_recipe(arguments.recipe), detect(arguments.device, arguments.dtype).device
    home = MODELS / recipe.name
    corpus = recipe.open_corpus("ppo", arguments.corpora_dir)
    reward, sft = load_reward_model(home / "reward", device), load_model(home / "sft", device)
    own = ComparisonCorpus.read(home / "reward" / "comparisons.jsonl").valid
    asked = [Prompt(c.prompt) for c in own]
    chatted = draw_answers(sft, asked, recipe.answer_length, replace(CHATTY, seed=len(asked)))[0]
    elsewhere = random.Random(0).sample([c.chosen for c in own], len(own))
    show_accuracy(reward, "against what the model says in a chat", own, [e.text for e in chatted])
    show_accuracy(reward, "against a reply from another scene", own, elsewhere)
    models = {name: load_model(home / name, device) for name in ("sft", "ppo") if (home / name).is_dir()}
    prompts = fit_prompts(sft, split_prompts(corpus)[1], recipe.answer_length)[0][:PROMPTS]
    print(f"\n{len(prompts)} held-out prompts{'reward':>14}{'distinct-2':>14}{'tokens':>10}{'ended':>10}{'KL':>8}")
    for name, model in models.items():
        episodes = answer(model, prompts, recipe.answer_length, seed=0)
        scores = score(reward, episodes)
        length = sum(len(e.ids) - e.start for e in episodes) / len(episodes)
        ended = sum(e.finished for e in episodes) / len(episodes)
        print(
            f"{name:20}{sum(scores) / len(scores):+14.2f}{distinct([e.text for e in episodes]):14.3f}{length:10.1f}"
            f"{ended:10.1%}{divergence(model, sft, episodes):8.2f}"
        )
    print()
    asked = [Prompt((Turn("user", question),)) for question in QUESTIONS]
    replies = {name: draw_answers(m, asked, recipe.answer_length, CHATTY)[0] for name, m in models.items()}
    for i, question in enumerate(QUESTIONS):
        print(question, *(f"    {name:5}{episodes[i].text}" for name, episodes in replies.items()), sep="\n")


if __name__ == "__main__":
    flags.run(main)
