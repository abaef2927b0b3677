"""One folder, one run: the second is refused, and what a killed one left behind is taken over; with real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minigpt import UserError
from minigpt.run_lock import RunLock, is_alive, process_mark

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}

#: Holds the lock of the folder that it is given until somebody kills it, or closes its input.
HOLDER = """
import sys
from pathlib import Path
from minigpt.run_lock import RunLock
lock = RunLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""

#: Goes through so many folders, and tries to get each lock at the moment when a file appears.
RACER = """
import sys, time
from pathlib import Path
from minigpt import UserError
from minigpt.run_lock import RunLock
print("ready", flush=True)
kept = []
for number in range(int(sys.argv[2])):
    folder = Path(sys.argv[1]) / str(number)
    while not (Path(sys.argv[1]) / f"go{number}").exists():
        pass
    lock = RunLock(folder)
    try:
        lock.acquire()
        kept.append(lock)
        print("won", flush=True)
    except UserError as error:
        print("lost" if "another run" in str(error) else error, flush=True)
sys.stdin.read()
"""


def child(code: str, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], env=ENVIRONMENT, text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def line(process: subprocess.Popen) -> str:
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen) -> None:
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def locks(folder: Path) -> list[Path]:
    return list(folder.glob(".*.lock*"))


def stale(folder: Path, **changes: object) -> dict:
    """A lock of this process, but for the changes."""
    holder = RunLock(folder)
    holder.acquire()
    content = json.loads(holder.path.read_text(encoding="utf-8")) | changes
    holder.release()
    holder.path.write_text(json.dumps(content), encoding="utf-8")
    return content


def test_the_second_is_told_who_writes_there_and_the_lock_of_a_killed_one_is_taken_over(tmp_path):
    folder = tmp_path / "out" / "sft"
    holder = child(HOLDER, folder)
    assert line(holder) == "held"
    with pytest.raises(UserError, match=rf"sft is being written by another run \(process {holder.pid}, since 20\d\d-"):
        RunLock(folder).acquire()
    (tmp_path / "alias").symlink_to(tmp_path / "out", target_is_directory=True)
    with pytest.raises(UserError, match="choose another --out"):
        RunLock(tmp_path / "alias" / "sft").acquire()
    RunLock(tmp_path / "out" / "ppo").acquire()  # another folder is free
    holder.kill()
    holder.wait()
    leave(holder)
    assert len(locks(folder.parent)) == 1, "a killed process cannot tidy up"
    lock = RunLock(folder)
    lock.acquire()
    with pytest.raises(UserError, match=f"process {os.getpid()}"):
        RunLock(folder).acquire()
    lock.release()
    assert not locks(folder.parent)


def test_the_lock_goes_with_its_process(tmp_path):
    holder = child(HOLDER, tmp_path / "sft")
    assert line(holder) == "held" and locks(tmp_path)
    leave(holder)
    assert holder.returncode == 0 and not locks(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="Windows lets a parent hold on to a process that has ended")
def test_a_process_that_has_ended_but_was_not_yet_asked_for_is_no_more():
    ended = child("pass")
    ended.stdout.read()
    until = time.monotonic() + 30
    while process_mark(ended.pid) is not None:
        assert time.monotonic() < until
    leave(ended)
    assert process_mark(os.getpid()) == process_mark(os.getpid()) is not None


@pytest.mark.parametrize("changes", [
    {"pid": 2**22 + 1},  # Linux numbers no process so high
    {"process": "another start of this number"},  # after a restart, or once the numbers began anew
    {"process": None},
])  # fmt: skip
def test_a_lock_of_a_process_that_is_no_more_holds_nobody_up(tmp_path, changes):
    assert not is_alive(stale(tmp_path / "sft", **changes))
    lock = RunLock(tmp_path / "sft")
    lock.acquire()
    assert [json.loads(path.read_text(encoding="utf-8"))["pid"] for path in locks(tmp_path)] == [os.getpid()]
    lock.release()
    assert not locks(tmp_path)


@pytest.mark.parametrize("content", ["", '{"pid": 1', "[]", '{"pid": "x", "host": 1, "since": 3}', "\0" * 50])
def test_a_half_written_lock_is_taken_over_after_a_while(tmp_path, monkeypatch, content):
    monkeypatch.setattr("minigpt.run_lock.PATIENCE", 0.2)
    lock = RunLock(tmp_path / "sft")
    lock.path.write_text(content, encoding="utf-8")
    lock.acquire()
    lock.release()
    assert not locks(tmp_path)


def test_a_lock_of_another_machine_is_believed(tmp_path):
    stale(tmp_path / "sft", host="elsewhere", pid=2**22 + 1)
    with pytest.raises(UserError, match=r"on elsewhere, since .*; if it is no more, delete .*\.sft\.lock"):
        RunLock(tmp_path / "sft").acquire()


def test_who_was_killed_while_taking_over_holds_nobody_up(tmp_path, monkeypatch):
    """Killed between the claim on the lock and its replacement: the claim is taken over in turn."""
    stale(tmp_path / "sft", process="gone")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("minigpt.run_lock.os.replace", killed)
        patched.setattr("minigpt.run_lock.process_mark", lambda pid: "killed")
        with pytest.raises(KeyboardInterrupt):
            RunLock(tmp_path / "sft").acquire()
    assert len(locks(tmp_path)) == 2
    lock = RunLock(tmp_path / "sft")
    lock.acquire()
    assert locks(tmp_path) == [lock.path]
    lock.release()


@pytest.mark.parametrize("left", ["nothing", "a dead process", "half a lock"])
def test_of_many_at_once_one_gets_the_lock(tmp_path, left):
    rounds = 40
    for number in range(rounds):
        if left == "a dead process":
            stale(tmp_path / str(number), process="gone")
        elif left == "half a lock":
            RunLock(tmp_path / str(number)).path.write_text('{"pid"', encoding="utf-8")
    rounds = 3 if left == "half a lock" else rounds  # each waits whether somebody still writes it
    racers = [child(RACER, tmp_path, rounds) for _ in range(3)]
    try:
        assert [line(racer) for racer in racers] == ["ready"] * 3
        for number in range(rounds):
            (tmp_path / f"go{number}").touch()
            assert sorted(line(racer) for racer in racers) == ["lost", "lost", "won"]
    finally:
        for racer in racers:
            leave(racer)


def test_two_scripts_with_one_folder(tmp_path):
    (tmp_path / "text.txt").write_text("\n\n".join(f"Ada{i} lives at {i} Elm Street." for i in range(60)), "utf-8")
    (tmp_path / "mine.toml").write_text(
        'depth = 1\ncontext = 32\nvocab_size = 320\n[pretrain]\ncorpus = "text.txt"\nformat = "text"\nsteps = 3\n'
        "evaluations = 1\n", "utf-8",
    )  # fmt: skip
    command = [sys.executable, str(ROOT / "run_pretrain.py"), "--recipe", "mine.toml", "--out", "out/model"]
    options = dict(cwd=tmp_path, env=ENVIRONMENT, text=True, encoding="utf-8", timeout=300)
    first = subprocess.Popen(
        [*command, "--steps", "100000"], cwd=tmp_path, env=ENVIRONMENT,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not first.stdout.readline().startswith(b"plan:"):
            assert first.poll() is None
        second = subprocess.run(command, capture_output=True, **options)
        assert second.returncode == 2 and "Traceback" not in second.stderr
        assert f"is being written by another run (process {first.pid}, since " in second.stderr
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()
    third = subprocess.run([*command, "--restart"], capture_output=True, **options)
    assert third.returncode == 0, third.stderr
    assert not list((tmp_path / "out").glob(".*")) and (tmp_path / "out" / "model" / "minigpt.json").is_file()
