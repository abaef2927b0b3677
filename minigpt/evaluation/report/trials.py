"""What is tried now: the stages answer the same prompts and, where there is a grader, are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...alignment.comparisons import whole
from ...alignment.ppo_run import split_prompts
from ...alignment.reward_model import RewardModel
from ...data.examples import Document, Prompt, Turn
from ...errors import UserError
from ...model.chat_model import ChatModel
from ...model.responses import respond
from ...model.sampling import GREEDY
from ...recipe import Recipe
from ...tinytown import Town
from ...tinytown.graders import Grader
from ...training.run_state import SAMPLES, read_log
from ...training.samples import opening
from ..knowledge import COLUMNS, ask, ask_with_examples, honesty, mark
from ..sentiment import measure_sentiment
from ..win_rate import prompts_of_ppo, win_rates
from .measures import spoken

PROMPTS = 8
SHOTS = 4  # worked examples for a model that has only read


def choose_prompts(recipe: Recipe, models: dict[str, ChatModel], home: Path) -> list[tuple[Prompt, str]]:
    """Held-out prompts that every model can read, each with a note where it is from.

    Where the recipe's corpus is not on this machine, they are those that the last stage answered in training.
    """
    found: list[tuple[Prompt, str]]
    grader = recipe.grader()
    if grader is not None and any(model.is_chat for model in models.values()):
        seen = prompts_of_ppo(recipe)
        found = [
            (prompt, spoken(column))
            for column in grader.columns
            for prompt in grader.prompts(column, PROMPTS // len(grader.columns), seen)
        ]
    else:
        try:
            found = [(prompt, "held out") for prompt in corpus_prompts(recipe, models)]
        except UserError:
            found = [(prompt, "from the log of training") for prompt in logged_prompts(models, home)]
    # The same question may wait at the end of several conversations; the first of them stays.
    unique = {prompt.turns[-1].text: (prompt, note) for prompt, note in reversed(found)}
    reserve = answer_length(recipe, models)
    fitting = [x for x in reversed(unique.values()) if all(whole(m, x[0].turns, reserve) for m in models.values())]
    return fitting[:PROMPTS]


def answer_length(recipe: Recipe, models: dict[str, ChatModel]) -> int:
    """Tokens that an answer may have, as in PPO: small contexts need half of their room for the prompt."""
    return min([recipe.answer_length, *(model.context // 2 for model in models.values())])


def corpus_prompts(recipe: Recipe, models: dict[str, ChatModel]) -> list[Prompt]:
    """Prompts that no stage seen; for a recipe that only reads, how its validation documents open."""
    for stage in ("ppo", "sft"):
        if stage in recipe.stages and any(model.is_chat for model in models.values()):
            return split_prompts(recipe.open_corpus(stage))[1]
    documents = [d for d in recipe.open_corpus("pretrain").valid if isinstance(d, Document)]
    return [prompt for document in documents if (prompt := opening(document)) is not None]


def logged_prompts(models: dict[str, ChatModel], home: Path) -> list[Prompt]:
    for stage in reversed(models):
        if (log := home / stage / SAMPLES).is_file() and (rows := [row for row, _ in read_log(log)]):
            return [Prompt((Turn("user", text),)) for text in dict.fromkeys(row["prompt"] for row in rows)]
    return []


def answer_all(
    recipe: Recipe, prompts: Sequence[tuple[Prompt, str]], models: dict[str, ChatModel], reward: RewardModel | None
) -> dict[str, dict[str, Any]]:
    """{prompt: {"note": where it is from, "before": earlier turns, "stages": {stage: answer}}}; all are greedy."""
    grader, length = recipe.grader(), answer_length(recipe, models)
    found: dict[str, dict[str, Any]] = {
        prompt.turns[-1].text: {
            "note": note, "before": [f"{t.role}: {t.text}" for t in prompt.turns[:-1]], "stages": {}
        }
        for prompt, note in prompts
    }  # fmt: skip
    for stage, model in models.items():
        for (prompt, _), response in zip(
            prompts, respond(model, [prompt for prompt, _ in prompts], length, GREEDY), strict=True
        ):
            text = response.text
            row: dict[str, Any] = {"text": text, "ended": response.finished}
            if model.is_chat and reward is not None and (score := reward_of(reward, prompt, text)) is not None:
                row["reward"] = score
            if model.is_chat and grader is not None:
                row["mark"], row["marked"] = grader.marks[0], grader.grade(prompt.turns, text)[grader.marks[0]]
            found[prompt.turns[-1].text]["stages"][stage] = row
    return found


def reward_of(reward: RewardModel, prompt: Prompt, text: str) -> float | None:
    """None for an answer that is too long for the reward model."""
    try:
        return reward.score([(prompt.turns, text)])[0]
    except ValueError:
        return None


def check_questions(recipe: Recipe, grader: Grader, count: int) -> None:
    """Raises UserError, before anything takes time, if there are not so many questions."""
    for which, new_wording in COLUMNS if recipe.about_town else ():
        try:
            Town().questions(which, count, unseen_phrasing=new_wording)
        except ValueError as error:
            raise UserError(f"--questions {count}: {error}.") from None
    seen = prompts_of_ppo(recipe)
    for column in grader.columns:
        grader.prompts(column, count, seen)


def knowledge(models: dict[str, ChatModel], count: int) -> dict[str, dict[str, Any]]:
    """The share of right answers, greedy, in each column, and honesty; see `minigpt.evaluation.knowledge`."""
    town, rows = Town(), {}
    for stage, model in models.items():
        row: dict[str, Any] = {"questions": count} | ({} if model.is_chat else {"shots": SHOTS})
        for which, new_wording in COLUMNS:
            questions = town.questions(which, count, unseen_phrasing=new_wording)
            replies = ask(model, questions) if model.is_chat else ask_with_examples(model, questions, SHOTS, town)
            row["new_wording" if new_wording else which] = mark(town, questions, replies).right
        if model.is_chat:
            candour = honesty(model, town, count)
            row |= {"honest": candour.honest, "declined": candour.declined}
        rows[stage] = row
    return rows


def win_rate(
    recipe: Recipe, home: Path, stages: Sequence[str], count: int, best_of: int, device: torch.device
) -> dict[str, Any]:
    """{column: {model: its row}}, the SFT model first; see `minigpt.evaluation.win_rate`."""
    entrants = [home / stage for stage in ("dpo", "ppo") if stage in stages]
    results = win_rates(recipe, home / "sft", entrants, count, 0, device, best_of if "reward" in stages else 0)
    return {column: {name: row.as_row() for name, row in rows.items()} for column, rows in results.items()}


def sentiment(recipe: Recipe, home: Path, device: torch.device) -> dict[str, Any]:
    """{"label": what the reward model wants, "entrants": {model: its row}}; empty where the recipe's corpus is not on
    this machine. See `minigpt.evaluation.sentiment`."""
    try:
        found = measure_sentiment(recipe, home, device)
    except UserError:
        return {}
    rows = {name: asdict(row) for name, row in found.entrants.items()}
    return {"label": found.label, "prompts": len(found.prompts), "asked": found.prompts[0], "entrants": rows}
