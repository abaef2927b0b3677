"""A topic: one kind of fact, the values it can take, and all the ways to state it, ask for it and answer it.

Templates have these places to fill:
{name} Ada Finch / she, {whose} Ada Finch's / her, {whom} Ada Finch / her, {value} baker, {a_value} a baker.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A clause ("where {name} lives") becomes a question by putting one of these around it.
LEADS = (
    "Do you know {}?", "Can you tell me {}?", "Please tell me {}.", "I would like to know {}.", "Let me know {}.",
    "Remind me {}.", "Excuse me, do you know {}?", "Kindly tell me {}.", "Hey, guide, {}?",
    "Could you look up {}, please?",
)  # fmt: skip
#: Kept for evaluation: no dialogue ever uses them.
UNSEEN_LEADS = ("Tell me {}, please.", "Do you happen to know {}?")


@dataclass(frozen=True)
class Topic:
    """One kind of fact about one kind of subject ("resident", "place", "event", "season" or "town")."""

    name: str
    about: str
    values: tuple[str, ...]  # empty where the value is the name of another resident
    statements: tuple[str, ...]  # sentences of the articles
    asks: tuple[str, ...]
    clauses: tuple[str, ...]
    unseen: str  # one more question, kept for evaluation
    answers: tuple[str, ...]  # full sentences
    curt: str = "{value}."

    def seen_questions(self) -> tuple[str, ...]:
        """Question templates that the dialogues use."""
        return self.asks + tuple(lead.format(clause) for lead in LEADS for clause in self.clauses)

    def unseen_questions(self) -> tuple[str, ...]:
        """Question templates that only the evaluation uses."""
        return (self.unseen, *(lead.format(clause) for lead in UNSEEN_LEADS for clause in self.clauses))


@dataclass(frozen=True)
class Reference:
    """The words that point at a subject: its name, or the pronouns that stand for it."""

    name: str
    whose: str
    whom: str


def by_name(name: str) -> Reference:
    """Point at a subject by name."""
    return Reference(name, f"{name}'s", name)


PRONOUNS = {"she": Reference("she", "her", "her"), "he": Reference("he", "his", "him")}


def words(text: str) -> tuple[str, ...]:
    """The words of a list that is written as one string."""
    return tuple(text.split())


def with_article(word: str) -> str:
    """`word` after its indefinite article: a baker, an actor."""
    return f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"


def capitalise(sentence: str) -> str:
    """The first letter in upper case, the rest as it is (`str.capitalize` would lower the names)."""
    return sentence[:1].upper() + sentence[1:]


def fill(template: str, reference: Reference, value: str = "") -> str:
    """Fill the places of a template and start it with a capital letter."""
    article = with_article(value) if value else ""
    sentence = template.format(
        name=reference.name, whose=reference.whose, whom=reference.whom, value=value, a_value=article
    )
    return capitalise(sentence)
