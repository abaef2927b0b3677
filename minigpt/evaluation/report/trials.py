"""What is tried now: the stages answer the same prompts and, where the truth is known, are marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ...alignment.ppo_run import split_prompts
from ...alignment.reward_model import RewardModel
from ...data.examples import Document, Prompt, Turn
from ...data.truncation import fit_turns, fits
from ...errors import UserError
from ...model.generate import generate
from ...model.gpt import GPT
from ...model.sampling import GREEDY
from ...recipe import Recipe
from ...run import opening
from ...tinytown import Town
from ...tinytown.graders import Truth
from ...training.run_state import SAMPLES, read_log
from ..knowledge import COLUMNS, ask, ask_with_examples, mark
from ..sentiment import measure_moods
from ..win_rate import hold, practised_prompts
from .changes import within_chance

PROMPTS = 8
SHOTS = 4  # worked examples for a model that has only read


def choose_prompts(recipe: Recipe, models: dict[str, GPT], home: Path) -> list[tuple[Prompt, str]]:
    """Held-out prompts that every model can read, each with a note where it is from.

    Where the recipe's corpus is not on this machine, they are those that the last stage answered in training.
    """
    found: list[tuple[Prompt, str]]
    truth = recipe.truth()
    if truth is not None and any(model.answers for model in models.values()):
        practised = practised_prompts(recipe)
        found = [
            (prompt, column.replace("_", "-"))
            for column in truth.columns
            for prompt in truth.prompts(column, PROMPTS // len(truth.columns), practised)
        ]
    else:
        try:
            found = [(prompt, "held out") for prompt in corpus_prompts(recipe, models)]
        except UserError:
            found = [(prompt, "from the log of training") for prompt in logged_prompts(models, home)]
    # The same question may wait at the end of several conversations; the first of them stays.
    unique = {prompt.turns[-1].text: (prompt, note) for prompt, note in reversed(found)}
    reserve = answer_length(recipe, models)
    fitting = [x for x in reversed(unique.values()) if all(fits(m, x[0].turns, reserve) for m in models.values())]
    return fitting[:PROMPTS]


def answer_length(recipe: Recipe, models: dict[str, GPT]) -> int:
    """Tokens that an answer may have, as in PPO: small contexts need half of their room for the prompt."""
    return min([recipe.answer_length, *(model.config.max_position_embeddings // 2 for model in models.values())])


def corpus_prompts(recipe: Recipe, models: dict[str, GPT]) -> list[Prompt]:
    """Prompts that no stage practised; for a recipe that only reads, how its validation documents open."""
    for stage in ("ppo", "sft"):
        if stage in recipe.stages and any(model.answers for model in models.values()):
            return split_prompts(recipe.open_corpus(stage))[1]
    documents = [d for d in recipe.open_corpus("pretrain").valid if isinstance(d, Document)]
    texts = [opening(document) for document in documents]
    return [Prompt((Turn("user", text),)) for text in texts if isinstance(text, str) and text]


def logged_prompts(models: dict[str, GPT], home: Path) -> list[Prompt]:
    for stage in reversed(models):
        if (log := home / stage / SAMPLES).is_file() and (rows := [row for row, _ in read_log(log)]):
            return [Prompt((Turn("user", text),)) for text in dict.fromkeys(row["prompt"] for row in rows)]
    return []


def answer_all(
    recipe: Recipe, prompts: Sequence[tuple[Prompt, str]], models: dict[str, GPT], reward: RewardModel | None
) -> dict[str, dict[str, Any]]:
    """{prompt: {"note": where it is from, "before": earlier turns, "stages": {stage: answer}}}; all are greedy."""
    truth, length = recipe.truth(), answer_length(recipe, models)
    found: dict[str, dict[str, Any]] = {
        prompt.turns[-1].text: {
            "note": note, "before": [f"{t.role}: {t.text}" for t in prompt.turns[:-1]], "stages": {}
        }
        for prompt, note in prompts
    }  # fmt: skip
    for stage, model in models.items():
        tokenizer = model.tokenizer
        assert tokenizer is not None
        ids = [fit_turns(model, prompt.turns, length).ids for prompt, _ in prompts]
        written = generate(model, ids, length, GREEDY, {tokenizer.eos, tokenizer.bos}) if ids else []
        for (prompt, _), answer in zip(prompts, written, strict=True):
            text = tokenizer.decode(answer.ids).strip()
            row: dict[str, Any] = {"text": text, "ended": answer.finished}
            if model.answers and reward is not None and (score := reward_of(reward, prompt, text)) is not None:
                row["reward"] = score
            if model.answers and truth is not None:
                row["mark"], row["marked"] = truth.marks[0], truth.grade(prompt.turns, text)[truth.marks[0]]
            found[prompt.turns[-1].text]["stages"][stage] = row
    return found


def reward_of(reward: RewardModel, prompt: Prompt, text: str) -> float | None:
    """None for an answer that is too long for the reward model. Rounded, as machines differ in the last digits."""
    try:
        return round(reward.score([(prompt.turns, text)])[0], 4)
    except ValueError:
        return None


def check_questions(recipe: Recipe, truth: Truth, count: int) -> None:
    """Raises UserError, before anything takes time, if there are not so many questions."""
    for which, new_wording in COLUMNS if recipe.about_town else ():
        try:
            Town().questions(which, count, unseen_phrasing=new_wording)
        except ValueError as error:
            raise UserError(f"--questions {count}: {error}.") from None
    practised = practised_prompts(recipe)
    for column in truth.columns:
        truth.prompts(column, count, practised)


def exam(models: dict[str, GPT], count: int) -> dict[str, dict[str, Any]]:
    """The share of right answers, greedy, in each column of the exam; see `minigpt.evaluation.knowledge`."""
    town, rows = Town(), {}
    for stage, model in models.items():
        row: dict[str, Any] = {"questions": count} | ({} if model.answers else {"shots": SHOTS})
        for which, new_wording in COLUMNS:
            questions = town.questions(which, count, unseen_phrasing=new_wording)
            replies = ask(model, questions) if model.answers else ask_with_examples(model, questions, SHOTS, town)
            row["new_wording" if new_wording else which] = mark(town, questions, replies).right
        rows[stage] = row
    return rows


def contest(
    recipe: Recipe, home: Path, stages: Sequence[str], count: int, best_of: int, device: torch.device
) -> dict[str, Any]:
    """{column: {entrant: result}}, the SFT model first; see `minigpt.evaluation.win_rate`."""
    entrants = [home / stage for stage in ("dpo", "ppo") if stage in stages]
    results = hold(recipe, home / "sft", entrants, count, 0, device, best_of if "reward" in stages else 0)
    return {
        column: {name: {k: rounded(v) for k, v in result.as_row().items()} for name, result in rows.items()}
        for column, rows in results.items()
    }


def mood(recipe: Recipe, home: Path, device: torch.device) -> dict[str, Any]:
    """{"label": what the reward model wants, "entrants": {name: mood}}; empty where the recipe's corpus is not on this
    machine. See `minigpt.evaluation.sentiment`."""
    try:
        moods = measure_moods(recipe, home, device)
    except UserError:
        return {}
    rows = {name: {k: rounded(v) for k, v in asdict(mood).items()} for name, mood in moods.entrants.items()}
    return {"label": moods.label, "prompts": len(moods.prompts), "asked": moods.prompts[0], "entrants": rows}


def rounded(value: Any) -> Any:
    """Machines differ in the last digits."""
    if isinstance(value, tuple | list):
        return [rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


def findings(contest: dict[str, Any], exam: dict[str, Any], count: int) -> list[str]:
    """What alignment did: a few sentences on each aligned stage, from its numbers. In the town, to manners and to
    knowledge."""
    column, entrants = next(iter(contest.items()))
    aligned = [name for name in ("ppo", "dpo") if name in entrants]
    if not exam:
        before = entrants["sft"]
        mark = next(iter(before))
        return [
            f"{name.upper()}: {mark} goes from {before[mark]:.1%} to {entrants[name][mark]:.1%} on"
            f" {column.replace('_', '-')} prompts, and it wins {entrants[name]['wins']:.1%} of the pairs that differ."
            for name in aligned
        ]
    return [_contrast(contest, exam, name, count) for name in aligned]


def _contrast(contest: dict[str, Any], exam: dict[str, Any], name: str, count: int) -> str:
    columns = ("asked", "held_out")

    def pairs(quality: str) -> list[tuple[float, float]]:
        """Before and after, in each column."""
        return [(contest[column]["sft"][quality], contest[column][name][quality]) for column in columns]

    def moved(compared: list[tuple[float, float]]) -> list[int]:
        """For each column 1 for more, -1 for fewer, 0 for no difference beyond chance."""
        return [0 if within_chance(a, b, count) else 1 if b > a else -1 for a, b in compared]

    (good, good_held_out), (right, right_held_out) = (
        [f"from {before:.1%} to {after:.1%}" for before, after in pairs(quality)] for quality in ("good", "right")
    )
    # What a model knows shows in its likeliest answers; drawn at random, they are right less often.
    earlier = [max(exam[stage][column] for stage in ("pretrain", "sft") if stage in exam) for column in columns]
    known = [(before, exam[name][column]) for before, column in zip(earlier, columns, strict=True)]
    greedy = " and ".join(f"{after:.1%} against {before:.1%}" for before, after in known)
    if min(moved(pairs("right"))) < 0:
        verdict = "Rightness fell by more than chance: manners were paid for with truth."
    elif max(moved(pairs("right"))) > 0 and max(moved(known)) > 0:
        verdict = f"Rightness rose by more than chance, also of the likeliest answers ({greedy} of any stage before)."
    elif max(moved(pairs("right"))) > 0:
        verdict = (
            "Rightness rose by more than chance, but the likeliest answers are right no more often than those of the"
            f" stages before ({greedy}): alignment brings knowledge out, it does not add knowledge."
        )
    elif max(moved(pairs("good"))) > 0:
        verdict = "Rightness moved within chance: alignment taught manners, it does not add knowledge."
    else:
        verdict = "Rightness moved within chance, and manners did not get better."
    return (
        f"{name.upper()}: good answers go {good} about residents whom fine-tuning asks about, and {good_held_out} about"
        f" held-out ones; right answers go {right}, and {right_held_out}. {verdict}"
    )
