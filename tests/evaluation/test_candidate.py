"""Whether a policy trained on votes may take the place of the one in use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from minigpt.alignment.reward_metrics import wilson_interval
from minigpt.data.examples import Comparison, Turn
from minigpt.evaluation.candidate import REWARD_MODEL, Evaluation, Share, evaluate
from minigpt.model.responses import Response
from minigpt.recipe import Recipe

GOOD = Evaluation(
    "town/sft", "grader", Share.of_margins([1.0] * 20), Share.of_margins([1.0] * 90 + [-1.0] * 40), (9, 7), (0.5, 0.4)
)


def test_a_share_counts_ties_half_and_knows_how_sure_it_is():
    few, many = Share.of_margins([2.0, 0.5, -1.0, 0.0]), Share.of_margins([2.0, 0.5, -1.0, 0.0] * 40)
    assert few.share == many.share == 2.5 / 4 and few.interval == wilson_interval(2.5, 4)
    assert many.above_half and not few.above_half
    assert not Share.of_margins([]).above_half


@pytest.mark.parametrize(("change", "reason"), [
    ({}, None),
    ({"accuracy": Share.of_margins([1.0] * 6 + [-1.0] * 2)}, None),
    ({"accuracy": Share.of_margins([1.0] * 6 + [-1.0] * 2), "marked_by": REWARD_MODEL}, "accuracy"),
    ({"accuracy": Share.of_margins([1.0] * 8), "marked_by": REWARD_MODEL}, None),
    ({"accuracy": Share.of_margins([1.0] * 3 + [-1.0] * 4)}, "accuracy"),
    ({"accuracy": Share.of_margins([]), "marked_by": REWARD_MODEL}, "accuracy"),
    ({"length": (9, 2)}, "length"),
    ({"length": (9, 30)}, "length"),
    ({"length": (0, 0)}, None),
    ({"distinct_2": (0.5, 0.1)}, "distinct_2"),
    ({"distinct_2": (0.1, 0.5)}, None),
    ({"win_rate": Share.of_margins([1.0, -1.0] * 60)}, "win_rate"),
    ({"win_rate": Share.of_margins([-1.0] * 60)}, "win_rate"),
])  # fmt: skip
def test_one_thing_that_is_not_better_is_enough(change, reason):
    evaluation = replace(GOOD, **change)
    told = evaluation.as_dict()
    assert (evaluation.reason, told["reason"], told["better"]) == (reason, reason, reason is None)
    assert ("no better than town/sft, kept as a trial" in told["summary"]) == (reason is not None)


class Brief:
    """A reward model that likes few words."""

    def encode(self, prompt, answer):
        if len(answer) > 50:
            raise ValueError("too long")
        return answer

    def score_ids(self, answers):
        return [-len(answer.split()) for answer in answers]

    def score_responses(self, responses):
        return self.score_ids([response.text for response in responses])


def responses(*texts: str) -> list[Response]:
    return [Response((Turn("user", "Who?"),), [1], 0, True, text, []) for text in texts]


def test_the_grader_marks_where_there_is_one_and_the_reward_model_elsewhere():
    asked = (Turn("user", "Who are you?"),)
    votes = [Comparison(asked, "a b", "a b c"), Comparison(asked, "a b c d", "a"), Comparison(asked, "a", "x" * 60)]
    long, short = responses("one two three", "one two", "one"), responses("one two", "one two", "one two")
    result = evaluate(Recipe("mine", {}, {}), votes, Brief(), long, short, "mine/sft")
    assert result.marked_by == "reward model" and result.accuracy.share == 0.5 and result.accuracy.of == 2
    assert result.win_rate.of == 2 and result.win_rate.share == 0.5, "the tie is left out"
    assert result.length == (2.0, 2.0) and result.distinct_2 == (2 / 3, 1 / 3)
    graded = evaluate(Recipe("town", {"grader": "town"}, {}), votes, Brief(), long, short, "town/sft")
    assert graded.marked_by == "grader"
