"""Two pages on one database of votes: both write, one is killed, and nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from minigpt.web.store import Store

ROOT = Path(__file__).parents[2]

#: Opens the database when told to, then keeps chats, pairs and votes as fast as it can, and says what it has kept.
PAGE = """
import sys
from pathlib import Path
from minigpt.web.errors import ApiError
from minigpt.web.store import Store
name, rounds = sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
store = Store(Path(sys.argv[1]))
asked = [{"role": "user", "content": f"question of {name}"}]
side = {"model": "town/sft", "text": "an answer", "seed": 1}
for number in range(rounds):
    store.add_answer(name, "town/sft", asked, f"answer {number}", "stop", None, 0)
    own = store.add_pair(asked, side, side)
    for pair in (own, own - 1):  # the pair before is often the other page's, which votes on it at the same time
        try:
            print("vote", pair, store.add_vote(pair, "left"), flush=True)
        except ApiError as error:
            assert error.code in ("already_voted", "not_found"), error.code
    if number % 10 == 9:
        store.forget_chats(name)
print("done", flush=True)
"""


def page(database: Path, name: str, rounds: int) -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", PAGE, str(database), name, str(rounds)], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_two_pages_share_a_database(tmp_path, killed):
    database, rounds = tmp_path / "feedback.sqlite", 40
    pages = [page(database, name, rounds) for name in ("one", "other")]
    for process in pages:
        assert process.stdout.readline() == "ready\n"
    for process in pages:  # both make the database
        process.stdin.write("go\n")
        process.stdin.flush()
    before = ""
    if killed:
        for _ in range(20):
            before += pages[0].stdout.readline()
        pages[0].kill()
    told = [process.communicate(timeout=120) for process in pages]
    assert told[1][0].endswith("done\n"), told[1][1]
    assert killed or told[0][0].endswith("done\n"), told[0][1]
    lines = [line.split() for line in (before + told[0][0] + told[1][0]).splitlines()]
    votes = [(int(words[1]), int(words[2])) for words in lines if words[0] == "vote" and len(words) == 3]
    kept = Store(database)
    found = [(vote["id"], vote["vote_id"]) for vote in kept.votes()]
    assert set(votes) <= set(found) and len(votes) == len(set(votes)), "every vote that was acknowledged, once"
    assert len(found) - len(votes) <= killed, "only the last one of a killed page may be kept without its answer"
    assert len({pair for pair, _ in found}) == len(found)
    pairs = kept.rows("SELECT id FROM pairs")
    assert len(pairs) == 2 * rounds or (killed and len(pairs) < 2 * rounds)
    found_texts, indexed = kept.search("question", 10_000)
    assert not indexed or {row["ref"] for row in found_texts if row["kind"] == "vote"} == {pair for pair, _ in found}
    kept.close()
    with sqlite3.connect(database) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.execute("INSERT INTO texts_index (texts_index, rank) VALUES ('integrity-check', 1)")
    db.close()
