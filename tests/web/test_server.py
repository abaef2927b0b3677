"""The server as a process: other people's clients, clients that leave, shutdown, kill -9, and mistakes at the start."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.web import QUESTION, ScriptedEngine, deadline, read_stream, streamed_text, write_models

from minigpt.web import Settings
from minigpt.web.engine import Engine
from minigpt.web.errors import ApiError
from minigpt.web.server import Server

pytest_plugins = ["helpers.web_fixtures"]
ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="signals as on Linux and macOS")

#: A server whose model takes its time, so that a test can do something in the middle of an answer.
SLOW = """
import sys, time, pathlib
from minigpt.web import Settings, create_app
from minigpt.web.engine import Engine
from minigpt.web.server import Server
def engine(chat):
    model = chat.gpt
    forward = model.hidden_states
    def slowly(*arguments, **options):
        time.sleep(float(sys.argv[2]))
        return forward(*arguments, **options)
    model.hidden_states = slowly
    return Engine(model)
server = Server(Settings(models=pathlib.Path(sys.argv[1]), drain_seconds=float(sys.argv[3])), port=0, engine=engine)
print("page:", server.url, flush=True)
server.serve()
"""


class Process:
    """A server in a process of its own, on a free port."""

    def __init__(self, *command: str, cwd: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, *command], cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127.0.0.1:(\d+)/", line)
        assert found, line
        self.port = int(found[1])
        for _ in deadline(120):
            if self.get("/health")[0] == 200:
                break

    def open(self, method: str, path: str, body: dict | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json"})
        return connection.getresponse()

    def get(self, path: str) -> tuple[int, dict]:
        with self.open("GET", path) as response:
            return response.status, json.load(response)

    def post(self, path: str, body: dict) -> tuple[int, dict]:
        with self.open("POST", path, body) as response:
            return response.status, json.load(response)

    def stream(self, max_tokens: int = 20) -> http.client.HTTPResponse:
        body = {"messages": QUESTION, "stream": True, "max_tokens": max_tokens, "temperature": 2, "seed": 4}
        return self.open("POST", "/v1/chat/completions", body)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def folder(tmp_path):
    return write_models(tmp_path / "trained_models", "town/sft")


def slow(tmp_path, folder, seconds: float = 0.05, drain: float = 30.0) -> Process:
    return Process("-c", SLOW, str(folder), str(seconds), str(drain), cwd=tmp_path)


@pytest.fixture
def server(models, tmp_path):
    """A server in a thread of this process."""
    server = Server(Settings(models=models, database=tmp_path / "f.sqlite", tick_seconds=0.02), port=0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    assert server.app.cache.ready.wait(60)
    yield server
    server.stop()
    thread.join(60)
    assert not thread.is_alive()


# Other people's clients.


def test_the_openai_client_chats_streams_and_lists(server):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{server.url}v1", api_key="none", max_retries=0)
    assert {model.id for model in client.models.list()} >= {"town/sft", "town/ppo"}
    wanted = {"model": "town/sft", "messages": QUESTION, "seed": 1, "max_tokens": 12}
    whole = client.chat.completions.create(**wanted, logprobs=True, top_logprobs=2)
    assert whole.choices[0].finish_reason in ("stop", "length") and whole.usage.completion_tokens > 0
    assert len(whole.choices[0].logprobs.content[0].top_logprobs) == 2
    chunks = list(client.chat.completions.create(**wanted, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    text = client.completions.create(model="town/pretrain", prompt="The market", max_tokens=5, seed=1)
    assert isinstance(text.choices[0].text, str)
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**wanted | {"model": "town/none"})
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(**wanted, temperature=3)


def test_many_streams_at_once_starve_nobody(server):
    """Thirty students: every stream ends, and /health answers in between."""
    results: list[bytes] = []

    def student(seed: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        body = {"messages": QUESTION, "stream": True, "max_tokens": 40, "seed": seed, "model": "town/sft"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
        results.append(connection.getresponse().read())

    students = [threading.Thread(target=student, args=(seed,)) for seed in range(30)]
    for thread in students:
        thread.start()
    healthy = 0
    while any(thread.is_alive() for thread in students):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/health")
        healthy += connection.getresponse().status == 200
    assert healthy and len(results) == 30
    assert all(read_stream(result)[-1] == (None, "[DONE]") for result in results)


def test_a_broken_request_is_answered_and_the_server_lives(server):
    for data in (b"GET\r\n\r\n", b"\x00\xff\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b""):
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    oversized = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    oversized.request("POST", "/v1/chat/completions", b"x" * 5_000_000, {"Content-Type": "application/json"})
    assert oversized.getresponse().status == 413
    health = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    health.request("GET", "/health")
    assert health.getresponse().status == 200


def test_an_idle_connection_does_not_hold_up_the_shutdown(models, tmp_path):
    server = Server(Settings(models=models, database=tmp_path / "f.sqlite"), port=0)
    thread = threading.Thread(target=server.serve)
    thread.start()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30):
        for _ in deadline(60):
            if server.app.cache.ready.is_set() and server._idle:
                break
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.slow
def test_the_store_is_closed_last_however_late_the_stopping_thread_is(models, tmp_path, monkeypatch):
    server = Server(Settings(models=models, database=tmp_path / "f.sqlite", drain_seconds=7), port=0)
    thread, closed = threading.Thread(target=server.serve), []
    shutdown, engines, store = server._server.shutdown, server.app.cache.close, server.app.store.close

    def late() -> None:
        shutdown()
        thread.join(1)  # time enough for a `serve` that does not wait

    monkeypatch.setattr(server._server, "shutdown", late)
    monkeypatch.setattr(server.app.cache, "close", lambda grace=0.0: (closed.append(grace), engines(grace)))
    monkeypatch.setattr(server.app.store, "close", lambda: (closed.append("store"), store()))
    thread.start()
    with ThreadPoolExecutor() as pool:
        for stopping in [pool.submit(server.stop) for _ in range(3)]:
            stopping.result(60)  # raises what was raised there
    thread.join(60)
    assert closed[0] == 7 and closed.count(7) == 1 and closed.index("store") == len(closed) - 1, closed
    server.stop()  # once more is not too often
    with pytest.raises(ApiError, match="shutting down"):
        server.app.retraining.start(force=True)


# Clients that leave, and shutdown.


@pytest.mark.slow
def test_a_client_that_leaves_frees_its_place(tmp_path, folder):
    with slow(tmp_path, folder) as process:
        for streamed in (True, False):
            body = {"messages": QUESTION, "stream": streamed, "max_tokens": 40, "temperature": 2, "top_p": 1, "seed": 2}
            connection = socket.create_connection(("127.0.0.1", process.port), timeout=60)
            data = json.dumps(body).encode()
            head = "POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            for _ in deadline(60):
                if process.get("/health")[1]["queue"]["running"]:
                    break
            connection.close()
            for _ in deadline(60):
                if not process.get("/health")[1]["queue"]["running"]:
                    break
            status, answer = process.post("/v1/chat/completions", {"messages": QUESTION, "max_tokens": 2})
            assert status == 200 and answer["choices"]


@pytest.mark.slow
@posix
def test_sigterm_lets_running_answers_end(tmp_path, folder):
    with slow(tmp_path, folder) as process:
        whole = read_stream(process.stream().read())
        response = process.stream()
        begun = response.read(400)
        process.process.send_signal(signal.SIGTERM)
        events = read_stream(begun + response.read())
        assert events[-1] == (None, "[DONE]") and streamed_text(events) == streamed_text(whole)
        assert process.process.wait(60) == 0
        with pytest.raises(OSError):
            process.get("/health")


@pytest.mark.slow
@posix
def test_an_answer_that_takes_too_long_is_cut_with_an_error(tmp_path, folder):
    with slow(tmp_path, folder, seconds=0.2, drain=0.1) as process:
        response = process.stream(40)
        begun = response.read(400)
        process.process.send_signal(signal.SIGINT)
        events = read_stream(begun + response.read())
        assert events[-1][0] == "error" and events[-1][1]["error"]["code"] == "shutting_down"
        assert process.process.wait(60) == 0


@pytest.mark.slow
@posix
def test_kill_9_loses_no_acknowledged_vote(tmp_path, folder):
    command = (str(ROOT / "run_chat.py"), "--no-browser", "--port", "0", "--device", "cpu")
    database = folder / "feedback.sqlite"
    acknowledged: set[int] = set()
    for round_ in range(3):
        with Process(*command, cwd=tmp_path) as process:
            pairs = [
                process.post("/api/pairs", {"messages": QUESTION, "max_tokens": 2, "seed": seed})[1]["pair_id"]
                for seed in range(12)
            ]

            def vote(pairs=pairs, process=process) -> None:
                for pair in pairs:
                    try:
                        status, _ = process.post("/api/votes", {"pair_id": pair, "vote": "left"})
                    except (OSError, http.client.HTTPException, ValueError):
                        return
                    if status == 201:
                        acknowledged.add(pair)

            voter = threading.Thread(target=vote)
            before = len(acknowledged)
            voter.start()
            while len(acknowledged) < before + 3 * (round_ + 1) and voter.is_alive():
                time.sleep(0.001)
            process.process.kill()
            voter.join(60)
        with sqlite3.connect(database) as kept:
            assert kept.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert acknowledged <= {row[0] for row in kept.execute("SELECT pair FROM votes")}
        kept.close()
    assert len(acknowledged) >= 9


# At the start.


def start(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "run_chat.py"), "--no-browser", "--device", "cpu", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_mistakes_at_the_start_end_in_one_sentence(tmp_path, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, words in (
            (["--port", port], "is in use"),
            (["--host", "0.0.0.0"], "--token"),
            (["--allow-host", "http://vm:5000"], "leave out the scheme"),
            (["--host", "203.0.113.7", "--token", "t"], "cannot be listened on"),
            (["--port", "99999"], "99999"),
            (["--temperature", "1"], "--terminal"),
            (["--model", "trained_models/none"], "holds no model"),
        ):
            run = start(*arguments, cwd=tmp_path)
            assert run.returncode == 2, run
            assert words in run.stderr and len(run.stderr.strip().splitlines()) == 1, run.stderr


def test_the_engine_can_be_any(models, tmp_path):
    server = Server(
        Settings(models=models, database=tmp_path / "f.sqlite"),
        port=0,
        engine=lambda model: ScriptedEngine(model, [50]),
    )
    assert server.url.endswith(f":{server.port}/") and server.app.cache is not None
    answer = server.app.test_client().post("/v1/chat/completions", json={"messages": QUESTION}).get_json()
    assert answer["minigpt"]["ids"] == [50]
    server._server.server_close()
    server._socket.close()
    server.app.close()


def test_the_engines_numbers_come_from_the_settings(models, tmp_path):
    from minigpt.web import create_app

    app = create_app(Settings(models=models, database=tmp_path / "f.sqlite", running=2, waiting=3, answer_seconds=7))
    engine = app.cache.open("town/sft").engine
    assert isinstance(engine, Engine) and (engine.running, engine.waiting, engine.seconds) == (2, 3, 7)
    app.close()
