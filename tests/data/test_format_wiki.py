"""WikiCorpus: articles, word counts and natural spacing."""

import json
import sys
from pathlib import Path

import pytest

from minigpt.data.formats.wiki import WikiCorpus, detokenise, heading_level
from minigpt.errors import UserError


def published(text: str) -> str:
    """`text` as WikiText prints it: a space before and after each line, blank lines included."""
    return "".join(f" {line} \n" if line else " \n" for line in text.split("\n"))


TRAIN = published("""
= Blue Lamp =

The Blue Lamp is a well @-@ known inn . It 's old .
It has 1 @,@ 200 seats ( or 0 @.@ 5 per head ) .

= = History = =

Key : Pld
= Played , W =
Wins , L

= <unk> =

A short article .
""")
VALID = published("\n= Held Out =\n\nOne line .")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wiki.train.tokens").write_text(TRAIN, encoding="utf-8")
    (tmp_path / "wiki.valid.tokens").write_text(VALID, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("tokens", "natural"),
    [
        ("a well @-@ known fact", "a well-known fact"),
        ("1 @,@ 000 @,@ 000 people", "1,000,000 people"),
        ("0 @.@ 7 metres", "0.7 metres"),
        ("Yes , no ; maybe : so ! Really ?", "Yes, no; maybe: so! Really?"),
        ("the end ... and more", "the end... and more"),
        ('He said " hello " , twice', 'He said "hello", twice'),
        ('" one " and " two "', '"one" and "two"'),
        ("Atlanta ( 1861 ) and [ sic ]", "Atlanta (1861) and [sic]"),
        ("it 's , don 't , they 're , I 'm", "it's, don't, they're, I'm"),
        ("Flann O 'Brien", "Flann O'Brien"),
        ("the series ' music", "the series' music"),
        ("called ' Mayflower ' by all", "called 'Mayflower' by all"),
        ("the actors ' roles in ' Hamlet '", "the actors' roles in 'Hamlet'"),
        ("the songs ' Rain ' and ' Sun '", "the songs 'Rain' and 'Sun'"),
        ("it ’ s here", "it’s here"),
        ("“ quoted ”", "“quoted”"),
        ("$ 5 , £ 6 and 7 %", "$5, £6 and 7%"),
        ("2011 – 12 at 7 : 30", "2011–12 at 7:30"),
        ("north – south", "north – south"),
        ("in the '80s", "in the '80s"),
        (" = Title = ", "= Title ="),
        (" = = Early life = = ", "== Early life =="),
        ("the <unk> of <unk>", "the <unk> of <unk>"),
        ("two , lines\nof ( text )", "two, lines\nof (text)"),
        ("", ""),
    ],
)
def test_detokenise(tokens: str, natural: str) -> None:
    assert detokenise(tokens) == natural


def test_natural_text_is_left_alone() -> None:
    text = "It's \"so\" (well-known): 1,000 of 3.5% – don't ask!"
    assert detokenise(text) == text


@pytest.mark.parametrize(
    ("line", "level"),
    [(" = A = ", 1), (" = = A = = ", 2), (" = = = A b = = = ", 3), ("a = b", 0), (" = A = = ", 0), ("", 0)],
)
def test_heading_level(line: str, level: int) -> None:
    assert heading_level(line) == level


def test_one_document_an_article_in_the_publishers_split(folder: Path) -> None:
    corpus = WikiCorpus.read(folder)
    assert [d.group for d in corpus.train] == ["Blue Lamp#1", "<unk>#2"]
    assert [d.text for d in corpus.valid] == ["= Held Out =\nOne line."]
    assert corpus.train[0].text.startswith("= Blue Lamp =\nThe Blue Lamp is a well-known inn. It's old.\n")


def test_a_line_between_equals_signs_inside_an_article_is_no_title(folder: Path) -> None:
    assert "= Played, W =" in WikiCorpus.read(folder).train[0].text


def test_words_counts_published_tokens_and_one_line_end_each(folder: Path) -> None:
    corpus = WikiCorpus.read(folder)
    assert corpus.valid[0].words == (4 + 1) + (3 + 1)
    assert corpus.train[1].words == (3 + 1) + (4 + 1)
    lines = [line.split() for line in TRAIN.split("\n")]
    assert sum(d.words for d in corpus.train) == sum(len(line) + 1 for line in lines if line)


def test_equal_titles_have_different_groups(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("\n = <unk> = \n\n a\n\n = <unk> = \n\n b\n", encoding="utf-8")
    assert len({d.group for d in WikiCorpus.parse(tmp_path).train}) == 2


@pytest.mark.parametrize("names", [("wiki.train.raw", "wiki.valid.raw"), ("train.txt", "valid.txt")])
def test_other_file_names(tmp_path: Path, names: tuple[str, str]) -> None:
    for name, text in zip(names, (TRAIN, VALID), strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    corpus = WikiCorpus.read(tmp_path)
    assert (len(corpus.train), len(corpus.valid)) == (2, 1)


def test_a_single_file_is_split_by_article(folder: Path) -> None:
    corpus = WikiCorpus.read(folder / "wiki.train.tokens", valid_fraction=0.5)
    assert (len(corpus.train), len(corpus.valid)) == (1, 1)


def test_windows_line_ends_change_nothing(folder: Path) -> None:
    before = WikiCorpus.read(folder).train
    (folder / "wiki.train.tokens").write_bytes(TRAIN.replace("\n", "\r\n").encode())
    assert WikiCorpus.read(folder).train == before


def test_mistakes_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no wiki\.train\.tokens"):
        WikiCorpus.read(tmp_path)
    (tmp_path / "train.txt").write_text("Just prose.\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"train\.txt:1: no article title"):
        WikiCorpus.read(tmp_path)


def test_defect_12_wikitext_needs_no_torchtext(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchtext", None)  # an import would now fail
    assert len(WikiCorpus.read(folder).train) == 2


def test_defect_15_no_blank_or_cut_wikitext_lines(tmp_path: Path) -> None:
    long = " ".join(f"word{i}" for i in range(1000))
    text = f" \n = Long = \n \n {long} \n \n \n {long} \n"
    (tmp_path / "wiki.train.tokens").write_text(text, encoding="utf-8")
    (document,) = WikiCorpus.parse(tmp_path).train
    assert document.text.split("\n") == ["= Long =", long, long]


def test_wikitext_without_its_blank_lines_is_named(tmp_path: Path) -> None:
    lines = "\n".join(line for line in TRAIN.split("\n") if line.strip())
    (tmp_path / "wiki.train.raw").write_text(lines, encoding="utf-8")
    with pytest.raises(UserError, match=r"wiki\.train\.raw:1: 3 lines look like titles .* blank lines"):
        WikiCorpus.read(tmp_path)


def test_rows_of_the_datasets_library_are_lines(folder: Path) -> None:
    expected = WikiCorpus.parse(folder).train
    rows = [json.dumps({"text": line}) for line in TRAIN.splitlines(keepends=True)]
    (folder / "wiki.jsonl").write_text("\n".join(rows), encoding="utf-8")
    assert WikiCorpus.parse(folder / "wiki.jsonl").train == expected
    (folder / "wiki.jsonl").write_text('{"txt": ""}', encoding="utf-8")
    with pytest.raises(UserError, match=r"wiki\.jsonl:1: expected"):
        WikiCorpus.read(folder / "wiki.jsonl")


def test_files_named_after_the_data_set_are_found(tmp_path: Path) -> None:
    for split, text in (("train", TRAIN), ("valid", VALID)):
        (tmp_path / f"wikitext-103-raw-v1-{split}.txt").write_text(text, encoding="utf-8")
    corpus = WikiCorpus.read(tmp_path)
    assert (len(corpus.train), len(corpus.valid)) == (2, 1)
