"""One folder, one run: the second is refused, and what a killed one left behind is taken over; with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigpt import UserError
from minigpt.run_lock import RunLock

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


@pytest.mark.slow
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
    lock = RunLock(folder)
    lock.acquire()
    with pytest.raises(UserError, match=f"process {os.getpid()}"):
        RunLock(folder).acquire()
    lock.release()
    RunLock(folder).acquire()


@pytest.mark.slow
def test_the_lock_goes_with_its_process(tmp_path):
    holder = child(HOLDER, tmp_path / "sft")
    assert line(holder) == "held"
    leave(holder)
    assert holder.returncode == 0
    RunLock(tmp_path / "sft").acquire()


@pytest.mark.parametrize("note", ["", '{"process": 1', "[]", '{"process": "x", "since": 3}', "\0" * 50])
def test_a_broken_note_about_the_holder_changes_nothing_but_the_sentence(tmp_path, note):
    lock = RunLock(tmp_path / "sft")
    lock.acquire()
    (tmp_path / ".sft.lock.json").write_text(note, encoding="utf-8")
    with pytest.raises(UserError, match="is being written by another run; wait"):
        RunLock(tmp_path / "sft").acquire()


@pytest.mark.slow
def test_of_many_at_once_one_gets_the_lock(tmp_path):
    rounds = 40
    racers = [child(RACER, tmp_path, rounds) for _ in range(3)]
    try:
        assert [line(racer) for racer in racers] == ["ready"] * 3
        for number in range(rounds):
            (tmp_path / f"go{number}").touch()
            assert sorted(line(racer) for racer in racers) == ["lost", "lost", "won"]
    finally:
        for racer in racers:
            leave(racer)


@pytest.mark.slow
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
    assert (tmp_path / "out" / "model" / "minigpt.json").is_file()
