"""MovieCorpus: who answers whom, in which window, and what is dropped."""

import gzip
import json
from pathlib import Path

import pytest

from minigpt.data.examples import Conversation
from minigpt.data.formats.movie import SEPARATOR, MovieCorpus, both_sides, clean, repaired, windows
from minigpt.errors import UserError


def write(folder: Path, lines: list[tuple[str, str, str, bytes]], conversations: list[tuple[str, list[str]]]) -> Path:
    """A small corpus; lines are (id, speaker, film, text), conversations are (film, ids)."""
    sep = SEPARATOR.encode()
    rows = [sep.join([i.encode(), s.encode(), m.encode(), b"NAME", text]) for i, s, m, text in lines]
    (folder / "movie_lines.txt").write_bytes(b"\n".join(rows) + b"\n")
    rows = [sep.join([b"u0", b"u1", m.encode(), repr(ids).encode()]) for m, ids in conversations]
    (folder / "movie_conversations.txt").write_bytes(b"\n".join(rows) + b"\n")
    return folder


def talk(n: int, film: str = "m0", start: int = 0) -> list[tuple[str, str, str, bytes]]:
    return [(f"L{start + i}", f"u{i % 2}", film, f"line {start + i}".encode()) for i in range(n)]


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in conversation.turns]


def test_defect_07_replies_follow_the_conversation_file_not_line_order(tmp_path: Path) -> None:
    lines = talk(2) + talk(2, start=10)
    write(tmp_path, lines[::-1], [("m0", ["L0", "L1"]), ("m0", ["L10", "L11"])])
    assert [said(c) for c in MovieCorpus.parse(tmp_path).train] == [
        [("user", "line 0"), ("assistant", "line 1")],
        [("user", "line 10"), ("assistant", "line 11")],
    ]


def test_five_turns_are_learnt_from_both_sides(tmp_path: Path) -> None:
    write(tmp_path, talk(5), [("m0", ["L0", "L1", "L2", "L3", "L4"])])
    assert [said(c) for c in MovieCorpus.parse(tmp_path).train] == [
        [("user", "line 1"), ("assistant", "line 2"), ("user", "line 3"), ("assistant", "line 4")],
        [("user", "line 0"), ("assistant", "line 1"), ("user", "line 2"), ("assistant", "line 3")],
    ]


@pytest.mark.parametrize("n", range(30))
@pytest.mark.parametrize("max_turns", [2, 6, 8])
def test_every_utterance_but_the_first_is_answered_exactly_once(n: int, max_turns: int) -> None:
    texts = [str(i) for i in range(n)]
    pieces = [piece for side in both_sides(texts) for piece in windows(side, max_turns)]
    answers = sorted(int(turn.text) for piece in pieces for turn in piece if turn.role == "assistant")
    assert answers == list(range(1, n))
    for piece in pieces:
        assert 2 <= len(piece) <= max_turns
        assert [turn.role for turn in piece] == ["user", "assistant"] * (len(piece) // 2)
        numbers = [int(turn.text) for turn in piece]
        assert numbers == list(range(numbers[0], numbers[0] + len(piece)))


def test_only_the_beginning_of_a_talk_has_a_short_window() -> None:
    (side, _) = both_sides([str(i) for i in range(10)])
    assert [len(w) for w in windows(side, 6)] == [4, 6]


def test_odd_window_is_refused() -> None:
    with pytest.raises(UserError, match="even number"):
        windows(both_sides(["a", "b"])[0], 3)


def test_missing_ids_and_empty_texts_cut_the_conversation(tmp_path: Path) -> None:
    lines = talk(7)
    lines[3] = ("L3", "u1", "m0", b" ")
    write(tmp_path, lines, [("m0", ["L0", "L1", "L99", "L2", "L3", "L4", "L5"])])
    parsed = MovieCorpus.parse(tmp_path)
    assert [said(c) for c in parsed.train] == [
        [("user", "line 0"), ("assistant", "line 1")],
        [("user", "line 4"), ("assistant", "line 5")],
    ]
    assert parsed.dropped == {"missing line ids": 1, "empty utterances": 1, "utterances without a reply": 1}


def test_a_row_that_lost_its_last_space_is_an_empty_utterance(tmp_path: Path) -> None:
    write(tmp_path, talk(3), [("m0", ["L0", "L1", "L2"])])
    path = tmp_path / "movie_lines.txt"
    path.write_bytes(path.read_bytes().replace(b" line 2", b""))
    parsed = MovieCorpus.parse(tmp_path)
    assert len(parsed.train) == 1
    assert parsed.dropped == {"empty utterances": 1}


def test_same_speaker_twice_is_one_turn(tmp_path: Path) -> None:
    lines = talk(3)
    lines[2] = ("L2", "u1", "m0", b"and more")
    write(tmp_path, lines, [("m0", ["L0", "L1", "L2"])])
    (conversation,) = MovieCorpus.parse(tmp_path).train
    assert said(conversation) == [("user", "line 0"), ("assistant", "line 1 and more")]


def test_separator_inside_the_text_stays_text(tmp_path: Path) -> None:
    lines = [("L0", "u0", "m0", b"a +++$+++ b"), ("L1", "u1", "m0", b"c")]
    write(tmp_path, lines, [("m0", ["L0", "L1"])])
    assert MovieCorpus.parse(tmp_path).train[0].turns[0].text == "a +++$+++ b"


def test_bytes_of_the_original_are_repaired(tmp_path: Path) -> None:
    lines = [
        ("L0", "u0", "m0", b"head\xadquarters \x96 \x91so\x92 \x93it\x94 is\x85 caf\xe9"),
        ("L1", "u1", "m0", b"That\xe2\x80\x99s <u>right</u>,  <my>\tfriend\xe2\x80"),
    ]
    write(tmp_path, lines, [("m0", ["L0", "L1"])])
    assert [turn.text for turn in MovieCorpus.parse(tmp_path).train[0].turns] == [
        "headquarters – ‘so’ “it” is… café",
        "That’s right, my friend",
    ]


def test_clean_and_repaired_alone() -> None:
    assert clean(" <I>Oh</I>\n  no ") == "Oh no"
    assert repaired(b"na\xefve\x85") == "naïve…"


def test_films_are_held_out_whole(tmp_path: Path) -> None:
    lines = [line for film in range(10) for line in talk(4, f"m{film}", 10 * film)]
    write(tmp_path, lines, [(f"m{f}", [f"L{10 * f + i}" for i in range(4)]) for f in range(10)])
    corpus = MovieCorpus.read(tmp_path, valid_fraction=0.3)
    train, valid = ({c.group for c in part} for part in (corpus.train, corpus.valid))
    assert valid and not train & valid
    assert train | valid == {f"m{film}" for film in range(10)}


def test_the_lines_file_may_be_named_itself(tmp_path: Path) -> None:
    write(tmp_path, talk(2), [("m0", ["L0", "L1"])])
    assert MovieCorpus.parse(tmp_path / "movie_lines.txt").train == MovieCorpus.parse(tmp_path).train


def test_forum_layout_in_utf8_with_answers_over_several_rows(tmp_path: Path) -> None:
    sep = SEPARATOR
    lines = f"0{sep}小明{sep}怎么删除？\n1{sep}小红{sep}这样：\r\n  a.remove()\r\n好了\n"
    (tmp_path / "wenda_lines_raw.txt").write_bytes(lines.encode())
    row = f"7{sep}小明{sep}小红{sep}2017-1-17{sep}http://example.org{sep}[0, 1]\n"
    (tmp_path / "wenda_conversations_raw.txt").write_bytes(row.encode())
    parsed = MovieCorpus.parse(tmp_path)
    assert [said(c) for c in parsed.train] == [[("user", "怎么删除？"), ("assistant", "这样：\na.remove()\n好了")]]
    assert parsed.train[0].group == "7"
    assert not parsed.dropped


def test_convokit_edition_gives_the_same_conversations(tmp_path: Path) -> None:
    expected = MovieCorpus.parse(write(tmp_path, talk(5), [("m0", [f"L{i}" for i in range(5)])])).train
    rows = [
        {
            "id": i,
            "conversation_id": "L0",
            "speaker": speaker,
            "text": text.decode(),
            "reply-to": None if i == "L0" else f"L{int(i[1:]) - 1}",
            "meta": {"movie_id": film},
        }
        for i, speaker, film, text in talk(5)
    ]
    path = tmp_path / "utterances.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows[::-1]), encoding="utf-8")
    assert MovieCorpus.parse(path).train == expected


def test_malformed_rows_are_counted(tmp_path: Path) -> None:
    write(tmp_path, talk(4), [("m0", ["L0", "L1"]), ("m0", ["L2", "L3"])])
    with (tmp_path / "movie_lines.txt").open("a", encoding="utf-8") as file:
        file.write("what is this\n")
    with (tmp_path / "movie_conversations.txt").open("a", encoding="utf-8") as file:
        file.write(f"u0{SEPARATOR}u1{SEPARATOR}m0{SEPARATOR}__import__('os')\n")
    assert MovieCorpus.parse(tmp_path).dropped == {
        "malformed rows of the lines file": 1,
        "malformed rows of the conversations file": 1,
    }


@pytest.mark.parametrize("name", ["movie_lines.txt", "movie_conversations.txt"])
@pytest.mark.parametrize("content", ["x\n", "some prose\nand more\n"])
def test_a_wrong_file_says_what_a_row_looks_like(tmp_path: Path, name: str, content: str) -> None:
    write(tmp_path, talk(2), [("m0", ["L0", "L1"])])
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=rf"{name}:1: .*a row should look like .*\+\+\+\$\+\+\+"):
        MovieCorpus.read(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no movie_lines\.txt"):
        MovieCorpus.read(tmp_path)
    (tmp_path / "movie_lines.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="no conversations file beside it"):
        MovieCorpus.read(tmp_path)


def same_talk(tmp_path: Path) -> list[Conversation]:
    plain = tmp_path / "plain"
    plain.mkdir()
    return MovieCorpus.parse(write(plain, talk(5), [("m0", [f"L{i}" for i in range(5)])])).train


@pytest.mark.parametrize("separator", [SEPARATOR, "\t"])
@pytest.mark.parametrize(
    "ids", ["['L0' 'L1' 'L2' 'L3' 'L4']", "['L0', 'L1','L2',  'L3', 'L4']", "['L0' 'L1'\n 'L2' 'L3'\n 'L4']"]
)
@pytest.mark.parametrize("quote", ["", '"'])
def test_other_editions_of_the_lists_give_the_same_conversations(tmp_path: Path, separator, ids, quote) -> None:
    """Kaggle's is separated by tabs, and its lists were printed by NumPy: without commas, over several lines."""
    expected = same_talk(tmp_path)
    ending = "tsv" if separator == "\t" else "txt"
    rows = [separator.join([i, speaker, film, "NAME", text.decode()]) for i, speaker, film, text in talk(5)]
    (tmp_path / f"movie_lines.{ending}").write_text("\n".join(rows), encoding="utf-8")
    row = separator.join(["u0", "u1", "m0", f"{quote}{ids}{quote}"])
    (tmp_path / f"movie_conversations.{ending}").write_text(f"{row}\n", encoding="utf-8")
    parsed = MovieCorpus.parse(tmp_path)
    assert parsed.train == expected and not parsed.dropped


@pytest.mark.parametrize("edition", ["new", "old", "array", "no film", "packed"])
def test_every_edition_of_convokit(tmp_path: Path, edition: str) -> None:
    expected = same_talk(tmp_path)
    rows = []
    for number, (name, speaker, film, text) in enumerate(talk(5)):
        parent = None if number == 0 else f"L{number - 1}"
        row = {"id": name, "conversation_id": "L0", "speaker": speaker, "text": text.decode(), "reply-to": parent}
        if edition in ("old", "array"):
            row |= {"user": row.pop("speaker"), "root": row.pop("conversation_id"), "reply_to": row.pop("reply-to")}
        rows.append(row if edition == "no film" else row | {"meta": {"movie_id": film, "parsed": []}})
    lines = json.dumps(rows) if edition == "array" else "\n".join(map(json.dumps, rows))
    name = {"array": "utterances.json", "packed": "utterances.jsonl.gz"}.get(edition, "utterances.jsonl")
    (tmp_path / name).write_bytes(gzip.compress(lines.encode()) if edition == "packed" else lines.encode())
    found = MovieCorpus.parse(tmp_path).train
    assert [c.turns for c in found] == [c.turns for c in expected]
    assert {c.group for c in found} == {"L0" if edition == "no film" else "m0"}


def test_replies_in_a_circle_or_beside_each_other_are_counted(tmp_path: Path) -> None:
    replies = [("a", None), ("b", "a"), ("c", "b"), ("b2", "a"), ("x", "y"), ("y", "x"), ("z", "z")]
    rows = [{"id": i, "speaker": i, "text": i, "reply-to": parent} for i, parent in replies]
    path = tmp_path / "utterances.jsonl"
    path.write_text("\n".join(map(json.dumps, [*rows, rows[1] | {"reply-to": "c"}])), encoding="utf-8")
    assert MovieCorpus.parse(path).dropped["utterances that no conversation leads to"] >= 3
