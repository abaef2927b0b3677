"""The contest: the stages of Tinytown answer the same held-out questions, and the town's grader marks them.

    python -m minigpt.contest                                what there is in trained_models/tinytown
    python -m minigpt.contest --against trained_models/tinytown/sft --model trained_models/tinytown/ppo
    python -m minigpt.contest --best-of 8                    also: the best of eight SFT answers, by the reward model

All answers are drawn at temperature 1. The questions occur nowhere in PPO's practice; those about held-out residents
ask about people of whom the dialogues never speak. The reward model takes no part in the marking.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from . import flags
from .checkpoint import load_model, need_tokenizer
from .corpus.tinytown import Question, Town
from .errors import UserError
from .examples import Prompt, prompts_of
from .files import to_json, write_atomically
from .judging import wilson_interval
from .model import GPT, evaluating
from .policy import read_answers, write_answers, writings
from .ppo import Episode, distinct
from .recipe import load_recipe
from .reward import RewardModel, load_reward_model
from .runtime import detect
from .sampling import Sampling

LENGTH = 48
COLUMNS = ("asked", "held_out")
QUALITIES = ("right", "polite", "concise", "fluent", "good")


@dataclass(frozen=True)
class Result:
    """What an entrant's answers are worth. Shares are of all questions, but `wins` of the pairs that the grader could
    tell apart, with `interval` at 95 %; `ties` is the share that it could not. `kl` in nats from the SFT model."""

    right: float
    polite: float
    concise: float
    fluent: float
    good: float
    length: float
    distinct_2: float
    kl: float | None = None
    reward: float | None = None
    wins: float | None = None
    interval: tuple[float, float] | None = None
    ties: float | None = None


def held_out_questions(town: Town, which: str, count: int, practised: set[str], seed: int = 0) -> list[Question]:
    """`count` questions whose words occur in none of the `practised` prompts."""
    drawn = town.questions(which, 6 * count, seed)
    fresh = [question for question in drawn if question.text.lower() not in practised]
    if len(fresh) < count:
        raise UserError(f"there are only {len(fresh):,} questions of this kind that were not practised; ask for fewer.")
    return fresh[:count]


def practised_questions() -> set[str]:
    """The last question of every prompt that PPO practises on."""
    return {prompt.turns[-1].text.lower() for prompt in prompts_of(load_recipe("tinytown").open_corpus("ppo").train)}


def answer(model: GPT, questions: Sequence[Question], seed: int, temperature: float = 1.0) -> list[Episode]:
    prompts = [Prompt(question.conversation) for question in questions]
    return write_answers(model, prompts, LENGTH, Sampling(temperature=temperature, seed=seed))[0]


def best_of(
    model: GPT, reward: RewardModel, questions: Sequence[Question], n: int, seed: int
) -> tuple[list[Episode], list[float]]:
    """Of `n` answers to each question, the one that the reward model likes best (Stiennon et al. 2020, section 4.3)."""
    rounds = [answer(model, questions, seed + i * len(questions)) for i in range(n)]
    scores = [score(reward, episodes) for episodes in rounds]
    best = [max(range(n), key=lambda i: scores[i][q]) for q in range(len(questions))]
    return [rounds[i][q] for q, i in enumerate(best)], [scores[i][q] for q, i in enumerate(best)]


def score(reward: RewardModel, episodes: Sequence[Episode]) -> list[float]:
    return reward.score_ids([reward.reading(episode.ids, episode.start) for episode in episodes])


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
    town: Town, questions: Sequence[Question], episodes: Sequence[Episode], rivals: Sequence[Episode] | None = None
) -> Result:
    """Mark an entrant's answers, and compare them with the rivals' one by one."""
    grades = [town.grade(q.conversation, e.text) for q, e in zip(questions, episodes, strict=True)]
    marks = {name: sum(getattr(grade, name) for grade in grades) / len(grades) for name in QUALITIES}
    length = sum(len(e.ids) - e.start for e in episodes) / len(episodes)
    result = Result(**marks, length=length, distinct_2=distinct([e.text for e in episodes]))
    if rivals is None:
        return result
    theirs = [town.grade(q.conversation, e.text).score for q, e in zip(questions, rivals, strict=True)]
    won = sum(g.score > other for g, other in zip(grades, theirs, strict=True))
    lost = sum(g.score < other for g, other in zip(grades, theirs, strict=True))
    told_apart = max(1, won + lost)
    comparison = {
        "wins": won / told_apart,
        "interval": wilson_interval(won, told_apart),
        "ties": 1 - (won + lost) / len(grades),
    }
    return Result(**{**asdict(result), **comparison})


def hold(
    against: Path, folders: Sequence[Path], count: int, seed: int, device: torch.device, best_of_n: int = 0
) -> dict[str, dict[str, Result]]:
    """{column: {entrant: result}}, the SFT model first."""
    town, practised = Town(), practised_questions()
    sft = load_model(against, device)
    need_tokenizer(sft, against)
    reward_folder = against.parent / "reward"
    reward = load_reward_model(reward_folder, device) if reward_folder.is_dir() else None
    results: dict[str, dict[str, Result]] = {}
    for column in COLUMNS:
        questions = held_out_questions(town, column, count, practised, seed)
        rivals = answer(sft, questions, seed)

        def marked(episodes: Sequence[Episode], model: GPT | None, first: bool = False) -> Result:
            result = asdict(judge(town, questions, episodes, None if first else rivals))  # noqa: B023
            if model is not None:
                result["kl"] = divergence(model, sft, episodes)
            if reward is not None:
                result["reward"] = sum(score(reward, episodes)) / len(episodes)
            return Result(**result)

        results[column] = {against.name: marked(rivals, None, first=True)}
        if best_of_n and reward is not None:
            chosen, _ = best_of(sft, reward, questions, best_of_n, seed + 1)
            results[column][f"best of {best_of_n}"] = marked(chosen, None)
        for folder in folders:
            model = load_model(folder, device)
            # Other random numbers than the rivals': the same ones would make unchanged models tie.
            results[column][folder.name] = marked(answer(model, questions, seed + count), model)
    return results


def table(results: dict[str, dict[str, Result]]) -> str:
    lines = []
    for column, entrants in results.items():
        lines.append(f"{column.replace('_', '-') + ' residents':20}" + "".join(f"{n:>9}" for n in QUALITIES)
                     + f"{'length':>9}{'KL':>8}{'reward':>9}{'wins (95 %)':>24}{'ties':>7}")  # fmt: skip
        for name, r in entrants.items():
            shares = "".join(f"{getattr(r, quality):9.1%}" for quality in QUALITIES)
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
    parser = flags.Parser(description=__doc__)
    home = Path("trained_models/tinytown")
    parser.add_argument("--against", type=Path, default=home / "sft", help="the model that the others are held against")
    parser.add_argument("--model", type=Path, action="append", help="entrant (default: ppo and dpo, if they are there)")
    parser.add_argument("--questions", type=int, default=400, help="questions in each column (default 400)")
    parser.add_argument("--best-of", type=int, default=0, help="also take the best of so many SFT answers")
    parser.add_argument("--seed", type=int, default=0, help="which questions, and what is drawn")
    parser.add_argument("--json", type=Path, help="also write the results there")
    flags.add_machine_flags(parser)
    arguments = parser.parse_args()
    folders = arguments.model or [home / name for name in ("ppo", "dpo") if (home / name).is_dir()]
    if not arguments.against.is_dir():
        raise UserError(f"{arguments.against} does not exist; run run_sft.py first.")
    device = detect(arguments.device, arguments.dtype).device
    results = hold(arguments.against, folders, arguments.questions, arguments.seed, device, arguments.best_of)
    print(table(results))
    if arguments.json:
        rows = {column: {name: asdict(r) for name, r in entrants.items()} for column, entrants in results.items()}
        write_atomically(arguments.json, to_json(json.loads(json.dumps(rows))))


if __name__ == "__main__":
    flags.run(main)
