"""A conversation that is too long is cut in one way: whoever reads it, in training or later, reads the same ids.

Six consumers: SFT's rows, the reward model, PPO's rollouts, the evaluations, the chat, and the page. A model that is
trained with a system prompt and served without it would be another model.
"""

from __future__ import annotations

import copy

import pytest
from helpers.models import make_chat
from helpers.web import ScriptedEngine, make_app

from minigpt import Conversation, Turn
from minigpt.alignment.reward_model import RewardModel
from minigpt.alignment.rollout import Task, roll_out
from minigpt.chat import Chat
from minigpt.config import PPOConfig
from minigpt.data.examples import Prompt
from minigpt.data.packing import ConversationRows
from minigpt.evaluation.win_rate import answer
from minigpt.model.checkpoint import save_model
from minigpt.training.device import detect

ANSWER = "Fine, thank you!"
SYSTEM = Turn("system", "Be kind.")
EXCHANGE = (Turn("user", "How are you?"), Turn("assistant", ANSWER))
QUESTION = "What does the baker say? In the evening everybody meets at the bridge. The market opens at noon."

CONVERSATIONS = {
    "nothing has to go": (Turn("user", "How are you?"),),
    "oldest exchanges go": (SYSTEM, *EXCHANGE * 9, Turn("user", "How are you?")),
    "and the question loses sentences": (SYSTEM, *EXCHANGE * 2, Turn("user", f"{QUESTION} {QUESTION} {QUESTION}")),
    "without a system turn": (*EXCHANGE * 9, Turn("user", QUESTION)),
}


@pytest.fixture(params=CONVERSATIONS.values(), ids=list(CONVERSATIONS))
def turns(request) -> tuple[Turn, ...]:
    return request.param


@pytest.fixture
def chat(tokenizer):
    return make_chat(tokenizer, context=64, depth=1)


@pytest.fixture
def room(tokenizer) -> int:
    """Tokens of the answer, with the piece that ends it."""
    return len(tokenizer.encode(f" {ANSWER}")) + 1


@pytest.fixture
def expected(chat, turns, room) -> list[int]:
    """What has to be read, by the one rule; it is tested in tests/data/test_truncation.py."""
    ids = chat.need_fit(turns, room).ids
    assert len(ids) + room <= chat.context
    return ids


def test_sft_learns_to_answer_it(chat, turns, room, expected):
    (encoded,) = ConversationRows([Conversation((*turns, Turn("assistant", ANSWER)))], chat.tokenizer, 64).encoded
    assert encoded[0].tolist()[:-room] == expected


def test_the_reward_model_reads_it(chat, turns, expected):
    encoded = RewardModel(chat).encode(turns, ANSWER)
    assert encoded.ids[: encoded.start] == expected


def test_ppo_rolls_out_from_it(chat, turns, room, expected):
    task = Task(copy.deepcopy(chat.gpt), lambda responses: [0.0] * len(responses), [], [], None)
    settings = PPOConfig(max_new_tokens=room)
    rollout = roll_out(chat, task, [Prompt(turns)] * 2, settings, detect("cpu", "fp32"), seed=0)
    assert [response.ids[: response.start] for response in rollout.responses] == [expected] * 2


def test_evaluations_ask_it(chat, turns, room, expected):
    (response,) = answer(chat, [Prompt(turns)], room, seed=0)
    assert response.ids[: response.start] == expected


def test_the_chat_reads_it(chat, turns, room, expected, monkeypatch):
    read: list[list[int]] = []
    monkeypatch.setattr("minigpt.chat.stream", lambda gpt, ids, *_: iter(read.append(ids) or []))
    talk = Chat(chat, max_new_tokens=room, turns=list(turns[:-1]))
    assert list(talk.reply(turns[-1].text)) == [""] and read == [expected]


def test_the_page_reads_it(chat, turns, room, expected, tmp_path):
    save_model(tmp_path / "town" / "sft", chat, {"stage": "sft", "finished": True})
    engines: list[ScriptedEngine] = []

    def engine(model) -> ScriptedEngine:
        engines.append(ScriptedEngine(model, [50]))
        return engines[-1]

    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    app = make_app(tmp_path, tmp_path, engine)
    reply = app.test_client().post("/v1/chat/completions", json={"messages": messages, "max_tokens": room})
    assert reply.status_code == 200, reply.get_json()
    assert [ticket.job.ids for ticket in engines[0].tickets] == [expected]


def test_another_rule_would_be_noticed(chat, turns, room, expected):
    """The cases differ from what simply keeping the last tokens, or dropping the system turn, would read."""
    whole = chat.tokenizer.encode_prompt(turns)
    assert (whole == expected) == (len(whole) + room <= chat.context)
    assert whole[-len(expected) :] != expected or whole == expected
