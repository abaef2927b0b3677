"""The contest: the stages of a recipe whose truth is known answer the same held-out prompts, and a grader marks them.

    minigpt evaluate win-rate                                what there is in trained_models/tinytown
    minigpt evaluate win-rate --recipe summary
    minigpt evaluate win-rate --against trained_models/tinytown/sft --model trained_models/tinytown/ppo
    minigpt evaluate win-rate --best-of 8                    also: the best of eight SFT answers, by the reward model

All answers are drawn at temperature 1. The prompts occur nowhere in PPO's practice; those about held-out residents of
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
from ..alignment.formulas import Episode, distinct
from ..alignment.policy import read_answers, write_answers, writings
from ..alignment.reward_metrics import wilson_interval
from ..alignment.reward_model import RewardModel, load_reward_model
from ..data.examples import Prompt, prompts_of
from ..data.truncation import fits
from ..errors import UserError
from ..files import to_json, write_atomically
from ..model.checkpoint import load_model, need_tokenizer
from ..model.gpt import GPT, evaluating
from ..model.sampling import Sampling
from ..recipe import Recipe, load_recipe
from ..run import MODELS
from ..tinytown.graders import Truth
from ..training.device import detect


@dataclass(frozen=True)
class Result:
    """What an entrant's answers are worth. `marks` are means over all prompts; `wins` is the share of the pairs that
    the grader could tell apart, with `interval` at 95 %, and `ties` that of those that it could not. `kl` in nats from
    the SFT model."""

    marks: dict[str, float]
    length: float
    distinct_2: float
    kl: float | None = None
    reward: float | None = None
    wins: float | None = None
    interval: tuple[float, float] | None = None
    ties: float | None = None

    def as_row(self) -> dict[str, Any]:
        """All numbers by name, the marks first."""
        return self.marks | {f.name: getattr(self, f.name) for f in fields(self) if f.name != "marks"}


def practised_prompts(recipe: Recipe) -> set[str]:
    """The last turn, in lower case, of every prompt that PPO practises on."""
    return {prompt.turns[-1].text.lower() for prompt in prompts_of(recipe.open_corpus("ppo").train)}


def answer(model: GPT, prompts: Sequence[Prompt], length: int, seed: int, temperature: float = 1.0) -> list[Episode]:
    """Answers of at most `length` tokens. Raises UserError for a prompt that leaves no room for one."""
    for prompt in prompts:
        if not fits(model, prompt.turns, length):
            raise UserError(
                f"a prompt leaves less than {length} of the model's {model.config.max_position_embeddings} tokens for"
                " an answer; ask a model with a longer context."
            )
    return write_answers(model, prompts, length, Sampling(temperature=temperature, seed=seed))[0]


def best_of(
    model: GPT, reward: RewardModel, prompts: Sequence[Prompt], length: int, n: int, seed: int
) -> list[Episode]:
    """Of `n` answers to each prompt, the one that the reward model likes best (Stiennon et al. 2020, section 4.3)."""
    rounds = [answer(model, prompts, length, seed + i * len(prompts)) for i in range(n)]
    scores = [score(reward, episodes) for episodes in rounds]
    best = [max(range(n), key=lambda i: scores[i][q]) for q in range(len(prompts))]
    return [rounds[i][q] for q, i in enumerate(best)]


def score(reward: RewardModel, episodes: Sequence[Episode]) -> list[float]:
    return reward.score_ids(reward.readings(episodes))


def divergence(model: GPT, reference: GPT, episodes: Sequence[Episode]) -> float:
    """The mean over answers of log p(answer) - log p_reference(answer), in nats: estimates KL(model | reference)."""
    assert model.tokenizer is not None
    total = 0.0
    with evaluating(model), evaluating(reference):
        for start in range(0, len(episodes), 64):
            written = writings(episodes[start : start + 64], model.tokenizer.pad).to(model.device)
            total += float((read_answers(model, written, 1.0)[0] - read_answers(reference, written, 1.0)[0]).sum())
    return total / len(episodes)


def judge(
    truth: Truth, prompts: Sequence[Prompt], episodes: Sequence[Episode], rivals: Sequence[Episode] | None = None
) -> Result:
    """Mark an entrant's answers, and compare them with the rivals' one by one."""

    def marked(answers: Sequence[Episode]) -> list[dict[str, float]]:
        return [truth.grade(prompt.turns, e.text) for prompt, e in zip(prompts, answers, strict=True)]

    grades = marked(episodes)
    marks = {name: sum(grade[name] for grade in grades) / len(grades) for name in truth.marks}
    length = sum(len(e.ids) - e.start for e in episodes) / len(episodes)
    result = Result(marks, length=length, distinct_2=distinct([e.text for e in episodes]))
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


def hold(
    recipe: Recipe, against: Path, folders: Sequence[Path], count: int, seed: int, device: torch.device, n_best: int = 0
) -> dict[str, dict[str, Result]]:
    """{column: {entrant: result}}, the SFT model first. Raises UserError where no truth is known."""
    truth = recipe.need_truth()
    practised = practised_prompts(recipe)
    length = recipe.answer_length
    sft = load_model(against, device)
    need_tokenizer(sft, against)
    reward_folder = against.parent / "reward"
    reward = load_reward_model(reward_folder, device) if reward_folder.is_dir() else None
    results: dict[str, dict[str, Result]] = {}
    for column in truth.columns:
        prompts = truth.prompts(column, count, practised, seed)
        rivals = answer(sft, prompts, length, seed)

        def marked(episodes: Sequence[Episode], model: GPT | None, first: bool = False) -> Result:
            result = judge(truth, prompts, episodes, None if first else rivals)  # noqa: B023
            if model is not None:
                result = replace(result, kl=divergence(model, sft, episodes))
            if reward is not None:
                result = replace(result, reward=sum(score(reward, episodes)) / len(episodes))
            return result

        results[column] = {against.name: marked(rivals, None, first=True)}
        if n_best and reward is not None:
            results[column][f"best of {n_best}"] = marked(best_of(sft, reward, prompts, length, n_best, seed + 1), None)
        for folder in folders:
            model = load_model(folder, device)
            # Other random numbers than the rivals': the same ones would make unchanged models tie.
            results[column][folder.name] = marked(answer(model, prompts, length, seed + count), model)
    return results


def table(results: dict[str, dict[str, Result]]) -> str:
    lines = []
    for column, entrants in results.items():
        marks = next(iter(entrants.values())).marks
        lines.append(f"{column.replace('_', '-'):20}" + "".join(f"{name:>12}" for name in marks)
                     + f"{'length':>9}{'KL':>8}{'reward':>9}{'wins (95 %)':>24}{'ties':>7}")  # fmt: skip
        for name, r in entrants.items():
            shares = "".join(f"{share:12.1%}" for share in r.marks.values())
            kl = f"{r.kl:8.2f}" if r.kl is not None else " " * 8
            reward = f"{r.reward:+9.2f}" if r.reward is not None else " " * 9
            wins = (
                f"{r.wins:6.1%} ({r.interval[0]:.1%}-{r.interval[1]:.1%})" if r.wins is not None and r.interval else ""
            )
            ties = f"{r.ties:7.1%}" if r.ties is not None else ""
            lines.append(f"{name:20}{shares}{r.length:9.1f}{kl}{reward}{wins:>24}{ties}")
        lines.append("")
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
    results = hold(recipe, against, folders, arguments.questions, arguments.seed, device, arguments.best_of)
    print(table(results))
    if arguments.json:
        rows = {column: {name: r.as_row() for name, r in entrants.items()} for column, entrants in results.items()}
        write_atomically(arguments.json, to_json(json.loads(json.dumps(rows))))
