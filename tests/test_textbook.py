"""The textbook chapter's program runs with nothing but its import lines and paths changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from minigpt.textbook import (
    GPT,
    DialogCorpus,
    MovieCorpus,
    Trainer,
    WikiCorpus,
    read_data,
    remove_input_from_output,
)

PROGRAM = (Path(__file__).parent / "textbook_program.txt").read_text(encoding="utf-8")
LINES = [
    "how are you ?",
    "fine , thank you .",
    "where have you been ?",
    "at the harbour , with my brother .",
    "and now ?",
]


@pytest.fixture
def chapter_folder(tmp_path, monkeypatch, text):
    """A working folder with toy corpora under the chapter's file names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "wiki.train.txt").write_text(text * 3, encoding="utf-8")
    dialogs = tmp_path / "cornell movie-dialogs corpus"
    dialogs.mkdir()
    (dialogs / "processed_movie_lines.txt").write_text("\n".join(LINES) + "\n", encoding="utf-8")
    return tmp_path


def test_the_chapters_program(chapter_folder, capsys):
    names: dict = {}
    exec(compile(PROGRAM, "textbook_program.txt", "exec"), names)
    saved = sorted(path.name for path in (chapter_folder / "models").iterdir())
    assert len(saved) == 2
    for name, stage in zip(saved, ("WikiGPT", "miniChatGPT"), strict=True):
        assert re.fullmatch(rf"{stage}_[0-9.e-]+_\d+_\d{{8}}_\d{{6}}\.pth", name)
    assert "how are you ?" + names["beam_output"].removeprefix("how are you ?") == names["beam_output"]
    assert remove_input_from_output("how are you ?", "how are you ? fine") == "fine"
    assert names["greedy_output"].startswith("how are you ?")
    assert "Beam search: how are you ?" in capsys.readouterr().out
    with pytest.raises(ValueError, match="greedy, beam_search or sample"):
        names["chat_gpt"].decode("how are you ?", strategy="guess")
    with pytest.raises(TypeError):
        names["chat_gpt"].decode("how are you ?", beam_width=5)


def test_wiki_and_movie_share_a_vocabulary(chapter_folder):
    """That is what lets the chapter load WikiGPT's weights into the model of the dialogues."""
    wiki, movie = WikiCorpus(read_data("wiki.train.txt")), MovieCorpus(LINES)
    assert wiki.vocab == movie.vocab and wiki.vocab_size == len(wiki.idx2word) == GPT(movie).config.vocab_size
    inputs, targets = movie.make_batch(4)
    assert inputs.shape == targets.shape and inputs.shape[1] == movie.seq_len
    assert DialogCorpus is MovieCorpus


def test_a_plain_list_of_lines_is_one_dialogue():
    corpus = MovieCorpus([*LINES[:3], "\n", *LINES[3:]], valid_fraction=0)
    pairs = [tuple(turn.text for turn in c.turns) for c in corpus.train]
    assert pairs == [(LINES[0], LINES[1]), (LINES[1], LINES[2]), (LINES[3], LINES[4])]


@pytest.mark.slow
def test_a_long_enough_training_learns_the_answer(chapter_folder):
    """The chapter ended with "it still cannot form a sentence"; ours answers with the line that follows in the file."""
    corpus = MovieCorpus(LINES * 4, valid_fraction=0, max_seq_len=64)
    torch.manual_seed(0)
    model = GPT(corpus)
    Trainer(model, corpus, learning_rate=0.003, steps=60).train()
    assert model.decode("how are you ?", max_len=20) == "how are you ? fine , thank you ."
