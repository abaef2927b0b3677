"""Win rates: the stages of a recipe with a grader answer the same held-out prompts, and the grader marks them.

    minigpt evaluate win-rate                                what there is in trained_models/tinytown
    minigpt evaluate win-rate --recipe summary
    minigpt evaluate win-rate --against trained_models/tinytown/sft --model trained_models/tinytown/ppo
    minigpt evaluate win-rate --best-of 8                    also: the best of eight SFT answers, by the reward model

All answers are drawn at temperature 1. None of the prompts is one that PPO trains on; those about held-out residents of
Tinytown ask about people of whom the dialogues never speak. The reward model takes no part in the marking.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch

from .. import cli
from ..alignment.reward_metrics import wilson_interval
from ..alignment.reward_model import RewardModel, load_reward_model
from ..alignment.stop_rules import commonest_ending, distinct
from ..data.examples import Prompt, prompts_of
from ..errors import UserError
from ..files import to_json, write_atomically
from ..model.chat_model import ChatModel
from ..model.checkpoint import load_model
from ..model.gpt import evaluating
from ..model.responses import Response, respond, response_batch, token_logprobs
from ..model.sampling import Sampling
from ..recipe import Recipe, load_recipe
from ..registry import MODELS
from ..tinytown.graders import Grader
from ..training.device import detect

#: From this share of answers on, a common ending is worth a line.
ALIKE = 0.25


@dataclass(frozen=True)
class Result:
    """What an entrant's answers are worth. `marks` are means over all prompts; `wins` is the share of the pairs that
    the grader could tell apart, with `interval` at 95 %, and `ties` that of those that it could not. `kl` in nats from
    the SFT model. `ending` is the sentence in which most answers end, `same_ending` how many of them."""

    marks: dict[str, float]
    length: float
    distinct_2: float
    same_ending: float = 0.0
    ending: str = ""
    kl: float | None = None
    reward: float | None = None
    wins: float | None = None
    interval: tuple[float, float] | None = None
    ties: float | None = None

    def as_row(self) -> dict[str, Any]:
        """All numbers by name, the marks first."""
        return self.marks | {f.name: getattr(self, f.name) for f in fields(self) if f.name != "marks"}


def prompts_of_ppo(recipe: Recipe) -> set[str]:
    """The last turn, in lower case, of every prompt that PPO trains on."""
    return {prompt.turns[-1].text.lower() for prompt in prompts_of(recipe.open_corpus("ppo").train)}


def answer(
    chat: ChatModel, prompts: Sequence[Prompt], length: int, seed: int, temperature: float = 1.0
) -> list[Response]:
    """Answers of at most `length` tokens. Raises UserError for a prompt that leaves no room for one."""
    try:
        return respond(chat, prompts, length, Sampling(temperature=temperature, seed=seed))
    except ValueError:
        raise UserError(
            f"a prompt leaves less than {length} of the model's {chat.context} tokens for an answer; ask a model with a"
            " longer context."
        ) from None


def best_of(
    chat: ChatModel, reward: RewardModel, prompts: Sequence[Prompt], length: int, n: int, seed: int
) -> list[Response]:
    """Of `n` answers to each prompt, the one that the reward model likes best (Stiennon et al. 2020, section 4.3)."""
    rounds = [answer(chat, prompts, length, seed + i * len(prompts)) for i in range(n)]
    scores = [reward.score_responses(responses) for responses in rounds]
    best = [max(range(n), key=lambda i: scores[i][q]) for q in range(len(prompts))]
    return [rounds[i][q] for q, i in enumerate(best)]


def kl_from(reference: ChatModel, chat: ChatModel, responses: Sequence[Response]) -> float:
    """The mean over `chat`'s responses of log p(response) - log p_reference(response), in nats: estimates
    KL(chat | reference)."""
    total = 0.0
    with evaluating(chat.gpt), evaluating(reference.gpt):
        for start in range(0, len(responses), 64):
            batch = response_batch(responses[start : start + 64], chat.tokenizer.pad).to(chat.device)
            total += float((token_logprobs(chat.gpt, batch)[0] - token_logprobs(reference.gpt, batch)[0]).sum())
    return total / len(responses)


def compare(
    grader: Grader, prompts: Sequence[Prompt], responses: Sequence[Response], rivals: Sequence[Response] | None = None
) -> Result:
    """Mark an entrant's answers, and compare them with the rivals' one by one."""

    def marked(answers: Sequence[Response]) -> list[dict[str, float]]:
        return [grader.grade(prompt.turns, e.text) for prompt, e in zip(prompts, answers, strict=True)]

    grades = marked(responses)
    marks = {name: sum(grade[name] for grade in grades) / len(grades) for name in grader.marks}
    length = sum(len(e.ids) - e.start for e in responses) / len(responses)
    texts = [response.text for response in responses]
    ending, same = commonest_ending(texts)
    result = Result(marks, length, distinct(texts), same, ending)
    if rivals is None:
        return result
    margins = [own["score"] - other["score"] for own, other in zip(grades, marked(rivals), strict=True)]
    won, lost = sum(margin > 0 for margin in margins), sum(margin < 0 for margin in margins)
    told_apart = max(1, won + lost)
    return replace(
        result,
        wins=won / told_apart,
        interval=wilson_interval(won, told_apart),
        ties=1 - (won + lost) / len(grades),
    )


@dataclass(frozen=True)
class Contenders:
    """Who takes part: the SFT model, by which all others are measured, a grader, and a reward model if there is one."""

    grader: Grader
    sft: ChatModel
    reward: RewardModel | None

    def result(
        self, prompts: Sequence[Prompt], responses: Sequence[Response], rivals: Sequence[Response] | None,
        chat: ChatModel | None = None,
    ) -> Result:  # fmt: skip
        """An entrant's result against the SFT model's responses, the `rivals`; `chat` is who wrote them, if one did."""
        result = compare(self.grader, prompts, responses, rivals)
        if chat is not None:
            result = replace(result, kl=kl_from(self.sft, chat, responses))
        if self.reward is not None:
            result = replace(result, reward=sum(self.reward.score_responses(responses)) / len(responses))
        return result


def win_rates(
    recipe: Recipe, against: Path, folders: Sequence[Path], count: int, seed: int, device: torch.device, n_best: int = 0
) -> dict[str, dict[str, Result]]:
    """{column: {entrant: result}}, the SFT model first. Raises UserError where there is no grader."""
    grader = recipe.need_grader()
    seen = prompts_of_ppo(recipe)
    length = recipe.answer_length
    reward_folder = against.parent / "reward"
    reward = load_reward_model(reward_folder, device) if reward_folder.is_dir() else None
    contenders = Contenders(grader, load_model(against, device), reward)
    results: dict[str, dict[str, Result]] = {}
    for column in grader.columns:
        prompts = grader.prompts(column, count, seen, seed)
        rivals = answer(contenders.sft, prompts, length, seed)
        results[column] = {against.name: contenders.result(prompts, rivals, None)}
        if n_best and reward is not None:
            best = best_of(contenders.sft, reward, prompts, length, n_best, seed + 1)
            results[column][f"best of {n_best}"] = contenders.result(prompts, best, rivals)
        for folder in folders:
            chat = load_model(folder, device)
            # Other random numbers than the rivals': the same ones would make unchanged models tie.
            responses = answer(chat, prompts, length, seed + count)
            results[column][folder.name] = contenders.result(prompts, responses, rivals, chat)
    return results


def table(results: dict[str, dict[str, Result]]) -> str:
    lines = []
    for column, entrants in results.items():
        marks = next(iter(entrants.values())).marks
        headings = "".join(f"{name:>12}" for name in (*marks, "distinct-2", "same ending"))
        headings += f"{'length':>9}{'KL':>8}{'reward':>9}{'wins (95 %)':>24}{'ties':>7}"
        lines.append(f"{column.replace('_', '-'):20}{headings}")
        for name, r in entrants.items():
            shares = "".join(f"{share:12.1%}" for share in r.marks.values())
            variety = f"{r.distinct_2:12.2f}{r.same_ending:12.1%}"
            kl = f"{r.kl:8.2f}" if r.kl is not None else " " * 8
            reward = f"{r.reward:+9.2f}" if r.reward is not None else " " * 9
            wins = (
                f"{r.wins:6.1%} ({r.interval[0]:.1%}-{r.interval[1]:.1%})" if r.wins is not None and r.interval else ""
            )
            ties = f"{r.ties:7.1%}" if r.ties is not None else ""
            lines.append(f"{name:20}{shares}{variety}{r.length:9.1f}{kl}{reward}{wins:>24}{ties}")
        alike = [f"{name} most often ends in: {r.ending}" for name, r in entrants.items() if r.same_ending > ALIKE]
        lines += [*alike, ""]
    return "\n".join(lines).rstrip()


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--recipe", default="tinytown", help="name of a recipe, or a .toml file (default tinytown)")
    parser.add_argument(
        "--against", type=Path, help="the model that the others are held against (default trained_models/RECIPE/sft)"
    )
    parser.add_argument(
        "--model", type=Path, action="append", help="entrant (default: ppo and dpo of the recipe, if they are there)"
    )
    parser.add_argument("--questions", type=int, default=400, help="prompts in each column (default 400)")
    parser.add_argument("--best-of", type=int, default=0, help="also take the best of so many SFT answers")
    parser.add_argument("--seed", type=int, default=0, help="which prompts, and what is drawn")
    parser.add_argument("--json", type=Path, help="also write the results there")
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    home = MODELS / recipe.name
    against = arguments.against or home / "sft"
    folders = arguments.model or [f for f in (home / name for name in ("ppo", "dpo")) if f.is_dir()]
    if not against.is_dir():
        raise UserError(f"{against} does not exist; run python run_sft.py --recipe {arguments.recipe} first.")
    device = detect(arguments.device, arguments.dtype).device
    results = win_rates(recipe, against, folders, arguments.questions, arguments.seed, device, arguments.best_of)
    print(table(results))
    if arguments.json:
        rows = {column: {name: r.as_row() for name, r in entrants.items()} for column, entrants in results.items()}
        write_atomically(arguments.json, to_json(json.loads(json.dumps(rows))))
