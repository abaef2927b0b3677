"""The grader knows the truth: it marks any reply as right, polite, concise and fluent, or not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from ..data.examples import Turn
from . import speech
from .people import FIRST_NAMES, LAST_NAMES, RESIDENT_TOPICS
from .places import EVENTS, PLACES, SEASONS
from .prose import ESSAYS
from .questions import PERSON, Asked, AskedFact, AskedUnknowable, QuestionReader, any_of
from .topics import LEADS, UNSEEN_LEADS, Topic
from .world import TOPICS, World

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_STRANGE = re.compile(r"[^A-Za-z0-9 ,.!?'-]")
_PLACE_TO_FILL = re.compile(r"\{\w*\}")
_COURTESY = re.compile(rf"\b(?:{'|'.join(speech.COURTESY)})", re.IGNORECASE)
_RUDENESS = re.compile(rf"\b(?:{'|'.join(speech.RUDENESS)})", re.IGNORECASE)


@dataclass(frozen=True)
class Grade:
    """Four marks for one reply."""

    right: bool
    polite: bool
    concise: bool
    fluent: bool

    @property
    def good(self) -> bool:
        """All four marks."""
        return self.right and self.polite and self.concise and self.fluent

    @property
    def score(self) -> float:
        """The marks as one number from 0 to 1, for PPO: to be right counts as much as the other three."""
        return 0.5 * self.right + 0.2 * self.polite + 0.15 * self.concise + 0.15 * self.fluent


class Grader:
    """Marks replies to conversations about one world. Takes any text and never raises.

    - right: a question about a fact needs the true value, no other value of its kind, and no other
      subject of its kind; a question that nobody can answer needs a phrase like "I do not know" and no
      value; small talk needs a fitting word and no resident. If the conversation ends in no question that
      the generator knows, no reply is right. A wrong pronoun is forgiven.
    - polite: a courtesy and no rudeness.
    - concise: 1 to 25 words.
    - fluent: starts like a sentence, ends like one, has only words of the town, no word three
      times in a row and no three words twice.
    """

    def __init__(self, world: World) -> None:
        self._reader = QuestionReader(world)
        self._values = {topic.name: any_of(topic.values) for topic in TOPICS.values() if topic.values}
        self._sights = {
            about: any_of(subject.name for subject in world.sights() if subject.about == about)
            for about in ("place", "event", "season")
        }
        self._vocabulary = vocabulary()

    def asked(self, conversation: Sequence[Turn]) -> Asked | None:
        """What the conversation ends in: a fact, an unknowable, small talk, or nothing known (None)."""
        return self._reader.read(conversation)

    def grade(self, conversation: Sequence[Turn], reply: str) -> Grade:
        """Mark one reply to the last user turn."""
        text = " ".join(reply.split())
        words = words_of(text)
        return Grade(
            right=self.is_right(self.asked(conversation), text),
            polite=bool(_COURTESY.search(text)) and not _RUDENESS.search(text),
            concise=0 < len(words) <= speech.CONCISE_WORDS,
            fluent=self.is_fluent(text),
        )

    def is_right(self, asked: Asked | None, reply: str) -> bool:
        """Does `reply` answer what was asked with the truth and nothing but the truth?"""
        text = " ".join(reply.lower().split())
        people = set(PERSON.findall(text))
        if asked is None:
            return False
        if isinstance(asked, AskedFact):
            return self._is_true(asked, text, people)
        if isinstance(asked, AskedUnknowable):
            claims = any(self._values[topic.name].search(text) for topic in RESIDENT_TOPICS if topic.values)
            admits = any(phrase in text for phrase in speech.NOT_KNOWING)
            return admits and not claims and people <= {asked.subject.name.lower()}
        return not people and bool(any_of(asked.item.keywords).search(text))

    def _is_true(self, asked: AskedFact, text: str, people: set[str]) -> bool:
        subject, truth = asked.subject.name.lower(), asked.answer.lower()
        if not asked.topic.values:  # the answer is a person
            return people - {subject} == {truth}
        if (sights := self._sights.get(asked.subject.about)) and set(sights.findall(text)) - {subject}:
            return False
        return people <= {subject} and set(self._values[asked.topic.name].findall(text)) == {truth}

    def is_fluent(self, text: str) -> bool:
        """Does `text` read like a sentence of Tinytown?"""
        return reads_well(text, self._vocabulary)


def words_of(text: str) -> list[str]:
    """The words of `text`, in lower case."""
    return _WORD.findall(text.lower())


def reads_well(text: str, vocabulary: Set[str]) -> bool:
    """Does `text` begin and end like a sentence, of these words, without one thrice in a row or three of them twice?"""
    words = words_of(text)
    if not words or _STRANGE.search(text) or text[-1] not in ".!?":
        return False
    if not (text[0].isupper() or text[0].isdigit()):
        return False
    if any(a == b == c for a, b, c in zip(words, words[1:], words[2:], strict=False)):
        return False
    trigrams = list(zip(words, words[1:], words[2:], strict=False))
    if len(set(trigrams)) < len(trigrams):
        return False
    return all(word in vocabulary or word.removesuffix("'s") in vocabulary for word in words)


def vocabulary() -> frozenset[str]:
    """All words, in lower case, that the generator can say."""
    texts = " ".join(_PLACE_TO_FILL.sub(" ", text) for text in _everything())
    return frozenset(words_of(texts))


def _everything() -> Iterator[str]:
    """Every template, phrase, name and value."""
    yield from (
        "a",
        "an",
        "and",
        "as",
        "i",
        "said",
        "the",
        "she",
        "her",
        "he",
        "his",
        "him",
        "on",
        "in",
        "at",
    )
    for group in FIRST_NAMES.values():
        yield from group
    yield from (*LAST_NAMES, *PLACES, *EVENTS, *SEASONS)
    yield from (*LEADS, *UNSEEN_LEADS)
    for topic in TOPICS.values():
        yield from _topic_texts(topic)
    yield from (*speech.GOOD_BEFORE, *speech.GOOD_AFTER, *speech.RUDE_AFTER, *speech.FILLERS)
    yield from (*speech.COURTESY, *speech.RUDENESS, *speech.NOT_KNOWING)
    for talk in speech.SMALL_TALK:
        yield from (*talk.prompts, *talk.good, talk.plain, talk.curt, *talk.keywords)
    for item in speech.UNKNOWABLE:
        yield from (item.ask, item.clause, item.wrong)
    yield from (*speech.UNKNOWABLE_PLAIN, *speech.UNKNOWABLE_GOOD, speech.UNKNOWABLE_CURT)
    for essay in ESSAYS.values():
        for choices in essay:
            yield from choices


def _topic_texts(topic: Topic) -> Iterator[str]:
    yield from (*topic.values, *topic.statements, *topic.asks, *topic.clauses)
    yield from (topic.unseen, *topic.answers, topic.curt)
