"""Reads a reply sentence by sentence: what each states, of whom, and whether it is a sentence of Tinytown at all.

The grammar is data: the templates of `topics.Topic`, `speech` and `wordings`. All of them lie in one tree of words, in
which a name or a value is a branch of its kind, so "Ada Finch lives on Elm Street." is found at "<person> lives on
<street>". A sentence means something only if it follows one branch from its first word to its last. Nothing is guessed:
a denial, a hedge, a list of values or a jumble of words follows none, so it means nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple

from . import out_of_town, speech, wordings
from .people import FIRST_NAMES, LAST_NAMES
from .places import EVENTS, PLACES, SEASONS
from .prose import ESSAYS
from .topics import PRONOUNS, Reference, Topic
from .world import TOPICS

_END_OF_SENTENCE = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
_TOKEN = re.compile(r"<\w+>|[a-z0-9]+(?:'(?!s\b)[a-z]+)?|'s\b|\S", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_LEAD = re.compile("|".join(f"{lead.lower().replace(',', ',?')},? " for lead in wordings.LEADS))
_RUDENESS = re.compile(rf"\b(?:{'|'.join(speech.RUDENESS)})", re.IGNORECASE)
_COURTESY = re.compile(rf"\b(?:{'|'.join(speech.COURTESY)})", re.IGNORECASE)
#: Where a sentence may end. No token is the empty one.
_END = ""
#: The most words of a name or a value.
_WORDS_OF_NAME = 3


class Claim(NamedTuple):
    """A fact is stated. `topic` is the name of a topic, or the question of an `Unknowable`; `subject`, in lower case
    like `value`, is a name, a first name, a pronoun, or "" where none is said."""

    topic: str
    subject: str = ""
    value: str = ""


class Admission(NamedTuple):
    """A fact is said to be unknown. `topic` is "" where it is left open which."""

    topic: str
    subject: str = ""


class Phrase(NamedTuple):
    """A sentence without facts of the town's, as its words in lower case."""

    text: str


Meaning = Claim | Admission | Phrase


class Sentence(NamedTuple):
    """One sentence of a reply. It has no meaning if it cannot be understood, and more than one if it does not say
    enough: "Elm Street." may say where somebody lives, or where a shop is."""

    text: str
    meanings: tuple[Meaning, ...]
    words: int
    courteous: bool  # understood, and polite
    rude: bool
    whole: bool  # from a capital letter or a number to a mark at the end, with no other capitals than those of names

    @property
    def phrase(self) -> str | None:
        """The phrase that it is, if it is one."""
        return next((meaning.text for meaning in self.meanings if isinstance(meaning, Phrase)), None)


def read_reply(reply: str) -> list[Sentence]:
    """The sentences of any text, with what they mean."""
    texts = (" ".join(text.split()) for text in split(reply))
    return [read_sentence(text) for text in texts if text]


@lru_cache(maxsize=2**14)
def read_sentence(text: str) -> Sentence:
    """One sentence, with what it means. A question mark counts, other marks at the end do not."""
    words = text.lower()
    meanings = grammar().meanings(words)
    if not meanings and (rest := without_lead(words)) != words:
        meanings = grammar().meanings(rest)
    return Sentence(
        text,
        meanings,
        words=len(_WORD.findall(words)),
        courteous=bool(meanings) and bool(_COURTESY.search(text)),
        rude=bool(_RUDENESS.search(text)),
        whole=text.endswith((".", "!", "?")) and grammar().is_spelt(text),
    )


def without_lead(words: str) -> str:
    """A sentence in lower case without "of course" and the like in front of it."""
    lead = _LEAD.match(words)
    return words[lead.end() :] if lead else words


@cache
def grammar() -> Grammar:
    """All that is said in Tinytown. It is the same in every town: the seed decides what is true."""
    return Grammar()


class Grammar:
    """The tree of all sentences. Each node maps the next word, or the kind of a name in a tuple of one, to a node."""

    def __init__(self) -> None:
        self._root: dict[Any, Any] = {}
        self._kinds: dict[str, list[str]] = {}
        #: Words that may stand inside a sentence, spelt as they are there, and its marks.
        self._spelling = {"an", ",", ".", "!", "?"}
        for name, kind in names():
            self._spelling.update(_TOKEN.findall(name))
            kinds = self._kinds.setdefault(name.lower(), [])
            if kind not in kinds:
                kinds.append(kind)
        for template, topic, meaning in stated():
            self._add_about(template, topic, meaning)
        for lead in wordings.LEADS:
            self._learn_spelling(lead)
        for phrase in phrases():
            self._learn_spelling(phrase)
            self._add(tokens(phrase), {}, Phrase(plain(phrase)))

    def meanings(self, text: str) -> tuple[Meaning, ...]:
        """Everything that a sentence in lower case may mean."""
        found: dict[Meaning, None] = {}
        self._walk(tokens(text), 0, self._root, (), found)
        return tuple(found)

    def is_spelt(self, text: str) -> bool:
        """Does a sentence begin with a capital letter or a number, and go on in words spelt as they should be?"""
        first, *words = _TOKEN.findall(text)
        return (first[0].isupper() or first[0].isdigit()) and self._spelling.issuperset(words)

    def words(self) -> frozenset[str]:
        """Every word that is said in Tinytown, in lower case."""
        found = {word for name in self._kinds for word in name.split()}
        nodes = [self._root]
        while nodes:
            for key, below in nodes.pop().items():
                if key != _END:
                    nodes.append(below)
                    found |= {key} if isinstance(key, str) and key.isalnum() else set()
        return frozenset(found)

    def _learn_spelling(self, sentence: str) -> None:
        first, *words = _TOKEN.findall(sentence)
        self._spelling.update(words, [first if first == "I" else first.lower()])

    def _add_about(self, template: str, topic: Topic, meaning: Claim | Admission) -> None:
        """Add a template for every way to point at a subject of the topic's."""
        for subject, reference in references(topic.about):
            sentence = template.format(**vars(reference), value="<value>", a_value="a <value>")
            self._learn_spelling(sentence)
            kinds = {"<subject>": topic.about.replace("resident", "person"), "<value>": kind_of(topic)}
            self._add(tokens(sentence), kinds, meaning._replace(subject=subject))

    def _add(self, words: list[str], kinds: dict[str, str], meaning: Meaning) -> None:
        """Add a sentence, with its commas and without them. `kinds` are those of the places to fill in it."""
        slots = tuple(word.strip("<>") for word in words if word in kinds)
        for sentence in (words, [word for word in words if word != ","]):
            node = self._root
            for word in sentence:
                node = node.setdefault((kinds[word],) if word in kinds else word, {})
            ends = node.setdefault(_END, [])
            ends += [end for end in {(meaning, slots), (meaning, in_reverse(meaning, slots))} if end not in ends]

    def _walk(
        self, words: list[str], at: int, node: dict[Any, Any], filled: tuple[str, ...], found: dict[Meaning, None]
    ) -> None:
        """Follow every branch that fits the words from `at` on."""
        if at == len(words):
            for meaning, slots in node.get(_END, ()):
                found[meaning._replace(**dict(zip(slots, filled, strict=True)))] = None
            return
        if below := node.get(words[at]):
            self._walk(words, at + 1, below, filled, found)
        for end in range(at + 1, min(at + _WORDS_OF_NAME, len(words)) + 1):
            name = " ".join(words[at:end])
            for kind in self._kinds.get(name, ()):
                if below := node.get((kind,)):
                    self._walk(words, end, below, (*filled, name), found)


def in_reverse(meaning: Meaning, slots: tuple[str, ...]) -> tuple[str, ...]:
    """The places to fill, exchanged where that says the same: a sibling's sibling is oneself."""
    return slots[::-1] if isinstance(meaning, Claim) and meaning.topic == "sibling" and len(slots) == 2 else slots


def tokens(text: str) -> list[str]:
    """Words, commas and question marks, in lower case; "an" is "a", and other marks at the end are left out."""
    text = text.lower()
    found = _TOKEN.findall(text[:-1] if text.endswith((".", "!")) else text)
    return ["a" if word == "an" else word for word in found]


def plain(phrase: str) -> str:
    """What a `Phrase` calls itself."""
    return " ".join(word for word in tokens(phrase) if word != ",")


def references(about: str) -> Iterator[tuple[str, Reference]]:
    """The ways to point at a subject of this kind, each with the pronoun that stands for it, or ""."""
    name = "the <subject>" if about in ("place", "event") else "<subject>"
    yield "", Reference(name, f"{name}'s", name)
    if about == "resident":
        yield from PRONOUNS.items()
    elif about != "town":
        yield "it", Reference("it", "its", "it")


def names() -> Iterator[tuple[str, str]]:
    """Every name and value, with its kind."""
    for firsts in FIRST_NAMES.values():
        for first in firsts:
            yield first, "person"
            yield from ((f"{first} {last}", "person") for last in LAST_NAMES)
    for kind, group in {"place": PLACES, "event": EVENTS, "season": SEASONS}.items():
        yield from ((name, kind) for name in group)
    for topic in TOPICS.values():
        yield from ((value, kind_of(topic)) for value in topic.values)


@cache
def kind_of(topic: Topic) -> str:
    """What kind of value a topic has: topics with the same values share it."""
    if not topic.values:
        return "person"
    if set(topic.values) == set(PLACES):
        return "place"
    return next(other.name for other in TOPICS.values() if other.values == topic.values)


def stated() -> Iterator[tuple[str, Topic, Claim | Admission]]:
    """Every template that speaks of a fact, with the topic that says what fills it."""
    for topic in TOPICS.values():
        claim = Claim(topic.name)
        yield from ((template, topic, claim) for template in wordings.statements(topic))
        yield from ((template, topic, claim) for template in wordings.bare_answers(topic))
        yield from ((template, topic, Admission(topic.name)) for template in wordings.admissions(topic.clauses))
    person = TOPICS["friend"]
    for item in speech.UNKNOWABLE:
        filler = TOPICS[item.topic]
        yield item.wrong, filler, Claim(item.ask)
        yield from ((template, person, Admission(item.ask)) for template in wordings.admissions((item.clause,)))
    yield from ((template, person, Admission("")) for template in wordings.admissions(("", "that")))


def phrases() -> Iterator[str]:
    """Every sentence that states no fact."""
    yield from (*speech.GOOD_BEFORE, *speech.GOOD_AFTER, *speech.RUDE_AFTER, *speech.FILLERS, *wordings.BESIDE)
    for talk in speech.SMALL_TALK:
        for text in (*talk.prompts, *talk.good, talk.plain, talk.curt, *talk.also):
            yield from split(text)
    for kind in out_of_town.KINDS:
        yield from (sentence for reply in kind.replies for sentence in bare_sentences(reply))
    for essay in ESSAYS.values():
        for choices in essay:
            yield from choices


def bare_sentences(text: str) -> list[str]:
    """The sentences of a text, each without "I am sorry" and the like in front of it."""
    return [s[len(s) - len(without_lead(s.lower())) :] for s in split(text)]


def split(text: str) -> list[str]:
    """The sentences of a text; a line's end ends one too."""
    return _END_OF_SENTENCE.split(text)
