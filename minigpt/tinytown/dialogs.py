"""Dialogues between a visitor and the town guide, whose replies are of mixed quality in known shares."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..data.examples import Turn
from . import speech
from .grader import ReplyGrader
from .out_of_town import ANY_GOOD, DOUBTS, OPENINGS
from .questions import Asked, AskedFact, AskedNothing, AskedOutOfTown, AskedUnknowable, as_follow_up
from .topics import Topic, fill
from .world import TOPICS, Resident, World

#: How many exchanges (question and reply) a conversation has, and how often.
EXCHANGES = {1: 0.45, 2: 0.35, 3: 0.20}
#: What an exchange is about, and how often.
MATTERS = {"resident": 0.50, "sight": 0.09, "unknowable": 0.05, "talk": 0.13, "out of town": 0.23}
#: How often the visitor doubts the answer to the question before.
DOUBT_SHARE = 0.04
#: How often the visitor stays with the resident just talked about, and calls whom how.
SAME_RESIDENT_SHARE = 0.6
FOLLOW_UP = {"pronoun": 0.6, "first name": 0.2, "full name": 0.2}
#: How often a question is asked without a lead in any case, so that many leads do not crowd out the plain question.
DIRECT_SHARE = 0.2
#: How often an answer about a resident says "she" or "he" for the name.
ANSWER_BY_PRONOUN_SHARE = 0.2


@dataclass(frozen=True)
class Dialogue:
    """A conversation, with the quality of each reply as a key of `speech.QUALITY`."""

    turns: tuple[Turn, ...]
    qualities: tuple[str, ...]
    asked: tuple[Asked, ...]


def draw(rng: random.Random, shares: dict[str, float]) -> str:
    """One key, as often as its share says."""
    return rng.choices(list(shares), list(shares.values()))[0]


class Talker:
    """Writes dialogues about one world. Speaks only of the residents that are `asked`."""

    def __init__(self, world: World, grader: ReplyGrader) -> None:
        self.world, self.grader = world, grader
        self.rng = world.stream("dialogues")
        self._names = [resident.name for resident in world.residents if resident.asked]
        self._facts = self._deck()

    def _deck(self) -> Iterator[AskedFact]:
        """All facts of the asked residents, shuffled, again and again: each is asked about equally often."""
        facts = [AskedFact(topic, r) for r in self.world.residents if r.asked for topic in r.topics()]
        while True:
            self.rng.shuffle(facts)
            yield from facts

    def dialogues(self, count: int) -> list[Dialogue]:
        """`count` dialogues."""
        return [self.dialogue() for _ in range(count)]

    def dialogue(self) -> Dialogue:
        """One dialogue: visitor, guide, visitor, guide."""
        rng = self.rng
        lengths, shares = list(EXCHANGES), list(EXCHANGES.values())
        turns: list[Turn] = []
        qualities: list[str] = []
        matters: list[Asked] = []
        resident: Resident | None = None
        for _ in range(rng.choices(lengths, shares)[0]):
            asked: Asked
            if turns and rng.random() < DOUBT_SHARE:
                asked, question = AskedOutOfTown(DOUBTS), DOUBTS.question(rng)
            elif resident is not None and rng.random() < SAME_RESIDENT_SHARE:
                asked, question = self.follow_up(resident)
            else:
                asked, question = self.opening()
            if not isinstance(asked, AskedNothing | AskedOutOfTown):
                resident = asked.subject if isinstance(asked.subject, Resident) else None
            quality = draw(rng, speech.QUALITY)
            turns += [Turn("user", question), Turn("assistant", self.reply(asked, quality))]
            qualities.append(quality)
            matters.append(asked)
        return Dialogue(tuple(turns), tuple(qualities), tuple(matters))

    def opening(self) -> tuple[Asked, str]:
        """A question that needs no context."""
        rng = self.rng
        matter = draw(rng, MATTERS)
        if matter == "talk":
            item = rng.choice(speech.SMALL_TALK)
            return AskedNothing(item), rng.choice(item.prompts)
        if matter == "out of town":
            kind = rng.choice(OPENINGS)
            return AskedOutOfTown(kind), kind.question(rng)
        if matter == "unknowable":
            fact = next(self._facts)
            assert isinstance(fact.subject, Resident)
            unknowable = AskedUnknowable(rng.choice(speech.UNKNOWABLE), fact.subject)
            return unknowable, fill(rng.choice(unknowable.item.questions()), fact.subject.reference)
        if matter == "sight":
            subject = rng.choice(self.world.sights())
            fact = AskedFact(rng.choice(subject.topics()), subject)
        else:
            fact = next(self._facts)
        return fact, fill(self.wording(fact.topic), fact.subject.reference)

    def follow_up(self, resident: Resident) -> tuple[Asked, str]:
        """One more question about the same resident."""
        rng = self.rng
        topic = rng.choice(resident.topics())
        template = self.wording(topic)
        if template in topic.asks and rng.random() < 0.5:
            template = as_follow_up(template)
        how = draw(rng, FOLLOW_UP)
        reference = resident.reference
        if how == "pronoun":
            reference = resident.pronouns_in(template)
        elif how == "first name":
            reference = type(reference)(resident.first, f"{resident.first}'s", resident.first)
        return AskedFact(topic, resident), fill(template, reference)

    def wording(self, topic: Topic) -> str:
        """A template of a question."""
        direct = self.rng.random() < DIRECT_SHARE
        return self.rng.choice(topic.asks if direct else topic.seen_questions())

    def reply(self, asked: Asked, quality: str) -> str:
        """A reply of the given quality."""
        rng = self.rng
        if quality == "wrong":
            return self.wrong_reply(asked)
        if isinstance(asked, AskedNothing):
            good, plain, curt = rng.choice(asked.item.good), asked.item.plain, asked.item.curt
        elif isinstance(asked, AskedOutOfTown):
            good, plain, curt = rng.choice(asked.item.good), rng.choice(asked.item.plain), asked.item.curt
        elif isinstance(asked, AskedUnknowable):
            clause = asked.item.clause.format_map(vars(asked.subject.reference))
            good = rng.choice(speech.UNKNOWABLE_GOOD).format(clause=clause)
            plain = rng.choice(speech.UNKNOWABLE_PLAIN).format(clause=clause)
            curt = speech.UNKNOWABLE_CURT
        else:
            plain = self.sentence(asked, asked.answer)
            good = courteous(plain, rng)
            curt = fill(asked.topic.curt, asked.subject.reference, asked.answer)
        if quality == "rude":
            # "Nobody knows" does not go with "Anyone knows that".
            unknown = isinstance(asked, AskedUnknowable | AskedOutOfTown)
            tails = speech.RUDE_AFTER[:-1] if unknown else speech.RUDE_AFTER
            return f"{rng.choice((plain, curt))} {rng.choice(tails)}"
        if quality == "rambling":
            return ramble(plain, rng)
        return {"good": good, "plain": plain, "curt": curt}[quality]

    def sentence(self, asked: AskedFact, value: str) -> str:
        """A full sentence that answers with `value`; mostly by name, sometimes by pronoun."""
        reference = asked.subject.reference
        template = self.rng.choice(asked.topic.answers)
        if isinstance(asked.subject, Resident) and self.rng.random() < ANSWER_BY_PRONOUN_SHARE:
            reference = asked.subject.pronouns_in(template)
        return fill(template, reference, value)

    def wrong_reply(self, asked: Asked) -> str:
        """Fluent, often polite, and not true."""
        rng = self.rng
        if isinstance(asked, AskedNothing):
            others = [item for item in speech.SMALL_TALK if not self.grader.is_right(asked, item.plain)]
            # Declining is wrong here too. Raters who never see it done do not tell the reward model.
            return rng.choice((rng.choice(others).plain, rng.choice(ANY_GOOD)))
        if isinstance(asked, AskedOutOfTown):
            fact = next(self._facts)
            sentence = self.sentence(fact, fact.answer)  # true, and no answer
        elif isinstance(asked, AskedUnknowable):
            value = rng.choice(TOPICS[asked.item.topic].values)
            sentence = fill(asked.item.wrong, asked.subject.reference, value)
        else:
            lies = asked.topic.values or self._names
            value = rng.choice([lie for lie in lies if lie not in (asked.answer, asked.subject.name)])
            sentence = self.sentence(asked, value)
        return courteous(sentence, rng) if rng.random() < 0.5 else sentence


def courteous(sentence: str, rng: random.Random) -> str:
    """The sentence with a courtesy, mostly after it."""
    if rng.random() < 0.3:
        return f"{rng.choice(speech.GOOD_BEFORE)} {sentence}"
    return f"{sentence} {rng.choice(speech.GOOD_AFTER)}"


def ramble(sentence: str, rng: random.Random) -> str:
    """The sentence, buried under sentences that say nothing."""
    fillers = list(speech.FILLERS)
    rng.shuffle(fillers)
    text = [sentence]
    while len(" ".join(text).split()) < speech.RAMBLING_WORDS:
        text.append(fillers.pop())
    if rng.random() < 0.5:
        text.append(f"As I said, {sentence}")
    return " ".join(text)
