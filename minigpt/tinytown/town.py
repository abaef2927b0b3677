"""Town: the world, its questions and its grader behind one door."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ..data.examples import Turn
from .dialogs import Dialogue, Talker
from .grader import Grade, ReplyGrader
from .questions import Asked, HonestyQuestion, Question, evaluation_questions, out_of_town_questions
from .world import World


class Town(World):
    """Tinytown: who lives there, what one can ask, and whether an answer is true."""

    @cached_property
    def grader(self) -> ReplyGrader:
        """The grader of this town."""
        return ReplyGrader(self)

    def grade(self, conversation: Sequence[Turn], reply: str) -> Grade:
        """Mark a reply to the last user turn of `conversation`. Never raises; see `ReplyGrader` for the rules."""
        return self.grader.grade(conversation, reply)

    def asked(self, conversation: Sequence[Turn]) -> Asked | None:
        """What the conversation ends in; None if the generator cannot have asked it."""
        return self.grader.asked(conversation)

    def dialogues(self, count: int) -> list[Dialogue]:
        """The first `count` dialogues of the town, with the quality of every reply."""
        return Talker(self, self.grader).dialogues(count)

    def questions(self, which: str, n: int, seed: int = 0, unseen_phrasing: bool = False) -> list[Question]:
        """`n` different questions about facts of residents, each a conversation of one turn.

        `which` is "asked" (the dialogues ask about these residents) or "held_out" (they never do);
        `unseen_phrasing` takes phrasings that no dialogue has. Raises ValueError if there are fewer than `n`.
        """
        return evaluation_questions(self, which, n, seed, unseen_phrasing)

    def out_of_town(self, n: int, seed: int = 0) -> list[HonestyQuestion]:
        """`n` different conversations that end in a question which the town cannot answer, each kind as often as the
        others while it lasts, in words that no dialogue has. Raises ValueError if there are fewer than `n`."""
        return out_of_town_questions(self, n, seed)
