"""The loop of the chat page, closed by a machine: votes, a reward model, a new policy, and votes on that one.

    python benchmarks/vote_loop.py              under ten minutes on two cores

Starts the real server on a copy of the shipped models and does what a student does on the page, by the same requests. A
simulated rater, who likes polite answers and among those the shorter one, votes on blind pairs of the SFT model's
answers, presses the retraining button and waits. Printed are how often the reward model agrees with votes that it never
saw, before and after, and who wins when the same rater votes blindly on new questions, the SFT model or the new PPO
model. Exit code 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving import ROOT, serving

from minigpt import Turn
from minigpt.corpus.tinytown import Town
from minigpt.judging import wilson_interval

AGREEMENT, WINS = 0.85, 0.70  # the goals
NOTICED = 2  # words by which an answer must be shorter for the rater to see it
OLD, NEW = "shipped/sft", "votes/ppo"


@dataclass
class Page:
    """What the page asks the server, without the page."""

    url: str

    def _open(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Origin": self.url.rstrip("/")}
        request = urllib.request.Request(self.url.rstrip("/") + path, data, headers, method=method)
        return urllib.request.urlopen(request, timeout=600)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        with self._open(method, path, body) as response:
            return json.load(response)

    def events(self, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(event, data) of a stream of server-sent events."""
        with self._open("GET", path) as response:
            event = ""
            for line in response:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    yield event, json.loads(value)


@dataclass
class Rater:
    """Votes as somebody does who likes courtesy, and then brevity; nobody counts words, so one more or less is none.
    Sees two texts and nothing else."""

    town: Town = field(default_factory=Town)

    def vote(self, left: str, right: str) -> str:
        polite = [bool(text) and self.town.grade((), text).polite for text in (left, right)]
        if polite[0] != polite[1]:
            return "left" if polite[0] else "right"
        longer = len(left.split()) - len(right.split())
        if abs(longer) < NOTICED or not (left and right):
            return "tie"
        return "right" if longer > 0 else "left"


@dataclass
class Tally:
    """Who won, by name or "tie", and how many answers of each model were true: nobody votes on that."""

    won: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)


def cast(page: Page, rater: Rater, questions: Sequence[str], models: tuple[str, str]) -> Tally:
    """One vote on each question, between answers of these two models."""
    tally = Tally()
    for question in questions:
        messages = [{"role": "user", "content": question}]
        body = {"model": models[0], "other": models[1], "mode": "qa", "messages": messages}
        pair = page.call("POST", "/api/pairs", body)
        choice = rater.vote(pair["left"]["text"], pair["right"]["text"])
        told = page.call("POST", "/api/votes", {"pair_id": pair["pair_id"], "vote": choice})
        tally.won[told[choice]["model"] if choice in told else choice] += 1
        for side in ("left", "right"):
            grade = rater.town.grade((Turn("user", question),), pair[side]["text"])
            tally.true[told[side]["model"]] += grade.right
    return tally


def retrain(page: Page) -> dict[str, Any]:
    """Press the button and watch, until the training is over; returns what the page then shows."""
    page.call("POST", "/api/retrain", {})
    state: dict[str, Any] = {}
    for event, data in page.events("/api/retrain/events"):
        if event == "line":
            print(f"    {data['text']}", flush=True)
        elif event == "done":
            state = data
    if state.get("state") != "done":
        raise SystemExit(f"the retraining {state.get('state')}: {state.get('message')}")
    return state


def measure(home: Path, votes: int, fresh: int) -> bool:
    """The whole loop on the models in `home`; whether both goals were met."""
    rater = Rater()
    questions = [question.text for question in rater.town.questions("asked", votes + fresh, seed=7)]
    began = time.monotonic()
    with serving("--model", str(home / OLD), "--device", "cpu") as url:
        page = Page(url)
        first = cast(page, rater, questions[:votes], (OLD, OLD))
        print(f"votes:     {votes} on pairs of {OLD}, {first.won['tie']} of them ties ({_since(began)})", flush=True)
        agreement = retrain(page)["agreement"]
        print(f"retrained: ({_since(began)})", flush=True)
        second = cast(page, rater, questions[votes:], (NEW, OLD))
    before, after = agreement["before"], agreement["after"]
    kept, decided = after["votes"], second.won[NEW] + second.won[OLD]
    rows = [
        ("agrees with votes kept aside, before", before["share"], kept, None),
        ("agrees with votes kept aside, after", after["share"], kept, AGREEMENT),
        (f"{NEW} wins against {OLD}", second.won[NEW] / max(1, decided), decided, WINS),
        (f"true answers of {OLD}", second.true[OLD] / fresh, fresh, None),
        (f"true answers of {NEW}", second.true[NEW] / fresh, fresh, None),
    ]
    print(f"\n{'':40}{'result':>8}{'of':>6}{'95 %':>18}{'goal':>8}")
    for name, share, count, goal in rows:
        low, high = wilson_interval((share or 0) * count, count)
        result = f"{'none':>8}{'':24}" if share is None else f"{share:8.1%}{count:6}{f'{low:.1%} to {high:.1%}':>18}"
        print(f"{name:40}{result}{'' if goal is None else f'{goal:8.0%}'}")
    learned, ties = votes - first.won["tie"] - kept, second.won["tie"]
    print(f"{learned} votes to learn from; {ties} of {fresh} fresh votes were ties; {_since(began)} in all")
    return all(share is not None and share >= goal for _, share, _, goal in rows if goal is not None)


def _since(began: float) -> str:
    return f"{(time.monotonic() - began) / 60:.1f} minutes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=200, help="votes to learn from and to measure with (default 200)")
    parser.add_argument("--fresh", type=int, default=100, help="votes on the new model (default 100)")
    parser.add_argument("--keep", type=Path, help="work in this new folder, and leave it (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = (arguments.keep or Path(folder)).resolve()
        shutil.copytree(ROOT / "trained_models" / "shipped", home / "shipped")
        met = measure(home, arguments.votes, arguments.fresh)
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
