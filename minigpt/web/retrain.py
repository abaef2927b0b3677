"""Training on the votes: the configured commands run one after the other in a child process, watched from the page.

The server only watches: what the commands write into the models' folder is found there like any other model.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..data.examples import Turn
from ..errors import UserError
from ..files import write_atomically
from . import exports
from .bodies import as_turns
from .errors import ApiError, as_api_error
from .service import Service
from .settings import Command
from .store import Row
from .votes import Votes

Event = tuple[str, Row]
KEPT_EVENTS = 5000
SHOWN_LINES = 50
SCRIPTS = Path(__file__).resolve().parents[2]
PATIENCE = 5.0  # seconds that a cancelled command has to leave by itself


class Job:
    """One retraining: its commands, and everything that has happened in it so far."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self.id = secrets.token_hex(6)
        self.commands = commands
        self.state = "running"
        self.step = 1
        self.percent: float | None = None
        self.message: str | None = None
        self.began, self.ended = time.time(), 0.0
        self.agreement: dict[str, Row | None] = {"before": None, "after": None}
        self.cancelled = threading.Event()
        self.process: subprocess.Popen[bytes] | None = None
        self._events: list[Event] = []
        self._forgotten = 0
        self._changed = threading.Condition()

    @property
    def name(self) -> str:
        return self.commands[self.step - 1][0]

    def tell(self, event: str, data: Row) -> None:
        with self._changed:
            self._events.append((event, data))
            if len(self._events) > KEPT_EVENTS:
                self._forgotten += KEPT_EVENTS // 2
                del self._events[: KEPT_EVENTS // 2]
            self._changed.notify_all()

    def events(self, tick: float) -> Iterator[Event | None]:
        """All events from the first to the last; None after `tick` seconds without a new one."""
        at = 0
        while True:
            with self._changed:
                at = max(at, self._forgotten)
                if at == self._forgotten + len(self._events):
                    if self.state != "running":
                        return
                    self._changed.wait(tick)
                new = self._events[max(0, at - self._forgotten) :]
            if not new:
                yield None
            yield from new
            at += len(new)

    def end(self, state: str, message: str | None = None) -> None:
        with self._changed:
            self.state, self.message, self.ended = state, message, time.time()
            self._changed.notify_all()

    def lines(self) -> list[str]:
        with self._changed:
            return [data["text"] for event, data in self._events if event == "line"][-SHOWN_LINES:]


class Retraining:
    """Runs one job at a time."""

    def __init__(self, service: Service, votes: Votes) -> None:
        self.service, self.votes, self.settings = service, votes, service.settings
        self._job: Job | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, force: bool) -> Row:
        """Begin. Raises ApiError: 409 one is running, 400 too few votes, 507 the votes cannot be written down, 503
        the server is shutting down."""
        with self._lock:
            if self._closed:
                raise ApiError(503, "shutting_down", "The server is shutting down.", retry_after=10)
            if self._job is not None and self._job.state == "running":
                raise ApiError(409, "already_running", "A retraining is running; cancel it first.")
            votes = self.service.store.votes()
            learn, measure = exports.split(votes)
            missing = self.votes.counts()["needed"]
            if not learn or (missing and not force):
                raise ApiError(400, "not_enough_votes", f"{max(1, missing)} more votes for one side are needed.")
            self._write(learn, measure)
            self._job = job = Job(self._commands())
            last = max(vote["vote_id"] for vote in votes)
            self._thread = threading.Thread(target=self._run, args=(job, measure, last), name="minigpt-retrain")
            self._thread.start()
        return self.describe()

    def cancel(self) -> Row:
        """Stop the running job, if there is one; returns when it has stopped."""
        self._stop()
        return self.describe()

    def close(self) -> None:
        """Stop the running job, and start no other."""
        with self._lock:
            self._closed = True
        self._stop()

    def _stop(self) -> None:
        with self._lock:  # not between a job and its thread
            job, thread = self._job, self._thread
        if job is not None and thread is not None and job.state == "running":
            job.cancelled.set()
            thread.join()

    def events(self, tick: float) -> Iterator[Event | None]:
        """What happens in the present or the last job, from its beginning; at the end ("done", its description)."""
        if self._job is not None:
            yield from self._job.events(tick)
        yield "done", self.describe()

    def describe(self) -> Row:
        """The state of the present or the last job."""
        job = self._job
        common: Row = {
            "commands": [as_typed(words) for _, words in (job.commands if job else self._commands())],
            "steps": len(self.settings.retrain_commands),
            "counts": self.votes.counts(),
        }
        if job is None:
            return {"state": "idle", "job_id": None, "step": 1, "name": None, "percent": None, "started": None,
                    "seconds": 0.0, "message": None, "lines": [], "agreement": {"before": None, "after": None},
                    **common}  # fmt: skip
        seconds = round((job.ended or time.time()) - job.began, 1)
        started = datetime.fromtimestamp(job.began, UTC).isoformat(timespec="seconds")
        return {"state": job.state, "job_id": job.id, "step": job.step, "name": job.name, "percent": job.percent,
                "started": started, "seconds": seconds, "message": job.message, "lines": job.lines(),
                "agreement": dict(job.agreement), **common}  # fmt: skip

    # Before.

    def _files(self) -> tuple[Path, Path]:
        path = self.settings.store_path
        return path.with_suffix(".learn.jsonl"), path.with_suffix(".heldout.jsonl")

    def _write(self, learn: Sequence[Row], measure: Sequence[Row]) -> None:
        try:
            for path, rows in zip(self._files(), (learn, measure), strict=True):
                write_atomically(path, exports.lines(map(exports.minigpt, rows)))
        except UserError:
            raise ApiError(507, "disk", "The votes cannot be written to the disk.") from None

    def _commands(self) -> list[Command]:
        """The configured commands, with the names in braces filled in."""
        votes, heldout = self._files()
        names = {"python": sys.executable, "scripts": str(SCRIPTS), "models": str(self.settings.models.resolve()),
                 "votes": str(votes.resolve()), "heldout": str(heldout.resolve()), **self._policy()}  # fmt: skip
        fill = re.compile("|".join(re.escape(f"{{{name}}}") for name in names))
        return [
            (name, [fill.sub(lambda found: names[found[0][1:-1]], word) for word in words])
            for name, words in self.settings.retrain_commands
        ]

    def _policy(self) -> dict[str, str]:
        """The SFT model that the votes are about, and the recipe that made it."""
        try:
            entry = self.service.cache.find(None)
        except ApiError:
            return {"policy": "", "recipe": ""}
        policy = self.service.judge.reference(entry) or entry
        recipe = policy.card.get("recipe_file") or policy.card.get("recipe", policy.recipe)
        return {"policy": str(policy.folder.resolve()), "recipe": str(recipe)}

    # The thread that watches.

    def _run(self, job: Job, measure: Sequence[Row], last_vote: int) -> None:
        try:
            self._measure(job, "before", measure)
            for step, (name, words) in enumerate(job.commands, start=1):
                job.step, job.percent = step, None
                job.tell("progress", {"step": step, "steps": len(job.commands), "name": name, "percent": None})
                status = self._command(job, words)
                if job.cancelled.is_set():
                    job.end("cancelled")
                    return
                if status != 0:
                    last = job.lines()[-1:] or ["it said nothing"]
                    job.end("failed", f"{name} ended with exit code {status}: {last[0]}")
                    return
            self._measure(job, "after", measure)
            self.service.store.mark_trained(last_vote)
            job.end("done")
        except Exception as error:
            job.end("failed", as_api_error(error).message)

    def _measure(self, job: Job, when: str, measure: Sequence[Row]) -> None:
        """How often the reward model prefers the answer that the voter preferred."""
        found: Row = {"share": None, "votes": len(measure), "reason": None}
        reward = self.service.judge.reward()
        if reward.model is None or not measure:
            found["reason"] = reward.reason or "With votes on fewer than five prompts, none are held out."
        else:
            pairs: list[tuple[Sequence[Turn], str]] = []
            for vote in measure:
                turns = as_turns(vote["messages"])
                pairs += [(turns, answer) for answer in exports.better_and_worse(vote)]
            with self.service.cache.work_lock():
                scores = reward.model.score(pairs)
            wins = [(b > w) + 0.5 * (b == w) for b, w in zip(scores[::2], scores[1::2], strict=True)]
            found["share"] = sum(wins) / len(wins)
        job.agreement[when] = found
        job.tell("agreement", {"when": when, **found})

    def _command(self, job: Job, words: Sequence[str]) -> int:
        """Run one command to its end, or to the job's; returns its exit code."""
        own_group: dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined,unused-ignore]
        try:
            job.process = subprocess.Popen(
                words,
                cwd=self.settings.retrain_folder,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **own_group,
            )
        except OSError:
            job.tell("line", {"text": f"{words[0]} cannot be started", "step": job.step})
            return 127
        with job.process:
            watch = threading.Thread(target=self._stop_when_cancelled, args=(job, job.process))
            watch.start()
            for line, ended in _split_output(job.process):
                self._hear(job, line, ended)
            status = job.process.wait()
        watch.join()
        return status

    def _hear(self, job: Job, line: str, ended: bool) -> None:
        """A line of a command's output; one that does not end is a progress bar that will be drawn over."""
        if match := re.search(r"(?<![\d.])(\d{1,3}(?:\.\d+)?) ?%", line):
            percent = min(100.0, float(match[1]))
            if percent != job.percent:
                job.percent = percent
                about = {"step": job.step, "steps": len(job.commands), "name": job.name}
                job.tell("progress", {**about, "percent": percent})
        if ended and line.strip():
            job.tell("line", {"text": line.rstrip(), "step": job.step})

    @staticmethod
    def _stop_when_cancelled(job: Job, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            if job.cancelled.wait(0.1):
                _signal(process, signal.SIGTERM)
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
                return


def as_typed(words: Sequence[str]) -> str:
    """A command as one would type it here."""
    here = f"{Path.cwd()}{os.sep}"
    return shlex.join(["python" if word == sys.executable else word.removeprefix(here) for word in words])


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal the command and all that it started; it may just have left by itself."""
    with contextlib.suppress(OSError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, number)


def _split_output(process: subprocess.Popen[bytes]) -> Iterator[tuple[str, bool]]:
    """(line, whether it ended in a line feed) of a command's output as it comes; a carriage return ends one too."""
    assert process.stdout is not None
    held = b""
    while chunk := os.read(process.stdout.fileno(), 65536):
        *lines, held = re.split(rb"(?<=[\r\n])", held + chunk)
        for line in lines:
            yield line.decode("utf-8", "replace").rstrip("\r\n"), line.endswith(b"\n")
        held = held[-65536:]
    if held:
        yield held.decode("utf-8", "replace"), True
