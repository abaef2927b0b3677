"""The engine: answers written together equal answers written alone; the line, the limits and the ways to leave."""

from __future__ import annotations

import threading

import pytest
import torch
from helpers.models import make_model
from helpers.web import deadline

from minigpt import Sampling, generate
from minigpt.model.reader import Reader
from minigpt.model.sampling import GREEDY
from minigpt.web.engine import Busy, Closed, Drawn, Ended, Engine, Job

STOP = frozenset({3, 17, 30})


@pytest.fixture
def slow_model():
    """A model that waits at each step until it is let go on."""
    model = make_model()
    model.gate = threading.Semaphore(0)
    forward = model.hidden_states

    def gated(*arguments, **options):
        assert model.gate.acquire(timeout=60)
        return forward(*arguments, **options)

    model.hidden_states = gated
    return model


def written(ticket) -> tuple[list[int], Ended]:
    events = list(ticket)
    return [event.token for event in events[:-1]], events[-1]


def test_a_joined_reader_reads_what_each_would_read_alone(model):
    """Rows that join in the middle, longer and shorter than those there, score as in a plain forward pass."""
    torch.manual_seed(0)
    rows = [[1, 2, 3], [4], [5, 6, 7, 8] * 5, [12, 13]]

    def step() -> None:
        tokens = torch.randint(0, 50, (len(reader.real),))
        reader.step(tokens)
        for i, token in enumerate(tokens.tolist()):
            rows[i].append(token)
            with torch.no_grad():
                assert torch.allclose(reader.logits[i], model(torch.tensor([rows[i]]))[0, -1], atol=1e-4)

    reader = Reader(model, rows[:2], 24)
    for new in rows[2:]:
        step()
        reader.join(Reader(model, [new], 24))
    for _ in range(8):
        step()
    reader.select(torch.tensor([0, 1, 3]))  # the longest row leaves ...
    del rows[2]
    for _ in range(10):  # ... and the columns that only it needed make room at the end of the cache
        step()


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(seed=5), Sampling(0.8, top_k=9, repetition_penalty=1.3)])
def test_an_answer_does_not_depend_on_its_neighbours(model, sampling):
    """Forty requests of all kinds, many more than run at once: each gets what `generate` writes for it alone."""
    generator = torch.Generator().manual_seed(1)
    jobs = []
    for i in range(40):
        length = int(torch.randint(1, 29, (1,), generator=generator))
        ids = torch.randint(0, 50, (length,), generator=generator).tolist()
        other = [sampling, GREEDY, Sampling(seed=i), Sampling(1.3, top_p=0.8, seed=i)][i % 4]
        jobs.append(Job(ids, other, max_tokens=1 + i % 20, stop=STOP))
    engine = Engine(model, running=6, waiting=64)
    tickets = [engine.submit(job) for job in jobs]
    for job, ticket in zip(jobs, tickets, strict=True):
        ids, end = written(ticket)
        alone = generate(model, [job.ids], job.max_tokens, job.sampling, job.stop)[0]
        assert ids == alone.ids
        assert end.reason == ("length" if alone.stop is None else "stop")
    assert engine.counts() == (0, 0)
    engine.close()


def test_logprobs_are_the_models_own(model):
    engine = Engine(model)
    events = list(engine.submit(Job([1, 2], Sampling(0.5, seed=1), 6, top=3)))
    with torch.no_grad():
        ids = [1, 2, *(event.token for event in events[:-1])]
        scores = model(torch.tensor([ids]))[0].log_softmax(-1)
    for i, event in enumerate(events[:-1]):
        assert event.logprob == pytest.approx(float(scores[1 + i, event.token]), abs=1e-4)
        assert [token for token, _ in event.alternatives] == scores[1 + i].topk(3).indices.tolist()
    engine.close()


def test_an_answer_ends_where_every_token_is_banned():
    model = make_model(vocab=6)
    engine = Engine(model)
    settings = [Sampling(temperature=0, no_repeat_ngram=1), Sampling(seed=2)]
    try:
        tickets = [engine.submit(Job([1, 2], sampling, 12)) for sampling in settings]
        (short, end), (long, _) = map(written, tickets)
    finally:
        engine.close()
    assert sorted([1, 2, *short]) == list(range(6)) and end == Ended("length")
    assert long == generate(model, [[1, 2]], 12, settings[1])[0].ids


def test_requests_join_and_leave_between_tokens(slow_model):
    engine = Engine(slow_model, running=2)
    long = engine.submit(Job([1], GREEDY, 20))
    slow_model.gate.release(3)
    assert isinstance(long.next(30), Drawn)
    short = engine.submit(Job([2], GREEDY, 2))
    slow_model.gate.release(6)  # far from enough for the long one to end
    assert written(short)[1] == Ended("length")
    assert engine.counts() == (1, 0)
    slow_model.gate.release(100)
    assert len(written(long)[0]) >= 19
    engine.close()


def test_after_stop_the_model_takes_at_most_two_more_steps(slow_model):
    engine = Engine(slow_model)
    ticket = engine.submit(Job([1], GREEDY, 30))
    slow_model.gate.release(5)
    for _ in range(5):
        assert isinstance(ticket.next(30), Drawn)
    before = engine.steps
    ticket.cancel()
    slow_model.gate.release(100)
    assert written(ticket)[1] == Ended("stop", "stopped")
    assert engine.steps <= before + 2
    engine.close()


def test_the_line_is_bounded_and_frees_its_places(slow_model):
    engine = Engine(slow_model, running=1, waiting=2)
    tickets = [engine.submit(Job([1], GREEDY, 3)) for _ in range(3)]
    with pytest.raises(Busy) as busy:
        engine.submit(Job([1], GREEDY, 3))
    assert busy.value.retry_after >= 1
    tickets[2].cancel()  # one that waits leaves at once
    tickets.append(engine.submit(Job([1], GREEDY, 3)))
    assert tickets[-1].place > 0
    slow_model.gate.release(100)
    assert [len(written(tickets[i])[0]) for i in (0, 1, 3)] == [3, 3, 3]
    assert engine.submit(Job([1], GREEDY, 1)).place == 0
    engine.close()


def test_no_answer_takes_longer_than_allowed(slow_model):
    engine = Engine(slow_model, seconds=0.0)
    ticket = engine.submit(Job([1], GREEDY, 30))
    slow_model.gate.release(100)
    assert written(ticket)[1] == Ended("length", "deadline")
    engine.close()


def test_closing_lets_running_answers_end_and_sends_waiting_ones_away(slow_model):
    engine = Engine(slow_model, running=1)
    running, waiting = (engine.submit(Job([1], GREEDY, 5)) for _ in range(2))
    slow_model.gate.release(1)
    assert isinstance(running.next(30), Drawn)
    closing = threading.Thread(target=engine.close, args=(60,))
    closing.start()
    assert written(waiting)[1].reason == "error"
    with pytest.raises(Closed):
        engine.submit(Job([1], GREEDY, 5))
    slow_model.gate.release(100)
    assert written(running)[1] == Ended("length")
    closing.join(30)
    assert not closing.is_alive()


def test_closing_cuts_off_what_takes_too_long(slow_model):
    engine = Engine(slow_model)
    ticket = engine.submit(Job([1], GREEDY, 30))
    slow_model.gate.release(2)
    assert isinstance(ticket.next(30), Drawn)
    closing = threading.Thread(target=engine.close, args=(0,))
    closing.start()
    slow_model.gate.release(100)
    assert written(ticket)[1].reason == "error"
    closing.join(30)


def test_a_failing_model_fails_its_answers_and_not_the_engine(monkeypatch):
    model = make_model()
    engine = Engine(model)
    monkeypatch.setattr(model, "logits", lambda hidden: 1 / 0)
    assert written(engine.submit(Job([1], GREEDY, 3)))[1].reason == "error"
    monkeypatch.undo()
    for _ in deadline(30):
        if engine.counts() == (0, 0):
            break
    assert written(engine.submit(Job([1], GREEDY, 3)))[0] == generate(model, [[1]], 3)[0].ids
    engine.close()


def test_prompts_that_cannot_be_read_are_refused():
    engine = Engine(make_model())
    for ids in ([], [1] * 32):
        with pytest.raises(ValueError):
            engine.submit(Job(ids, GREEDY, 3))
    engine.close()
