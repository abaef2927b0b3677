"""When a policy has collapsed or run away, and a PPO run had better stop; and when a whole run has taught nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..data.truncation import sentences


def distinct(texts: Sequence[str], n: int = 2) -> float:
    """The share of word n-grams that occur for the first time (Li et al. 2016): low where all answers are one."""
    grams = [
        gram for text in texts for words in [text.split()] for gram in zip(*(words[i:] for i in range(n)), strict=False)
    ]
    return len(set(grams)) / len(grams) if grams else 0.0


def commonest_ending(texts: Sequence[str]) -> tuple[str, float]:
    """The last sentence that most answers have in common, and which share of them: near 1 where a policy has collapsed
    onto one phrase that the reward pays for. Answers of one sentence are all ending."""
    if not texts:
        return "", 0.0
    endings = Counter((sentences(text.strip()) or [""])[-1] for text in texts)
    ending, count = endings.most_common(1)[0]
    return ending, count / len(texts)


@dataclass(frozen=True)
class PolicyStats:
    """What a batch of answers looks like: mean KL (nats), length (tokens), share that ended, distinct-2."""

    kl: float
    length: float
    ended: float
    distinct: float


def reason_to_stop(now: PolicyStats, at_first: PolicyStats, max_kl: float, max_drift: float) -> str | None:
    """Why a run should stop, and what to change; None while the policy is sound. `max_drift` is a factor."""
    if not now.kl <= max_kl:  # also a KL that is not a number
        return f"it is {now.kl:.1f} nats from its reference (limit {max_kl:g}); raise --kl-coef or lower --lr"
    if now.ended < at_first.ended / max_drift:
        return f"only {now.ended:.0%} of its answers come to an end; lower --missing-eos-penalty or --lr"
    if not at_first.length / max_drift < now.length < at_first.length * max_drift:
        grown = f"from {at_first.length:.0f} to {now.length:.0f} tokens"
        return f"its answers went {grown}; raise --kl-coef, or look at the reward"
    if now.distinct < at_first.distinct / max_drift:
        return f"its answers are all alike (distinct-2 fell to {now.distinct:.2f}); raise --kl-coef"
    return None


SAME = 1e-6  # standard deviation of rewards that only rounding tells apart


def reason_for_nothing(most_ended: float, largest_deviation: float, max_new_tokens: int) -> str:
    """Why a whole run of PPO taught nothing, and what to try; empty if it may have taught something.

    `most_ended` is the largest share of answers that came to an end in any rollout, `largest_deviation` the largest
    standard deviation of a rollout's rewards: where all answers earn the same, none is better than expected.
    """
    if largest_deviation >= SAME:
        return ""
    if most_ended == 0:
        return (
            f"PPO learned nothing: in no rollout did an answer end within {max_new_tokens} tokens, so all earned the"
            " same; raise --max-new-tokens, or train the SFT model longer."
        )
    return (
        "PPO learned nothing: in every rollout all answers earned the same reward; try some answers with"
        " run_reward.py --score, and train the reward model longer or on other comparisons."
    )
