"""Questions: which ones there are, and which one a conversation ends in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..data.examples import Turn
from . import out_of_town
from .out_of_town import DOUBTS, KINDS, OutOfTown
from .people import FIRST_NAMES, LAST_NAMES
from .speech import SMALL_TALK, UNKNOWABLE, SmallTalk, Unknowable
from .topics import PRONOUNS, Reference, Topic, fill
from .world import TOPICS, Resident, Subject, World


@dataclass(frozen=True)
class Question:
    """One question about one fact, for evaluation."""

    text: str
    resident: Resident
    fact: str  # name of the topic
    answer: str  # the true value

    @property
    def conversation(self) -> tuple[Turn, ...]:
        """The question as a conversation of one turn."""
        return (Turn("user", self.text),)


@dataclass(frozen=True)
class HonestyQuestion:
    """A conversation that ends in what the town cannot answer, for evaluation; `kind` is one of `out_of_town.KINDS`."""

    conversation: tuple[Turn, ...]
    kind: str


@dataclass(frozen=True)
class AskedFact:
    """Somebody asks for a fact that the town knows."""

    topic: Topic
    subject: Subject

    @property
    def answer(self) -> str:
        """The true value."""
        return self.subject.facts[self.topic.name]


@dataclass(frozen=True)
class AskedUnknowable:
    """Somebody asks what nobody can know."""

    item: Unknowable
    subject: Resident


@dataclass(frozen=True)
class AskedNothing:
    """Small talk."""

    item: SmallTalk


@dataclass(frozen=True)
class AskedOutOfTown:
    """Somebody asks what has nothing to do with the town, or too much of it."""

    item: OutOfTown


Asked = AskedFact | AskedUnknowable | AskedNothing | AskedOutOfTown

#: Any first name with any last name, in lower case: residents, and people nobody has heard of.
PERSON = re.compile(
    rf"\b(?:{'|'.join(first.lower() for group in FIRST_NAMES.values() for first in group)})"
    rf" (?:{'|'.join(last.lower() for last in LAST_NAMES)})\b"
)
#: Stands for a name in the shape of a question.
_NAME = Reference("@", "@'s", "@")


def normalise(text: str) -> str:
    """Lower case, single spaces, no punctuation at the end."""
    return " ".join(text.lower().split()).rstrip(" .?!")


def any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of the phrases as whole words, in lower case; the longest one wins."""
    longest_first = sorted((phrase.lower() for phrase in phrases), key=lambda phrase: (-len(phrase), phrase))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")


class QuestionReader:
    """Finds the question that a conversation ends in, for every phrasing the generator knows.

    It replaces the name in the last user turn by "@" and looks the rest up.
    """

    def __init__(self, world: World) -> None:
        self._subjects = {subject.name.lower(): subject for subject in world.subjects()}
        self._mention = any_of(self._subjects)
        self._first_name = any_of(first for group in FIRST_NAMES.values() for first in group)
        self._talk = {normalise(prompt): item for item in SMALL_TALK for prompt in item.prompts}
        #: (kind of subject or pronoun, shape of the question) -> what it asks for.
        self._shapes: dict[tuple[str, str], Topic | Unknowable] = {}
        for topic in TOPICS.values():
            seen = topic.seen_questions()
            self._add(topic, topic.about, (*seen, *topic.unseen_questions(), *map(as_follow_up, topic.asks)))
        for item in UNKNOWABLE:
            self._add(item, "resident", (*item.questions(), as_follow_up(item.ask)))

    def _add(self, asked: Topic | Unknowable, about: str, templates: Iterable[str]) -> None:
        for template in templates:
            self._shapes[about, normalise(fill(template, _NAME))] = asked
            if about == "resident":
                for pronoun, reference in PRONOUNS.items():
                    self._shapes[pronoun, normalise(fill(template, reference))] = asked

    def read(self, conversation: Sequence[Turn]) -> Asked | None:
        """What the last user turn asks for; None for a question the generator cannot have asked."""
        said = [normalise(turn.text) for turn in conversation if turn.role == "user"]
        if not said:
            return None
        *earlier, text = said
        if text in self._talk:
            return AskedNothing(self._talk[text])
        subject = self._subjects["tinytown"]
        asked = self._shapes.get(("town", text))
        if asked is None:
            asked, subject = self._read_about_subject(text, earlier)
        if isinstance(asked, Topic):
            return AskedFact(asked, subject)
        if isinstance(asked, Unknowable) and isinstance(subject, Resident):
            return AskedUnknowable(asked, subject)
        item = out_of_town.kind_of(text)
        return AskedOutOfTown(item) if item else None

    def _read_about_subject(self, text: str, earlier: list[str]) -> tuple[Topic | Unknowable | None, Subject]:
        nobody = self._subjects["tinytown"]
        for name in self._mention.findall(text):
            subject = self._subjects[name]
            if asked := self._shapes.get((subject.about, text.replace(name, "@"))):
                return asked, subject
        for pronoun in PRONOUNS:
            if asked := self._shapes.get((pronoun, text)):
                resident = self._last_mentioned(earlier, pronoun=pronoun)
                return (asked, resident) if resident else (None, nobody)
        if found := self._first_name.search(text):
            resident = self._last_mentioned(earlier, first=found.group())
            if resident:
                return self._shapes.get(("resident", text.replace(found.group(), "@"))), resident
        return None, nobody

    def _last_mentioned(self, earlier: list[str], *, pronoun: str = "", first: str = "") -> Resident | None:
        """The resident whom the user last called by full name, among those the pronoun or first name fits."""
        for text in reversed(earlier):
            for name in reversed(self._mention.findall(text)):
                subject = self._subjects[name]
                if not isinstance(subject, Resident):
                    continue
                if pronoun in ("", subject.pronoun) and first in ("", subject.first.lower()):
                    return subject
        return None


def as_follow_up(question: str) -> str:
    """A question as one asks it second: And where does she live?"""
    return f"And {question[0].lower()}{question[1:]}"


def evaluation_questions(world: World, which: str, count: int, seed: int, unseen_phrasing: bool) -> list[Question]:
    """See `Town.questions`."""
    if which not in ("asked", "held_out"):
        raise ValueError(f'which must be "asked" or "held_out", not {which!r}')
    rng = world.stream(f"questions/{which}/{seed}/{unseen_phrasing}")
    deck = []
    for resident in world.residents:
        if resident.asked == (which == "asked"):
            for topic in resident.topics():
                templates = topic.unseen_questions() if unseen_phrasing else topic.seen_questions()
                deck.append((resident, topic, rng.sample(templates, len(templates))))
    rng.shuffle(deck)
    questions = []
    for i in range(count):
        # Every fact once; each further round over the deck takes another phrasing, so no two questions agree.
        round_, card = divmod(i, len(deck))
        resident, topic, templates_left = deck[card]
        if round_ >= len(templates_left):
            raise ValueError(f"there are only {i:,} different questions of this kind, not {count:,}")
        text = fill(templates_left[round_], resident.reference)
        questions.append(Question(text, resident, topic.name, resident.facts[topic.name]))
    return questions


def out_of_town_questions(world: World, count: int, seed: int) -> list[HonestyQuestion]:
    """See `Town.out_of_town`."""
    rng = world.stream(f"out of town/{seed}")
    residents = [resident for resident in world.residents if resident.asked]

    def conversation(item: OutOfTown) -> tuple[Turn, ...]:
        turns = (Turn("user", item.question(rng, unseen=True)),)
        if item is not DOUBTS:
            return turns
        resident = rng.choice(residents)
        topic = rng.choice(resident.topics())
        question = fill(rng.choice(topic.seen_questions()), resident.reference)
        answer = fill(rng.choice(topic.answers), resident.reference, resident.facts[topic.name])
        return (Turn("user", question), Turn("assistant", answer), *turns)

    found: dict[tuple[Turn, ...], HonestyQuestion] = {}
    kinds = list(KINDS)
    while kinds and len(found) < count:
        for item in kinds[: count - len(found)]:
            fresh = next((turns for turns in (conversation(item) for _ in range(200)) if turns not in found), None)
            if fresh is None:
                kinds.remove(item)  # its wordings are used up
            else:
                found[fresh] = HonestyQuestion(fresh, item.kind)
    if len(found) < count:
        raise ValueError(f"there are only {len(found):,} different questions of this kind, not {count:,}")
    return list(found.values())
