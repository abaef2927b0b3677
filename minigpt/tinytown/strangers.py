"""People who don't live in Tinytown: their names, and the questions about residents asked of them."""

from __future__ import annotations

from .people import FIRST_NAMES, RESIDENT_TOPICS
from .topics import words

_FIRST_NAMES = words(
    "John Mary Peter Anna Kenji Maria Pierre Olga Ahmed Wei Hans Lucia Ivana Steve Emma Daniel Fatima Carlos Yuki "
    "Sven David Linda James Susan Thomas Julia Marco Elena Dmitri Aisha Lars Chloe Raj Mei Pedro Helga Igor Claire "
    "Ali Ruth"
)
_LAST_NAMES = words(
    "Smith Johnson Brown Miller Garcia Tanaka Dupont Ivanov Khan Wang Schmidt Rossi Novak Peterson Lopez Kim Larsen "
    "Cohen Jones Davies Wilson Anderson Thompson White Lee Walker Young Hill Green Adams Nelson Baker Campbell "
    "Roberts Phillips Evans Turner Parker Collins Stewart Morris Rogers Reed Cook Bell Murphy Bailey Cooper "
    "Richardson Cox Howard Ward Gonzalez Nguyen Chen Meyer Weber Wagner Becker Moreau Laurent Romano Ricci Silva "
    "Santos Costa Kowalski Nowak Horvath Sato Yamamoto Watanabe Park Choi Li Zhang Popov Sokolov Volkov Hussain Patel "
    "Sharma Gupta Andersson Nilsson"
)
_UNSEEN_FIRST_NAMES = words("Robert Sofia Pablo Ingrid Hiro Nadia Kevin Laura Omar Brigitte")
_UNSEEN_LAST_NAMES = words("Williams Martinez Suzuki Bernard Petrov Singh Fischer Bianchi Taylor Hansen")

#: Some share a first name with residents, so that it is the whole name which counts.
_SHARED = tuple(name for group in FIRST_NAMES.values() for name in group[::3])

#: Full names: in the dialogues, and in the evaluation alone.
STRANGERS = (
    tuple(f"{first} {last}" for first in (*_FIRST_NAMES, *_SHARED) for last in _LAST_NAMES),
    tuple(f"{first} {last}" for first in (*_UNSEEN_FIRST_NAMES, *_SHARED) for last in _UNSEEN_LAST_NAMES),
)
#: A regular expression for any of them, in lower case.
STRANGER = "(?:{}) (?:{})".format(
    "|".join((*_FIRST_NAMES, *_SHARED, *_UNSEEN_FIRST_NAMES)).lower(),
    "|".join((*_LAST_NAMES, *_UNSEEN_LAST_NAMES)).lower(),
)


def _of_a_stranger(template: str) -> str:
    return template.format(name="{stranger}", whose="{stranger}'s", whom="{stranger}")


ASKS = (
    *(_of_a_stranger(template) for topic in RESIDENT_TOPICS for template in topic.seen_questions()),
    "Who is {stranger}?",
    "Do you know {stranger}?",
    "What do you know about {stranger}?",
)
UNSEEN = (
    *(_of_a_stranger(template) for topic in RESIDENT_TOPICS for template in topic.unseen_questions()),
    "Tell me about {stranger}.",
    "Have you met {stranger}?",
    "Does {stranger} live here?",
)
