"""Training on the votes: the configured commands run one after the other in a child process, watched from the page.

The server only watches. The new models are written beside those in use, as votes/reward-trial and votes/ppo-trial; only
if the last command finds the new policy to be better, they become votes/reward and votes/ppo. Otherwise they are kept
as a trial, to be talked to and looked at, and nothing else changes.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..data.examples import Turn
from ..errors import UserError
from ..files import write_atomically
from ..model.checkpoint import CARD, TRIAL, make_room, read_card
from ..training.run_state import METRICS
from . import child, exports
from .bodies import as_turns
from .errors import ApiError, as_api_error
from .runs import Progress, progress_of
from .service import Service
from .settings import Command
from .store import Row
from .votes import Votes

Event = tuple[str, Row]
KEPT_EVENTS = 5000
SHOWN_LINES = 50
#: A retraining's commands find this very package, installed or not.
PACKAGES = Path(__file__).resolve().parents[2]
VOTES = "votes"  # the recipe, and the folder of what it trains


class Job:
    """One retraining: its commands, and everything that has happened in it so far."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self.id = secrets.token_hex(6)
        self.commands = commands
        self.state = "running"
        self.step = 1
        self.progress: Progress | None = None
        self.message: str | None = None
        self.result: Row | None = None
        self.began, self.ended = time.time(), 0.0
        self.agreement: dict[str, Row | None] = {"before": None, "after": None}
        self.cancelled = threading.Event()
        self._events: list[Event] = []
        self._forgotten = 0
        self._changed = threading.Condition()

    @property
    def name(self) -> str:
        return self.commands[self.step - 1][0]

    def place(self) -> Row:
        """Where the job is: its step, of how many, and how far that one is as far as it is known."""
        at = self.progress
        run: Row = {"percent": None, "run_step": None, "run_steps": None, "eta": None}
        if at is not None:
            run = {"percent": at.percent, "run_step": at.step, "run_steps": at.steps, "eta": at.eta}
        return {"step": self.step, "steps": len(self.commands), "name": self.name, **run}

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
            "counts": self.votes.counts(),
        }
        if job is None:
            return {"state": "idle", "job_id": None, "step": 1, "steps": len(self.settings.retrain_commands),
                    "name": None, "percent": None, "run_step": None, "run_steps": None, "eta": None, "started": None,
                    "seconds": 0.0, "message": None, "lines": [], "agreement": {"before": None, "after": None},
                    "result": None, **common}  # fmt: skip
        seconds = round((job.ended or time.time()) - job.began, 1)
        started = datetime.fromtimestamp(job.began, UTC).isoformat(timespec="seconds")
        return {"state": job.state, "job_id": job.id, **job.place(), "started": started, "seconds": seconds,
                "message": job.message, "lines": job.lines(), "agreement": dict(job.agreement), "result": job.result,
                **common}  # fmt: skip

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
        names = {"python": sys.executable, "votes": str(votes.resolve()),
                 "heldout": str(heldout.resolve()), "reward": str(self._folder(f"reward{TRIAL}")),
                 "ppo": str(self._folder(f"ppo{TRIAL}")), **self._policies()}  # fmt: skip
        fill = re.compile("|".join(re.escape(f"{{{name}}}") for name in names))
        return [
            (name, [fill.sub(lambda found: names[found[0][1:-1]], word) for word in words])
            for name, words in self.settings.retrain_commands
        ]

    def _policies(self) -> dict[str, str]:
        """The folders of the model that answers now, and of the SFT model that the votes are about."""
        try:
            current = self.service.cache.find(None)
        except ApiError:
            return {"current": "", "policy": ""}
        policy = self.service.scorer.reference(current) or current
        return {"current": str(current.folder.resolve()), "policy": str(policy.folder.resolve())}

    def _folder(self, name: str) -> Path:
        return (self.settings.models / VOTES / name).resolve()

    # The thread that watches.

    def _run(self, job: Job, measure: Sequence[Row], last_vote: int) -> None:
        try:
            before = _version(self._folder(f"ppo{TRIAL}") / CARD)
            self._measure(job, "before", measure)
            for step, (name, words) in enumerate(job.commands, start=1):
                job.step, job.progress = step, None
                job.tell("progress", job.place())
                status = self._command(job, words)
                if job.cancelled.is_set():
                    job.end("cancelled")
                    return
                if status != 0:
                    last = job.lines()[-1:] or ["it said nothing"]
                    job.end("failed", f"{name} ended with exit code {status}: {last[0]}")
                    return
            if before != _version(self._folder(f"ppo{TRIAL}") / CARD):  # else the commands are others, and so is theirs
                job.result = read_card(self._folder(f"ppo{TRIAL}")).get("evaluation")
            self._measure(job, "after", measure)
            if job.result and job.result["better"]:
                self._adopt()
            self.service.store.mark_trained(last_vote)
            job.end("done")
        except Exception as error:
            job.end("failed", as_api_error(error).message)

    def _adopt(self) -> None:
        """Put the new models in place of the former ones, which are kept."""
        for name in ("reward", "ppo"):
            folder = self._folder(name)
            if folder.exists():
                make_room(folder)
            self._folder(f"{name}{TRIAL}").rename(folder)

    def _measure(self, job: Job, when: str, measure: Sequence[Row]) -> None:
        """How often the reward model prefers the answer that the voter preferred."""
        found: Row = {"share": None, "votes": len(measure), "reason": None}
        trial = f"{VOTES}/reward{TRIAL}" if job.result else None
        reward = self.service.scorer.reward(trial)
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
        out = Path(words[words.index("--out") + 1]) if "--out" in words[:-1] else None
        before = _version(out / METRICS) if out else None

        def hear(line: str) -> None:
            job.tell("line", {"text": line, "step": job.step})

        def look() -> None:
            if out is None or _version(out / METRICS) in (None, before):
                return  # an earlier run's log
            progress = progress_of(out)
            if progress not in (None, job.progress):
                job.progress = progress
                job.tell("progress", job.place())

        path = os.pathsep.join(filter(None, (str(PACKAGES), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONPATH": path}
        return child.run(words, self.settings.retrain_folder, environment, job.cancelled, hear, look)


def as_typed(words: Sequence[str]) -> str:
    """A command as one would type it here."""
    here = f"{Path.cwd()}{os.sep}"
    return shlex.join(["python" if word == sys.executable else word.removeprefix(here) for word in words])


def _version(path: Path) -> tuple[int, int] | None:
    """Changes whenever a file is written; None without one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
