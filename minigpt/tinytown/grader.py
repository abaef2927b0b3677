"""The town's grader knows every fact: it marks any reply as right, polite, concise and fluent, or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from ..data.examples import Turn
from . import speech, wordings
from .out_of_town import KINDS, OutOfTown
from .questions import Asked, AskedFact, AskedNothing, AskedOutOfTown, AskedUnknowable, QuestionReader
from .reader import (
    Admission,
    Claim,
    Meaning,
    Phrase,
    Sentence,
    bare_sentences,
    phrases,
    plain,
    read_reply,
    split,
    without_lead,
)
from .speech import SmallTalk
from .world import Resident, Subject, World

#: Sentences that may stand beside any answer without making it long-winded.
_BESIDE = frozenset(map(plain, (*speech.GOOD_BEFORE, *speech.GOOD_AFTER, *speech.RUDE_AFTER, *wordings.BESIDE)))
_FILLERS = frozenset(map(plain, speech.FILLERS))
_PHRASES = frozenset(map(plain, phrases()))
#: Of nothing that nobody knows can one say this.
_ANYONE_KNOWS = plain(speech.RUDE_AFTER[-1])
#: Sentences that decline to answer: in answer to a question about the town, each of them is wrong.
_DECLINING = frozenset(
    plain(said)
    for item in KINDS
    for reply in item.replies
    for said in bare_sentences(reply)
    if not said.startswith("Please")
)
#: More sentences than these are no longer concise.
MOST_SENTENCES = 4


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


class ReplyGrader:
    """Marks replies to conversations about one world. Takes any text and never raises.

    Replies are read sentence by sentence (`reader`).

    - right: some sentence answers what was asked, and no sentence says anything else. A fact is answered by its true
      value, stated of the subject by its name, its first name or its pronoun, or by the value alone; a question that
      nobody can answer by saying so, of this question or of none in particular; small talk by a sentence that fits it;
      what has nothing to do with the town by saying that one does not know or do such a thing (`out_of_town`).
      Phrases that state no fact may stand beside the answer, be they kind, rude or idle, and at the very end the
      beginning of such a phrase, or of the answer again, that was cut off. If the conversation ends in no question
      that the generator knows, no reply is right.
    - polite: a sentence with a courtesy, and no rudeness.
    - concise: 1 to 25 words in at most four sentences, and no rambling, nor idle talk beside an answer.
    - fluent: nothing but sentences that are said in Tinytown, from a capital letter to the mark at the end, and none
      that says the same as another.
    """

    def __init__(self, world: World) -> None:
        self._reader = QuestionReader(world)

    def asked(self, conversation: Sequence[Turn]) -> Asked | None:
        """What the conversation ends in: a fact, an unknowable, small talk, or nothing known (None)."""
        return self._reader.read(conversation)

    def grade(self, conversation: Sequence[Turn], reply: str) -> Grade:
        """Mark one reply to the last user turn."""
        read, asked = read_reply(reply), self.asked(conversation)
        roles = _roles(asked, read)
        words = sum(sentence.words for sentence in read)
        needless = {"rambles", "idle"} if "answer" in roles else {"rambles"}
        return Grade(
            right=_is_right(asked, read, roles),
            polite=any(sentence.courteous for sentence in read) and not any(sentence.rude for sentence in read),
            concise=0 < words <= speech.CONCISE_WORDS and len(read) <= MOST_SENTENCES and not needless & set(roles),
            fluent=bool(words) and all(s.meanings and s.whole for s in read) and not _repeats(read),
        )

    @staticmethod
    def declines(reply: str) -> bool:
        """Does it say that it does not know, or will not answer?"""
        return any(
            sentence.phrase in _DECLINING or any(isinstance(meaning, Admission) for meaning in sentence.meanings)
            for sentence in read_reply(reply)
        )

    def is_right(self, asked: Asked | None, reply: str) -> bool:
        """Does `reply` answer what was asked with the truth and nothing but the truth?"""
        read = read_reply(reply)
        return _is_right(asked, read, _roles(asked, read))


def _roles(asked: Asked | None, read: list[Sentence]) -> list[str]:
    """What each sentence does: it is an "answer", it stands "beside" one, it "rambles", it is another kind of
    "idle" talk, or it "harms" the answer, because it states something else or cannot be understood."""
    roles: list[str] = []
    for sentence in read:
        phrase = sentence.phrase
        if any(_answers(asked, meaning) for meaning in sentence.meanings):
            roles.append("answer")
        elif phrase in _DECLINING or (phrase == _ANYONE_KNOWS and isinstance(asked, AskedUnknowable | AskedOutOfTown)):
            roles.append("harms")
        elif isinstance(asked, AskedOutOfTown) and phrase in _said(asked.item):
            roles.append("beside")
        elif phrase is not None:
            roles.append("beside" if phrase in _BESIDE else "rambles" if phrase in _FILLERS else "idle")
        else:
            cut_off = "answer" in roles and sentence is read[-1] and _breaks_off(asked, sentence)
            roles.append("beside" if cut_off else "harms")
    return roles


def _is_right(asked: Asked | None, read: list[Sentence], roles: list[str]) -> bool:
    if "answer" not in roles or "harms" in roles:
        return False
    if not isinstance(asked, AskedNothing):
        return True
    said = [sentence.phrase or "" for sentence, role in zip(read, roles, strict=True) if role == "answer"]
    return _is_made_of(_fitting(asked.item), tuple(said))


def _answers(asked: Asked | None, meaning: Meaning) -> bool:
    """Does it answer this question truly?"""
    if isinstance(asked, AskedNothing):
        return isinstance(meaning, Phrase) and any(meaning.text in group for group in _fitting(asked.item))
    if isinstance(asked, AskedOutOfTown):
        if isinstance(meaning, Phrase):
            return meaning.text in _DECLINING and meaning.text in _said(asked.item)
        return meaning == Admission("")
    if isinstance(asked, AskedFact):
        return (
            isinstance(meaning, Claim)
            and meaning.topic == asked.topic.name
            and meaning.value == asked.answer.lower()
            and _points_at(meaning.subject, asked.subject)
        )
    return (
        isinstance(asked, AskedUnknowable)
        and isinstance(meaning, Admission)
        and meaning.topic in ("", asked.item.ask)
        and _points_at(meaning.subject, asked.subject)
    )


def _points_at(words: str, subject: Subject) -> bool:
    """Do these words mean the subject? Without any, it is the one asked about."""
    if words in ("", subject.name.lower().removeprefix("the ")):
        return True
    if isinstance(subject, Resident):
        return words in (subject.first.lower(), subject.pronoun)
    return words == "it"


def _breaks_off(asked: Asked | None, sentence: Sentence) -> bool:
    """Is it the beginning of a phrase, or of the answer again?"""
    if sentence.text.endswith((".", "!", "?")):
        return False
    begun = plain(without_lead(sentence.text.lower()))
    return any(whole.startswith(begun) for whole in (*_PHRASES, *_true_answers(asked)))


def _true_answers(asked: Asked | None) -> Iterator[str]:
    """Whole sentences that answer a question, as `plain` gives them."""
    if isinstance(asked, AskedFact):
        templates = wordings.statements(asked.topic)
        values = {"value": asked.answer, "a_value": f"a {asked.answer}"}
    elif isinstance(asked, AskedUnknowable):
        templates, values = wordings.admissions((asked.item.clause,)), {}
    else:
        return
    subject = asked.subject
    for template in templates:
        for reference in (
            subject.reference,
            *([subject.pronouns_in(template)] if isinstance(subject, Resident) else []),
        ):
            yield plain(template.format(**vars(reference), **values))


@cache
def _fitting(item: SmallTalk) -> frozenset[tuple[str, ...]]:
    """What fits a remark: tuples of sentences that belong together, without what may stand beside any answer."""
    found = set()
    for text in (*item.good, item.plain, item.curt, *item.also):
        whole = tuple(map(plain, split(text)))
        found.add(tuple(sentence for sentence in whole if sentence not in _BESIDE) or whole)
    return frozenset(found)


@cache
def _said(item: OutOfTown) -> frozenset[str]:
    """The sentences of the replies to questions of this kind: those that decline, and those that say what to ask."""
    return frozenset(plain(sentence) for reply in item.replies for sentence in bare_sentences(reply))


def _is_made_of(groups: frozenset[tuple[str, ...]], said: tuple[str, ...]) -> bool:
    """Can it be cut into these groups?"""
    return not said or any(
        said[:size] in groups and _is_made_of(groups, said[size:]) for size in range(1, len(said) + 1)
    )


def _repeats(read: list[Sentence]) -> bool:
    """Does one sentence say what another has said, whether they say "Ada Finch" or "she"?"""
    said: set[tuple[str, ...]] = set()
    for sentence in read:
        says = {m if isinstance(m, Phrase) else (m.topic, *m[2:]) for m in sentence.meanings}
        if said & says:
            return True
        said |= says
    return False
