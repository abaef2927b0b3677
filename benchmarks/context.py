"""What the lines before it are worth to a character of a script.

    python benchmarks/context.py                                               Tinytown's script: recipe persona
    python benchmarks/context.py --recipe persona-simpsons --corpora-dir FOLDER

One and the same model scores held-out lines of the character: after the lines that were really said before, after the
last of them only, after those of another scene, and after nothing. Where there is a grader, scenes that nobody has
written yet are also asked twice, the second time with what matters exchanged: does the answer follow? And in chats
somebody tells it something, hears what it says to that, and asks what it was told: does it remember?
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from minigpt import cli
from minigpt.alignment.comparisons import texts
from minigpt.alignment.reward_metrics import wilson_interval
from minigpt.data.examples import Conversation, Prompt, Turn
from minigpt.data.preferences import encode_answers
from minigpt.model.chat_model import ChatModel
from minigpt.model.checkpoint import load_model
from minigpt.model.gpt import evaluating
from minigpt.model.responses import Response, respond, response_batch, token_logprobs
from minigpt.model.sampling import CHATTY, GREEDY, Sampling
from minigpt.recipe import load_recipe
from minigpt.tinytown.script import MATTERS, OWN_FACTS
from minigpt.tinytown.script_grader import ScriptGrader
from minigpt.training.device import detect

AT_ONCE = 64
ANSWER_TOKENS = 32


def contexts(conversations: Sequence[Conversation]) -> dict[str, list[tuple[Turn, ...]]]:
    """For each way to ask, the prompt of every conversation."""
    asked = [conversation.turns[:-1] for conversation in conversations]
    last: list[tuple[Turn, ...]] = [(Turn("user", turns[-1].text.split("\n")[-1]),) for turns in asked]
    return {
        "the lines before": asked,
        "the last line only": last,
        "another scene's lines": asked[len(asked) // 2 :] + asked[: len(asked) // 2],
        "nothing": [()] * len(asked),
    }


def losses(model: ChatModel, prompts: Sequence[Sequence[Turn]], answers: Sequence[str]) -> Tensor:
    """Nats and tokens [N, 2] of each answer after its prompt; what does not fit the context is NaN."""
    found = torch.full((len(answers), 2), torch.nan)
    encoded = [
        (i, Response((), group[0].ids, group[0].start, True, "", []))
        for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
        if (group := encode_answers(model.tokenizer, prompt, [answer], model.context)[0]) is not None
    ]
    with evaluating(model.gpt):
        for start in range(0, len(encoded), AT_ONCE):
            some = encoded[start : start + AT_ONCE]
            batch = response_batch([response for _, response in some], model.tokenizer.pad).to(model.device)
            logprobs = token_logprobs(model.gpt, batch)[0].split(batch.mask.sum(1).tolist())
            for (i, _), row in zip(some, logprobs, strict=True):
                found[i] = torch.tensor([-float(row.sum()), len(row)])
    return found


def compare(model: ChatModel, conversations: Sequence[Conversation]) -> None:
    """Print the loss in nats per token after each kind of context, and the difference to the real one with the interval
    (95 %) that resampling whole lines gives."""
    answers = [conversation.turns[-1].text for conversation in conversations]
    found = {name: losses(model, prompts, answers) for name, prompts in contexts(conversations).items()}
    fitting = torch.stack([~table.isnan().any(1) for table in found.values()]).all(0)
    found = {name: table[fitting] for name, table in found.items()}
    real = next(iter(found.values()))
    draws = torch.randint(len(real), (1000, len(real)), generator=torch.Generator().manual_seed(0))
    print(f"{len(real):,} held-out lines, {int(real[:, 1].sum()):,} tokens; {len(answers) - len(real)} too long")
    print(f"{'after':24}{'nats per token':>16}{'more than after the lines before (95 %)':>44}")
    for name, table in found.items():
        loss = float(table[:, 0].sum() / table[:, 1].sum())
        more = ((table - real)[draws, 0].sum(1) / real[draws, 1].sum(1)).quantile(torch.tensor([0.025, 0.975]))
        told = f"{loss - float(real[:, 0].sum() / real[:, 1].sum()):+.3f} ({more[0]:+.3f} to {more[1]:+.3f})"
        print(f"{name:24}{loss:16.3f}{'' if table is real else told:>44}")


def follow(model: ChatModel, grader: ScriptGrader, count: int, sampling: Sampling) -> None:
    """Print how often the answer is right before and after what matters is exchanged."""
    scenes = grader.prompts("lines", count, set(), seed=1)
    exchanged = [
        type(scene)((Turn("user", grader.scenes.changed(scene.turns[0].text) or ""),), scene.group) for scene in scenes
    ]
    right = [
        [grader.grade(e.turns, e.text)["right"] == 1 for e in respond(model, prompts, ANSWER_TOKENS, sampling)]
        for prompts in (scenes, exchanged)
    ]
    both = sum(a and b for a, b in zip(*right, strict=True))
    low, high = wilson_interval(both, count)
    print(
        f"temperature {sampling.temperature:g}: right {sum(right[0]) / count:.1%}, exchanged"
        f" {sum(right[1]) / count:.1%}, follows {both / count:.1%} ({low:.1%} to {high:.1%}, {count} scenes)"
    )


def remember(model: ChatModel, grader: ScriptGrader, count: int) -> None:
    """Print how often the second answer of a chat is right, in dialogue and in question-answer mode: what was said
    first, or a fact of the character's own."""
    rng, star = random.Random(1), grader.scenes.star
    told: list[Turn] = []
    asked: dict[str, list[Turn]] = {"what it was told before": [], "its own facts": []}
    for _ in range(count):
        matter = rng.choice(list(MATTERS.values()))
        told.append(Turn("user", matter.says_one.format(rng.choice(matter.values))))
        asked["what it was told before"].append(Turn("user", matter.asks_own.format(star=star.first)))
        asked["its own facts"].append(Turn("user", rng.choice(list(OWN_FACTS.values())).question.capitalize()))
    replies = texts(model, [Prompt((turn,)) for turn in told], ANSWER_TOKENS, replace(CHATTY, seed=1))
    for what, questions in asked.items():
        chats = [(said, Turn("assistant", r), q) for said, r, q in zip(told, replies, questions, strict=True)]
        row = f"asked for {what}: right"
        for mode, kept in (("dialogue", 3), ("qa", 1)):
            prompts = [Prompt(chat[-kept:]) for chat in chats]
            answers = texts(model, prompts, ANSWER_TOKENS, replace(CHATTY, seed=2))
            right = sum(grader.grade(chat, text)["right"] for chat, text in zip(chats, answers, strict=True))
            low, high = wilson_interval(right, count)
            row += f" {right / count:.1%} in mode {mode} ({low:.1%} to {high:.1%})"
        print(f"{row}, {count} chats")


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--recipe", default="persona", help="a recipe whose [sft] reads a script (default persona)")
    parser.add_argument("--model", type=Path, help="model folder (default trained_models/RECIPE/sft)")
    cli.add_corpora_flag(parser)
    parser.add_argument("--scenes", type=int, default=400, help="scenes that are asked twice (default 400)")
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    folder = arguments.model or Path("trained_models") / recipe.name / "sft"
    model = load_model(folder, detect(arguments.device, arguments.dtype).device)
    compare(model, recipe.open_corpus("sft", arguments.corpora_dir).valid)
    grader = recipe.grader()
    if isinstance(grader, ScriptGrader):
        for sampling in (GREEDY, Sampling(seed=1)):
            follow(model, grader, arguments.scenes, sampling)
        remember(model, grader, arguments.scenes)


if __name__ == "__main__":
    cli.run(main)
