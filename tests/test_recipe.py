"""Recipe files as people write them: paths from where the file is, options in the wrong table, Notepad's marks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minigpt.cli import typed
from minigpt.errors import UserError
from minigpt.recipe import load_recipe

RECIPE = """title = "Mine"
[pretrain]
corpus = "{corpus}"
format = "text"
steps = 3
"""


def write(path: Path, corpus: str, old: str = "", new: str = "") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RECIPE.format(corpus=corpus).replace(old, new), encoding="utf-8")
    return str(path)


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, and a folder of recipes beside it; both hold notes.txt, each one text of its own too."""
    for name in ("work", "recipes"):
        (tmp_path / name).mkdir()
        for file in ("notes.txt", f"{name}.txt"):
            (tmp_path / name / file).write_text(f"a text of {name}", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.mark.parametrize(("corpus", "where"), [
    ("notes.txt", "recipes"), ("recipes.txt", "recipes"), ("work.txt", "work"), ("../work/notes.txt", "work"),
])  # fmt: skip
def test_paths_begin_where_the_recipe_is_and_then_where_one_works(places: Path, corpus: str, where: str) -> None:
    recipe = load_recipe(write(places / "recipes" / "mine.toml", corpus))
    assert recipe.open_corpus("pretrain").train[0].text == f"a text of {where}"
    assert recipe.open_corpus("pretrain", corpus="notes.txt").train[0].text == "a text of work", "what is typed is not"


@pytest.mark.parametrize("corpus", ["my_notes", "my_notes.txt", "my/notes"])
def test_what_is_missing_does_not_exist(places: Path, corpus: str) -> None:
    recipe = load_recipe(write(places / "recipes" / "mine.toml", corpus))
    with pytest.raises(UserError, match=rf"^{corpus} does not exist: .*recipes.* and .*work"):
        recipe.open_corpus("pretrain")


def test_a_near_name_of_the_catalogue_is_proposed(places: Path) -> None:
    with pytest.raises(UserError, match=r"does not exist: .* did you mean wikitext-2"):
        load_recipe(write(places / "recipes" / "mine.toml", "wikitext2")).open_corpus("pretrain")


@pytest.mark.parametrize(("old", "new", "sentence"), [
    ("steps", "depth", r"\[pretrain\] depth is unknown; it belongs above the first \[table\]"),
    ("steps = 3", "kl_coef = 0.1", r"\[pretrain\] kl_coef is unknown; it belongs under \[ppo\]"),
    ("steps = 3", 'speaker = "x"', r'\[pretrain\] speaker is unknown; it belongs where the format is "script"'),
    ("title", "steps = 3\ntitle", r"steps is unknown; it belongs under \[pretrain\] or \[sft\]"),
    ("[pretrain]", "[[pretrain]]", r"pretrain is unknown; a stage is a table: write its settings under"),
    ("steps = 3", "skip_bad_rows = 1", r"\[pretrain\] skip_bad_rows is 1; it must be of type bool"),
    ('"text"', '["text"]', r"\[pretrain\] format is \['text'\]; it must be of type str"),
    ("notes", r"C:\\temp\new", r"\[pretrain\] corpus is .*; in paths write / for"),
    ("steps = 3", "stepps = 3", r"\[pretrain\] stepps is unknown, did you mean steps"),
])  # fmt: skip
def test_what_stands_in_the_wrong_place_is_told_where_it_belongs(tmp_path: Path, old, new, sentence) -> None:
    new = new.replace(r"C:\\temp\new", r"C:\\temp\new".replace(r"\\", "\\"))
    with pytest.raises(UserError, match=rf"mine\.toml: {sentence}"):
        load_recipe(write(tmp_path / "mine.toml", "notes", old, new))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_recipes_as_notepad_saves_them(places: Path, encoding: str) -> None:
    path = places / "recipes" / "mine.toml"
    path.write_bytes(RECIPE.format(corpus="notes.txt").replace("\n", "\r\n").encode(encoding))
    assert load_recipe(str(path)).title == "Mine" and load_recipe(str(path)).open_corpus("pretrain").train


def test_bad_rows_are_skipped_by_the_recipe_or_by_the_command_line(places: Path) -> None:
    rows = [{"text": "good"}] * 3 + [{"txt": "bad"}]
    (places / "work" / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    path = places / "recipes" / "mine.toml"
    with pytest.raises(UserError, match=r"rows\.jsonl:4: "):
        load_recipe(write(path, "rows.jsonl")).open_corpus("pretrain")
    assert load_recipe(str(path), skip_bad_rows=True).open_corpus("pretrain").dropped == {"bad rows": 1}
    recipe = load_recipe(write(path, "rows.jsonl", "steps = 3", "skip_bad_rows = true"))
    assert recipe.open_corpus("pretrain").dropped == {"bad rows": 1} and not recipe.settings("pretrain")


def test_what_is_typed_in_an_ascii_locale_is_utf8() -> None:
    disguised = "Möwe 🦊".encode().decode("ascii", "surrogateescape")
    assert typed(disguised) == typed("Möwe 🦊") == "Möwe 🦊"
    for broken in ("caf\udce9", "half \ud83d", "nul \0"):
        typed(broken).encode("utf-8")
        assert "\ufffd" in typed(broken)


BASE = """title = "Base"
context = 64
grader = "town"
[sft]
corpus = "notes.txt"
format = "text"
steps = 9
lr = 0.5
[reward]
corpus = "rows.jsonl"
format = "comparisons"
valid_fraction = 0.5
minutes = 3.0
likelihood_penalty = 2.0
lr = 0.5
"""
CHILD = """title = "Child"
inherit = true
[reward]
corpus = "votes.jsonl"
format = "votes"
epochs = 8
lr = 0.25
[ppo]
updates = 3
"""


def test_a_recipe_takes_what_it_leaves_out_from_the_one_that_made_the_model(places: Path) -> None:
    texts = {"base": BASE, "child": CHILD}
    for name, text in texts.items():
        (places / "recipes" / f"{name}.toml").write_text(text, encoding="utf-8")
    base, child = (load_recipe(str(places / "recipes" / f"{name}.toml")) for name in texts)
    assert child.inherits and not base.inherits
    both = child.inheriting(base)
    assert both.title == "Child" and both.model["context"] == 64 and both.about_town
    assert both.settings("reward") == {"likelihood_penalty": 2.0, "epochs": 8, "lr": 0.25}, "one limit, one rate"
    source = both.source("reward")
    assert (source["corpus"], source["format"]) == ("votes.jsonl", "votes") and "valid_fraction" not in source
    assert both.settings("ppo") == {"updates": 3}, "PPO's questions are SFT's, but its settings are not"
    assert both.open_corpus("ppo").train[0].text == "a text of recipes", "and paths begin where the base is"


@pytest.mark.parametrize(("old", "new", "sentence"), [
    ("inherit = true", "", "lacks corpus"), ('format = "votes"', "", "lacks format"),
    ("updates = 3", 'format = "votes"', "lacks corpus"),
])  # fmt: skip
def test_only_who_inherits_may_leave_out_the_corpus(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    (tmp_path / "mine.toml").write_text(CHILD.replace(old, new), encoding="utf-8")
    with pytest.raises(UserError, match=sentence):
        load_recipe(str(tmp_path / "mine.toml"))
