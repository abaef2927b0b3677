"""What the PPO stage is made of: a policy, its reference, prompts, and where the reward comes from."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

from .checkpoint import need_tokenizer, save_model
from .corpus.tinytown import Town
from .errors import UserError
from .examples import Prompt, prompts_of
from .model import GPT
from .policy import Policy, save_value_head
from .ppo import Episode
from .ppo_trainer import Marks, PPOTrainer, Reward
from .reward import RewardModel, load_reward_model
from .stage import Stage
from .state import SAMPLES, read_log
from .window import fits

GRADER = "grader"
MARKS = ("right", "polite", "concise", "fluent", "good")


def open_practice(stage: Stage) -> PPOTrainer:
    """The PPO trainer of a stage, announced and ready to run."""
    arguments, settings = stage.arguments, stage.settings
    parent = stage.folder_of("sft", arguments.init_from)
    model = stage.parent_model(parent)
    tokenizer = need_tokenizer(model, parent)
    marks = grader_marks(Town()) if stage.recipe.truth_known else None
    reward_folder: Path | None = None
    reward: Reward
    if arguments.reward == GRADER:
        if marks is None:
            raise UserError("only in Tinytown there is a grader; name a reward model with --reward.")
        reward = grader_reward(Town())
    else:
        reward_folder = stage.folder_of("reward", arguments.reward)
        reward = model_reward(load_reward_model(reward_folder, stage.runtime.device), model)
    corpus = stage.open_corpus(layout="prompts")
    prompts, valid_prompts, dropped = split_prompts(corpus, lambda p: fits(model, p.turns, settings.max_new_tokens))

    def save(policy: Policy, run: dict[str, Any]) -> None:
        card = stage.card(parent) | {"reward": stage.origin(reward_folder) or GRADER} | run
        save_model(stage.folder, policy.model, tokenizer, card)
        save_value_head(stage.folder, policy)

    stage.say(
        f"{stage.introduce(model)}\n"
        f"reward:    {reward_folder or 'the grader'}\n"
        f"prompts:   {len(prompts):,} to practise on, {len(valid_prompts):,} held out"
        + (f", {dropped:,} dropped because they are too long" if dropped else "")
        + f"\nplan:      {settings.updates} updates of {settings.episodes} answers, KL price {settings.kl:g}"
    )
    return PPOTrainer(
        Policy(copy.deepcopy(model)),
        model,
        reward,
        prompts,
        valid_prompts,
        settings,
        stage.runtime,
        folder=stage.folder,
        save=save,
        marks=marks,
        origin=stage.origin(parent, reward_folder),
    )


def split_prompts(corpus: Any, fitting: Any) -> tuple[list[Prompt], list[Prompt], int]:
    """Prompts to practise on, held-out ones whose last question occurs nowhere among them, and how many did not fit."""
    train, valid = prompts_of(corpus.train), prompts_of(corpus.valid)
    fits_train, fits_valid = [p for p in train if fitting(p)], [p for p in valid if fitting(p)]
    asked = {prompt.turns[-1].text.lower() for prompt in fits_train}
    held_out = [prompt for prompt in fits_valid if prompt.turns[-1].text.lower() not in asked]
    random.Random(0).shuffle(held_out)
    return fits_train, held_out, len(train) + len(valid) - len(fits_train) - len(fits_valid)


def model_reward(model: RewardModel, policy: GPT) -> Reward:
    """The scores of a reward model. Raises UserError if it could not read what the policy writes."""
    assert policy.tokenizer is not None
    if model.tokenizer.fingerprint() != policy.tokenizer.fingerprint():
        raise UserError("the reward model has another tokenizer than the policy; train it from the same SFT model.")
    reads, writes = model.config.max_position_embeddings, policy.config.max_position_embeddings
    if reads < writes:
        raise UserError(
            f"the reward model reads {reads} tokens but the policy writes {writes}; train it from that model."
        )
    return lambda episodes: model.score_ids([model.reading(episode.ids, episode.start) for episode in episodes])


def grader_reward(town: Town) -> Reward:
    """The truth itself, from 0 to 1, stretched to about the spread of a normalised reward."""
    return lambda episodes: [4 * town.grade(episode.turns, episode.text).score - 2 for episode in episodes]


def grader_marks(town: Town) -> Marks:
    """Each of the grader's marks as 1 or 0."""

    def marks(episode: Episode) -> dict[str, float]:
        grade = town.grade(episode.turns, episode.text)
        return {name: float(getattr(grade, name)) for name in MARKS}

    return marks


def before_and_after(folder: Path) -> str:
    """The likeliest answers to the same held-out prompts, before the first update and after the last, as a table."""
    rows = [row for row, _ in read_log(folder / SAMPLES)]
    if not rows:
        return ""
    first, last = rows[0]["step"], rows[-1]["step"]
    before = {row["prompt"]: row["text"] for row in rows if row["step"] == first}
    after = {row["prompt"]: row["text"] for row in rows if row["step"] == last}
    return "\n" + "\n".join(f"{p}\n    before: {before.get(p)}\n    after:  {text}" for p, text in after.items())
