"""A stand-in for the page's server: every route that the page calls, with answers that are known beforehand.

The browser tests use it for what a real model cannot be told to do: be busy, be slow, write markup, have a reward.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from minigpt import Sampling
from minigpt.web import Settings
from minigpt.web.bodies import BeamSearch, Decoding, limits
from minigpt.web.openapi import settings_of

STATIC = Path(__file__).parents[2] / "minigpt" / "web" / "static"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json",
         ".svg": "image/svg+xml"}  # fmt: skip
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ANSWER = "The ship sails at noon, 船 and 🚢 too."
WORDS = ["The", " ship", " sails", " because", " it", " is", " noon", "."]

Body = dict[str, Any]


def model(name: str, stage: str, **more: Any) -> Body:
    card = {"minutes": 1.5, "machine": "cpu"}
    return {"id": name, "object": "model", "created": 0, "owned_by": "minigpt", "stage": stage, "recipe": "tinytown",
            "parent": None, "answers": stage != "pretrain", "chats": stage != "reward", "context_length": 128,
            "parameters": 1_600_000, "loaded": True, "default": stage == "sft", "card": card, **more}  # fmt: skip


MODELS = [model(f"tinytown/{stage}", stage) for stage in ("pretrain", "sft", "reward", "ppo")]
SETTINGS = {
    "version": "0", "default_model": "tinytown/sft", "languages": ["en", "zh-Hans"],
    "decoding": settings_of(Decoding), "beam": settings_of(BeamSearch), "limits": limits(Settings()),
    "sampling": asdict(Sampling()),
    "examples": ["When does the ship sail?", "Who is the baker?"],
    "sources": {"chat": {"file": "minigpt/chat.py", "line": 1}},
}  # fmt: skip


def token(i: int, text: str, kind: str = "text") -> Body:
    return {"id": i, "text": text, "piece": text.replace(" ", "▁"), "kind": kind}


def looked_at(answer: list[str]) -> list[Body]:
    """The answer's tokens with made-up probabilities that sum to less than one, reward and value."""
    rows = []
    for i, text in enumerate(answer):
        others = [{**token(100 + j, f" other{j}"), "probability": 0.2 / 2**j, "logprob": -2.0 - j} for j in range(3)]
        mine = {**token(i, text), "probability": 0.6, "logprob": -0.51}
        rows.append({**mine, "rank": 1, "alternatives": [mine, *others], "reward": 0.5 * i - 1, "value": 0.4 * i - 0.8})
    return rows


def counts(votes: int) -> Body:
    return {"votes": votes, "left": votes, "right": 0, "tie": 0, "both_bad": 0, "usable": votes,
            "since_training": votes, "needed": max(0, 2 - votes)}  # fmt: skip


class FakeServer(ThreadingHTTPServer):
    """Answers at `url` until `close`; set `busy` to refuse so many requests, `token` to ask for one."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.busy, self.token, self.votes, self.left_early = 0, "", 0, threading.Event()
        self.bodies: list[tuple[str, Body]] = []
        self.job = {"state": "idle", "job_id": None, "step": 1, "steps": 3, "name": None, "percent": None,
                    "result": None,
                    "started": None, "seconds": 0, "message": None, "lines": [],
                    "commands": ["python run_reward.py", "python run_ppo.py"], "counts": counts(0),
                    "agreement": {"before": None, "after": None}}  # fmt: skip
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def asked(self, path: str) -> list[Body]:
        return [body for where, body in self.bodies if where == path]

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def log_message(self, *arguments: Any) -> None:
        pass

    # What goes out.

    def head(self, status: int, kind: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": f"{kind}; charset=utf-8", "Content-Security-Policy": POLICY,
                            "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
                            **headers}.items():  # fmt: skip
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def say(self, body: Any, status: int = 200, **headers: str) -> None:
        self.head(status, "application/json", **headers)
        self.wfile.write(json.dumps(body).encode())

    def refuse(self, status: int, code: str, **headers: str) -> None:
        error = {"message": f"refused: {code}", "type": "invalid_request_error", "code": code, "param": None}
        self.say({"error": error}, status, **headers)

    def event(self, data: Any, name: str = "") -> None:
        """One event, cut in the middle: what arrives whole proves nothing."""
        raw = f"{f'event: {name}' + chr(10) if name else ''}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
        self.wfile.write(raw[: len(raw) // 2])
        self.wfile.flush()
        self.wfile.write(raw[len(raw) // 2 :])
        self.wfile.flush()

    # What comes in.

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if path == "/" or path.startswith("/static/"):
            file = STATIC / (path.removeprefix("/static/") if path != "/" else "index.html")
            if not file.is_file():
                return self.refuse(404, "not_found")
            self.head(200, TYPES[file.suffix])
            self.wfile.write(file.read_bytes())
            return None
        return self.answer("GET", path, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        self.server.bodies.append((self.path, body))
        self.answer("POST", self.path, body)

    def do_DELETE(self) -> None:
        self.answer("DELETE", self.path, {})

    def answer(self, method: str, path: str, body: Body) -> None:
        server = self.server
        if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
            return self.refuse(401, "bad_token")
        if server.busy and path == "/v1/chat/completions":
            server.busy -= 1
            return self.refuse(429, "busy", Retry_After="1")
        name = path.strip("/").replace("/", "_").replace(".", "_")
        found = getattr(self, f"{method.lower()}_{name}", None)
        if path.startswith("/api/runs/"):
            return self.show_run(path.removeprefix("/api/runs/"))
        if found is None:
            self.refuse(404, "not_found")
        else:
            found(body)
        return None

    def get_health(self, body: Body) -> None:
        self.say({"status": "ok", "models": [], "device": "cpu", "queue": {"running": 0, "waiting": 0}})

    def get_api_settings(self, body: Body) -> None:
        self.say(SETTINGS)

    def get_v1_models(self, body: Body) -> None:
        self.say({"object": "list", "data": MODELS})

    # Chat. "echo ..." is said again, "slow" is slow, "long" is cut off, anything else gets ANSWER.

    def text(self, body: Body) -> str:
        question = body["messages"][-1]["content"]
        return question.removeprefix("echo ") if question.startswith("echo ") else ANSWER

    def post_v1_chat_completions(self, body: Body) -> None:
        question, text = body["messages"][-1]["content"], self.text(body)
        seed, dropped = body.get("seed") or 7, 2 if "dropped" in question else 0
        finish = "length" if "long" in question else "stop"
        ids = [*body.get("answer_ids", []), 1, 2, 3]
        info = {"seed": seed, "dropped": dropped, "ids": ids, "note": None, "answer_id": 5, "seconds": 0.4}
        if not body.get("stream"):
            message = {"role": "assistant", "content": text}
            return self.say({"choices": [{"index": 0, "message": message, "finish_reason": finish}], "minigpt": info})
        self.head(200, "text/event-stream")
        self.wfile.write(b": ok\n\n")
        chunk = lambda delta, finish=None, **more: self.event(  # noqa: E731
            {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})  # fmt: skip
        chunk({"role": "assistant", "content": ""}, minigpt={"seed": seed, "dropped": dropped, "queue": 0})
        try:
            for piece in [f"word{i} " for i in range(300)] if "slow" in question else text:
                chunk({"content": piece})
                time.sleep(0.03 if "slow" in question else 0)
            if "broken" in question:
                return self.event({"error": {"message": "the engine broke", "code": "internal"}}, "error")
            if "vanish" in question:
                return None
            chunk({}, finish, minigpt=info)
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.left_early.set()
        return None

    def post_api_compare(self, body: Body) -> None:
        self.head(200, "text/event-stream")
        self.event({"seed": 7, "models": body["models"]}, "start")
        for i, name in enumerate(body["models"]):
            text = self.text(body)
            self.event({"column": i, "text": text}, "token")
            reward = {"reward": 0.5 + i, "reward_model": "tinytown/reward", "reward_reason": None}
            if name.endswith("pretrain"):
                reward = {"reward": None, "reward_model": None, "reward_reason": "no reward model"}
            column = {"column": i, "model": name, "text": text, "ids": [1, 2], "finish_reason": "stop", "note": None,
                      "dropped": 0, "seconds": 0.1, **reward, "kl": 1.25 * i, "kl_per_token": 0.1 * i,
                      "agreement": 0.9, "reference": "tinytown/sft", "kl_reason": None, "error": None}  # fmt: skip
            self.event(column, "column")
        self.event({}, "done")

    # Look inside.

    def post_api_tokens(self, body: Body) -> None:
        words = WORDS if "answer_ids" in body else [body["answer"]]
        end = {**looked_at(["<|end|>"])[0], "kind": "end", "reward": None, "value": None}
        self.say({"model": body["model"], "dropped": 0, "context": 128, "tokens": looked_at(words), "end": end,
                  "prompt": [token(1, "<|user|>", "role"), token(2, body["messages"][-1]["content"])],
                  "reward": 2.5, "reward_model": "tinytown/reward", "reward_reason": None,
                  "value_reason": None})  # fmt: skip

    def post_api_attention(self, body: Body) -> None:
        layer, head = body.get("layer", 0), body.get("head", 0)
        rows = range(len(WORDS))
        weights = [[0.9 if j == max(0, i - 1 - head) else 0.1 / (i or 1) for j in range(i + 1)] for i in rows]
        strongest = [{"to": max(0, i - 1 - head), "weight": 0.9} if i else None for i in rows]
        self.say({"model": body["model"], "layer": layer, "head": head, "layers": 2, "heads": 2, "offset": 0,
                  "tokens": [token(i, word) for i, word in enumerate(WORDS)], "weights": weights,
                  "left_out": [0.0] * len(WORDS), "strongest": strongest, "sentence": None})  # fmt: skip

    def post_api_beam(self, body: Body) -> None:
        node = lambda i, parent, depth, text, state: {  # noqa: E731
            "id": i, "parent": parent, "depth": depth, "token": token(i, text) if text else None, "logprob": -0.5,
            "total": -0.5 * depth, "state": state}  # fmt: skip
        self.say({"model": body["model"], "dropped": 0, "text": " The ship", "ids": [1, 2], "beam_width": 2, "nodes": [
            node(0, None, 0, "", "best"), node(1, 0, 1, " The", "best"), node(2, 1, 2, " ship", "best"),
            node(3, 0, 1, " A", "dropped"), node(4, 1, 2, " boat", "kept")],
            "leaves": [{"node": 2, "text": " The ship", "ids": [1, 2], "logprob": -1.0, "score": -0.5,
                        "finished": True},
                       {"node": 4, "text": " The boat", "ids": [1, 4], "logprob": -1.2, "score": -0.6,
                        "finished": False}]})  # fmt: skip

    # Votes.

    def post_api_pairs(self, body: Body) -> None:
        text = self.text(body)
        self.say({"pair_id": 1, "left": {"text": f"{text} L"}, "right": {"text": f"{text} R"}, "dropped": 0})

    def post_api_votes(self, body: Body) -> None:
        self.server.votes += 1
        self.say({"vote_id": 1, "left": {"model": "tinytown/ppo", "seed": 1},
                  "right": {"model": "tinytown/sft", "seed": 2},
                  "reward": {"left": 1.5, "right": None, "model": "tinytown/reward", "reason": None},
                  "counts": counts(self.server.votes)}, 201)  # fmt: skip

    def get_api_votes(self, body: Body) -> None:
        self.say(counts(self.server.votes))

    def post_api_thumbs(self, body: Body) -> None:
        self.say(body, 201)

    def delete_api_chats(self, body: Body) -> None:
        self.say({"deleted": 1})

    def get_api_search(self, body: Body) -> None:
        self.say({"results": [{"kind": "vote", "id": 1, "chat_id": None, "created": "2026-07-31T10:00:00+00:00",
                               "model": "tinytown/sft", "snippet": "🚢 the <b>ship</b> sails", "start": 9, "end": 13}],
                  "how": "index"})  # fmt: skip

    def get_api_stats(self, body: Body) -> None:
        row = {"answers": 3, "votes": 2, "wins": 1, "up": 1, "down": 0}
        names = ("tinytown/sft", "tinytown/ppo")
        days = [{"day": f"2026-07-{day}", "model": name, **row} for day in (30, 31) for name in names]
        models = [{"model": "tinytown/sft", **row, "ties": 0, "both_bad": 0, "losses": 1}]
        self.say({"days": days, "models": models, "counts": counts(self.server.votes)})

    def get_api_retrain(self, body: Body) -> None:
        self.say(self.server.job)

    def post_api_retrain(self, body: Body) -> None:
        if self.server.votes < 2 and not body.get("force"):
            return self.refuse(400, "not_enough_votes")
        self.server.job = {**self.server.job, "state": "running", "name": "reward model"}
        return self.say(self.server.job, 202)

    def delete_api_retrain(self, body: Body) -> None:
        self.server.job = {**self.server.job, "state": "cancelled"}
        self.say(self.server.job)

    def get_api_retrain_events(self, body: Body) -> None:
        self.head(200, "text/event-stream")
        self.event({"when": "before", "share": 0.52, "votes": 50, "reason": None}, "agreement")
        self.event({"text": "step 1", "step": 1}, "line")
        for percent in (10, 60, 100):
            run = {"run_step": percent, "run_steps": 100, "eta": 2.0}
            self.event({"step": 1, "steps": 3, "name": "reward model", "percent": percent, **run}, "progress")
            time.sleep(0.1)
        after: dict[str, Any] = {"share": 0.81, "votes": 50, "reason": None}
        before = {**after, "share": 0.52}
        agreement = {"before": before, "after": after}
        share = {"share": 0.4, "interval": [0.3, 0.5], "of": 150}
        result: dict[str, Any] = {
            "better": False, "reason": "win_rate", "against": "tinytown/sft", "summary": "no better",
            "accuracy": share, "win_rate": share, "length": [8, 7], "distinct_2": [0.5, 0.5],
        }  # fmt: skip
        done: dict[str, Any] = {"state": "done", "lines": ["step 1"], "agreement": agreement, "result": result}
        self.server.job = {**self.server.job, **done}
        self.event(self.server.job, "done")

    # Training.

    def get_api_runs(self, body: Body) -> None:
        run = {"recipe": "tinytown", "finished": True, "live": False, "steps": 40, "minutes": 2.0, "metrics": None,
               "samples": 3, "updated": "2026-07-31T10:00:00+00:00"}  # fmt: skip
        self.say({"runs": [{"name": f"tinytown/{stage}", "stage": stage, **run} for stage in ("sft", "ppo")]})

    def show_run(self, name: str) -> None:
        steps = range(0, 50, 10)
        rows = [{"step": s, "reward": s / 10, "valid.reward": s / 10, "valid.kl": s / 20, "valid.true_right": 0.5,
                 "valid.true_good": 1 - (s / 25 - 1) ** 2} for s in steps]  # fmt: skip
        if name.endswith("sft"):
            rows = [{"step": s, "train_loss": 3 - s / 20, "valid.loss": 3.1 - s / 20} for s in steps]
        samples = [{"step": s, "prompt": "When?", "text": f"<i>sample {s}</i>"} for s in (0, 20, 40)]
        self.say({"name": name, "stage": name.split("/")[1], "finished": True, "live": False, "card": {"tokens": 9},
                  "columns": list({key: 0 for row in rows for key in row}), "rows": rows, "samples": samples,
                  "updated": "2026-07-31T10:00:00+00:00"})  # fmt: skip
