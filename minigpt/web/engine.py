"""The engine: one worker thread that writes many answers with one model, all in one batch.

This is continuous batching (Yu et al. 2022, "Orca"): requests join the running batch, and leave it, between two tokens,
so nobody waits for somebody else's long answer to end. A row's text does not depend on its neighbours: it is what
`minigpt.model.generate.generate` writes for that prompt alone, with the same seed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

import torch
from torch import Tensor

from ..model.generate import choose, uniforms
from ..model.gpt import GPT, evaluating
from ..model.reader import Reader
from ..model.sampling import NEVER, Sampling

log = logging.getLogger("minigpt.web")

#: New rows that join at a time: reading their prompts keeps the others waiting.
ADMITTED = 8


class Busy(Exception):
    """All places are taken; `retry_after` seconds from now one may be free."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("all places are taken")
        self.retry_after = retry_after


class Closed(Exception):
    """The engine takes no more requests: it is shutting down."""


@dataclass(frozen=True)
class Job:
    """One answer to write: go on from `ids` until a token of `stop` is drawn or `max_tokens` are written.

    `top` asks for that many alternatives with each token; -1 asks for no log-probabilities at all.
    """

    ids: list[int]
    sampling: Sampling
    max_tokens: int
    stop: frozenset[int] = frozenset()
    top: int = -1


@dataclass(frozen=True)
class Drawn:
    """A token that was written. `logprob` and the alternatives (token, logprob) are the model's own, before
    temperature and filters."""

    token: int
    logprob: float | None = None
    alternatives: list[tuple[int, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Ended:
    """The answer's end: reason "stop" (it drew a stop token, or was told to stop), "length", or "error".
    `note` says why where the reason does not: "deadline", "context", "stopped"."""

    reason: str
    note: str | None = None


class Ticket:
    """What a request holds in hand: its tokens as they are written, and a way to say that they are no longer wanted."""

    def __init__(self, job: Job, place: int, deadline: float) -> None:
        self.job, self.place, self.deadline = job, place, deadline
        self.started = time.monotonic()
        self.cancelled = False
        self._events: SimpleQueue[Drawn | Ended] = SimpleQueue()

    @classmethod
    def empty(cls, job: Job) -> Ticket:
        """A ticket for nothing, which has ended."""
        ticket = cls(job, 0, float("inf"))
        ticket.put(Ended("length"))
        return ticket

    def put(self, event: Drawn | Ended) -> None:
        self._events.put(event)

    def next(self, timeout: float | None = None) -> Drawn | Ended | None:
        """The next event; None if nothing happened for `timeout` seconds."""
        try:
            return self._events.get(timeout=timeout)
        except Empty:
            return None

    def __iter__(self) -> Iterator[Drawn | Ended]:
        """All events, up to and with the end."""
        while True:
            event = self._events.get()
            yield event
            if isinstance(event, Ended):
                return

    def cancel(self) -> None:
        """The model takes at most one more step for this row."""
        self.cancelled = True


class Row:
    """An answer in the running batch."""

    def __init__(self, ticket: Ticket, context: int) -> None:
        job = ticket.job
        self.ticket = ticket
        self.history = list(job.ids)
        self.room = min(job.max_tokens, context - len(job.ids))
        self.short_of_context = self.room < job.max_tokens
        self.uniform = uniforms(job.sampling.seed, self.room)
        self.written = 0

    def take(self, drawn: Drawn) -> Ended | None:
        """Hand the token over; returns the end if this was the last one."""
        self.written += 1
        if drawn.token in self.ticket.job.stop:
            return Ended("stop")
        self.history.append(drawn.token)
        self.ticket.put(drawn)
        if self.written == self.room:
            return Ended("length", "context" if self.short_of_context else None)
        return None


class Engine:
    """Writes answers with one model: `running` at once, `waiting` more in line, each for at most `seconds`."""

    def __init__(self, model: GPT, running: int = 32, waiting: int = 32, seconds: float = 60.0) -> None:
        self.model, self.running, self.waiting, self.seconds = model, running, waiting, seconds
        #: How often the model was run; tests count on it.
        self.steps = 0
        self._rows: list[Row] = []
        self._line: deque[Ticket] = deque()
        self._reader: Reader | None = None
        self._changed = threading.Condition()
        self._cut: float | None = None  # when, in closing, what still runs is cut off
        self._usual_seconds = 1.0
        self._thread = threading.Thread(target=self._work, name="minigpt-engine", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Ticket:
        """Get in line. Raises Busy if the line is full, Closed while shutting down, ValueError for a prompt that is
        empty or fills the context."""
        context = self.model.config.max_position_embeddings
        if not 0 < len(job.ids) < context or job.max_tokens < 1:
            raise ValueError(f"a prompt of {len(job.ids)} tokens does not fit a context of {context}")
        with self._changed:
            if self._cut is not None:
                raise Closed
            self._line = deque(ticket for ticket in self._line if not ticket.cancelled)
            taken = len(self._rows) + len(self._line)
            if taken >= self.running + self.waiting:
                raise Busy(max(1, round(self._usual_seconds)))
            ticket = Ticket(job, max(0, taken - self.running + 1), time.monotonic() + self.seconds)
            self._line.append(ticket)
            self._changed.notify()
        return ticket

    def counts(self) -> tuple[int, int]:
        """How many answers are being written, and how many wait."""
        return len(self._rows), len(self._line)

    def close(self, grace: float = 0.0) -> None:
        """Take nothing new; what runs may go on for `grace` seconds. Returns when all has ended."""
        with self._changed:
            self._cut = time.monotonic() + grace
            for ticket in self._line:
                ticket.put(Ended("error", "the server is shutting down"))
            self._line.clear()
            self._changed.notify()
        self._thread.join()

    # The worker thread.

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._rows or self._line or self._cut is not None):
                    self._changed.wait()
                if self._cut is not None and not self._rows:
                    return
                new = self._next_in_line()
            try:
                with evaluating(self.model):
                    self._admit(new)
                    self._leave()
                    if self._rows:
                        self._step()
            except Exception as error:  # a broken row must not take the server down
                log.error("engine: %s", type(error).__name__, exc_info=log.isEnabledFor(logging.DEBUG))
                self._fail("the model failed")

    def _next_in_line(self) -> list[Row]:
        context = self.model.config.max_position_embeddings
        new: list[Row] = []
        while self._line and len(self._rows) + len(new) < self.running and len(new) < ADMITTED:
            ticket = self._line.popleft()
            if not ticket.cancelled:
                new.append(Row(ticket, context))
            else:
                ticket.put(Ended("stop", "stopped"))
        self._rows += new  # counted from now on, so that nobody takes their places
        return new

    def _admit(self, new: list[Row]) -> None:
        """Read the new rows' prompts together and let them join the batch."""
        if not new:
            return
        self.steps += 1
        reader = Reader(self.model, [row.history for row in new], max(row.room for row in new))
        if self._reader is None:
            self._reader = reader
        else:
            self._reader.join(reader)

    def _leave(self) -> None:
        """Rows that nobody waits for any more, or that took too long, make room."""
        now = time.monotonic()
        ends: dict[int, Ended] = {}
        for i, row in enumerate(self._rows):
            if row.ticket.cancelled:
                ends[i] = Ended("stop", "stopped")
            elif self._cut is not None and now >= self._cut:
                ends[i] = Ended("error", "the server is shutting down")
            elif now >= row.ticket.deadline:
                ends[i] = Ended("length", "deadline")
        self._drop(ends)

    def _step(self) -> None:
        """One token for each row; rows that end with it leave before the model reads on."""
        assert self._reader is not None
        tokens = torch.empty(len(self._rows), dtype=torch.long)
        logprobs = torch.empty(len(self._rows))
        for sampling, members in self._by_sampling().items():
            rows = torch.tensor(members)
            logits = self._reader.logits if len(members) == len(self._rows) else self._reader.logits[rows]
            chosen = [self._rows[i] for i in members]
            uniform = torch.stack([row.uniform[row.written] for row in chosen])
            drawn = choose(logits, [row.history for row in chosen], sampling, uniform)
            tokens[rows], logprobs[rows] = drawn[0].cpu(), drawn[1].cpu()
        ends: dict[int, Ended] = {}
        for i, (row, token) in enumerate(zip(self._rows, tokens.tolist(), strict=True)):
            if logprobs[i] == NEVER:  # no token may follow
                ends[i] = Ended("length")
            elif end := row.take(self._describe(i, token, row.ticket.job.top)):
                ends[i] = end
        alive = [i for i in range(len(self._rows)) if i not in ends]
        self._drop(ends)
        if self._reader is not None:
            self.steps += 1
            self._reader.step(tokens[alive].to(self.model.device))

    def _by_sampling(self) -> dict[Sampling, list[int]]:
        """Rows that are drawn in the same way, but for the seed, are drawn together."""
        groups: dict[Sampling, list[int]] = {}
        for i, row in enumerate(self._rows):
            groups.setdefault(replace(row.ticket.job.sampling, seed=0), []).append(i)
        return groups

    def _describe(self, row: int, token: int, top: int) -> Drawn:
        if top < 0:
            return Drawn(token)
        assert self._reader is not None
        logprobs: Tensor = self._reader.logits[row].log_softmax(-1)
        best = logprobs.topk(top)
        pairs = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
        return Drawn(token, float(logprobs[token]), pairs)

    def _drop(self, ends: dict[int, Ended]) -> None:
        """Rows leave the batch: the others close up. Their tickets hear of it when their places are free."""
        if not ends:
            return
        gone = [(self._rows[i].ticket, end) for i, end in ends.items()]
        keep = [i for i in range(len(self._rows)) if i not in ends]
        if keep and self._reader is not None:
            self._reader.select(torch.tensor(keep, device=self.model.device))
        else:
            self._reader = None
        self._rows = [self._rows[i] for i in keep]
        for ticket, end in gone:
            self._usual_seconds += 0.1 * (time.monotonic() - ticket.started - self._usual_seconds)
            ticket.put(end)

    def _fail(self, why: str) -> None:
        rows, self._rows, self._reader = self._rows, [], None
        for row in rows:
            row.ticket.put(Ended("error", why))
