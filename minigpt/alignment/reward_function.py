"""Your own reward: a plain function in a Python file, named on the command line as FILE.py:FUNCTION.

    python run_ppo.py --reward my_reward.py:score

    def score(prompts: list[str], responses: list[str]) -> list[float]:
        return [float("please" in response) for response in responses]

It gets the last question of each chat and the answer to it, and returns one number an answer; more is better. PPO's KL
coefficient is in units of that number, so rewards should spread by about 1, as those of a reward model do.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..lineage import FUNCTION
from ..model.responses import Response
from .rollout import Reward

RewardFunction = Callable[[list[str], list[str]], Sequence[float]]


def is_reward_function(name: str | None) -> bool:
    """Whether `--reward` names a function, and not a folder or the grader."""
    return name is not None and FUNCTION in name


def load_reward_function(name: str) -> Reward:
    """The reward that FILE.py:FUNCTION computes. Raises UserError, with the line, for a file that cannot be run, and
    whenever the function fails or does not return one finite number an answer."""
    file, _, function_name = name.rpartition(":")
    path = Path(file)
    module = _run(path)
    function = getattr(module, function_name, None)
    if not callable(function):
        known = ", ".join(key for key, value in vars(module).items() if callable(value) and not key.startswith("_"))
        raise UserError(f"{path} has no function {function_name!r}; it has {known or 'none'}.")

    def reward(responses: Sequence[Response]) -> list[float]:
        if not responses:
            return []
        try:
            scores = function([r.turns[-1].text for r in responses], [r.text for r in responses])
        except Exception as error:
            raise UserError(f"{_place(path, error)}: {type(error).__name__}: {error}; mend {function_name}.") from error
        return _checked(scores, responses, f"{path}: {function_name}")

    return reward


def digest_of(name: str) -> str:
    """What identifies a reward function in a model's card: its file and name, and the file's SHA-256, shortened."""
    path = Path(name.rpartition(":")[0])
    return f"{name}@{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


def _run(path: Path) -> Any:
    """The file as a module. It runs whatever it says: it is the user's own."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; --reward takes a model folder, grader, or FILE.py:FUNCTION.")
    spec = importlib.util.spec_from_file_location("minigpt_user_reward", path)
    assert spec is not None and spec.loader is not None, "the file's name ends in .py"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"{error.filename}, line {error.lineno}: {error.msg}; mend the file.") from error
    except Exception as error:
        raise UserError(f"{_place(path, error)}: {type(error).__name__}: {error}; mend the file.") from error
    return module


def _place(path: Path, error: Exception) -> str:
    """The innermost line of the user's file that led to the error."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f"{path}, line {lines[-1]}" if lines else str(path)


def _checked(scores: Any, responses: Sequence[Response], what: str) -> list[float]:
    """The scores as floats, one for each response, all of them finite. Arrays and tensors are fine too."""
    try:
        values = [float(score) for score in scores]
    except (TypeError, ValueError) as error:
        shown = repr(scores)
        shown = shown if len(shown) < 60 else f"{shown[:60]}…"
        raise UserError(f"{what} returned {shown}; it must return a list with one number an answer.") from error
    if len(values) != len(responses):
        raise UserError(f"{what} returned {len(values)} numbers for {len(responses)} answers; it must return one each.")
    for value, response in zip(values, responses, strict=True):
        if not math.isfinite(value):
            raise UserError(f"{what} returned {value} for the answer {response.text!r}; rewards must be finite.")
    return values
