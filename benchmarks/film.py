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

from minigpt import cli
from minigpt.alignment.comparisons import texts
from minigpt.alignment.ppo_run import split_prompts
from minigpt.alignment.reward_metrics import wilson_interval
from minigpt.alignment.reward_model import RewardModel, load_reward_model
from minigpt.alignment.stop_rules import distinct
from minigpt.data.examples import Comparison, Prompt, Turn
from minigpt.data.formats import ComparisonCorpus
from minigpt.data.preferences import EncodedAnswer, encode_answers
from minigpt.evaluation.win_rate import answer, kl_from
from minigpt.model.chat_model import ChatModel
from minigpt.model.checkpoint import load_model
from minigpt.model.responses import fit_prompts
from minigpt.model.sampling import CHATTY
from minigpt.recipe import load_recipe
from minigpt.registry import MODELS
from minigpt.run import COMPARISONS
from minigpt.training.device import detect

PROMPTS = 200
QUESTIONS = (
    "How are you?", "What is your name?", "Where are you going?", "Do you love me?", "Who is that man?",
    "What time is it?", "I'm hungry.", "Why did you do it?", "Can you help me?", "Good night.",
)  # fmt: skip


def show_accuracy(reward: RewardModel, name: str, own: Sequence[Comparison], others: Sequence[str]) -> None:
    """Print how often the film's own reply scores higher than the other one, of the pairs that fit the context."""
    encoded: list[EncodedAnswer] = []
    for c, other in zip(own, others, strict=True):
        pair, _ = encode_answers(reward.tokenizer, c.prompt, [c.chosen, other], reward.chat.context)
        if other not in ("", c.chosen) and pair is not None:
            encoded += pair
    scores, count = reward.score_ids(encoded), len(encoded) // 2
    right = sum(a > b for a, b in zip(scores[::2], scores[1::2], strict=True))
    low, high = wilson_interval(right, count)
    print(f"{name:40}{right / count:7.1%} ({low:.1%} to {high:.1%}, {count} pairs)")


def show_stages(reward: RewardModel, models: dict[str, ChatModel], prompts: Sequence[Prompt], length: int) -> None:
    """Print what the stages' answers at temperature 1 earn, how varied they are, and how far from the SFT model's."""
    print(f"\n{len(prompts)} held-out prompts{'reward':>14}{'distinct-2':>14}{'tokens':>10}{'ended':>10}{'KL':>8}")
    for name, model in models.items():
        responses = answer(model, prompts, length, seed=0)
        earned = sum(reward.score_responses(responses)) / len(responses)
        tokens = sum(len(e.ids) - e.start for e in responses) / len(responses)
        ended = sum(e.finished for e in responses) / len(responses)
        print(
            f"{name:20}{earned:+14.2f}{distinct([e.text for e in responses]):14.3f}{tokens:10.1f}{ended:10.1%}"
            f"{kl_from(models['sft'], model, responses):8.2f}"
        )


def show_chats(models: dict[str, ChatModel], length: int) -> None:
    """Print each stage's replies to the ten questions."""
    asked = [Prompt((Turn("user", question),)) for question in QUESTIONS]
    replies = {name: texts(model, asked, length, CHATTY) for name, model in models.items()}
    print()
    for i, question in enumerate(QUESTIONS):
        print(question, *(f"    {name:5}{replied[i]}" for name, replied in replies.items()), sep="\n")


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--recipe", default="movie", help="a recipe whose annotator is the film (default movie)")
    cli.add_corpora_flag(parser)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    recipe, device = load_recipe(arguments.recipe), detect(arguments.device, arguments.dtype).device
    home, length = MODELS / recipe.name, recipe.answer_length
    corpus = recipe.open_corpus("ppo", arguments.corpora_dir)
    reward = load_reward_model(home / "reward", device)
    models = {"sft": load_model(home / "sft", device)}
    if (home / "ppo").is_dir():
        models["ppo"] = load_model(home / "ppo", device)
    own = ComparisonCorpus.read(home / "reward" / COMPARISONS).valid
    chatted = texts(models["sft"], [Prompt(c.prompt) for c in own], length, replace(CHATTY, seed=len(own)))
    elsewhere = random.Random(0).sample([c.chosen for c in own], len(own))
    show_accuracy(reward, "against what the model says in a chat", own, chatted)
    show_accuracy(reward, "against a reply from another scene", own, elsewhere)
    prompts = fit_prompts(models["sft"], split_prompts(corpus)[1], length)[0][:PROMPTS]
    show_stages(reward, models, prompts, length)
    show_chats(models, length)


if __name__ == "__main__":
    cli.run(main)
