"""The model cache: which models there are on disk, and those of them that are in memory.

A model's name is RECIPE/FOLDER as found by looking into the models' folder. What a client sends is only ever compared
with the names found there, so it can never become a path.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import ModelConfig
from ..data.tokenizer import Tokenizer
from ..errors import UserError
from ..model.chat_model import ChatModel
from ..model.checkpoint import load_model
from ..model.gpt import GPT
from ..model.hf_format import read_config
from ..registry import Model, default_model, model_names, read_model
from .engine import Engine
from .errors import ApiError, as_api_error, busy

log = logging.getLogger("minigpt.web")

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"


@dataclass(frozen=True, kw_only=True)
class Entry(Model):
    """A finished model folder, and its shape."""

    config: ModelConfig


@dataclass
class Loaded:
    """A model in memory, with the engine that writes for it."""

    entry: Entry
    chat: ChatModel
    engine: Engine

    @property
    def model(self) -> GPT:
        return self.chat.gpt

    @property
    def tokenizer(self) -> Tokenizer:
        return self.chat.tokenizer


class WorkLock:
    """Lets one calculation through at a time, keeps a few waiting and sends the rest away with 429."""

    def __init__(self, waiting: int) -> None:
        self._places = threading.BoundedSemaphore(waiting + 1)
        self._turn = threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise busy()
        try:
            with self._turn:
                yield
        finally:
            self._places.release()


class ModelCache:
    """Finds models under `folder`, loads them when first asked for, and keeps the last `loaded_models` of them.

    `engine` makes the engine for a model; tests put a fake one here.
    """

    def __init__(
        self,
        folder: Path,
        engine: Callable[[ChatModel], Engine] = lambda chat: Engine(chat.gpt),
        device: str = "cpu",
        loaded_models: int = 6,
        waiting_work: int = 16,
        default_model: str | None = None,
    ) -> None:
        self.folder, self.device, self.loaded_models = folder, device, loaded_models
        self.default_model = default_model
        #: Looking inside a model, or scoring with one, happens in here.
        self.work_lock = WorkLock(waiting_work)
        #: Set when the first model is there, or it is clear that there is none.
        self.ready = threading.Event()
        self.closing = False
        self._engine = engine
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._read_before: dict[str, Entry] = {}
        self._extras: OrderedDict[str, tuple[tuple[int, int], Any]] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def entries(self) -> dict[str, Entry]:
        """All finished models, by name. Folders that cannot be read, or that lead elsewhere, are left out."""
        return {name: entry for name in model_names(self.folder) if (entry := self.entry(name)) is not None}

    def entry(self, name: str) -> Entry | None:
        """The finished model of that name; None if there is none, or as `entries` leaves it out."""
        folder = self.folder / name
        if not re.fullmatch(f"{NAME}/{NAME}", name) or folder.resolve() != self.folder.resolve() / name:
            return None
        model = read_model(name, folder)
        if not model.finished:
            return None
        known = self._read_before.get(name)
        if known is None or known.saved != model.saved:
            try:
                config = read_config(folder / "config.json")
            except (UserError, OSError):
                return None
            known = self._read_before[name] = Entry(**vars(model), config=config)
        return known

    def default(self, entries: dict[str, Entry]) -> str | None:
        """The model to talk to if none is named: the server's, if it was given one, else the registry's choice."""
        if self.default_model in entries:
            return self.default_model
        chosen = default_model(entries.values())
        return chosen.name if chosen else None

    def find(self, name: str | None) -> Entry:
        """The entry of that name, or the default one. Raises ApiError 404 if there is none."""
        if name is None:
            name = self.default(self.entries())
            if name is None:
                raise ApiError(404, "model_not_found", "There is no trained model yet; run_pretrain.py makes one.")
        entry = self.entry(name)  # one folder, not all of them: a classroom asks at once
        if entry is None:
            raise ApiError(404, "model_not_found", "There is no such model; GET /v1/models lists them.", "model")
        return entry

    def open(self, name: str | None) -> Loaded:
        """The model of that name, ready to write. ApiError: 404 unknown, 400 a reward model, 503 a broken folder."""
        if self.closing:
            raise ApiError(503, "shutting_down", "The server is shutting down.", retry_after=10)
        entry = self.find(name)
        if not entry.writes:
            raise ApiError(400, "bad_value", "This is a reward model: it scores answers and writes none.", "model")
        if loaded := self._ready(entry):
            return loaded
        with self._loading:
            if loaded := self._ready(entry):  # somebody else loaded it meanwhile
                return loaded
            return self._load(entry)

    def _ready(self, entry: Entry) -> Loaded | None:
        with self._lock:
            loaded = self._loaded.get(entry.name)
            if loaded is None or loaded.entry.saved != entry.saved:
                return None
            self._loaded.move_to_end(entry.name)
            return loaded

    def _load(self, entry: Entry) -> Loaded:
        try:
            chat = load_model(entry.folder, self.device)
        except UserError as error:
            log.error("%s cannot be loaded: %s", entry.name, error)
            raise as_api_error(error) from None
        chat.gpt.eval()
        loaded = Loaded(entry, chat, self._engine(chat))
        log.info("loaded %s: %d parameters", entry.name, chat.gpt.parameter_count())
        with self._lock:
            old = [self._loaded.pop(entry.name)] if entry.name in self._loaded else []
            idle = [name for name, other in self._loaded.items() if other.engine.counts() == (0, 0)]
            for name in idle[: max(0, len(self._loaded) + 1 - self.loaded_models)]:
                old.append(self._loaded.pop(name))
            self._loaded[entry.name] = loaded
        for former in old:  # what an older version still writes may be finished
            threading.Thread(target=former.engine.close, args=(60.0,), daemon=True).start()
        return loaded

    def extra(self, kind: str, entry: Entry, load: Callable[[Path], Any]) -> Any:
        """Something else that belongs to a model folder (a reward model, a value head), loaded once by `load`."""
        key = f"{kind}:{entry.name}"
        with self._loading:
            signature, value = self._extras.get(key, (None, None))
            if signature != entry.saved:
                value = load(entry.folder)
                self._extras[key] = (entry.saved, value)
                while len(self._extras) > self.loaded_models:
                    self._extras.popitem(last=False)
            return value

    def preload(self) -> None:
        """Load the default model; the server does this beside answering `/health`."""
        try:
            self.open(None)
        except Exception as error:
            log.warning("no model was loaded at the start: %s", as_api_error(error).message)
        finally:
            self.ready.set()

    def loaded(self) -> list[str]:
        with self._lock:
            return list(self._loaded)

    def parameters(self, name: str) -> int | None:
        """How many parameters a model has; None if it is not in memory."""
        with self._lock:
            loaded = self._loaded.get(name)
        return loaded.model.parameter_count() if loaded else None

    def queue(self) -> tuple[int, int]:
        """Answers being written and answers waiting, over all models."""
        with self._lock:
            counts = [loaded.engine.counts() for loaded in self._loaded.values()]
        return sum(c[0] for c in counts), sum(c[1] for c in counts)

    def close(self, grace: float = 0.0) -> None:
        """Stop all engines; what runs may go on for `grace` seconds."""
        self.closing = True
        with self._lock:
            engines = [loaded.engine for loaded in self._loaded.values()]
        threads = [threading.Thread(target=engine.close, args=(grace,)) for engine in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
