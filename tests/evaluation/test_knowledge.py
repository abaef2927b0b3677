"""What models know, and the chat, on models that have read nothing."""

from __future__ import annotations

import pytest
from helpers.models import make_chat

from minigpt import Sampling, Turn, UserError
from minigpt.chat import Chat
from minigpt.data.tokenizer import Tokenizer
from minigpt.evaluation.knowledge import Marks, ask, ask_with_examples, mark
from minigpt.textbook import SHARED_TOKENIZER
from minigpt.tinytown import Town


@pytest.fixture(scope="module")
def town() -> Town:
    return Town(residents=16)


@pytest.fixture
def talker(tokenizer):
    return make_chat(tokenizer, context=160)


def test_true_answers_pass_and_others_fail(town):
    questions = town.questions("held_out", 60)
    assert mark(town, questions, [f"It is {q.answer}." for q in questions]).right == 1
    assert mark(town, questions, ["Nobody knows."] * 60) == Marks(0, 0, 60)


def test_a_model_that_knows_nothing_fails(town, talker):
    questions = town.questions("asked", 20)
    replies = ask(talker, questions)
    assert len(replies) == 20 and mark(town, questions, replies).right < 0.5
    assert ask(talker, questions) == replies


def test_a_model_that_cannot_read_a_question_is_refused(town, tokenizer):
    with pytest.raises(UserError, match="a context of 50 tokens is too short"):
        ask(make_chat(tokenizer, context=50), town.questions("asked", 2))


def test_worked_examples_are_about_others_and_fit_the_context(town, monkeypatch):
    tokenizer = Tokenizer.load(SHARED_TOKENIZER)
    reader = make_chat(tokenizer, is_chat=False, context=96)
    seen = []

    def spy(chat, prompts, *_, **__):
        seen.extend(tokenizer.decode(chat.encode(prompt.turns)) for prompt in prompts)
        return []

    monkeypatch.setattr("minigpt.evaluation.knowledge.respond", spy)
    questions = [*town.questions("held_out", 5), *town.questions("asked", 40)]
    ask_with_examples(reader, questions, 2, town)
    for question, prompt in zip(questions, seen, strict=True):
        assert prompt.endswith(question.text) and prompt != question.text
        assert prompt.count(question.resident.name) == 1
        assert len(tokenizer.encode(prompt)) < 96


def test_chat_remembers_in_dialogue_and_forgets_in_qa(talker):
    def talk(mode, *texts):
        chat = Chat(talker, Sampling(seed=3), mode=mode, max_new_tokens=8)
        return [("".join(chat.reply(text)), len(chat.turns)) for text in texts]

    alone = talk("qa", "How are you?")[-1]
    after = talk("qa", "Good morning", "How are you?")[-1]
    assert alone == after and after[1] == 0
    assert [turns for _, turns in talk("dialogue", "Hi", "And you?")] == [2, 4]


def test_old_turns_are_dropped_whole_and_counted(talker):
    turns = [Turn("user", "one two three"), Turn("assistant", "four five six"), Turn("user", "seven")]
    whole = talker.fit(turns, reserve=10)
    assert whole.dropped == 0 and whole.ids == talker.tokenizer.encode_prompt(turns)
    room = 160 - len(talker.tokenizer.encode_prompt(turns))
    short = talker.fit(turns, reserve=room + 1)
    assert short.dropped == 2 and short.ids == talker.tokenizer.encode_prompt(turns[2:])
    with pytest.raises(ValueError, match="make it shorter"):
        talker.need_fit([Turn("user", "x" * 300)], reserve=10)


def test_a_chat_says_how_many_old_turns_the_model_no_longer_reads(talker):
    chat = Chat(talker, Sampling(seed=3), max_new_tokens=8)
    seen = []
    for i in range(8):
        list(chat.reply(f"Number {i}, and how are you?"))
        seen.append(chat.dropped)
    assert seen[0] == 0 and seen == sorted(seen) and seen[-1] > 0 and not any(count % 2 for count in seen)
    assert len(chat.turns) == 16


def test_a_reply_that_is_cut_off_is_remembered_as_far_as_it_was_shown(talker):
    chat = Chat(talker, Sampling(seed=1), max_new_tokens=20)
    reply = chat.reply("Hi")
    shown = "".join(next(reply) for _ in range(4))
    reply.close()
    assert chat.turns[-1] == Turn("assistant", shown.strip())


def test_the_tokenizer_that_comes_with_minigpt_reads_the_town(town):
    tokenizer = Tokenizer.load(SHARED_TOKENIZER)
    names = [piece for resident in Town().residents for piece in resident.name.split()]
    assert sum(len(tokenizer.encode(f" {name}")) == 1 for name in names) > 0.9 * len(names)
