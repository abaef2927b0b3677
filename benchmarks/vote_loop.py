"""The loop of the chat page, closed by a machine: votes, a reward model, a new policy, and votes on that one.

    python benchmarks/vote_loop.py                     on the shipped models; under ten minutes on two cores
    python benchmarks/vote_loop.py --recipe summary    on trained_models/summary, after its four stages
    python benchmarks/vote_loop.py --votes 40 --careless 0.5
                                                       half of the votes are a coin's: no worse model may come of them

Starts the real server on a copy of the models and does what a student does on the page, by the same requests. A
simulated rater votes on blind pairs of answers, presses the retraining button and waits. On the shipped models the
rater likes polite answers, and among those the shorter one; both answers are the SFT model's. With `--recipe` the rater
follows the recipe's grader, and the pairs are of the current model and of an older one: PPO's and SFT's.
Printed are how often the reward model agrees with votes that it never saw, before and after, and who wins when the same
rater votes blindly on new questions, the SFT model or the new PPO model. Exit code 1 if a goal is missed: the new model
must win or, where votes are careless, at least not take the old one's place unless it does.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from serving import ROOT, serving

from minigpt import Turn
from minigpt.alignment.reward_metrics import wilson_interval
from minigpt.recipe import load_recipe
from minigpt.tinytown import Town
from minigpt.tinytown.graders import Grader

AGREEMENT, WINS = 0.85, 0.70  # the goals, with careful votes
NOTICED = 2  # words by which an answer must be shorter for the rater to see it
NEW, TRIAL = "votes/ppo", "votes/ppo-trial"  # the new model, and where it is if it is no better than the old one


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


class Rater(Protocol):
    """Somebody who votes. `good` is what nobody votes on, but is counted: whether an answer is a good one."""

    def vote(self, question: str, left: str, right: str) -> str: ...

    def good(self, question: str, answer: str) -> bool: ...


@dataclass
class Taste:
    """Likes courtesy, and then brevity; nobody counts words, so one more or less is none. Sees two texts and nothing
    else. An answer is good if it is true."""

    town: Town = field(default_factory=Town)

    def good(self, question: str, answer: str) -> bool:
        return self.town.grade((Turn("user", question),), answer).right

    def vote(self, question: str, left: str, right: str) -> str:
        polite = [bool(text) and self.town.grade((), text).polite for text in (left, right)]
        if polite[0] != polite[1]:
            return "left" if polite[0] else "right"
        longer = len(left.split()) - len(right.split())
        if abs(longer) < NOTICED or not (left and right):
            return "tie"
        return "right" if longer > 0 else "left"


@dataclass
class Reader:
    """Compares both answers with the grader."""

    grader: Grader

    def good(self, question: str, answer: str) -> bool:
        return self.grader.grade((Turn("user", question),), answer)[self.grader.marks[-1]] == 1

    def vote(self, question: str, left: str, right: str) -> str:
        marks = [self.grader.grade((Turn("user", question),), text)["score"] for text in (left, right)]
        return "tie" if marks[0] == marks[1] else "left" if marks[0] > marks[1] else "right"


@dataclass
class Careless:
    """Somebody who does not look in this share of all votes, and then takes either side."""

    rater: Rater
    share: float
    rng: random.Random

    def good(self, question: str, answer: str) -> bool:
        return self.rater.good(question, answer)

    def vote(self, question: str, left: str, right: str) -> str:
        if self.rng.random() < self.share:
            return self.rng.choice(("left", "right"))
        return self.rater.vote(question, left, right)


@dataclass
class Tally:
    """Who won, by name or "tie", and how many answers of each model were good."""

    won: Counter[str] = field(default_factory=Counter)
    good: Counter[str] = field(default_factory=Counter)


def cast(page: Page, rater: Rater, questions: Sequence[str], models: tuple[str, str]) -> Tally:
    """One vote on each question, between answers of these two models."""
    tally = Tally()
    for question in questions:
        messages = [{"role": "user", "content": question}]
        body = {"model": models[0], "other": models[1], "mode": "qa", "messages": messages}
        pair = page.call("POST", "/api/pairs", body)
        choice = rater.vote(question, pair["left"]["text"], pair["right"]["text"])
        told = page.call("POST", "/api/votes", {"pair_id": pair["pair_id"], "vote": choice})
        tally.won[told[choice]["model"] if choice in told else choice] += 1
        for side in ("left", "right"):
            tally.good[told[side]["model"]] += rater.good(question, pair[side]["text"])
    return tally


def retrain(page: Page) -> dict[str, Any]:
    """Press the button and watch, until the training is over; returns what the page then shows."""
    page.call("POST", "/api/retrain", {"force": True})
    state: dict[str, Any] = {}
    for event, data in page.events("/api/retrain/events"):
        if event == "line":
            print(f"    {data['text']}", flush=True)
        elif event == "done":
            state = data
    if state.get("state") != "done":
        raise SystemExit(f"the retraining {state.get('state')}: {state.get('message')}")
    return state


def measure(
    home: Path, rater: Rater, questions: Sequence[str], votes: int, compared: tuple[str, str], voter: Rater
) -> bool:
    """The whole loop on the models in `home`, of which two are `compared`; whether the goals were met. The votes that
    are learned from are the `voter`'s, those on the new model the `rater`'s."""
    old, fresh = compared[1], len(questions) - votes
    began = time.monotonic()
    with serving("--model", str(home / old), "--device", "cpu") as url:
        page = Page(url)
        first = cast(page, voter, questions[:votes], compared)
        pairs = " and ".join(dict.fromkeys(compared))
        print(f"votes:     {votes} on pairs of {pairs}, {first.won['tie']} of them ties ({_since(began)})", flush=True)
        told = retrain(page)
        agreement, verdict = told["agreement"], told["result"]
        print(f"retrained: {verdict['summary']} ({_since(began)})", flush=True)
        new = NEW if verdict["better"] else TRIAL
        offered = {model["id"] for model in page.call("GET", "/v1/models")["data"]}
        assert (NEW in offered) == verdict["better"], "only a better model is offered as the next one"
        second = cast(page, rater, questions[votes:], (new, old))
    before, after = agreement["before"], agreement["after"]
    kept, decided = after["votes"], second.won[new] + second.won[old]
    rows = [
        ("agrees with votes kept aside, before", before["share"], kept, None),
        ("agrees with votes kept aside, after", after["share"], kept, AGREEMENT),
        (f"{new} wins against {old}", second.won[new] / max(1, decided), decided, WINS),
        (f"good answers of {old}", second.good[old] / fresh, fresh, None),
        (f"good answers of {new}", second.good[new] / fresh, fresh, None),
    ]
    print(f"\n{'':40}{'result':>8}{'of':>6}{'95 %':>18}{'goal':>8}")
    for name, share, count, goal in rows:
        low, high = wilson_interval((share or 0) * count, count)
        result = f"{'none':>8}{'':24}" if share is None else f"{share:8.1%}{count:6}{f'{low:.1%} to {high:.1%}':>18}"
        print(f"{name:40}{result}{'' if goal is None else f'{goal:8.0%}'}")
    learned, ties = votes - first.won["tie"] - kept, second.won["tie"]
    print(f"{learned} votes to learn from; {ties} of {fresh} fresh votes were ties; {_since(began)} in all")
    if voter is not rater:
        return not verdict["better"] or second.won[new] > second.won[old]
    return verdict["better"] and all(share is not None and share >= goal for _, share, _, goal in rows if goal)


def _since(began: float) -> str:
    return f"{(time.monotonic() - began) / 60:.1f} minutes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", help="a recipe with a grader (default: the shipped models, and taste)")
    parser.add_argument("--votes", type=int, default=200, help="votes to learn from and to measure with (default 200)")
    parser.add_argument("--fresh", type=int, default=100, help="votes on the new model (default 100)")
    parser.add_argument("--careless", type=float, default=0.0, help="share of the votes given without looking")
    parser.add_argument("--seed", type=int, default=7, help="which votes are careless (default 7)")
    parser.add_argument("--keep", type=Path, help="work in this new folder, and leave it (default: a temporary one)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = (arguments.keep or Path(folder)).resolve()
        name, count = arguments.recipe or "shipped", arguments.votes + arguments.fresh
        for stage in ("sft", "reward", "ppo"):
            shutil.copytree(ROOT / "trained_models" / name / stage, home / name / stage)
        if arguments.recipe:
            grader = load_recipe(name).need_grader()
            rater: Rater = Reader(grader)
            questions = [prompt.turns[-1].text for prompt in grader.prompts(grader.columns[0], count, set(), seed=7)]
            compared = f"{name}/ppo", f"{name}/sft"
        else:
            rater = Taste()
            questions = [question.text for question in rater.town.questions("asked", count, seed=7)]
            compared = "shipped/sft", "shipped/sft"
        share = arguments.careless
        voter = Careless(rater, share, random.Random(arguments.seed)) if share else rater
        met = measure(home, rater, questions, arguments.votes, compared, voter)
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
