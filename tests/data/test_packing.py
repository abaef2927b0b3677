"""Rows and batches: nothing lost, nothing leaking, and a function of the seed and the epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.models import make_model
from torch.nn import functional as F

from minigpt import Conversation, Document, Turn, UserError
from minigpt.data.packing import IGNORE, ConversationRows, TextRows
from minigpt.data.sampled import some_of


def talk(*texts: str, group: str = "") -> Conversation:
    return Conversation(tuple(Turn(("user", "assistant")[i % 2], t) for i, t in enumerate(texts)), group)


@pytest.fixture
def conversations():
    return [talk(f"Question {i}?", "apple " * (i % 7 + 1), "And more?", f"{i}.") for i in range(40)]


def test_defect_11_targets_are_the_inputs_shifted_by_one(tokenizer, text):
    rows = TextRows([Document(text)], tokenizer, 16)
    batch = rows.epoch(0, seed=1).batch(0, 5)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])


def test_text_rows_cover_the_stream_once(tokenizer, text):
    rows = TextRows([Document(text), Document("More text.")], tokenizer, 16)
    stream = [tokenizer.bos, *tokenizer.encode(text), tokenizer.bos, *tokenizer.encode("More text.")]
    assert rows.tokens.tolist() == stream
    for epoch in range(3):
        starts = sorted(rows.epoch(epoch, seed=0).starts)
        assert np.diff(starts).tolist() == [16] * (len(starts) - 1)
        assert starts[0] < 16 and len(stream) - starts[-1] <= 16 + 16
    orders = [rows.epoch(epoch, seed).starts.tolist() for epoch, seed in [(0, 0), (0, 0), (0, 1), (1, 0)]]
    assert orders[0] == orders[1] and orders[0] != orders[2] and orders[0] != orders[3]


def test_a_text_shorter_than_the_context_still_makes_a_row(tokenizer):
    rows = TextRows([Document("Hi.")], tokenizer, 64)
    batch = rows.epoch(0, 0).batch(0, 1)
    assert rows.token_count == 1 + len(tokenizer.encode("Hi."))
    assert batch.num_targets() == rows.token_count - 1  # nothing is learned from the padding


def test_overlapping_rows_score_every_token_once(tokenizer, text):
    rows = TextRows([Document(text)], tokenizer, 16)
    table = rows.in_order(overlap=8)
    scored = []
    for i in range(len(table)):
        batch = table.batch(i, i + 1)
        scored += (table.starts[i] + 1 + (batch.targets[0] != IGNORE).nonzero().flatten().numpy()).tolist()
    assert scored == list(range(1, 1 + len(scored)))
    assert len(rows.tokens) - len(scored) <= 8
    whole = torch.cat([table.batch(i, i + 1).targets for i in range(len(table))])
    assert torch.equal(table.batch(0, len(table)).targets, whole)


def test_packed_conversations_are_whole_and_learn_only_the_assistant(tokenizer, conversations):
    rows = ConversationRows(conversations, tokenizer, 100)
    batch_rows = rows.epoch(0, seed=0)
    batch = batch_rows.batch(0, len(batch_rows))
    found = set()
    learned = 0
    for inputs, targets, segments in zip(batch.inputs, batch.targets, batch.segments, strict=True):
        for segment in set(segments.tolist()) - {0}:
            here = segments == segment
            found.add(tokenizer.decode(inputs[here].tolist()))
            assert inputs[here][:2].tolist() == [tokenizer.bos, tokenizer.roles["user"]]
        learned += int((targets != IGNORE).sum())
        assert (targets[segments == 0] == IGNORE).all()
    assert len(found) == len(conversations)
    assert learned == sum(sum(tokenizer.encode_chat(c.turns)[1]) for c in conversations)
    assert len(batch_rows) < len(conversations) / 1.5  # several to a row


def test_packed_conversations_do_not_see_each_other(tokenizer, conversations):
    """A conversation's loss in a packed row equals its loss alone, in both shapes."""
    packed = ConversationRows(conversations[:6], tokenizer, 200)
    batch = packed.in_order().batch(0, 1)
    for architecture in ("qwen3", "gpt2"):
        model = make_model(architecture, vocab=tokenizer.vocab_size, context=200)
        scores = model(batch.inputs, segments=batch.segments)
        first = int(batch.segments[0, 0])
        for i in range(2):
            here = (batch.segments[0] == first + i).nonzero().flatten()
            alone = model(batch.inputs[:, here])
            assert torch.allclose(scores[:, here], alone, atol=1e-4)


def test_loss_only_on_the_answer(tokenizer):
    """Whatever the question says, its own tokens are no target: swapping them changes inputs only."""
    a = ConversationRows([talk("one two", "same")], tokenizer, 40).in_order().batch(0, 1)
    b = ConversationRows([talk("two one", "same")], tokenizer, 40).in_order().batch(0, 1)
    assert not torch.equal(a.inputs, b.inputs)
    assert a.targets[a.targets != IGNORE].tolist() == b.targets[b.targets != IGNORE].tolist()
    logits = torch.randn(1, 40, tokenizer.vocab_size, requires_grad=True)
    F.cross_entropy(logits.flatten(0, 1), a.targets.flatten(), ignore_index=IGNORE).backward()
    silent = (a.targets[0] == IGNORE).nonzero().flatten()
    assert logits.grad[0, silent].abs().max() == 0


def test_too_long_conversations_lose_their_oldest_turns_or_are_counted(tokenizer):
    long = talk("first question", "first answer", "second question", "second answer")
    size = len(tokenizer.encode_chat(long.turns[2:])[0])
    rows = ConversationRows([long, talk("x" * 200, "y" * 200)], tokenizer, size)
    assert len(rows.encoded) == 1
    assert tokenizer.decode(rows.encoded[0][0].tolist()) == " second question second answer"
    assert rows.dropped["conversations too long for the context"] == 1
    assert rows.dropped["oldest turns of conversations too long for the context"] == 1
    with pytest.raises(UserError, match="longer --context"):
        ConversationRows([talk("x" * 200, "y" * 200)], tokenizer, 32)


def test_a_system_turn_stays_when_old_turns_go(tokenizer):
    turns = (Turn("system", "S"), *talk("q" * 30, "a" * 30, "q2", "a2").turns)
    keep = len(tokenizer.encode_chat((turns[0], *turns[3:]))[0])
    rows = ConversationRows([Conversation(turns)], tokenizer, keep)
    assert rows.encoded[0][0][1] == tokenizer.roles["system"]
    assert tokenizer.decode(rows.encoded[0][0].tolist()) == " S q2 a2"


def test_a_question_that_does_not_fit_takes_its_answer_with_it(tokenizer):
    turns = (Turn("system", "S"), Turn("user", "x" * 200), Turn("assistant", "because"))
    rows = ConversationRows([Conversation(turns), talk("Hi", "Hello")], tokenizer, 32)
    assert len(rows.encoded) == 1 and rows.dropped["conversations too long for the context"] == 1


@pytest.mark.parametrize(("total", "count"), [(0, 5), (1, 1), (10, 3), (100, 64), (7, 9), (7, None)])
def test_a_sample_has_so_many_different_rows_and_is_always_the_same(total, count):
    sample = some_of(total, count).tolist()
    assert len(sample) == min(total, total if count is None else count) == len(set(sample))
    assert sample == sorted(sample) == some_of(total, count).tolist() and all(0 <= i < total for i in sample)
    assert total < 100 or sample != list(range(count))
