"""Blind pairs, votes, thumbs, search, counts, exports, runs on disk, and the training on votes."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter

import pytest
from helpers.models import TEXT, make_chat
from helpers.web import QUESTION, chat, error_of, make_app, write_models

from minigpt import Tokenizer, Turn
from minigpt.data import fulltext
from minigpt.data.formats import ComparisonCorpus, LabelCorpus, MessagesCorpus
from minigpt.errors import UserError
from minigpt.model.checkpoint import save_model
from minigpt.web import exports
from minigpt.web.errors import ApiError
from minigpt.web.runs import thin
from minigpt.web.store import Store

pytest_plugins = ["helpers.web_fixtures"]


def make_pair(client, **body):
    return client.post("/api/pairs", json={"messages": QUESTION, "max_tokens": 6, **body}).get_json()


def vote(client, pair, which="left"):
    return client.post("/api/votes", json={"pair_id": pair["pair_id"], "vote": which})


# Pairs and votes.


def test_a_pair_is_blind_until_its_vote(client, app):
    pair = make_pair(client)
    assert set(pair) == {"pair_id", "left", "right", "dropped"} and set(pair["left"]) == {"text"}
    assert "town" not in json.dumps(pair)
    assert client.get("/api/search?q=How are").get_json()["results"] == []  # nor can it be looked up
    response = vote(client, pair, "right")
    assert response.status_code == 201
    told = response.get_json()
    assert {told["left"]["model"], told["right"]["model"]} <= {"town/ppo", "town/sft", "shipped/sft"}
    assert told["counts"]["right"] == 1 and told["counts"]["needed"] == 39
    kept = app.store.votes()[0]
    assert (kept["left_model"], kept["right_model"]) == (told["left"]["model"], told["right"]["model"])
    for side in ("left", "right"):  # each side's text is its own model's
        body = {"model": told[side]["model"], "seed": told[side]["seed"], "max_tokens": 6}
        alone = chat(client, **body).get_json()["choices"][0]["message"]["content"]
        assert alone.strip() == pair[side]["text"]


def test_a_pair_is_the_current_model_against_older_ones(tmp_path):
    """In the order in which they were written; never a newer one, one that cannot answer, or one of other words."""
    models = write_models(tmp_path / "models", "town/pretrain", "town/reward", "town/sft-old", "town/sft", "town/ppo")
    write_models(models, "town/ppo-new")
    alien = make_chat(Tokenizer.train([TEXT], 350), context=96)
    save_model(models / "town" / "sft-alien", alien, {"stage": "sft", "recipe": "town", "finished": True})
    for age, name in enumerate(("ppo-new", "ppo", "sft", "sft-old", "sft-alien", "pretrain", "reward")):
        for file in (models / "town" / name).iterdir():
            os.utime(file, (1e9 - 1000 * age, 1e9 - 1000 * age))
    app = make_app(models, tmp_path)
    client, met = app.test_client(), Counter()
    for _ in range(24):
        told = vote(client, make_pair(client, model="town/ppo", max_tokens=2)).get_json()
        names = [told[side]["model"] for side in ("left", "right")]
        names.remove("town/ppo")
        met.update(names)
    assert set(met) == {"town/sft", "town/sft-old"} and min(met.values()) >= 4
    app.close()


def test_sides_are_swapped_at_random_and_repeatably(models, tmp_path):
    sides = []
    for folder in ("one", "two"):
        app = make_app(models, tmp_path / folder, seed=7)
        client = app.test_client()
        for _ in range(12):
            vote(client, make_pair(client, model="town/sft", other="town/ppo", max_tokens=2))
        sides.append([row["left_model"] for row in app.store.votes()])
        app.close()
    assert sides[0] == sides[1]
    assert 2 <= sides[0].count("town/sft") <= 10


def test_a_pair_has_one_vote(client):
    pair = make_pair(client)
    assert vote(client, pair, "tie").status_code == 201
    again = vote(client, pair, "left")
    assert again.status_code == 409 and error_of(again)["code"] == "already_voted"
    assert vote(client, {"pair_id": 999}).status_code == 404
    assert vote(client, pair, "both").status_code == 400
    counts = client.get("/api/votes").get_json()
    assert (counts["votes"], counts["tie"], counts["usable"]) == (1, 1, 0)


def test_a_model_against_itself_gets_two_seeds(client):
    pair = make_pair(client, model="town/sft", other="town/sft", temperature=0, max_tokens=8)
    assert pair["left"]["text"] != pair["right"]["text"] and "same" not in pair


def test_thumbs_can_be_changed_and_taken_back(client):
    number = chat(client, chat_id="a", max_tokens=2).get_json()["minigpt"]["answer_id"]
    for thumb, kept in (("up", "up"), ("down", "down"), ("none", None)):
        assert client.post("/api/thumbs", json={"answer_id": number, "thumb": thumb}).status_code == 201
        assert client.get("/api/chats/a").get_json()["answers"][0]["thumb"] == kept
    assert client.post("/api/thumbs", json={"answer_id": 99, "thumb": "up"}).status_code == 404


def test_a_full_disk_is_told_and_stores_nothing(client, app, monkeypatch):
    pair = make_pair(client)
    app.store._db.execute(f"PRAGMA max_page_count = {app.store.rows('PRAGMA page_count')[0]['page_count']}")
    for _ in range(200):
        response = vote(client, pair)
        if response.status_code != 201:
            break
        number = app.store.add_pair(QUESTION, *({"model": "m", "text": "x", "seed": 0},) * 2)
        pair = {"pair_id": number}
    # Either the vote or the pair before it met the end of the disk; both say so in the one shape.
    if response.status_code == 201:
        pytest.fail("the disk never filled up")
    assert response.status_code == 507 and error_of(response)["code"] == "disk"
    before = client.get("/api/votes").get_json()["votes"]
    app.store._db.execute("PRAGMA max_page_count = 100000")
    assert vote(client, pair).status_code == 201
    assert client.get("/api/votes").get_json()["votes"] == before + 1


# Chats and search.


def test_chats_are_kept_shown_and_forgotten(client):
    for name in ("a", "b"):
        assert chat(client, chat_id=name, max_tokens=3).get_json()["minigpt"]["chat_id"] == name
    chat(client, max_tokens=3)  # not asked to be kept
    assert [row["chat_id"] for row in client.get("/api/chats").get_json()["chats"]] == ["b", "a"]
    assert client.delete("/api/chats/a").get_json() == {"deleted": 1}
    assert client.get("/api/chats/a").status_code == 404
    assert client.get("/api/search?q=are you").get_json()["results"][0]["chat_id"] == "b"
    assert client.delete("/api/chats").get_json() == {"deleted": 1}
    assert client.get("/api/search?q=are you").get_json()["results"] == []


@pytest.mark.parametrize("indexed", [True, False])
def test_search_finds_words_and_parts_of_chinese_ones(indexed, monkeypatch):
    if not indexed:
        monkeypatch.setattr(fulltext, "INDEX", "CREATE VIRTUAL TABLE x USING no_such_module(y);")
    kept = Store(":memory:")
    if not indexed:
        assert not kept.texts.indexed
    asked = ["今天天气怎么样", "Where does Max live?", '50% of 5_0 \\ quoted "words" AND OR', "ГДЕ Лиза"]
    for number, text in enumerate(asked):
        kept.add_answer("c", "m", [{"role": "user", "content": text}], f"answer {number}", "stop", None, 0)
    for words, found in {
        "天气": {0}, "天": {0}, "怎么样": {0}, "天气 今天": {0}, "max LIVE": {1}, "ere doe": {1}, "live answer": {1},
        "50%": {2}, "%": {2}, "5_0": {2}, "_": {2}, "\\": {2}, '"words"': {2}, "AND": {2}, "answer": {0, 1, 2, 3},
        "nothing": set(), "天气 Max": set(), "Лиза": {3}, "   ": set(), "*": set(), "a* OR b": set(),
        "\0": set(), "max\0LIVE": {1},
    }.items():  # fmt: skip
        rows, _ = kept.search(words, 10)
        assert {row["ref"] - 1 for row in rows} == found, words
    kept.forget_chats("c")
    assert kept.search("answer", 10)[0] == []


def test_a_result_shows_where_the_match_is(client):
    chat(client, messages=[{"role": "user", "content": "word " * 9 + "今天天气怎么样"}], chat_id="z", max_tokens=2)
    result = client.get("/api/search", query_string={"q": "天气"}).get_json()["results"][0]
    assert result["snippet"][result["start"] : result["end"]] == "天气" and result["kind"] == "chat"


def test_an_older_store_is_searched_too(tmp_path, monkeypatch):
    """What was written by a Python whose SQLite cannot index is found by one whose can."""
    with monkeypatch.context() as patch:
        patch.setattr(fulltext, "INDEX", "CREATE VIRTUAL TABLE x USING no_such_module(y);")
        old = Store(tmp_path / "f.sqlite")
        old.add_answer("c", "m", QUESTION, "wonderful", "stop", None, 0)
        old.close()
    new = Store(tmp_path / "f.sqlite")
    assert new.search("wonderful", 5) == (new.rows("SELECT * FROM texts"), True)


# Counts and exports.


@pytest.fixture
def voted(app):
    """Seven votes of all kinds, two thumbs."""
    for i, which in enumerate(["left", "right", "tie", "left", "both_bad", "right", "left"]):
        messages = [{"role": "user", "content": f"Question {i}?"}]
        left, right = ({"model": m, "text": f"{m} {i}", "seed": i} for m in ("town/sft", "town/ppo"))
        app.store.add_vote(app.store.add_pair(messages, left, right), which)
    for thumb in ("up", "down"):
        number = app.store.add_answer("c", "town/sft", QUESTION, f"a {thumb} one", "stop", None, 0)
        app.store.set_thumb(number, thumb)
    return app


def test_counts_are_those_of_the_tables(voted, client):
    stats = client.get("/api/stats").get_json()
    by_model = {row["model"]: row for row in stats["models"]}
    assert by_model["town/sft"] == {"model": "town/sft", "answers": 2, "votes": 7, "wins": 3, "losses": 2, "ties": 1,
                                    "both_bad": 1, "up": 1, "down": 1}  # fmt: skip
    assert by_model["town/ppo"]["wins"] == 2
    today = {row["model"]: row for row in stats["days"]}
    assert today["town/sft"]["votes"] == 7 and today["town/sft"]["answers"] == 2
    assert stats["counts"]["usable"] == 5
    voted.store._db.execute("UPDATE votes SET created = '2001-01-01T00:00:00+00:00'")
    assert client.get("/api/stats?days=2").get_json()["days"] == [
        {"day": today["town/sft"]["day"], "model": "town/sft", "answers": 2, "votes": 0, "wins": 0, "up": 1, "down": 1}
    ]


def exported(client, name):
    response = client.get(f"/api/votes.jsonl?format={name}")
    assert response.mimetype == "application/x-ndjson" and "attachment" in response.headers["Content-Disposition"]
    return [json.loads(line) for line in response.data.decode().splitlines()]


def test_our_own_export_keeps_everything(voted, client):
    rows = exported(client, "minigpt")
    assert [row["vote"] for row in rows] == ["left", "right", "tie", "left", "both_bad", "right", "left"]
    assert rows[1]["prompt"] == [{"role": "user", "content": "Question 1?"}]
    assert rows[1]["answers"] == ["town/sft 1", "town/ppo 1"] and rows[1]["models"] == ["town/sft", "town/ppo"]


def test_exports_for_others_hold_the_same_preferences(voted, client):
    """All formats say the same of the same five votes; ties and bad pairs are in none."""
    own = [row for row in exported(client, "minigpt") if row["vote"] in ("left", "right")]
    better = [row["answers"][row["vote"] == "right"] for row in own]
    worse = [row["answers"][row["vote"] == "left"] for row in own]
    trl = exported(client, "trl")
    assert [row["chosen"][0]["content"] for row in trl] == better
    assert [row["rejected"][0]["content"] for row in trl] == worse
    assert all(set(row) == {"prompt", "chosen", "rejected"} for row in trl)
    human = exported(client, "summarize_from_feedback")
    assert [row["summaries"][row["choice"]]["text"] for row in human] == better
    assert human[0]["info"]["post"] == "Question 0?"
    columns = exported(client, "summaries")
    assert all(set(row) == {"original_text", "summarize_0", "summarize_1", "choice"} for row in columns)
    assert [row[f"summarize_{row['choice']}"] for row in columns] == better and {r["choice"] for r in columns} == {0, 1}
    assert columns[0]["original_text"] == "Question 0?"
    labels = exported(client, "doccano")
    assert [row["text"] for row in labels if row["label"] == ["good"]] == [*better, "a up one"]
    assert [row["text"] for row in labels if row["label"] == ["bad"]] == [*worse, "a down one"]
    assert all({"id", "text", "label", "Comments"} <= set(row) for row in labels)
    rewrites = exported(client, "doccano_chats")
    assert rewrites[0]["text"] == "How are you?" and rewrites[0]["label"] == ["a up one"]
    assert client.get("/api/votes.jsonl?format=csv").status_code == 400


def test_what_the_page_exports_is_read_again(voted, client, tmp_path):
    """The comparisons in three shapes, the labels and the chats: each file is a corpus of the same content."""

    earlier = [*QUESTION, {"role": "assistant", "content": "Fine."}, {"role": "user", "content": "And now?"}]
    voted.store.add_answer("c", "town/sft", earlier, "Still fine.", "stop", None, 0)

    def read(kind, name):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(client.get(f"/api/votes.jsonl?format={name}").data)
        return kind.read(path, valid_fraction=0.0)

    found = [
        [(c.prompt[-1].text, c.chosen, c.rejected) for c in read(ComparisonCorpus, name).train]
        for name in ("minigpt", "trl", "summarize_from_feedback", "summaries")
    ]
    assert found[0] == found[1] == found[2] == found[3] and len(found[0]) == 5
    corpus = read(LabelCorpus, "doccano")
    said = {(text, "good") for _, text, _ in found[0]} | {(text, "bad") for _, _, text in found[0]}
    thumbs = {("a up one", "good"), ("a down one", "bad")}
    assert {(example.text, example.label) for example in corpus.train} == said | thumbs
    chats = read(MessagesCorpus, "doccano_chats").train
    kept = [
        (*(Turn(m["role"], m["content"]) for m in answer["messages"]), Turn("assistant", answer["text"]))
        for answer in voted.store.answers()
    ]
    assert len(kept) == 3 and [one.turns for one in chats] == kept


def test_every_fifth_prompt_is_held_out_with_all_its_votes():
    votes = [{"vote_id": i, "vote": "left", "messages": [{"role": "user", "content": str(i % 20)}]} for i in range(60)]
    learn, measure = exports.split(votes)
    prompts = [{one["messages"][0]["content"] for one in part} for part in (learn, measure)]
    assert len(prompts[1]) == 4 and not prompts[0] & prompts[1] and len(learn) + len(measure) == 60


# Runs on disk.


def test_runs_are_shown_with_curves_and_samples(tmp_path):
    folder = write_models(tmp_path / "models", "town/sft")
    rows = [{"step": i, "tokens": 8 * i, "train_loss": 3 - i / 999} for i in range(1, 999)]
    rows += [{"step": 998, "tokens": 9, "valid": {"loss": 2.5, "perplexity": float("inf")}}]
    text = "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 99'
    (folder / "town/sft/metrics.jsonl").write_text(text, encoding="utf-8")
    (folder / "town/sft/samples.jsonl").write_text('{"step": 9, "prompt": "p", "text": "t"}\n', encoding="utf-8")
    (folder / "town/reward").mkdir()
    (folder / "town/reward/metrics.jsonl").write_text('{"step": 1, "train_loss": 1}\n', encoding="utf-8")
    app = make_app(folder, tmp_path)
    client = app.test_client()
    runs = {run["name"]: run for run in client.get("/api/runs").get_json()["runs"]}
    assert runs["town/sft"]["finished"] and runs["town/sft"]["samples"] == 1
    assert runs["town/reward"]["live"] and not runs["town/reward"]["finished"]
    run = client.get("/api/runs/town/sft?points=100").get_json()
    assert 100 <= len(run["rows"]) <= 105 and run["rows"][0]["step"] == 1
    assert run["rows"][-1] == {"step": 998, "tokens": 9, "valid.loss": 2.5, "valid.perplexity": None}
    assert run["columns"] == ["step", "tokens", "train_loss", "valid.loss"]
    assert run["samples"] == [{"step": 9, "prompt": "p", "text": "t"}]
    assert client.get("/api/runs/town/none").status_code == 404
    assert client.get("/api/runs/../town").status_code == 404
    app.close()


def test_thinning_keeps_the_ends_and_the_rare_rows():
    rows = [{"step": i} for i in range(1000)] + [{"step": 1000, "valid": 1}, {"step": 1001}]
    kept = thin(rows, 50)
    assert kept[0]["step"] == 0 and kept[-1]["step"] == 1001 and {"step": 1000, "valid": 1} in kept
    assert len(kept) <= 60 and thin(rows[:40], 50) == rows[:40]


def test_the_store_keeps_its_promises_to_the_disk(tmp_path):
    kept = Store(tmp_path / "f.sqlite")
    assert kept.rows("PRAGMA journal_mode")[0]["journal_mode"] == "wal"
    assert kept.rows("PRAGMA synchronous")[0]["synchronous"] == 2
    number = kept.add_pair(QUESTION, *({"model": "m", "text": "x", "seed": 0},) * 2)
    kept.add_vote(number, "left")
    other = sqlite3.connect(tmp_path / "f.sqlite")  # somebody else sees it at once
    assert other.execute("SELECT count(*) FROM votes").fetchone() == (1,)
    with pytest.raises(ApiError):
        kept.add_vote(number + 1, "left")


def test_a_file_that_is_no_store_is_told_in_a_sentence(tmp_path):
    (tmp_path / "f.sqlite").write_text("this is not a database, whatever it is called" * 50)
    (tmp_path / "folder").mkdir()
    for name in ("f.sqlite", "folder", "f.sqlite/below"):
        with pytest.raises(UserError, match="cannot be used"):
            Store(tmp_path / name)
