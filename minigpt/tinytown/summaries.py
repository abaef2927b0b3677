"""Marks for summaries of Tinytown's posts: which facts a summary keeps, which it makes up, and how it is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..data.examples import Prompt, Turn
from .gossip import DEEDS, MOODS, SMALL_NEWS, THINGS, Gossip
from .marks import marks_and_score
from .places import DAYS, PLACES
from .questions import PERSON, any_of
from .world import World

#: A summary with more words is no summary.
SUMMARY_WORDS = 24

_LISTS = {"deed": any_of(DEEDS), "thing": any_of(THINGS), "place": any_of(PLACES), "day": any_of(DAYS),
          "mood": any_of(MOODS)}  # fmt: skip
#: Whoever does the deed or is in the mood; anybody else in the text lent a hand.
_DOER = re.compile(rf"({PERSON.pattern})(?= {_LISTS['deed'].pattern}| is {_LISTS['mood'].pattern})")
_SLOT = {kind: f"(?P<{kind}>{pattern.pattern})" for kind, pattern in _LISTS.items()}
_WHO, _HELPER = (f"(?P<{role}>{PERSON.pattern})" for role in ("who", "helper"))
#: The sentences that summaries are made of. Their groups are the facts that they state.
_SENTENCES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_WHO} {_SLOT['deed']} an? {_SLOT['thing']}(?: at the {_SLOT['place']})?(?: on {_SLOT['day']})?"
        rf"(?: with {_HELPER})?(?: and is {_SLOT['mood']})?\.",
        rf"{_WHO} is {_SLOT['mood']}\.",
        rf"{_HELPER} helped\.",
    )
)
_END_OF_SENTENCE = re.compile(r"(?<=\.)\s+")
_NEWS = frozenset(news.lower() for news in SMALL_NEWS)


@dataclass(frozen=True)
class SummaryGrade:
    """How well a summary serves its post: the share of the facts it keeps, and three marks."""

    covered: float  # from 0 to 1
    faithful: bool  # says nothing that the post does not say
    concise: bool  # few words, and no small news
    fluent: bool  # nothing but sentences that people in Tinytown write, and none twice

    @property
    def good(self) -> bool:
        """All of it."""
        return self.covered == 1 and self.faithful and self.concise and self.fluent

    @property
    def score(self) -> float:
        """From 0 to 1. A summary that is not faithful is worth at most a quarter, a long or clumsy one at most half."""
        return (
            self.covered
            * (1.0 if self.faithful else 0.25)
            * (1.0 if self.concise else 0.5)
            * (1.0 if self.fluent else 0.5)
        )


def facts(text: str) -> set[tuple[str, str]]:
    """What a text mentions: who, deed, thing, place, day, mood, and who helped. Takes any text."""
    text = text.lower()
    doers = set(_DOER.findall(text))
    found = {("who", name) for name in doers} | {("helper", name) for name in set(PERSON.findall(text)) - doers}
    return found | {(kind, value) for kind, pattern in _LISTS.items() for value in pattern.findall(text)}


def grade_summary(post: str, summary: str) -> SummaryGrade:
    """Mark a summary by the facts in its post. It is read sentence by sentence. One that cannot be read keeps nothing,
    but what it mentions may be made up. Takes any text."""
    told = facts(post)
    sentences = [sentence for sentence in _END_OF_SENTENCE.split(" ".join(summary.lower().split())) if sentence]
    read = [_stated(sentence) for sentence in sentences]
    kept = set[tuple[str, str]]().union(*filter(None, read))
    mentioned = kept.union(
        *(facts(sentence) for sentence, stated in zip(sentences, read, strict=True) if stated is None)
    )
    return SummaryGrade(
        covered=len(told & kept) / len(told) if told else 0.0,
        faithful=mentioned <= told,
        concise=0 < len(summary.split()) <= SUMMARY_WORDS and not _NEWS & set(sentences),
        fluent=bool(read) and None not in read and len(set(sentences)) == len(sentences),
    )


def _stated(sentence: str) -> set[tuple[str, str]] | None:
    """The facts that one sentence of a summary states, in lower case; none for small news, and None for no sentence."""
    if sentence in _NEWS:
        return set()
    matches = (pattern.fullmatch(sentence) for pattern in _SENTENCES)
    found = next((match for match in matches if match), None)
    return {(kind, value) for kind, value in found.groupdict().items() if value} if found else None


class SummaryGrader:
    """The facts of stories that nobody has told yet. Of held-out residents no summary has ever been seen."""

    marks: tuple[str, ...] = ("covered", "faithful", "concise", "fluent", "good")
    columns: tuple[str, ...] = ("asked", "held_out")

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()

    def prompts(self, column: str, count: int, seen: set[str], seed: int = 0) -> list[Prompt]:
        residents = [resident for resident in self.world.residents if resident.asked == (column == "asked")]
        gossip = Gossip(self.world, f"gossip/{column}/{seed}", residents)
        prompts: list[Prompt] = []
        while len(prompts) < count:
            text = gossip.text(gossip.story())
            if text.lower() not in seen:
                prompts.append(Prompt((Turn("user", text),), text.lower()))
        return prompts

    def grade(self, prompt: Sequence[Turn], answer: str) -> dict[str, float]:
        grade = grade_summary(prompt[-1].text if prompt else "", answer)
        return marks_and_score(grade, self.marks)
