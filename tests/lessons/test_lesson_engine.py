"""The runner of the lessons, on small invented lessons: what it compares, refuses, and notices."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from lessons import fences, run, stale
from lessons.execute import differs
from lessons.fences import Lesson, LessonError

FRONT = "---\ntitle: A\ngoals:\n  - one\nminutes: 10\nsee: nothing\nfences: {}\n---\n# A\n\n"


def lesson(folder: Path, body: str, count: int | None = None) -> Lesson:
    body = body.replace("'''", "```")
    path = folder / "00_a.md"
    path.write_text(FRONT.format(body.count("```") // 2 if count is None else count) + body, encoding="utf-8")
    return Lesson(path)


def problems(folder: Path, body: str) -> list[str]:
    return run.run(lesson(folder, body), folder / "figures")[0]


@pytest.mark.parametrize(
    ("told", "got", "tolerance", "different"),
    [
        ("a 1.00\n", "a 1.00", 0, False),
        ("a  \nb\n", "a\nb", 0, False),
        ("a 1.00", "a 1.01", 0, True),
        ("a 1.00", "a 1.01", 0.1, False),
        ("a 1.00", "a 1.21", 0.1, True),
        ("a 1,000 b", "a 1,090 b", 0.1, False),
        ("a -1.5e-05", "a 1.5e-05", 1e-9, True),
        ("a ... c", "a b\nb c", 0, False),
        ("a ... c", "a b\nb d", 0, True),
        ("loss ... 3.0", "loss falls to 3.1", 0.1, False),
        ("a   12.0", "a 9.999", 0.5, False),
        ("a 1", "b 1", 0.5, True),
        ("3 of 80", "3 of", 0.5, True),
        ("", "something", 0, True),
    ],
)
def test_outputs_are_compared_as_told(told, got, tolerance, different):
    assert differs(told, got, tolerance) is different


def test_blocks_share_names_and_outputs_follow_their_block(tmp_path):
    body = "'''python\nx = 2\nprint(x)\n'''\n\n'''text output\n2\n'''\n\n"
    body += "'''python\nprint(x + 1)\n'''\n\n'''text output\n{}\n'''\n"
    assert problems(tmp_path, body.format(3)) == []
    (problem,) = problems(tmp_path, body.format(4))
    assert "the lesson says\n4" in problem and "printed\n3" in problem


def test_an_error_names_the_line_of_the_lesson(tmp_path):
    (problem,) = problems(tmp_path, "## Here\n\n'''python\nx = 1\nx / 0\n'''\n")
    line = 1 + (tmp_path / "00_a.md").read_text(encoding="utf-8").splitlines().index("x / 0")
    assert f"line {line} (Here): ZeroDivisionError" in problem
    (problem,) = problems(tmp_path, "'''python\nx = = 1\n'''\n")
    assert "SyntaxError" in problem


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("'''python extra\nx = 1\n'''\n", "a fence is"),
        ("'''python no-run:\nx = 1\n'''\n", "a fence is"),
        ("'''\nx = 1\n'''\n", "a fence is"),
        ("- a list\n  '''python\n  x = 1\n  '''\n", "left margin"),
        ("~~~python\nx = 1\n~~~\n", "left margin"),
        ("> '''python\n> x = 1\n> '''\n", "left margin"),
        ("'''text output\n1\n'''\n", "follows no block"),
        ("'''python no-run: slow\nx\n'''\n\n'''text output\n1\n'''\n", "follows no block"),
        ("'''bash\nrm -r x\n'''\n", "is not `python run_"),
        ("'''bash\npython -m http.server\n'''\n", "is not `python run_"),
    ],
)
def test_no_fence_can_be_left_out_unseen(tmp_path, body, part):
    with pytest.raises(LessonError, match=part):
        lesson(tmp_path, body)


def test_the_front_matter_counts_the_fences(tmp_path):
    with pytest.raises(LessonError, match="has 1 fences, and its front matter says 2"):
        lesson(tmp_path, "'''python\nx = 1\n'''\n", count=2)
    with pytest.raises(LessonError, match="lacks minutes"):
        Lesson(tmp_path / "00_b.md", FRONT.format(0).replace("minutes: 10\n", ""))


def test_a_block_runs_offline_seeded_alone_and_leaves_nothing_behind(tmp_path):
    before = Path.cwd()
    body = """'''python
import random, socket, torch
from pathlib import Path
Path("left.txt").write_text("x")
print(Path("trained_models/shipped/ppo/config.json").is_file(), torch.get_num_threads(), random.random(), torch.rand(1))
'''

'''python
socket.create_connection(("127.0.0.1", 9))
'''
"""
    first, second = (problems(tmp_path, body) for _ in range(2))
    assert first == second and len(first) == 1 and "needs no network" in first[0]
    assert Path.cwd() == before and not Path("left.txt").exists()
    assert socket.socket.connect is not None


def test_a_command_runs_and_a_failing_one_is_told(tmp_path):
    good = "'''bash\npython -m minigpt models list\n'''\n\n'''text output\nname ...shipped/ppo ...\n'''\n"
    assert problems(tmp_path, good) == []
    (problem,) = problems(tmp_path, "'''bash\npython run_sft.py --corpus nowhere.txt\n'''\n")
    assert "nowhere.txt" in problem and "Traceback" not in problem


def test_update_writes_output_into_both_languages_and_the_index(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(run, "INDEX", tmp_path / "figures/index.json")
    monkeypatch.setattr(stale, "INDEX", tmp_path / "figures/index.json")
    monkeypatch.setattr(stale, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(run, "find", lambda number: fences.find(number, tmp_path))
    monkeypatch.setattr(run, "ROOT", tmp_path)
    body = '''## One

It prints:

```python
import matplotlib.pyplot as plt
plt.plot([1, 2])
figure("00-line")
print(1 + 1)
```

```text output
3
```
'''
    english = lesson(tmp_path, body)
    (tmp_path / "zh").mkdir()
    chinese = tmp_path / "zh/00_a.md"
    emptied = "## 一\n\n输出：\n\n```python\n```\n\n```text output ~1\n```\n"
    chinese.write_text(FRONT.format(7) + emptied, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["run", "0", "--update"])
    assert run.main() == 0
    assert "== One" in capsys.readouterr().out
    english, translated = Lesson(english.path), Lesson(chinese)
    assert english.fences[1].content == "2\n"
    assert [fence.content for fence in english.fences] == [fence.content for fence in translated.fences]
    assert translated.fences[1].info == "text output"
    assert (tmp_path / "figures/00-line.png").is_file() and stale.stale_figures(english) == []
    (problem, *_) = stale.stale_sections(english, translated)
    assert "ends with no" in problem
    stale.accept(english, translated)
    assert stale.stale_sections(english, Lesson(chinese)) == []
    changed = Lesson(english.path, english.text.replace("It prints", "It shows"))
    (problem,) = stale.stale_sections(changed, Lesson(chinese))
    assert "'One' was translated from an older text" in problem
    drawn_anew = Lesson(english.path, english.text.replace("[1, 2]", "[2, 1]"))
    assert "older than the block" in stale.stale_figures(drawn_anew)[0]
    assert stale.stale_sections(drawn_anew, Lesson(chinese)) == []


def test_readers_see_from_the_heading_on_and_what_differs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "find", lambda number: fences.find(number, tmp_path))
    body = "## First\n\n'''python\nx = 5\nprint('early')\n'''\n\n"
    lesson(tmp_path, f"{body}## Then\n\n'''python\nprint(x)\n'''\n\n'''text output\n6\n'''\n")
    monkeypatch.setattr(sys, "argv", ["run", "00", "--from", "then"])
    assert run.main() == 1
    said = capsys.readouterr()
    assert "== Then\n5" in said.out and "early" not in said.out and "the lesson says" in said.err
    monkeypatch.setattr(sys, "argv", ["run", "77"])
    assert run.main() == 2


def test_a_comment_in_a_block_is_no_heading(tmp_path):
    made = lesson(tmp_path, "## One\n\n'''python\n## not a heading\nx = 1\n'''\n\n## Two\n\nText.\n")
    assert len(made.sections()) == 3 and "".join(made.sections()) == made.text
