"""The one rule of truncation: the system turn stays, old exchanges go whole, then the last question loses sentences."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from minigpt import Turn
from minigpt.data.truncation import ENDS, OLDEST, Fitted, fit, sentences

POST = 'News\nThe baker sees a gull. Is it lost? "No!" says the town... And so on.\nIn the evening it eats 3.5 fish.'
PIECES = ["News\n", "The baker sees a gull. ", "Is it lost? ", '"No!" ', "says the town... ", "And so on.\n",
          "In the evening it eats 3.5 fish."]  # fmt: skip
SYSTEM = Turn("system", "Be kind to gulls.")


def by_letters(turns: Sequence[Turn]) -> list[int]:
    """An encoding whose lengths can be counted by hand: a mark and a letter each, and the mark to speak after."""
    return [number for turn in turns for number in (0, *map(ord, turn.text))] + [0]


def length(turns: Sequence[Turn]) -> int:
    return len(by_letters(turns))


def talk(*texts: str) -> tuple[Turn, ...]:
    """Turns of the user and the assistant, the last one the user's."""
    return tuple(Turn("user" if (len(texts) - i) % 2 else "assistant", text) for i, text in enumerate(texts))


def at_random(seed: int) -> tuple[Turn, ...]:
    """A conversation of one to five questions, with or without a system turn; sentences end in all their ways."""
    rng = random.Random(seed)

    def text() -> str:
        words, ends = ["gull", "fish", "天气", "3.5", "Mr"], [". ", "? ", "!) ", "。", "！", "\n", "... "]
        return "".join(rng.choice(words) + rng.choice(ends) for _ in range(rng.randint(1, 6))).strip()

    turns = talk(*(text() for _ in range(2 * rng.randint(0, 4) + 1)))
    return (SYSTEM, *turns) if rng.random() < 0.5 else turns


def shorter_versions(turns: tuple[Turn, ...]) -> list[tuple[tuple[Turn, ...], bool]]:
    """All that the rule may leave of a conversation, the longest first, and whether the last question is whole."""
    system, rest = turns[: turns[0] is SYSTEM], turns[turns[0] is SYSTEM :]
    whole = [((*system, *rest[i:]), True) for i in range(0, len(rest), 2)]
    parts = sentences(rest[-1].text)
    cut = [((*system, Turn("user", "".join(parts[:count]).rstrip())), False) for count in range(len(parts) - 1, 0, -1)]
    return whole + cut


@pytest.mark.parametrize("seed", range(40))
def test_in_any_room_the_longest_version_that_fits_is_left(seed):
    """Against a search over everything that the rule could leave, in every room from none to more than enough."""
    turns = at_random(seed)
    versions = shorter_versions(turns)
    for room in range(length(turns) + 2):
        expected = next((version for version in versions if length(version[0]) <= room), None)
        fitted = fit(turns, by_letters, room)
        if expected is None:
            assert fitted is None
            continue
        kept, whole = expected
        assert fitted == Fitted(kept, by_letters(kept), len(turns) - len(kept), shortened=not whole)
        assert fitted.cut == (ENDS if not whole else OLDEST if len(kept) < len(turns) else None)


@pytest.mark.parametrize("seed", range(20))
def test_what_fits_already_is_not_cut_again(seed):
    """So a prompt can be fitted where it is drawn and once more where it is answered."""
    turns = at_random(seed)
    for room in range(length(turns)):
        if (fitted := fit(turns, by_letters, room)) is not None:
            again = fit(fitted.turns, by_letters, room)
            assert again == Fitted(fitted.turns, fitted.ids) and again.cut is None


def test_the_system_turn_stays_as_long_as_anything_does():
    turns = (SYSTEM, *talk("One gull?", "Two.", "And fish. Or not."))
    kept = [fitted.turns for room in range(length(turns) + 1) if (fitted := fit(turns, by_letters, room))]
    assert len(set(kept)) == 3 and all(turns[0] is SYSTEM for turns in kept)
    assert fit(turns, by_letters, length((SYSTEM, Turn("user", "And fish."))) - 1) is None


def test_exchanges_go_whole_and_the_rest_keeps_its_order():
    turns = talk("a", "b", "c", "d", "e")
    assert fit(turns, by_letters, length(turns) - 1).turns == turns[2:]
    assert fit(turns, by_letters, length(turns[2:]) - 1).turns == turns[4:]


def test_a_conversation_that_the_assistant_opens_is_read_from_the_first_question_on():
    turns = talk("Welcome!", "a", "b", "c")
    assert fit(turns, by_letters, 999).turns == turns[1:]


@pytest.mark.parametrize(("max_turns", "kept"), [(None, 5), (9, 5), (5, 5), (4, 3), (3, 3), (2, 1), (1, 1)])
def test_a_model_reads_no_more_turns_than_it_has_learned_to(max_turns, kept):
    """However much room there is. The system turn is not among those that count, and a user's turn comes first."""
    turns = talk("a", "b", "c", "d", "e")
    assert fit(turns, by_letters, 999, max_turns) == Fitted(turns[-kept:], by_letters(turns[-kept:]), 5 - kept)
    fitted = fit((SYSTEM, *turns), by_letters, 999, max_turns)
    assert fitted.turns == (SYSTEM, *turns[-kept:]) and fitted.dropped == 5 - kept
    less = fit(turns, by_letters, length(turns[-3:]), max_turns)
    assert less.turns == turns[-min(kept, 3) :]


def test_sentences_joined_are_the_text():
    assert sentences(POST) == PIECES
    for text in ("", "no end", "a.b.c", "Wait...what?! (Yes.) \n\n done", "...", "我来了。 你"):
        assert "".join(sentences(text)) == text


def test_chinese_sentences_need_no_space_behind_them():
    assert sentences("我来了。你呢？好！") == ["我来了。", "你呢？", "好！"]
    assert sentences("他说：“来吧！”我走了。") == ["他说：“来吧！”", "我走了。"]
    (turn,) = fit(talk("我来了。你呢？好！"), by_letters, 9).turns
    assert turn.text == "我来了。你呢？"


def test_a_question_loses_whole_sentences_from_its_end():
    texts = [fitted.turns[0].text if (fitted := fit(talk(POST), by_letters, room)) else None for room in range(200)]
    assert set(texts) == {None, *("".join(PIECES[:count]).rstrip() for count in range(1, len(PIECES) + 1))}
    assert texts == sorted(texts, key=lambda text: len(text or ""))


def test_what_does_not_end_in_a_question_is_not_shortened():
    turns = (Turn("user", "a"), Turn("assistant", "A gull. A fish."))
    assert fit(turns, by_letters, length(turns)).turns == turns
    assert fit(turns, by_letters, length(turns) - 1) is None


def test_the_tokenizers_own_lengths_count(tokenizer):
    """Sentences make as many pieces as the tokenizer says, not as many as they have letters."""
    turns = (SYSTEM, *talk("Good morning", "Fine", POST))
    for room in range(len(tokenizer.encode_prompt(turns)) + 1):
        fitted = fit(turns, tokenizer.encode_prompt, room)
        if fitted is not None:
            assert fitted.ids == tokenizer.encode_prompt(fitted.turns) and len(fitted.ids) <= room
            assert fitted.turns[0] is SYSTEM and POST.startswith(fitted.turns[-1].text)
