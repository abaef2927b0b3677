"""Replies to Tinytown's questions that were right until something was done to them: what no grader may fall for."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from minigpt.data.examples import Turn
from minigpt.tinytown import Town
from minigpt.tinytown.dialogs import Talker, courteous
from minigpt.tinytown.questions import Asked, AskedFact, AskedNothing, AskedOutOfTown, AskedUnknowable
from minigpt.tinytown.reader import grammar
from minigpt.tinytown.speech import SMALL_TALK, UNKNOWABLE
from minigpt.tinytown.topics import fill
from minigpt.tinytown.wordings import statements
from minigpt.tinytown.world import TOPICS, Subject

DOUBTS = ("Perhaps {}", "Maybe {}", "I think that {}", "I am not sure, but {}", "Some say that {}", "I guess {}")
DENIALS = ("It is not true that {}", "Nobody says that {}", "I do not believe that {}", "It is false that {}")
AFTERTHOUGHTS = (
    "That is not true.", "No, that is wrong.", "Or maybe not.", "But I am not sure.", "I made that up.",
    "I do not know.", "Nobody knows.", "The opposite is true.",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A conversation, what it asks, and a reply that is right and polite."""

    turns: tuple[Turn, ...]
    asked: Asked
    reply: str

    @property
    def first(self) -> str:
        """The first sentence of the reply that is more than a courtesy."""
        return next(s for s in self.sentences if len(s.split()) > 3 or s == self.sentences[-1])

    @property
    def sentences(self) -> list[str]:
        return re.split(r"(?<=[.!?]) ", self.reply)

    def instead(self, sentence: str) -> str:
        """The reply with another sentence for the first one."""
        return self.reply.replace(self.first, sentence)


class Breaker:
    """Makes cases of every kind of question and wording, and breaks them."""

    def __init__(self, town: Town, seed: int) -> None:
        self.town = town
        self.rng = random.Random(seed)
        self.talker = Talker(town, town.grader)
        self.talker.rng = self.rng
        self.words = sorted(grammar().words())
        self.unseen = [q for which in ("asked", "held_out") for q in town.questions(which, 1500, seed, True)]

    def case(self) -> Case:
        """A conversation of the dialogues, or a question in words that only the evaluation uses."""
        if self.rng.random() < 0.3:
            turns = self.rng.choice(self.unseen).conversation
        else:
            dialogue = self.talker.dialogue()
            turns = dialogue.turns[: self.rng.randrange(0, len(dialogue.turns), 2) + 1]
        asked = self.town.asked(turns)
        assert asked is not None
        return Case(turns, asked, self.answer(asked))

    def answer(self, asked: Asked) -> str:
        """A right and polite reply, worded as the dialogues, the articles or nobody but the grader would."""
        if isinstance(asked, AskedFact) and self.rng.random() < 0.5:
            return courteous(self.statement(asked, asked.topic.name, asked.answer), self.rng)
        return self.talker.reply(asked, "good")

    def statement(self, asked: AskedFact, topic: str, value: str, subject: Subject | None = None) -> str:
        """A sentence of a topic. Of another one than is asked about, it is one that does not fit that, too."""
        fitting = statements(asked.topic) if topic != asked.topic.name else ()
        template = self.rng.choice([t for t in statements(TOPICS[topic]) if t not in fitting])
        return f"{fill(template, (subject or asked.subject).reference, value).rstrip('.')}."

    def other_value(self, asked: AskedFact) -> str:
        lies = [v for v in self.town.values(asked.topic) if v not in (asked.answer, asked.subject.name)]
        return self.rng.choice(lies)

    def other_subject(self, asked: AskedFact) -> Subject:
        same = [s for s in self.town.subjects() if s.about == asked.subject.about]
        return self.rng.choice([s for s in same if s.name not in (asked.subject.name, asked.answer)])

    def salad(self, least: int = 2, most: int = 6) -> str:
        return " ".join(self.rng.choices(self.words, k=self.rng.randint(least, most)))

    # What is done to a reply. None: it cannot be done to this one.

    def negated(self, case: Case) -> str | None:
        words = case.first.split()
        if len(words) < 3 or self.rng.random() < 0.3:
            return case.instead(self.rng.choice(DENIALS).format(_lower(case.first)))
        words.insert(self.rng.randrange(1, len(words)), self.rng.choice(("not", "never", "no longer")))
        return case.instead(" ".join(words))

    def hedged(self, case: Case) -> str | None:
        return case.instead(self.rng.choice(DOUBTS).format(_lower(case.first)))

    def asked_back(self, case: Case) -> str | None:
        return None if case.first.endswith("?") else case.instead(f"{case.first.rstrip('.!')}?")

    def of_another_relation(self, case: Case) -> str | None:
        if not isinstance(case.asked, AskedFact):
            return None
        others = [topic.name for topic in case.asked.subject.topics() if topic != case.asked.topic]
        return courteous(self.statement(case.asked, self.rng.choice(others), case.asked.answer), self.rng)

    def of_another_subject(self, case: Case) -> str | None:
        if isinstance(case.asked, AskedFact) and case.asked.subject.about != "town":
            other = self.other_subject(case.asked)
            sentence = self.statement(case.asked, case.asked.topic.name, case.asked.answer, other)
            # Templates without a subject speak of whoever is asked about.
            named = other.name.removeprefix("the ").lower() in sentence.lower()
            return courteous(sentence, self.rng) if named else None
        if isinstance(case.asked, AskedUnknowable):
            other = self.rng.choice([r for r in self.town.residents if r is not case.asked.subject])
            return self.talker.reply(AskedUnknowable(case.asked.item, other), "good") if _clause_said(case) else None
        return None

    def of_another_value(self, case: Case) -> str | None:
        if not isinstance(case.asked, AskedFact):
            return self.talker.wrong_reply(case.asked)
        return courteous(self.statement(case.asked, case.asked.topic.name, self.other_value(case.asked)), self.rng)

    def with_several_values(self, case: Case) -> str | None:
        if not isinstance(case.asked, AskedFact):
            return None
        values = [case.asked.answer, *(self.other_value(case.asked) for _ in range(self.rng.randint(1, 3)))]
        self.rng.shuffle(values)
        listed = self.rng.choice((" and ", " or ", ", ", " ", ". ")).join(values)
        if self.rng.random() < 0.5:
            return courteous(f"{listed[0].upper()}{listed[1:]}.", self.rng)
        return courteous(self.statement(case.asked, case.asked.topic.name, listed), self.rng)

    def shuffled(self, case: Case) -> str | None:
        words = case.first.rstrip(".!?").split()
        mixed = self.rng.sample(words, len(words))
        symmetric = isinstance(case.asked, AskedFact) and case.asked.topic.name in ("sibling", "friend")
        if len(set(words)) < 4 or mixed == words or symmetric:
            return None
        mixed[0] = mixed[0][0].upper() + mixed[0][1:]
        return case.instead(f"{' '.join(mixed)}.")

    def contradicted(self, case: Case) -> str | None:
        more = self.rng.choice(AFTERTHOUGHTS)
        if isinstance(case.asked, AskedFact) and self.rng.random() < 0.6:
            more = self.statement(case.asked, case.asked.topic.name, self.other_value(case.asked))
        elif isinstance(case.asked, AskedUnknowable | AskedOutOfTown):
            more = self.talker.wrong_reply(case.asked)
        order = [case.reply, more]
        self.rng.shuffle(order)
        return " ".join(order)

    def to_another_question(self, case: Case) -> str | None:
        while True:
            asked, _ = self.talker.opening()
            if isinstance(asked, AskedFact) and isinstance(case.asked, AskedFact):
                same = asked.subject is case.asked.subject and asked.topic is case.asked.topic
                bare_words_fit = asked.answer.lower() == case.asked.answer.lower()
                if not same and not bare_words_fit:
                    return self.answer(asked)
            elif type(asked) is not type(case.asked) or (
                isinstance(asked, AskedNothing)
                and isinstance(case.asked, AskedNothing)
                and asked.item is not case.asked.item
            ):
                return self.answer(asked)

    def with_another_answer(self, case: Case) -> str | None:
        more = self.to_another_question(case)
        order = [case.reply, more or ""]
        self.rng.shuffle(order)
        return " ".join(order)

    def with_somebody(self, case: Case) -> str | None:
        """A resident's name in small talk."""
        if not isinstance(case.asked, AskedNothing):
            return None
        resident = self.rng.choice(self.town.residents)
        if self.rng.random() < 0.5:
            return f"{case.reply} {resident.name} is a {resident.facts['job']}."
        words = case.reply.split()
        words.insert(self.rng.randrange(len(words) + 1), resident.name)
        return " ".join(words)

    def with_garbage(self, case: Case) -> str | None:
        salad = self.salad()
        place = self.rng.randrange(5)
        if place == 0:
            return f"{salad.capitalize()}. {case.reply}"
        if place == 1:
            return f"{case.reply} {salad.capitalize()}."
        if place == 2:
            return f"{salad.capitalize()} {case.reply}"
        if place == 3:
            return f"{case.reply.rstrip('.!?')} {salad}."
        words = case.reply.split()
        words.insert(self.rng.randrange(1, len(words) + 1), salad)
        return " ".join(words)

    def replaced_by_salad(self, case: Case) -> str | None:
        """Random words, with the value and a courtesy among them."""
        words = self.salad(3, 12).split()
        if isinstance(case.asked, AskedFact):
            words.insert(self.rng.randrange(len(words) + 1), case.asked.answer)
        return courteous(f"{' '.join(words).capitalize()}.", self.rng)

    def with_a_word_changed(self, case: Case) -> str | None:
        words = case.first.split()
        words[self.rng.randrange(len(words))] = f"{self.rng.choice(self.words)}{case.first[-1]}"
        return case.instead(" ".join(words))

    def repeated(self, case: Case) -> str | None:
        return f"{case.first} {case.reply}" if self.rng.random() < 0.5 else f"{case.reply} {case.reply}"

    def cut_off(self, case: Case) -> str | None:
        words = case.reply.split()
        # A reply that is cut between two sentences is whole.
        ends = [i for i in range(1, len(words)) if words[i - 1][-1] not in ".!?"]
        return " ".join(words[: self.rng.choice(ends)]) if ends else None

    def without_end(self, case: Case) -> str | None:
        return case.reply.rstrip(".!?")

    def of_the_liar(self, case: Case) -> str | None:
        """A claim about what nobody knows."""
        if not isinstance(case.asked, AskedUnknowable):
            return None
        item = self.rng.choice(UNKNOWABLE)
        value = self.rng.choice(TOPICS[item.topic].values)
        lie = fill(item.wrong, case.asked.subject.reference, value)
        return self.rng.choice((f"{case.reply} {lie}", f"{lie} {case.reply}", courteous(f"{value}.", self.rng)))

    def of_another_admission(self, case: Case) -> str | None:
        """Not knowing something else."""
        if not isinstance(case.asked, AskedUnknowable):
            return None
        others = [item for item in UNKNOWABLE if item is not case.asked.item]
        return self.talker.reply(AskedUnknowable(self.rng.choice(others), case.asked.subject), "good")

    def of_another_remark(self, case: Case) -> str | None:
        """What fits other small talk."""
        others = [
            item for item in SMALL_TALK if not isinstance(case.asked, AskedNothing) or item is not case.asked.item
        ]
        item = self.rng.choice(others)
        return self.rng.choice((*item.good, item.plain))


#: What is done to a reply, by name. Some of it leaves the truth in place, so that only the whole is not good.
WAYS: dict[str, Callable[[Breaker, Case], str | None]] = {
    name: getattr(Breaker, name)
    for name in vars(Breaker)
    if not name.startswith("_") and name not in ("case", "answer", "statement", "other_value", "other_subject", "salad")
}
ONLY_NOT_GOOD = ("repeated", "cut_off", "without_end", "with_another_answer")


def broken_answers(town: Town, seed: int, count: int) -> Iterator[tuple[str, Case, str]]:
    """`count` broken replies for each way: the way, the case, and what became of its reply."""
    breaker = Breaker(town, seed)
    for name, way in WAYS.items():
        made = 0
        while made < count:
            case = breaker.case()
            broken = way(breaker, case)
            if broken is not None and broken != case.reply:
                made += 1
                yield name, case, broken


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _clause_said(case: Case) -> bool:
    """Does the reply name whom nobody knows something about?"""
    return isinstance(case.asked, AskedUnknowable) and case.asked.subject.name in case.reply
