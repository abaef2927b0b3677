"""A reply on its way: tokens become pieces of text, stop strings are cut off, half characters held back."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..data.tokenizer import TextStream, Tokenizer
from .engine import Drawn, Ended, Ticket
from .errors import ApiError
from .model_cache import Loaded


@dataclass(frozen=True)
class Piece:
    """Text that is new, and the tokens that brought it. Their bytes, joined, are the text: a space that was left out
    before the first word is left out there too, and so is what a stop text has cut off."""

    text: str
    spelled: list[Spelled] = field(default_factory=list)


@dataclass(frozen=True)
class Spelled:
    """A token that was drawn, and its bytes as they stand in the text. `first` says that nothing was before it, where
    spaces are left out."""

    drawn: Drawn
    bytes: bytes
    first: bool = False


class Reply:
    """One answer while it is written. Going through it yields pieces; afterwards the fields say how it ended.

    `begin` are token ids that the answer begins with, `trim` leaves out the space before its first word, `short` says
    that the context had no room for all the tokens that were asked for. With a `chat_id` it is to be stored, as the
    answer to the messages `asked`.
    """

    def __init__(
        self,
        loaded: Loaded,
        ticket: Ticket,
        *,
        kind: str,
        seed: int,
        dropped: int = 0,
        begin: Sequence[int] = (),
        stops: Sequence[str] = (),
        trim: bool = True,
        short: bool = False,
        chat_id: str | None = None,
        asked: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.loaded, self.ticket, self.seed, self.dropped, self.stops = loaded, ticket, seed, dropped, stops
        self.chat_id, self.asked = chat_id, asked
        self.id = f"{kind}-{secrets.token_hex(12)}"
        self.created = int(time.time())
        self.started = time.monotonic()
        self.ids = list(begin)
        self.new_tokens = 0
        self.text = ""
        self.finish_reason: str | None = None
        self.note: str | None = None
        self.stop_string = False  # whether a stop string ended it
        self.prompt_tokens = len(ticket.job.ids) - len(begin)
        self._written = TextStream(loaded.tokenizer)
        self._short = short
        self._trim, self._held = trim, ""
        for token in begin:
            self._held += self._written.feed(token)
        begun = b"".join(spelling(loaded.tokenizer, token) for token in begin)
        begun = unspaced(begun) if trim else begun
        self._blank = trim and not begun  # whether nothing but spaces has come so far
        self._waiting = deque[Spelled]()  # tokens that were drawn and not given out yet
        self._shown = -len(begun)  # bytes of text that were given out and belong to them

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def ended_itself(self) -> bool:
        """Whether the model drew its end mark, rather than being stopped."""
        return self.finish_reason == "stop" and self.note is None and not self.stop_string

    def pieces(self, tick: float, gone: Callable[[], bool] = lambda: False) -> Generator[Piece | None, None, None]:
        """The pieces as they are written; None after every `tick` seconds of silence, so that a stream can say `ping`.

        `gone` is asked in each silence: if it says yes, the answer ends there.
        """
        try:
            if self._held and (text := self._release(last=False)):
                yield Piece(text, self._spelled(text))
            while self.finish_reason is None:
                event = self.ticket.next(tick)
                if event is None:
                    if gone():
                        self._end("stop", "stopped")
                    else:
                        yield None
                elif isinstance(event, Drawn):
                    if (piece := self._take(event)) is not None:
                        yield piece
                else:
                    yield from self._finish(event)
        finally:
            self.ticket.cancel()
            if self.finish_reason is None:
                self._end("stop", "stopped")

    def _take(self, drawn: Drawn) -> Piece | None:
        self.ids.append(drawn.token)
        self.new_tokens += 1
        spelled = spelling(self.loaded.tokenizer, drawn.token)
        self._waiting.append(Spelled(drawn, unspaced(spelled) if self._blank else spelled, self._blank))
        self._blank = self._blank and not self._waiting[-1].bytes
        self._held += self._written.feed(drawn.token)
        text = self._release(last=False)
        return Piece(text, self._spelled(text)) if text else None

    def _finish(self, end: Ended) -> Iterator[Piece]:
        self._held += self._written.flush()
        if end.reason == "error":
            raise ApiError(503, "shutting_down" if "shutting" in (end.note or "") else "model_failed",
                           f"The answer was cut off: {end.note}.", retry_after=10)  # fmt: skip
        text = self._release(last=True)
        if self.finish_reason is None:  # a stop string may be the very last thing
            self._end(end.reason, "context" if end.reason == "length" and self._short else end.note)
        spelled = [*self._spelled(text), *self._waiting]
        if text or spelled:
            yield Piece(text, spelled)

    def _spelled(self, text: str) -> list[Spelled]:
        """The tokens that have been shown in full, now that `text` is; of one that a stop text cuts, what is shown."""
        self._shown += len(text.encode("utf-8", "replace"))
        out = []
        while self._waiting and len(self._waiting[0].bytes) <= self._shown:
            out.append(self._waiting.popleft())
            self._shown -= len(out[-1].bytes)
        if self.stop_string:
            if self._waiting and self._shown > 0:
                out.append(replace(self._waiting[0], bytes=self._waiting[0].bytes[: self._shown]))
            self._waiting.clear()
        return out

    def _release(self, last: bool) -> str:
        """As much of the held text as can no longer be part of a stop string."""
        if self._trim and not self.text:
            self._held = self._held.lstrip()
        cuts = [at for stop in self.stops if (at := self._held.find(stop)) >= 0]
        if cuts:
            ready, self._held = self._held[: min(cuts)], ""
            self.ticket.cancel()
            self.stop_string = True
            self._end("stop", None)
        elif last:
            ready, self._held = self._held, ""
        else:
            keep = max((_overlap(self._held, stop) for stop in self.stops), default=0)
            ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        self.text += ready
        return ready

    def _end(self, reason: str, note: str | None) -> None:
        self.finish_reason, self.note = reason, note


def spelling(tokenizer: Tokenizer, token: int) -> bytes:
    """The bytes that one token stands for; those of several tokens, joined, are the bytes of their text. A byte piece
    is a part of a character, and a control piece is nothing."""
    if tokenizer.is_control(token):
        return tokenizer.decode([token]).encode()
    piece = tokenizer.piece(token)
    return piece.replace("▁", " ").encode() if tokenizer.is_learned(token) else bytes([int(piece[3:5], 16)])


def unspaced(spelling: bytes) -> bytes:
    """Bytes without the spaces in front."""
    return spelling.decode("utf-8", "surrogateescape").lstrip().encode("utf-8", "surrogateescape")


def _overlap(text: str, stop: str) -> int:
    """How many of the last characters of `text` may be the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
