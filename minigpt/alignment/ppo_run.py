"""What the PPO stage is made of: a policy, its reference, prompts, and where the reward comes from."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..data.examples import Prompt, prompts_of
from ..data.truncation import fit_prompts
from ..errors import UserError
from ..model.checkpoint import need_tokenizer, save_model
from ..model.gpt import GPT
from ..run import Stage
from ..tinytown.graders import Truth
from ..training.run_state import SAMPLES, read_log
from .formulas import Episode
from .policy import Policy, save_value_head
from .ppo import Marks, PPOTrainer, Reward
from .reward_model import RewardModel, load_reward_model

GRADER = "grader"


def open_practice(stage: Stage) -> PPOTrainer:
    """The PPO trainer of a stage, announced and ready to run."""
    arguments, settings = stage.arguments, stage.settings
    parent = stage.folder_of("sft", arguments.init_from)
    model = stage.parent_model(parent)
    tokenizer = need_tokenizer(model, parent)
    truth = stage.recipe.truth()
    reward_folder: Path | None = None
    reward: Reward
    if arguments.reward == GRADER:
        reward = grader_reward(stage.recipe.need_truth())
    else:
        reward_folder = stage.folder_of("reward", arguments.reward)
        reward = model_reward(load_reward_model(reward_folder, stage.runtime.device), model, settings.want)
    corpus = stage.open_corpus(layout="prompts")
    (prompts, lost), (valid_prompts, also_lost) = (
        fit_prompts(model, some, settings.max_new_tokens) for some in split_prompts(corpus)
    )

    def save(policy: Policy, run: dict[str, Any]) -> None:
        card = stage.card(parent) | {"reward": stage.origin(reward_folder) or GRADER} | run
        save_model(stage.folder, policy.model, tokenizer, card)
        save_value_head(stage.folder, policy)

    stage.say(
        f"{stage.introduce(model)}\n"
        f"reward:    {reward_folder or 'the grader'}\n"
        f"prompts:   {len(prompts):,} to practise on, {len(valid_prompts):,} held out"
        + "".join(f", dropped {count:,} {what}" for what, count in (lost + also_lost).items())
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
        marks=grader_marks(truth) if truth else None,
        origin=stage.origin(parent, reward_folder),
    )


def split_prompts(corpus: Any) -> tuple[list[Prompt], list[Prompt]]:
    """Prompts to practise on, and held-out ones whose last question occurs nowhere among them."""
    train = prompts_of(corpus.train)
    asked = {prompt.turns[-1].text.lower() for prompt in train}
    held_out = [prompt for prompt in prompts_of(corpus.valid) if prompt.turns[-1].text.lower() not in asked]
    random.Random(0).shuffle(held_out)
    return train, held_out


def model_reward(model: RewardModel, policy: GPT, want: str = "") -> Reward:
    """The scores of a reward model, for another label than its own if `want` names one. Raises UserError if it knows no
    such label, or could not read what the policy writes."""
    assert policy.tokenizer is not None
    if model.tokenizer.fingerprint() != policy.tokenizer.fingerprint():
        raise UserError("the reward model has another tokenizer than the policy; train it from the same SFT model.")
    reads, writes = model.config.max_position_embeddings, policy.config.max_position_embeddings
    if reads < writes:
        raise UserError(
            f"the reward model reads {reads} tokens but the policy writes {writes}; train it from that model."
        )
    sign = model.sign_of(want)

    def reward(episodes: Sequence[Episode]) -> list[float]:
        return [sign * score for score in model.score_ids(model.readings(episodes))]

    return reward


def grader_reward(truth: Truth) -> Reward:
    """The truth itself, from 0 to 1, stretched to about the spread of a normalised reward."""
    return lambda episodes: [4 * truth.grade(episode.turns, episode.text)["score"] - 2 for episode in episodes]


def grader_marks(truth: Truth) -> Marks:
    """Each of the truth's marks, without the score."""

    def marks(episode: Episode) -> dict[str, float]:
        grade = truth.grade(episode.turns, episode.text)
        return {name: grade[name] for name in truth.marks}

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
