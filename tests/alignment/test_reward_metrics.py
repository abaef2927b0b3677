"""How good a reward model is: shares with their intervals, calibration, length, all checked by hand."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigpt.alignment.reward_metrics import (
    RewardMetrics,
    calibration_curve,
    comparison_metrics,
    correlation,
    histogram,
    label_metrics,
    rating_metrics,
    wilson_interval,
)

NONE = torch.zeros(0)  # comparisons have no targets beside their order


def rate(scores: torch.Tensor, ratings: torch.Tensor, loss: float) -> RewardMetrics:
    """Metrics of ratings [B], where all answers are equally long."""
    return rating_metrics(scores[:, None], ratings, torch.ones(len(scores), 1), loss)


@pytest.mark.parametrize(
    ("successes", "trials", "interval"),
    [(8, 10, (0.4902, 0.9433)), (0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (50, 100, (0.4038, 0.5962)),
     (1, 1, (0.2065, 1.0)), (0, 0, (0.0, 1.0))],
)  # fmt: skip
def test_wilson_intervals_as_published(successes, trials, interval):
    assert wilson_interval(successes, trials) == pytest.approx(interval, abs=1e-4)


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    """Of 1,000 samples of 40 coins that fall heads 9 times in 10."""
    rng = np.random.default_rng(0)
    intervals = [wilson_interval(heads, 40) for heads in rng.binomial(40, 0.9, 1000)]
    assert 0.92 < sum(low <= 0.9 <= high for low, high in intervals) / 1000 < 0.98


def test_correlation_is_pearsons_and_0_where_nothing_varies():
    rng = torch.Generator().manual_seed(0)
    a, b = torch.randn(50, generator=rng), torch.randn(50, generator=rng)
    assert correlation(a, a + b) == pytest.approx(float(np.corrcoef(a, a + b)[0, 1]), abs=1e-6)
    assert correlation(a, -2 * a + 3) == pytest.approx(-1)
    assert correlation(a, torch.ones(50)) == 0


def test_a_calibration_curve_by_hand():
    """Mean prediction, share that came true, and number in each tenth; empty tenths are left out, 1 is in the last."""
    curve = calibration_curve(torch.tensor([0.02, 0.08, 0.55, 0.95, 1.0]), torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0]))
    assert curve == [pytest.approx((0.05, 0.5, 2)), pytest.approx((0.55, 1, 1)), pytest.approx((0.975, 1, 2))]


def test_honest_probabilities_lie_on_the_diagonal():
    rng = torch.Generator().manual_seed(0)
    predicted = torch.rand(20_000, generator=rng)
    observed = (torch.rand(20_000, generator=rng) < predicted).float()
    assert all(abs(p - o) < 0.04 for p, o, _ in calibration_curve(predicted, observed))


# Comparisons: scores and lengths of the better and the worse answer.


def test_comparisons_by_hand():
    """Three right, one wrong, one a tie that counts half; people chose the longer answer in one of two cases."""
    scores = torch.tensor([[2.0, 1.0], [0.5, 0.0], [3.0, -3.0], [0.0, 1.0], [1.0, 1.0]])
    lengths = torch.tensor([[5, 3], [4, 4], [2, 6], [7, 7], [3, 3]])
    found = comparison_metrics(scores, NONE, lengths, loss=0.3)
    assert found.accuracy == pytest.approx(0.7) and found.examples == 5 and found.loss == 0.3
    assert found.interval == wilson_interval(3.5, 5)
    assert found.longer_preferred == 0.5 and found.longer_scored_higher == 0.5
    assert sum(found.histogram["better"]) == sum(found.histogram["worse"]) == 5


def test_a_judge_of_length_is_found_out():
    """Its margins follow the lengths wholly, although people preferred the longer answer only half of the time."""
    lengths = torch.randint(1, 30, (200, 2), generator=torch.Generator().manual_seed(0))
    found = comparison_metrics(lengths * 0.1, NONE, lengths, loss=0.0)
    assert found.length_correlation == pytest.approx(1) and found.longer_scored_higher == 1
    assert found.accuracy == pytest.approx(0.5, abs=0.1) and found.longer_preferred == pytest.approx(0.5, abs=0.1)


def test_the_curve_of_comparisons_is_the_same_from_both_sides():
    """Whichever answer stands left: what is predicted with p on one side is predicted with 1 - p on the other."""
    scores = torch.randn(300, 2, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.5, 0.0])
    curve = comparison_metrics(scores, NONE, torch.ones(300, 2), loss=0.0).calibration
    assert sum(count for *_, count in curve) == 600
    for (p, o, count), (q, r, same) in zip(curve, curve[::-1], strict=True):
        assert (p, o, count) == pytest.approx((1 - q, 1 - r, same), abs=1e-5)


def test_equal_scores_and_equal_lengths_are_measured_too():
    for score in (0.0, 20.0):
        found = comparison_metrics(torch.full((4, 2), score), NONE, torch.ones(4, 2), loss=math.log(2))
        assert found.accuracy == 0.5 and found.longer_preferred is None and found.length_correlation == 0
        assert sum(found.histogram["better"]) == 4


# Labels and ratings.


def test_labels_by_hand():
    """A log-odds above zero says that the text is wanted."""
    scores, lengths = torch.tensor([[2.0], [-1.0], [0.5], [-3.0]]), torch.tensor([[4], [3], [2], [1]])
    found = label_metrics(scores, torch.tensor([1.0, 1.0, 0.0, 0.0]), lengths, loss=0.1)
    assert found.accuracy == 0.5 and found.interval == wilson_interval(2, 4)
    assert sum(found.histogram["better"]) == sum(found.histogram["worse"]) == 2
    assert sum(count for *_, count in found.calibration) == 4


def test_labels_of_one_kind_only_are_measured_too():
    found = label_metrics(torch.tensor([[2.0], [-1.0]]), torch.tensor([1.0, 1.0]), torch.tensor([[4], [3]]), loss=0.1)
    assert found.accuracy == 0.5


def test_ratings_are_right_where_they_order_answers_as_people_do():
    truth = torch.arange(40.0)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    for scores, accuracy in ((truth.exp2(), 1.0), (-truth, 0.0), (torch.zeros(40), 0.0)):
        assert rate(scores[order], truth[order], loss=0.0).accuracy == accuracy
    guessed = torch.randn(40, generator=torch.Generator().manual_seed(2))
    assert 0.3 < rate(guessed, truth, loss=0.0).accuracy < 0.7


def test_answers_rated_alike_have_no_order():
    """Only 0 against 1 counts: the scores of equal ratings may be anything."""
    ratings = torch.tensor([0.0] * 10 + [1.0] * 10)
    scores = torch.cat([torch.arange(10.0), 100 - torch.arange(10.0)])
    assert rate(scores, ratings, loss=0.0).accuracy == 1
    assert rate(scores, torch.ones(20), loss=0.0).accuracy == 0.5


@pytest.mark.parametrize("count", [1, 2])
def test_very_few_ratings_are_measured_too(count):
    found = rate(torch.arange(float(count)), torch.arange(float(count)), loss=0.2)
    assert found.examples == count and 0 <= found.accuracy <= 1


def test_a_histogram_counts_every_score_between_its_edges():
    better, worse = torch.tensor([1.0, 2.0, 1000.0]), torch.tensor([-5.0, 0.0])
    found = SimpleNamespace(**histogram(better, worse))
    assert sum(found.better) == 3 and sum(found.worse) == 2
    assert found.edges[0] == -5 and found.edges[-1] >= 1000 and len(found.edges) == len(found.better) + 1


def test_scores_are_a_sentence_and_json():
    found = comparison_metrics(torch.tensor([[1.0, 0.0]] * 9), NONE, torch.tensor([[2, 1]] * 9), loss=0.5)
    assert str(found).startswith("held-out accuracy 100.0% (70.1% to 100.0%, 9 judgements), loss 0.5000")
    assert json.loads(json.dumps(found.as_dict()))["examples"] == 9
