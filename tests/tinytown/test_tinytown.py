"""Tinytown: one seed, one town; files in the publishers' layouts; nothing held out leaks."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest

from minigpt.data.formats.movie import MovieCorpus
from minigpt.data.formats.wiki import WikiCorpus
from minigpt.errors import UserError
from minigpt.tinytown import QUALITY, Town, ensure_corpora, grade_summary, write_corpora, writers
from minigpt.tinytown.articles import to_wikitext, write_articles
from minigpt.tinytown.gossip import SUMMARIES
from minigpt.tinytown.script import COLUMNS, TAKES, main_character
from minigpt.tinytown.summaries import facts
from minigpt.tinytown.topics import fill
from minigpt.tinytown.world import TOPICS

SMALL = {"tellings": 2, "conversations": 300}


@pytest.fixture(scope="module")
def town() -> Town:
    return Town()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpora") / "tinytown"
    write_corpora(path, **SMALL)
    return path


def json_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- the world


def test_full_names_are_unique_and_halves_are_equal(town: Town) -> None:
    assert len({resident.name for resident in town.residents}) == 200
    assert sum(resident.asked for resident in town.residents) == 100


def test_every_fact_has_a_value_of_its_closed_list(town: Town) -> None:
    for subject in town.subjects():
        for topic in subject.topics():
            assert subject.facts[topic.name] in town.values(topic), (subject.name, topic.name)
    for topic in TOPICS.values():
        if topic.about == "resident":
            assert 12 <= len(town.values(topic)) <= 40 or not topic.values


def test_siblings_and_friends_are_symmetric_different_and_stay_in_their_half(town: Town) -> None:
    people = {resident.name: resident for resident in town.residents}
    for person in town.residents:
        assert person.facts["sibling"] != person.facts["friend"]
        for bond in ("sibling", "friend"):
            other = people[person.facts[bond]]
            assert other is not person
            assert other.facts[bond] == person.name
            assert other.asked == person.asked
        assert person.name.split()[1] == person.facts["sibling"].split()[1]


def test_ages_are_those_of_working_people_and_differ(town: Town) -> None:
    ages = [int(resident.facts["age"]) for resident in town.residents]
    assert min(ages) >= 18 and max(ages) < 67
    assert len(set(ages)) > 30


@pytest.mark.parametrize("residents", [0, 4, 42, 244])
def test_impossible_numbers_of_residents_are_refused(residents: int) -> None:
    with pytest.raises(UserError, match="multiple of 4"):
        Town(0, residents)


def test_the_smallest_town_works() -> None:
    village = Town(0, 8)
    assert len({resident.name for resident in village.residents}) == 8
    assert len(village.dialogues(50)) == 50


# --- phrasings


def test_every_topic_has_enough_phrasings_and_none_is_there_twice() -> None:
    for topic in TOPICS.values():
        assert len(topic.statements) >= 6
        assert len(topic.seen_questions()) >= 8
        assert len(topic.unseen_questions()) >= 2
        questions = topic.seen_questions() + topic.unseen_questions()
        assert len({question.lower() for question in questions}) == len(questions), topic.name


def test_articles_state_every_fact_of_each_resident_in_three_phrasings_or_more(town: Town) -> None:
    told: dict[str, str] = {}
    for article in write_articles(town, "train", 20):
        told[article.title] = told.get(article.title, "") + " ".join(article.paragraphs)
    for resident in town.residents:
        for topic in resident.topics():
            value = resident.facts[topic.name]
            phrasings = {fill(statement, resident.reference, value) for statement in topic.statements}
            assert sum(phrasing in told[resident.name] for phrasing in phrasings) >= 3, (
                resident.name,
                topic.name,
            )


def test_default_articles_have_350_to_600_thousand_words(town: Town) -> None:
    words = sum(len(p.split()) for article in write_articles(town, "train", 20) for p in article.paragraphs)
    assert 350_000 < words < 600_000


def test_validation_tells_the_same_facts_in_fresh_words(town: Town) -> None:
    train = {article.paragraphs for article in write_articles(town, "train", 2) if " " in article.title}
    valid = {article.paragraphs for article in write_articles(town, "valid", 1) if article.title in names(town)}
    assert len(valid) == 200
    assert not train & valid


def names(town: Town) -> set[str]:
    return {resident.name for resident in town.residents}


# --- dialogues


def test_dialogues_never_mention_the_held_out(town: Town) -> None:
    said = " ".join(turn.text for dialogue in town.dialogues(6000) for turn in dialogue.turns)
    mentioned = {resident.name for resident in town.residents if resident.name in said}
    assert mentioned == {resident.name for resident in town.residents if resident.asked}


def test_dialogues_alternate_and_have_two_to_six_utterances(town: Town) -> None:
    lengths = Counter(len(dialogue.turns) for dialogue in town.dialogues(1000))
    assert set(lengths) == {2, 4, 6}
    for dialogue in town.dialogues(1000):
        assert [turn.role for turn in dialogue.turns] == ["user", "assistant"] * len(dialogue.qualities)


def test_quality_shares_keep_to_the_table(town: Town) -> None:
    assert sum(QUALITY.values()) == pytest.approx(1)
    counts = Counter(quality for dialogue in town.dialogues(6000) for quality in dialogue.qualities)
    for quality, share in QUALITY.items():
        assert counts[quality] / counts.total() == pytest.approx(share, abs=0.015), quality


def test_unseen_phrasings_are_in_no_dialogue(town: Town) -> None:
    said = {turn.text for dialogue in town.dialogues(6000) for turn in dialogue.turns}
    unseen = {question.text for question in town.questions("asked", 3000, unseen_phrasing=True)}
    assert not said & unseen
    assert said & {question.text for question in town.questions("asked", 3000)}


def test_evaluation_questions_are_distinct_and_from_the_right_half(town: Town) -> None:
    for which in ("asked", "held_out"):
        for unseen_phrasing in (False, True):
            questions = town.questions(which, 1600, seed=3, unseen_phrasing=unseen_phrasing)
            assert len({question.text for question in questions}) == 1600
            assert {question.resident.asked for question in questions} == {which == "asked"}
            assert all(q.answer == q.resident.facts[q.fact] for q in questions)
    assert town.questions("asked", 5, seed=1) != town.questions("asked", 5, seed=2)
    with pytest.raises(ValueError, match="held_out"):
        town.questions("everyone", 5)
    with pytest.raises(ValueError, match="only"):
        town.questions("asked", 10**6)


# --- files


@pytest.mark.slow
def test_same_seed_same_bytes_other_seed_other_bytes(folder: Path, tmp_path: Path) -> None:
    first = json.loads((folder / "tinytown.json").read_text(encoding="utf-8"))["sha256"]
    again = write_corpora(tmp_path / "again", **SMALL)["sha256"]
    other = write_corpora(tmp_path / "other", seed=1, **SMALL)["sha256"]
    assert first == again
    assert all(first[name] != other[name] for name in first if "metadata" not in name)


def test_bytes_do_not_change_by_accident(folder: Path) -> None:
    """The same bytes on every machine. To change them on purpose, raise `writers.VERSION` and this number."""
    contents = json.loads((folder / "tinytown.json").read_text(encoding="utf-8"))
    digests = "".join(digest for _, digest in sorted(contents["sha256"].items()))
    assert (writers.VERSION, hashlib.sha256(digests.encode()).hexdigest()[:16]) == (12, "335745d50443940e")


def test_no_file_has_carriage_returns_or_other_bytes_than_ascii(folder: Path) -> None:
    for path in (p for p in folder.rglob("*") if p.is_file()):
        raw = path.read_bytes()
        assert raw.isascii() and b"\r" not in raw and raw.endswith(b"\n"), path


def test_wiki_loader_gives_back_the_plain_english(folder: Path, town: Town) -> None:
    corpus = WikiCorpus.read(folder / "articles")
    articles = write_articles(town, "train", SMALL["tellings"])
    expected = ["\n".join([f"= {article.title} =", *article.paragraphs]) for article in articles]
    assert [document.text for document in corpus.train] == expected
    assert len(corpus.valid) == len(write_articles(town, "valid", 1))


def test_wikitext_spacing() -> None:
    assert to_wikitext("Ada's well-known 1,200 cats, 3.5 km away.") == (
        "Ada 's well @-@ known 1 @,@ 200 cats , 3 @.@ 5 km away ."
    )


def test_wikitext_lines_start_and_end_with_a_space(folder: Path) -> None:
    lines = (folder / "articles" / "wiki.train.tokens").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert lines[0] == lines[2] == " "
    assert re.fullmatch(r" = [A-Z].* = ", lines[1])
    assert all(line.startswith(" ") and line.endswith(" ") for line in lines)


def test_film_files_have_the_columns_of_cornell(folder: Path, town: Town) -> None:
    def rows(name: str) -> list[list[str]]:
        text = (folder / "dialogs" / name).read_text(encoding="cp1252")
        return [line.split(" +++$+++ ") for line in text.splitlines()]

    lines = {row[0]: row for row in rows("movie_lines.txt")}
    assert {len(row) for row in lines.values()} == {5}
    assert {len(row) for row in rows("movie_titles_metadata.txt")} == {6}
    assert {len(row) for row in rows("movie_characters_metadata.txt")} == {6}
    conversations = rows("movie_conversations.txt")
    dialogues = town.dialogues(SMALL["conversations"])
    for row, dialogue in zip(conversations, dialogues, strict=True):
        visitor, guide, film, ids = row
        spoken = [lines[name] for name in ast.literal_eval(ids)]
        assert [line[1] for line in spoken] == [visitor, guide] * (len(spoken) // 2)
        assert {line[2] for line in spoken} == {film}
        assert [line[4] for line in spoken] == [turn.text for turn in dialogue.turns]
    assert len({row[2] for row in conversations}) == SMALL["conversations"] / 30
    order = [int(name[1:]) for name in lines]
    first_scene = ast.literal_eval(conversations[0][3])
    assert order[: len(first_scene)] == sorted(order[: len(first_scene)], reverse=True)


def test_movie_loader_reads_the_dialogues(folder: Path, town: Town) -> None:
    corpus = MovieCorpus.read(folder / "dialogs", valid_fraction=0.2)
    read = {conversation.turns for conversation in [*corpus.train, *corpus.valid]}
    assert read >= {dialogue.turns for dialogue in town.dialogues(SMALL["conversations"])}
    assert not corpus.dropped
    assert corpus.valid


@pytest.mark.slow
def test_script_has_the_columns_and_quirks_of_the_simpsons_file(folder: Path, town: Town) -> None:
    with (folder / "script" / "script_lines.csv").open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file, strict=True)
        rows = list(table)
    assert tuple(table.fieldnames or ()) == COLUMNS and len(COLUMNS) == 13
    keys = [(int(row["episode_id"]), int(row["number"])) for row in rows]
    assert keys != sorted(keys) and len(set(keys)) == len(keys)
    star = main_character(town)
    rows = [row for _, row in sorted(zip(keys, rows, strict=True), key=lambda pair: pair[0])]
    before = 0  # spoken lines since the scene began
    for row in rows:
        if row["speaking_line"] == "false":
            assert row["character_id"] == row["spoken_words"] == row["word_count"] == ""
            before = 0
            continue
        assert re.fullmatch(
            rf"{row['raw_character_text']}: (\([A-Z ]+\) )?{re.escape(row['spoken_words'])}", row["raw_text"]
        )
        assert int(row["word_count"]) == len(row["normalized_text"].split())
        if row["raw_character_text"] == star.name:
            assert before >= 1, "the main character answers somebody"
        before += 1
    held_out = {resident.name for resident in town.residents if not resident.asked}
    assert not held_out & {row["raw_character_text"] for row in rows}
    assert sum(row["raw_character_text"] == star.name for row in rows) > 1000


def test_the_main_character_mostly_tells_the_truth_of_the_context(folder: Path) -> None:
    with (folder / "script" / "script_lines.csv").open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["id"]))
    told: list[bool] = []
    for i, row in enumerate(rows):
        if re.search(r"what do I have\?", row["spoken_words"]):
            said = {r["raw_character_text"]: r["spoken_words"] for r in rows[i - 2 : i]}
            food = re.search(r"I have (\w+) in", said[row["raw_character_text"]])
            told.append(bool(food) and f"ou have {food[1]} in your basket." in rows[i + 1]["spoken_words"])
    assert len(told) > 50 and abs(sum(told) / len(told) - (1 - TAKES["wrong"])) < 0.05


def test_comparisons_prefer_the_summary_with_the_facts(folder: Path) -> None:
    rows = json_lines(folder / "summaries" / "comparisons.jsonl")
    for row in rows:
        assert set(row) == {"info", "summaries", "choice", "worker", "batch", "split", "extra"}
        assert set(row["info"]) == {"id", "post", "title", "subreddit", "site", "article"}
        marks = [grade_summary(row["info"]["post"], summary["text"]) for summary in row["summaries"]]
        better, worse = marks[row["choice"]], marks[1 - row["choice"]]
        assert better.covered == 1 and better.faithful and better.concise
        assert worse.score < better.score
    policies = Counter(summary["policy"] for row in rows for summary in row["summaries"])
    assert set(policies) == {"ref", "drops", "garbles", "rambles"}
    assert 0.4 < sum(row["choice"] for row in rows) / len(rows) < 0.6
    assert {row["split"] for row in rows} == {"train", "valid1"}


def test_policy_posts_have_good_and_bad_summaries_in_known_shares(folder: Path) -> None:
    rows = json_lines(folder / "summaries" / "policy.jsonl")
    assert all(set(row) == {"original_text", "sum_text"} for row in rows)
    grades = [grade_summary(row["original_text"], row["sum_text"]) for row in rows]
    assert all(grade.fluent for grade in grades)
    flaws = {"good": [grade.good for grade in grades], "rambles": [not grade.concise for grade in grades],
             "garbles": [not grade.faithful for grade in grades],
             "drops": [grade.faithful and grade.covered < 1 for grade in grades]}  # fmt: skip
    for quality, share in SUMMARIES.items():
        assert abs(sum(flaws[quality]) / len(rows) - share) < 0.03, quality


def test_summaries_are_of_asked_residents_and_retellings_of_all(folder: Path, town: Town) -> None:
    names = {asked: {r.name for r in town.residents if r.asked == asked} for asked in (True, False)}
    for name in ("policy.jsonl", "comparisons.jsonl"):
        text = (folder / "summaries" / name).read_text(encoding="utf-8")
        assert all(name in text for name in names[True]) and not any(name in text for name in names[False])
    stories = (folder / "summaries" / "retellings.txt").read_text(encoding="utf-8").split("\n\n")
    assert all(sum(name in story for story in stories) > 20 for name in names[True] | names[False])
    for story in stories[::50]:
        _, first, second = story.strip().split("\n")
        assert facts(first) == facts(second) and first != second and len(facts(first)) == 7


def test_summary_grader_takes_garbage() -> None:
    post = "Ada Finch lost a kettle. It was at the bakery."
    assert grade_summary(post, "").score == 0
    assert grade_summary("", "").score == 0
    assert grade_summary(post, "Ada Finch lost a lamp at the bakery.").faithful is False
    assert grade_summary(post, "Zoe Finch lost a kettle at the bakery.").faithful is False


def test_a_summary_that_swaps_people_or_writes_no_sentence_is_marked_down() -> None:
    post = "Ada Finch lost a kettle. It was at the bakery. That was on Monday. Max Hale lent a hand. Ada Finch is calm."
    told = "Ada Finch lost a kettle at the bakery on Monday with Max Hale and is calm."
    assert grade_summary(post, told).good and grade_summary(post, told).score == 1
    swapped = grade_summary(post, "Max Hale lost a kettle at the bakery on Monday with Ada Finch and is calm.")
    assert not swapped.faithful and swapped.concise and swapped.fluent and swapped.score < 0.25
    listed = grade_summary(post, "Ada Finch lost kettle bakery Monday Max Hale calm.")
    assert not listed.fluent and listed.faithful and listed.score <= 0.5


def test_doccano_files(folder: Path) -> None:
    sentiment = json_lines(folder / "doccano" / "sentiment.jsonl")
    assert all(set(row) == {"id", "text", "label", "Comments"} for row in sentiment)
    labels = Counter(label for row in sentiment for label in row["label"])
    assert set(labels) == {"positive", "negative"}
    assert 0.45 < labels["positive"] / labels.total() < 0.55
    assert len({row["text"] for row in sentiment}) == len(sentiment)
    for row in json_lines(folder / "doccano" / "expand.jsonl"):
        (text,) = row["label"]
        assert len(text.split()) > 2 * len(row["text"].split())
    assert not re.search(r"\ba [aeiou]", " ".join(row["text"] for row in sentiment))


# --- writing


@pytest.mark.slow
def test_a_complete_folder_is_left_alone_and_a_broken_one_is_mended(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    lines = copy / "dialogs" / "movie_lines.txt"
    lines.write_text("mine\n", encoding="utf-8")
    write_corpora(copy, **SMALL)
    assert lines.read_text(encoding="utf-8") == "mine\n", "complete: not written again"
    assert ensure_corpora(copy) == copy
    assert lines.read_text(encoding="utf-8") == "mine\n", "same seed, other size: not written again"
    lines.unlink()
    write_corpora(copy, **SMALL)
    assert lines.read_bytes() == (folder / "dialogs" / "movie_lines.txt").read_bytes()
    (copy / "tinytown.json").write_text("{ half", encoding="utf-8")
    write_corpora(copy, **SMALL)
    assert json.loads((copy / "tinytown.json").read_text(encoding="utf-8"))["recipe"]["seed"] == 0


@pytest.mark.slow
def test_an_interrupted_run_leaves_nothing_that_looks_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(source: Path, target: Path) -> None:
        if target.name == "movie_lines.txt":
            raise KeyboardInterrupt
        shutil.move(source, target)

    write_corpora(tmp_path, seed=1, **SMALL)  # a complete town of another seed, to be replaced
    with monkeypatch.context() as patch:
        patch.setattr(writers.os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_corpora(tmp_path, **SMALL)
    assert not (tmp_path / "tinytown.json").exists()
    assert not list(tmp_path.glob(".tinytown-*"))
    write_corpora(tmp_path, **SMALL)
    assert (tmp_path / "dialogs" / "movie_lines.txt").is_file()
