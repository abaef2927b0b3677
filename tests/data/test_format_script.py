"""ScriptCorpus and the speakers of a script: windows of one character's lines, on an invented script."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.models import make_chat, make_model, make_trainer

from minigpt import Comparison, CorpusLoader, Turn
from minigpt.alignment.reward_model import RewardModel
from minigpt.alignment.reward_training import RewardTraining
from minigpt.data.examples import prompts_of
from minigpt.data.formats.reading import Reading
from minigpt.data.formats.script import (
    COLUMNS,
    NAMELESS_EVERY,
    Line,
    ScriptCorpus,
    Window,
    conversation,
    count_lines,
    read_windows,
    without_repeats,
)
from minigpt.data.packing import IGNORE, make_rows
from minigpt.data.speakers import main as speakers
from minigpt.errors import UserError
from minigpt.model.checkpoint import load_model, save_model
from minigpt.recipe import load_recipe
from minigpt.training.device import detect
from minigpt.training.language_modelling import next_token_loss

#: episode, number, spoken, character_id, location_id, name, words: 14 rows of 2 episodes at 2 places.
ROWS = [
    (1, 1, "false", "", 1, "", ""),
    (1, 2, "true", "7.0", 1, "Ann Bell", "Good morning."),
    (1, 3, "true", "", 1, "Bob", "Is there tea?"),
    (1, 4, "true", "8.0", 1, "Cy", "There is none."),
    (1, 5, "true", "", 1, "Bob", "None at all?"),
    (1, 6, "true", "7.0", 1, "Ann Bell", "I will buy some."),
    (1, 8, "true", "", 2, "Bob", "Here we are."),
    (1, 9, "true", "7.0", 2, "Ann Bell", 'It says "closed", Bob.'),
    (1, 10, "false", "", 2, "", ""),
    (1, 11, "true", "7.0", 2, "Ann Bell", "It is open now."),
    (2, 1, "true", "8.0", 2, "Cy", "Any  news?"),
    (2, 3, "true", "7.0", 2, "Young Ann", "No news."),
    (2, 4, "true", "", 1, "Bob", ""),
    (2, 5, "true", "7.0", 1, "Ann Bell", "What is it?"),
]
#: Every spoken line with what stands before it in its scene.
WINDOWS = [
    ([], "Ann Bell: Good morning.", True, "1"),
    (["Ann Bell: Good morning."], "Bob: Is there tea?", False, "1"),
    (["Ann Bell: Good morning.", "Bob: Is there tea?"], "Cy: There is none.", False, "1"),
    (["Ann Bell: Good morning.", "Bob: Is there tea?", "Cy: There is none."], "Bob: None at all?", False, "1"),
    (["Bob: Is there tea?", "Cy: There is none.", "Bob: None at all?"], "Ann Bell: I will buy some.", True, "1"),
    ([], "Bob: Here we are.", False, "1"),
    (["Bob: Here we are."], 'Ann Bell: It says "closed", Bob.', True, "1"),
    ([], "Ann Bell: It is open now.", True, "1"),
    ([], "Cy: Any news?", False, "2"),
    (["Cy: Any news?"], "Young Ann: No news.", True, "2"),
    ([], "Ann Bell: What is it?", True, "2"),
]


def write(path: Path, rows: list[tuple], more: str = "", shuffle: bool = True) -> Path:
    """The rows in the published columns, in no order."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    full = [
        (n, episode, number, f"{name}: (SIGHS) {words}", 0, spoken, character, place, name, f"Place {place}", words,
         words.lower(), len(words.split()))
        for n, (episode, number, spoken, character, place, name, words) in enumerate(rows)
    ]  # fmt: skip
    if shuffle:
        random.Random(1).shuffle(full)
    writer.writerow(COLUMNS)
    writer.writerows(full)
    path.write_text(buffer.getvalue() + more, encoding="utf-8")
    return path


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return write(tmp_path / "script_lines.csv", ROWS)


def asked_and_answered(corpus: CorpusLoader) -> list[tuple[str, str]]:
    return [(c.turns[0].text, c.turns[1].text) for c in [*corpus.train, *corpus.valid]]


def test_windows_of_the_invented_script(script: Path) -> None:
    found = ScriptCorpus.parse(script, speaker="ann bell")
    assert [(c.turns[0].text, c.turns[1].text, c.group) for c in found.train] == [
        ("Bob: Is there tea?\nCy: There is none.\nBob: None at all?", "I will buy some.", "1"),
        ("Bob: Here we are.", 'It says "closed", Bob.', "1"),
        ("Any news?", "No news.", "2"),
    ]
    assert all([turn.role for turn in c.turns] == ["user", "assistant"] for c in found.train)
    assert found.dropped == {
        "lines that answer nobody": 3, "lines without words or speaker": 1, "scene headings": 2
    }  # fmt: skip


def test_every_line_with_its_context_as_rows(script: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "windows.jsonl"
    speakers([str(script), "--speaker", "Ann Bell", "--out", str(out)])
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(r["context"], r["answer"], r["label"], r["episode"]) for r in rows] == WINDOWS
    said = capsys.readouterr().out
    assert f"{len(rows)} rows, {sum(r['label'] for r in rows)} the character's, 3 of these without context" in said
    assert f"{len(rows)}  lines of 3 speakers; dropped: 1 lines without words or speaker, 2 scene headings" in said


@pytest.mark.parametrize(("count", "columns"), [("1", "episode_id,location_id"), ("2", "episode_id")])
def test_context_and_grouping_are_the_command_lines_too(script: Path, tmp_path: Path, count, columns) -> None:
    out = tmp_path / "windows.jsonl"
    speakers([str(script), "--context-lines", count, "--group-by", columns, "--out", str(out)])
    rows = [json.loads(line)["context"] for line in out.read_text(encoding="utf-8").splitlines()]
    windows = list(read_windows(script, int(count), columns.split(",")))
    assert rows == [[line.told() for line in window.context] for window in windows]
    assert max(map(len, rows)) == int(count)


def test_speakers_are_counted_and_drawn(script: Path, tmp_path: Path, capsys) -> None:
    by_hand = Counter(name.replace("Young Ann", "Ann Bell") for *_, name, words in ROWS if words)
    assert dict(count_lines(list(read_windows(script)))) == by_hand == {"Ann Bell": 6, "Bob": 3, "Cy": 2}
    chart = tmp_path / "charts" / "speakers.png"
    speakers([str(script), "--top", "2", "--chart", str(chart)])
    assert chart.read_bytes().startswith(b"\x89PNG") and chart.stat().st_size > 5000
    said = capsys.readouterr().out.split("\n")
    assert [line.split() for line in said[:2]] == [["6", "Ann", "Bell"], ["3", "Bob"]] and "Cy" not in said[2]


@pytest.mark.parametrize("seed", range(5))
def test_no_window_mixes_scenes_and_none_is_too_long(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    rows = []
    for number in range(200):
        place, silent = rng.choice("12"), rng.random() < 0.1
        words = "" if silent else f"{number} {place}"
        name = "" if silent else rng.choice("AB")
        rows.append((rng.randint(1, 3), number, "false" if silent else "true", "", place, name, words))
    path, most = write(tmp_path / "s.csv", rows), rng.randint(1, 3)
    windows = list(read_windows(path, most))
    assert len(windows) == sum(bool(row[-1]) for row in rows)
    silent_at = [(row[0], row[1]) for row in rows if row[2] == "false"]
    for window in windows:
        lines = [*window.context, window.line]
        numbers = [int(line.words.split()[0]) for line in lines]
        assert numbers == sorted(numbers) and len(window.context) <= most
        assert len({(line.episode, line.words.split()[1]) for line in lines}) == 1
        episode = int(window.line.episode)
        assert not any(e == episode and numbers[0] < n < numbers[-1] for e, n in silent_at)


def test_more_context_only_adds_older_lines(script: Path) -> None:
    for few, many in zip(read_windows(script, 1), read_windows(script, 3), strict=True):
        assert few.line == many.line and many.context[len(many.context) - len(few.context) :] == few.context


def test_scenes_can_be_grouped_by_other_columns(script: Path) -> None:
    found = {w.line.words: len(w.context) for w in read_windows(script, 3, ("episode_id",))}
    assert found["Here we are."] == 3, "the place no longer parts scenes"
    assert found["It is open now."] == found["Any news?"] == 0, "silent rows and episodes still do"


def test_sighs_part_no_scene_and_r_writes_differently(tmp_path: Path) -> None:
    rows = [
        (1, 1, "TRUE", "NA", 1, "A", "Look!"),
        (1, 2, "FALSE", "9", 1, "B", "NA"),
        (1, 3, "TRUE", "9", 1, "B", "Oh."),
    ]
    reading = Reading()
    *_, last = read_windows(write(tmp_path / "s.csv", rows), reading=reading)
    assert [line.told() for line in last.context] == ["A: Look!"] and last.line.words == "Oh."
    assert reading.dropped == {"lines without words or speaker": 1}


def test_the_default_speaker_has_most_to_answer(script: Path) -> None:
    assert ScriptCorpus.parse(script).train == ScriptCorpus.parse(script, speaker="Ann Bell").train


def test_badly_quoted_rows_are_counted_and_take_no_other_with_them(tmp_path: Path) -> None:
    words = [(1, n, "true", "", 1, name, f"Line {n}.") for n, name in enumerate("ABABABAB")]
    escaped = r'90,1,90,"A: a \"b\", c",0,true,,1,A,Place,"a \"b\", c",a b c,3'
    open_quote = '91,1,91,"B: never closed,0,true,,1,B,Place,never closed,never closed,2'
    comma = "92,1,92,B: one, two,0,true,,1,B,Place,one, two,one two,2"
    closed = '93,1,93,"A: in\ntwo rows",0,true,,1,A,Place,"in\ntwo rows",in two rows,3'
    path = write(tmp_path / "s.csv", words, "\n".join([escaped, open_quote, comma, closed, ""]))
    reading = Reading()
    windows = list(read_windows(path, reading=reading))
    assert [window.line.words for window in windows] == [*(w[-1] for w in words), 'a "b", c', "in two rows"]
    assert reading.dropped == {"badly quoted rows": 2}


def test_lines_that_a_file_of_windows_repeats_are_taken_once() -> None:
    a, b, c, d = (Line("1", name, name, name.lower()) for name in "ABCD")
    whole, end, again, other = Window((a, b, c), d), Window((c,), d), Window((a, b, c), d), Window((b,), d)
    elsewhere = Window((Line("2", "C", "C", "c"),), Line("2", "D", "D", "d"))
    assert without_repeats([end, whole, again, other, elsewhere]) == [whole, other, elsewhere]


def said(*lines: str) -> tuple[Line, ...]:
    """Lines of people who are called as their first letter says."""
    return tuple(Line("1", line[0], line[0], line[3:]) for line in lines)


@pytest.mark.parametrize(
    ("lines", "by_name", "nameless"),
    [
        (("B: Tea?",), ["B: Tea?"], ["Tea?"]),
        (("B: Tea?", "B: Now?"), ["B: Tea?\nB: Now?"], ["Tea?\nNow?"]),
        (("B: Tea?", "C: No."), ["B: Tea?\nC: No."], None),
        (("B: Tea?", "A: No.", "B: Why?"), ["B: Tea?", "No.", "B: Why?"], ["Tea?", "No.", "Why?"]),
        (("B: Tea?", "A: No.", "C: Why?"), ["B: Tea?", "No.", "C: Why?"], None),
        # A chat neither begins nor ends with the character's own words.
        (("A: Tea?", "B: No."), ["A: Tea?\nB: No."], ["A: Tea?\nNo."]),
        (("B: Tea?", "A: No."), ["B: Tea?\nA: No."], ["Tea?\nA: No."]),
        (("A: Tea?", "A: No."), ["A: Tea?\nA: No."], None),
        (("B: a", "A: b", "A: c", "B: d"), ["B: a", "b\nc", "B: d"], ["a", "b\nc", "d"]),
    ],
)
def test_windows_become_chats(lines: tuple[str, ...], by_name: list[str], nameless: list[str] | None) -> None:
    """By name, and of those with one other speaker every second one without."""
    window = Window(said(*lines), *said("A: Because."))
    for number in range(2 * NAMELESS_EVERY):
        expected = nameless if nameless and number % NAMELESS_EVERY == 0 else by_name
        found = conversation(window, number)
        assert [turn.text for turn in found.turns] == [*expected, "Because."] and found.last_only
        assert [turn.role for turn in found.turns] == ["user", "assistant"] * (len(expected) // 2 + 1)


def test_what_the_character_said_before_is_read_and_not_learned(tokenizer) -> None:
    chat = conversation(Window(said("B: Tea?", "A: No tea.", "B: Why?"), *said("A: Because.")), 0)
    (ids, loss_mask), *_ = make_rows([chat], tokenizer, 96).encoded
    assert tokenizer.decode(ids[loss_mask].tolist()) == " Because."
    assert "No tea." in tokenizer.decode(ids.tolist())
    assert [prompt.turns for prompt in prompts_of([chat])] == [chat.turns[:-1]]
    whole = replace(chat, last_only=False)
    (ids, loss_mask), *_ = make_rows([whole], tokenizer, 96).encoded
    assert tokenizer.decode(ids[loss_mask].tolist()) == " No tea. Because." and len(prompts_of([whole])) == 2


def test_a_model_of_a_script_reads_as_many_turns_as_it_has_learned_to(script: Path, tokenizer, tmp_path: Path) -> None:
    corpus = ScriptCorpus.read(script, valid_fraction=0.0)
    assert corpus.max_turns == 3 and ScriptCorpus.read(script, context_lines=1).max_turns == 1
    trainer = make_trainer(make_chat(tokenizer, context=96), corpus, steps=1, batch_size=2, evaluations=1)
    trainer.train()
    save_model(tmp_path / "sft", trainer.objective.chat, {"stage": "sft"})
    chat = load_model(tmp_path / "sft")
    turns = [Turn("user" if i % 2 == 0 else "assistant", f"word {i}") for i in range(7)]
    for spoken, kept in ((7, 3), (5, 3), (3, 3), (1, 1)):
        fitted = chat.need_fit(turns[:spoken], 10)
        assert fitted.dropped == spoken - kept
        assert fitted.ids == tokenizer.encode_prompt(turns[spoken - kept : spoken])
    assert replace(chat, max_turns=None).need_fit(turns, 10).dropped == 0
    reward = RewardModel(chat)
    assert reward.encode(turns, "yes") == reward.encode(turns[-3:], "yes") != reward.encode(turns[-1:], "yes")
    both = CorpusLoader([Comparison(tuple(turns[-count:]), "yes", "no") for count in (7, 3)], [])
    objective = RewardTraining(reward, both, detect("cpu", "fp32"))
    assert objective.rows.groups[0] == objective.rows.groups[1]


def test_an_episode_is_learned_or_held_out(tmp_path: Path) -> None:
    rows = [(e, n, "true", "", 1, "AB"[n % 2], f"{e} {n}") for e in range(40) for n in range(6)]
    corpus = ScriptCorpus.read(write(tmp_path / "s.csv", rows), speaker="B", valid_fraction=0.2)
    assert corpus.valid and not {c.group for c in corpus.train} & {c.group for c in corpus.valid}
    assert len(asked_and_answered(corpus)) == 120


def test_the_loss_is_on_the_answer_only(script: Path, tokenizer) -> None:
    corpus = ScriptCorpus.read(script, valid_fraction=0.0)
    batch = make_rows(corpus.train, tokenizer, 96).in_order().batch(0, 3)
    model = make_model(vocab=tokenizer.vocab_size, context=96)
    seen: list[torch.Tensor] = []

    def hidden_states(*inputs, **options):
        seen.append(model.hidden_states(*inputs, **options))
        seen[0].retain_grad()
        return seen[0]

    next_token_loss(model, batch, hidden_states).backward()
    moved = seen[0].grad.abs().sum(-1) > 0
    assert torch.equal(moved, batch.targets != IGNORE), "only where the answer is predicted there is a gradient"
    learned = tokenizer.decode(batch.targets[batch.targets != IGNORE].tolist())
    assert learned == "".join(f" {answer}" for _, answer in asked_and_answered(corpus))


RECIPE = """
[sft]
corpus = "{path}"
format = "script"
speaker = "Cy"
context_lines = 1
"""


def test_a_recipe_names_the_speaker(script: Path, tmp_path: Path) -> None:
    rows = [*ROWS, *((e, 50, "true", "", 3, "Bob", "Cy?") for e in (3, 4)), (3, 51, "true", "8", 3, "Cy", "Yes.")]
    write(script, rows)
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE.format(path=script.as_posix()), encoding="utf-8")
    recipe = load_recipe(str(path))
    found = asked_and_answered(recipe.open_corpus("sft"))
    assert set(found) == {("Is there tea?", "There is none."), ("Bob: Cy?", "Yes.")}
    assert recipe.settings("sft") == {}
    path.write_text(RECIPE.format(path=script.as_posix()).replace("speaker", "speeker"), encoding="utf-8")
    with pytest.raises(UserError, match=r"speeker is unknown.*speaker"):
        load_recipe(str(path))


MISTAKES = [
    (dict(speaker="An Bell"), r"\.csv: nobody in this script is called 'An Bell'.*Ann Bell"),
    (dict(context_lines=0), "context_lines is 0"),
    (dict(group_by="episode"), "there is no column 'episode'.*episode_id"),
]


@pytest.mark.parametrize(("options", "sentence"), MISTAKES)
def test_wrong_wishes_end_in_a_sentence(script: Path, options: dict, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        ScriptCorpus.read(script, **options)


def test_wrong_files_end_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no script_lines.csv"):
        ScriptCorpus.read(tmp_path)
    path = tmp_path / "script_lines.csv"
    path.write_text("id,episode_id\n1,1\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"script_lines.csv:1: the column number is missing"):
        ScriptCorpus.read(path)
    path.write_text(",".join(COLUMNS) + "\n1,1,1,a\n2,1,2,b\n", encoding="utf-8")
    with pytest.raises(UserError, match="2 of 2 rows are broken"):
        ScriptCorpus.read(tmp_path)
    path.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="0 of 0 rows"):
        ScriptCorpus.read(tmp_path)
    write(path, [(1, n, "true", "", n, "Bob", "Hm.") for n in range(3)])
    with pytest.raises(UserError, match=r": nobody in this script answers anybody"):
        ScriptCorpus.read(tmp_path)
    with pytest.raises(UserError, match="--top is 0"):
        speakers([str(path), "--top", "0"])
    with pytest.raises(UserError, match="does not exist"):
        speakers([str(tmp_path / "nowhere.csv")])


def test_a_script_may_be_separated_ordered_and_spelled_otherwise(tmp_path: Path) -> None:
    """Spreadsheets use semicolons or tabs, and put columns where people drag them; pandas adds a column of numbers."""
    plain = write(tmp_path / "plain.csv", ROWS)
    expected = ScriptCorpus.parse(plain, speaker="Ann Bell")
    rows = list(csv.reader(io.StringIO(plain.read_text(encoding="utf-8"))))
    names = "spoken_words episode_id number speaking_line character_id raw_character_text location_id"
    needed = [rows[0].index(name) for name in names.split()]
    editions = {
        ",": [[str(n), *row] for n, row in enumerate(rows)],
        ";": [[row[i] for i in needed] for row in rows],
        "\t": [[*row[::-1]] for row in rows],
    }
    editions[","][0][0] = ""
    for separator, edition in editions.items():
        buffer = io.StringIO()
        csv.writer(buffer, delimiter=separator).writerows([[name.upper() for name in edition[0]], *edition[1:]])
        path = tmp_path / "script_lines.csv"
        path.write_bytes(buffer.getvalue().encode("utf-8-sig"))
        found = ScriptCorpus.parse(tmp_path, speaker="Ann Bell")
        assert found.train == expected.train and found.dropped == expected.dropped


def test_a_script_without_places_says_what_to_do(tmp_path: Path) -> None:
    rows = [(e, n, "true", "", 1, "AB"[n % 2], f"{e} {n}") for e in range(3) for n in range(6)]
    path = write(tmp_path / "s.csv", rows)
    path.write_text(path.read_text(encoding="utf-8").replace("location_id", "somewhere", 1), encoding="utf-8")
    with pytest.raises(UserError, match=r"s\.csv:1: the column location_id is missing.*group_by"):
        ScriptCorpus.read(path)
    assert ScriptCorpus.read(path, group_by="episode_id").train
