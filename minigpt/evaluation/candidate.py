"""Is a policy that was trained on votes better than the one in use? Votes are few, and a policy also learns whatever is
wrong in them: from forty careless ones it may learn to answer with bare names.

    minigpt evaluate candidate --model trained_models/votes/ppo-trial --reward trained_models/votes/reward-trial
        --against trained_models/shipped/ppo --votes trained_models/feedback.heldout.jsonl

It is better if all of this holds, and the candidate's card then says so:

    length       the answers have not become several times longer or shorter,
    distinct_2   nor have they lost their variety
    win_rate     on prompts that PPO did not train on the new answers win more often than they lose: by the recipe's
                 grader, or, if it has none, by the reward model
    accuracy     the reward model agrees with votes that it never saw: more often than chance would, if it is also what
                 marks the answers; beside a grader, who needs no votes, it must only not disagree

"More often" is told by the 95 % interval: all of it must lie above one half. Answers are drawn at temperature 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from .. import cli
from ..alignment.ppo_run import split_prompts
from ..alignment.reward_metrics import wilson_interval
from ..alignment.reward_model import RewardModel, load_reward_model
from ..alignment.stop_rules import distinct
from ..config import PPOConfig
from ..data.examples import Comparison, Prompt
from ..data.formats import VotesCorpus
from ..errors import UserError
from ..files import to_json, write_atomically
from ..model.checkpoint import CARD, load_model, read_card
from ..model.responses import Response, fit_prompts
from ..recipe import Recipe, load_recipe
from ..training.device import detect
from .win_rate import answer, prompts_of_ppo

PROMPTS = 200
MAX_DRIFT = 3.0  # factor by which length and variety may change; PPO itself stops only at 4
GRADER, REWARD_MODEL = "grader", "reward model"


@dataclass(frozen=True)
class Share:
    """How many of how many, with its 95 % interval; a tie counts as half."""

    share: float
    interval: tuple[float, float]
    of: int

    @classmethod
    def of_margins(cls, margins: Sequence[float]) -> Share:
        """How many of these differences are above zero."""
        won = sum((margin > 0) + 0.5 * (margin == 0) for margin in margins)
        return cls(won / len(margins) if margins else 0.5, wilson_interval(won, len(margins)), len(margins))

    @property
    def above_half(self) -> bool:
        return self.interval[0] > 0.5

    def told(self, what: str) -> str:
        low, high = self.interval
        return f"{self.share:.0%} of {self.of} {what} ({low:.0%} to {high:.0%})"


@dataclass(frozen=True)
class Evaluation:
    """A candidate beside the policy in use, `against`. `accuracy` is the reward model's on held-out votes; `win_rate`
    leaves out ties, as `marked_by` sees them; `length` (words an answer) and `distinct_2` are (former, new)."""

    against: str
    marked_by: str
    accuracy: Share
    win_rate: Share
    length: tuple[float, float]
    distinct_2: tuple[float, float]

    @property
    def reason(self) -> str | None:
        """What speaks against the candidate: the first such thing, by its field's name."""
        if self.accuracy.share < 0.5 or not (self.accuracy.above_half or self.marked_by == GRADER):
            return "accuracy"
        for name in ("length", "distinct_2"):
            former, new = getattr(self, name)
            shrunk = new < former / MAX_DRIFT
            if shrunk or (name == "length" and new > former * MAX_DRIFT):
                return name
        return None if self.win_rate.above_half else "win_rate"

    def summary(self) -> str:
        """The verdict and what it rests on, in one sentence."""
        wins = f"it wins {self.win_rate.told('decided comparisons')} by the {self.marked_by}"
        if self.reason is None:
            return f"better than {self.against}: {wins}"
        agrees = self.accuracy.told("held-out votes")
        former, new = self.distinct_2
        why = {
            "accuracy": f"the reward model agrees with {agrees}, as chance would",
            "length": f"its answers have {self.length[1]:.1f} words where there were {self.length[0]:.1f}",
            "distinct_2": f"its answers are much alike (distinct-2 {former:.2f} -> {new:.2f})",
            "win_rate": wins,
        }
        return f"no better than {self.against}, kept as a trial: {why[self.reason]}"

    def as_dict(self) -> dict[str, Any]:
        return {"better": self.reason is None, "reason": self.reason, "summary": self.summary(), **asdict(self)}


def held_out_accuracy(reward: RewardModel, votes: Sequence[Comparison]) -> Share:
    """How often the reward model prefers what the voter preferred; votes that it cannot read whole do not count."""
    pairs = []
    for vote in votes:
        with contextlib.suppress(ValueError):
            pairs += [reward.encode(vote.prompt, text) for text in (vote.chosen, vote.rejected)]
    scores = reward.score_ids(pairs)
    return Share.of_margins([better - worse for better, worse in zip(scores[::2], scores[1::2], strict=True)])


def evaluate(
    recipe: Recipe, votes: Sequence[Comparison], reward: RewardModel, former: Sequence[Response],
    new: Sequence[Response], against: str,
) -> Evaluation:  # fmt: skip
    """Compare two policies by their responses to the same prompts."""
    grader = recipe.grader()
    if grader is None:
        scores = [reward.score_responses(responses) for responses in (former, new)]
    else:
        scores = [[grader.grade(r.turns, r.text)["score"] for r in responses] for responses in (former, new)]
    margins = [after - before for before, after in zip(*scores, strict=True)]
    lengths = [sum(len(r.text.split()) for r in some) / max(1, len(some)) for some in (former, new)]
    variety = [distinct([r.text for r in some]) for some in (former, new)]
    return Evaluation(
        against=against,
        marked_by=REWARD_MODEL if grader is None else GRADER,
        accuracy=held_out_accuracy(reward, votes),
        win_rate=Share.of_margins([margin for margin in margins if margin]),
        length=(lengths[0], lengths[1]),
        distinct_2=(variety[0], variety[1]),
    )


def fresh_prompts(recipe: Recipe, votes: Sequence[Comparison], count: int) -> list[Prompt]:
    """Prompts that PPO did not train on: the grader's; or the recipe's held-out ones and those of the votes, asked over
    again until there are `count`, as few prompts with many answers tell more than few answers do."""
    grader = recipe.grader()
    if grader is not None:
        return grader.prompts(grader.columns[0], count, prompts_of_ppo(recipe), seed=1)
    prompts = [*split_prompts(recipe.open_corpus("ppo"))[1], *(Prompt(vote.prompt) for vote in votes)]
    return list(islice(cycle(prompts), count))


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the candidate; its card will hold the result")
    parser.add_argument("--reward", type=Path, required=True, help="the reward model that it was trained with")
    parser.add_argument("--against", type=Path, required=True, help="the model in use")
    parser.add_argument("--votes", type=Path, required=True, help="held-out votes, as the page writes them")
    parser.add_argument("--prompts", type=int, default=PROMPTS, help=f"prompts to answer (default {PROMPTS})")
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    card = read_card(arguments.model)
    if "recipe" not in card:
        raise UserError(f"{arguments.model} has no card that names its recipe; name a folder that run_ppo.py wrote.")
    recipe = load_recipe(card.get("recipe_file") or card["recipe"])
    if not arguments.votes.is_file():
        raise UserError(f"{arguments.votes} does not exist; the page writes it when a training on votes begins.")
    votes = VotesCorpus.read(arguments.votes).train if arguments.votes.stat().st_size else []
    device = detect(arguments.device, arguments.dtype).device
    former, new = load_model(arguments.against, device), load_model(arguments.model, device)
    length = card.get("training", {}).get("max_new_tokens", PPOConfig.max_new_tokens)
    prompts = fresh_prompts(recipe, votes, arguments.prompts)
    for chat in (former, new):
        prompts = fit_prompts(chat, prompts, length)[0]
    # Other random numbers for the second: the same ones would make unchanged models tie.
    responses = [answer(former, prompts, length, seed=0), answer(new, prompts, length, seed=len(prompts))]
    reward = load_reward_model(arguments.reward, device)
    against = f"{arguments.against.parent.name}/{arguments.against.name}"
    result = evaluate(recipe, votes, reward, responses[0], responses[1], against)
    write_atomically(arguments.model / CARD, to_json(card | {"evaluation": result.as_dict()}))
    print(f"accuracy:  {result.accuracy.told('held-out votes')}\n"
          f"win rate:  {result.win_rate.told('decided comparisons')} by the {result.marked_by}\n"
          f"length:    {result.length[0]:.1f} -> {result.length[1]:.1f} words\n"
          f"variety:   distinct-2 {result.distinct_2[0]:.2f} -> {result.distinct_2[1]:.2f}\n"
          f"result:    {result.summary()}")  # fmt: skip
