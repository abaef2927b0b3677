"""A PPO run put together: a policy, its reference, prompts, and where the reward comes from."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.examples import Prompt, prompts_of
from ..data.formats import CorpusLoader
from ..errors import UserError
from ..lineage import GRADER
from ..model.chat_model import ChatModel
from ..model.checkpoint import save_model
from ..model.responses import Response, fit_prompts
from ..run import Run
from ..tinytown.graders import Grader
from ..training.run_state import SAMPLES, read_log
from .policy import Policy, save_value_head
from .ppo import PPOTrainer
from .reward_function import digest_of, is_reward_function, load_reward_function
from .reward_model import RewardModel, load_reward_model
from .rollout import Marks, Reward, Task


def open_ppo(run: Run) -> PPOTrainer:
    """The PPO trainer of a run, announced and ready to go."""
    arguments, settings = run.arguments, run.settings
    parent = run.folder_of("sft", arguments.init_from)
    chat = run.parent_model(parent)
    reward, source = open_reward(run, chat)
    grader = run.recipe.grader()
    corpus = run.open_corpus(layout="prompts")
    (prompts, lost), (valid_prompts, also_lost) = (
        fit_prompts(chat, some, settings.max_new_tokens) for some in split_prompts(corpus)
    )
    policy = Policy(replace(chat, gpt=copy.deepcopy(chat.gpt)))

    def save(state: dict[str, Any]) -> None:
        card = run.card(parent) | {"reward": named_in_card(source)} | state
        save_model(run.folder, policy.chat, card)
        save_value_head(run.folder, policy)

    dropped = "".join(f", dropped {count:,} {what}" for what, count in (lost + also_lost).items())
    run.say(
        f"{run.introduce(chat)}\n"
        f"reward:    {'the grader' if source == GRADER else source}\n"
        f"prompts:   {len(prompts):,} to learn from, {len(valid_prompts):,} held out{dropped}\n"
        f"plan:      {settings.updates} updates of {settings.episodes} answers, kl_coef {settings.kl_coef:g}"
    )
    task = Task(chat.gpt, reward, prompts, valid_prompts, grader_marks(grader) if grader else None)
    origin = run.origin(parent, source if isinstance(source, Path) else None)
    return PPOTrainer(policy, task, settings, run.runtime, folder=run.folder, save=save, origin=origin)


def open_reward(run: Run, chat: ChatModel) -> tuple[Reward, Path | str]:
    """The reward that the command line names, and where it is from: a model's folder, FILE.py:FUNCTION, or grader."""
    given = run.arguments.reward
    if given == GRADER:
        return grader_reward(run.recipe.need_grader()), GRADER
    if is_reward_function(given):
        return load_reward_function(given), given
    folder = run.folder_of("reward", given)
    return model_reward(load_reward_model(folder, run.runtime.device), chat, run.settings.want), folder


def named_in_card(source: Path | str) -> str:
    """How a policy's card names what rewarded it: a model's SHA-256, a function with its file's, or the grader."""
    if isinstance(source, Path):
        return Run.origin(source)
    return source if source == GRADER else digest_of(source)


def split_prompts(corpus: CorpusLoader) -> tuple[list[Prompt], list[Prompt]]:
    """Prompts to learn from, and held-out ones whose last question occurs nowhere among them."""
    train = prompts_of(corpus.train)
    asked = {prompt.turns[-1].text.lower() for prompt in train}
    held_out = [prompt for prompt in prompts_of(corpus.valid) if prompt.turns[-1].text.lower() not in asked]
    random.Random(0).shuffle(held_out)
    return train, held_out


def model_reward(model: RewardModel, policy: ChatModel, want: str = "") -> Reward:
    """The scores of a reward model, for another label than its own if `want` names one. Raises UserError if it knows no
    such label, or could not read what the policy writes."""
    if model.tokenizer.fingerprint() != policy.tokenizer.fingerprint():
        raise UserError("the reward model has another tokenizer than the policy; train it from the same SFT model.")
    if model.chat.context < policy.context:
        raise UserError(
            f"the reward model reads {model.chat.context} tokens but the policy writes {policy.context};"
            " train it from that model."
        )
    sign = model.sign_of(want)
    return lambda responses: [sign * score for score in model.score_responses(responses)]


def grader_reward(grader: Grader) -> Reward:
    """The grader itself, from 0 to 1, stretched to about the spread of a normalised reward."""
    return lambda responses: [4 * grader.grade(r.turns, r.text)["score"] - 2 for r in responses]


def grader_marks(grader: Grader) -> Marks:
    """Each of the grader's marks, without the score."""

    def marks(response: Response) -> dict[str, float]:
        grade = grader.grade(response.turns, response.text)
        return {name: grade[name] for name in grader.marks}

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
