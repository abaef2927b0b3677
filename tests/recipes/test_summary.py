"""Summaries: their grader, texts too long for the context, synthetic negatives, and the way from votes to PPO."""

from __future__ import annotations

import json
import random
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from helpers.models import WORDS, copy_of, make_chat, questions

from minigpt import Comparison, Conversation, CorpusLoader, Trainer, TrainingConfig, Turn, UserError
from minigpt.alignment.comparisons import worse_on_purpose
from minigpt.alignment.negatives import NEGATIVES, parse_kinds, synthetic
from minigpt.alignment.ppo_run import split_prompts
from minigpt.alignment.reward_model import RewardModel
from minigpt.alignment.reward_training import RewardTraining
from minigpt.alignment.rollout import draw_prompts
from minigpt.config import RewardConfig
from minigpt.data.examples import Prompt, prompts_of
from minigpt.data.formats.preferences import ComparisonCorpus
from minigpt.data.formats.prompts import PromptCorpus
from minigpt.data.formats.text import TextCorpus
from minigpt.data.packing import ConversationRows
from minigpt.data.preferences import AnswerRows, encode_answers
from minigpt.data.truncation import ENDS
from minigpt.model.responses import fit_prompts, respond
from minigpt.model.sampling import Sampling
from minigpt.recipe import load_recipe
from minigpt.tinytown.gossip import Gossip, policy_file
from minigpt.tinytown.graders import GRADERS
from minigpt.tinytown.summaries import SummaryGrader
from minigpt.tinytown.world import World
from minigpt.training.device import detect
from minigpt.training.run_state import read_log
from minigpt.web import exports
from minigpt.web.store import Store

POST = 'News\nThe baker sees a gull. Is it lost? "No!" says the town... And so on.\nIn the evening it eats 3.5 fish.'
SHORTER = POST.removesuffix("\nIn the evening it eats 3.5 fish.")


# The grader about summaries.


@pytest.fixture(scope="module")
def grader() -> SummaryGrader:
    return SummaryGrader()


def test_the_recipe_names_this_truth_and_its_stages_read_the_same_posts():
    recipe = load_recipe("summary")
    assert isinstance(recipe.grader(), SummaryGrader) and GRADERS["summary"] is SummaryGrader
    assert list(recipe.stages) == ["pretrain", "sft", "reward", "ppo"]


def test_held_out_posts_are_new_and_of_the_right_residents(grader):
    seen = {json.loads(line)["original_text"].lower() for line in policy_file(grader.world).splitlines()}
    names = {asked: [r.name for r in grader.world.residents if r.asked == asked] for asked in (True, False)}
    for column, asked in (("asked", True), ("held_out", False)):
        prompts = grader.prompts(column, 50, seen)
        texts = [prompt.turns[-1].text for prompt in prompts]
        assert len(set(texts)) == 50 and not seen & {text.lower() for text in texts}
        assert all(any(name in text for name in names[asked]) for text in texts)
        assert not any(name in text for name in names[not asked] for text in texts)
        assert grader.prompts(column, 50, seen) == prompts != grader.prompts(column, 50, seen, seed=1)
        less = grader.prompts(column, 10, seen | {texts[0].lower()})
        assert [prompt.turns[-1].text for prompt in less] == texts[1:11]


def test_marks_tell_each_flaw_apart(grader):
    gossip = Gossip(World(), "test", World().residents)
    failed = Counter()
    for _ in range(30):
        story = gossip.story()
        prompt = (Turn("user", gossip.text(story)),)
        good = grader.grade(prompt, gossip.summary(story))
        assert all(good[mark] == 1 for mark in (*grader.marks, "score"))
        for flaw in ("drops", "garbles", "rambles"):
            marks = grader.grade(prompt, gossip.flawed(story, flaw))
            assert marks["good"] == 0 and marks["score"] < 1
            failed.update((flaw, mark) for mark in ("covered", "faithful", "concise", "fluent") if marks[mark] < 1)
    assert {pair for pair, count in failed.items() if count == 30} == {
        ("drops", "covered"), ("garbles", "covered"), ("garbles", "faithful"), ("rambles", "concise")
    }  # fmt: skip
    assert all(count == 30 for count in failed.values())


@pytest.mark.parametrize("answer", ["", " ", "\n\n", "x" * 5000, "天空", "Ada Finch is Ada Finch is", "((("])
def test_any_answer_has_marks_from_0_to_1(grader, answer):
    for prompt in ((), (Turn("user", ""),), (Turn("user", POST),)):
        marks = grader.grade(prompt, answer)
        assert set(marks) == {*grader.marks, "score"} and all(0 <= value <= 1 for value in marks.values())
        assert marks["good"] == 0


# Texts that are too long for the context.


def test_a_long_post_keeps_its_summary_and_is_counted(tokenizer):
    long = Conversation((Turn("user", POST), Turn("assistant", "The gull eats")))
    whole = len(tokenizer.encode_chat(long.turns)[0])
    assert not ConversationRows([long], tokenizer, whole).dropped  # a longer --context keeps it all
    rows = ConversationRows([long, long], tokenizer, whole - 1)
    assert len(rows.encoded) == 2 and rows.dropped == {ENDS: 2}
    ids, loss_mask = rows.encoded[0]
    assert len(ids) < whole
    assert tokenizer.decode(ids.tolist()) == f" {SHORTER} The gull eats"
    assert tokenizer.decode(ids[loss_mask].tolist()) == " The gull eats"


def test_both_answers_to_a_long_post_are_judged_beside_the_same_shorter_one(tokenizer):
    asked, texts = (Turn("user", POST),), ("the gull", "the baker sees a gull and it is lost")
    whole = len(tokenizer.encode_prompt(asked)) + len(tokenizer.encode(f" {texts[1]}")) + 1
    (short, long), fitted = encode_answers(tokenizer, asked, texts, whole)
    assert not fitted.shortened and len(long.ids) == whole
    (short, long), fitted = encode_answers(tokenizer, asked, texts, whole - 1)
    assert fitted.shortened and len(long.ids) < whole and short.ids[: short.start] == long.ids[: long.start]
    assert tokenizer.decode(long.ids[: long.start]) == f" {SHORTER}"
    rows = AnswerRows([(asked, texts, 0.0), ((), texts, 0.0)], tokenizer, whole - 1)
    assert len(rows.groups) == 2 and rows.dropped == {ENDS: 1}


def test_long_prompts_of_ppo_are_shortened_and_counted(tokenizer):
    chat = make_chat(tokenizer, context=60)
    talk = (Turn("user", "a?"), Turn("assistant", "b"), Turn("user", POST))
    prompts = [Prompt(turns, str(i)) for i, turns in enumerate([talk, talk[:1], (Turn("user", "x" * 99),)])]
    fitting, lost = fit_prompts(chat, prompts, reserve=10)
    assert lost == {ENDS: 1, "prompts too long for the context": 1}
    assert [prompt.group for prompt in fitting] == ["0", "1"] and fitting[1] == prompts[1]
    assert POST.startswith(fitting[0].turns[-1].text) and len(tokenizer.encode_prompt(fitting[0].turns)) <= 50


def test_posts_with_summaries_are_text_to_read_as_well(tmp_path):
    rows = [{"original_text": "One.", "sum_text": "1"}, {"title": "T", "post": "Two.", "summary": "2"},
            {"title": "lost", "post": None, "summary": "3"}, {"text": "Four."}]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    corpus = TextCorpus.read(tmp_path / "a.jsonl", valid_fraction=0.0)
    assert [document.text for document in corpus.train] == ["One.", "T\nTwo.", "Four."]
    assert corpus.dropped == {"rows with neither a post nor an article": 1}
    (tmp_path / "a.jsonl").write_text('{"title": 3, "post": "x", "summary": "y"}', encoding="utf-8")
    with pytest.raises(UserError, match=r"a\.jsonl:1: title, post and article must be strings"):
        TextCorpus.read(tmp_path / "a.jsonl")


# Synthetic negatives.


def comparisons(count: int, seed: int = 0) -> list[Comparison]:
    """One answer says "f", the other does not, and is the worse one for it."""
    rng = random.Random(seed)
    found = []
    for prompt in questions(count, seed):
        worse = rng.choices([word for word in WORDS if word != "f"], k=5)
        better = [*worse[:2], "f", *rng.choices(WORDS, k=2)]
        found.append(Comparison(prompt.turns, " ".join(better), " ".join(worse), prompt.turns[0].text))
    return found


@pytest.mark.parametrize("kinds", [["random"], ["dup_tail"], ["other"], list(NEGATIVES)])
def test_synthetic_negatives_are_seeded_and_never_the_better_answer(kinds):
    real = comparisons(60)
    extra = synthetic(real, kinds, seed=3)
    assert len(extra) == 60 and extra == synthetic(real, kinds, seed=3)
    assert extra != synthetic(real, kinds, seed=4)
    for pair, source in zip(extra, real, strict=True):
        assert (pair.prompt, pair.chosen, pair.group) == (source.prompt, source.chosen, source.group)
        assert pair.rejected.split() != pair.chosen.split()


def test_each_kind_of_negative_is_what_its_name_says():
    real = comparisons(60)
    vocabulary = {word for pair in real for word in pair.chosen.split()}
    for pair in synthetic(real, ["random"], seed=0):
        assert len(pair.rejected.split()) == len(pair.chosen.split()) and set(pair.rejected.split()) <= vocabulary
    for pair in synthetic(real, ["dup_tail"], seed=0):
        tail = pair.rejected.removeprefix(f"{pair.chosen} ")
        assert tail and pair.chosen.endswith(tail) and tail != pair.rejected
    for pair in synthetic(real, ["other"], seed=0):
        assert any(other.chosen == pair.rejected and other.group != pair.group for other in real)


def test_where_no_other_answer_exists_there_is_no_negative():
    same = [Comparison(prompt.turns, "f", "k", str(i)) for i, prompt in enumerate(questions(10))]
    assert synthetic(same, ["random", "other"], seed=0) == []
    assert synthetic(same, [], seed=0) == []


def test_negatives_are_off_by_default_and_unknown_ones_are_refused():
    assert RewardConfig().augment == "" and parse_kinds("") == []
    assert parse_kinds("random, dup_tail,other") == list(NEGATIVES)
    with pytest.raises(UserError, match="did you mean other"):
        parse_kinds("random,others")


def test_their_share_is_told_and_only_training_sees_them(tokenizer):
    said: list[str] = []
    corpus = CorpusLoader(comparisons(40), comparisons(20, seed=9))
    stage = SimpleNamespace(settings=RewardConfig(augment="random,other"), say=said.append)
    extra, share = worse_on_purpose(stage, corpus)
    assert share == 0.5 and said == ["augment:   40 synthetic comparisons (random, other), 50% of the data"]
    objective = RewardTraining(new_judge(tokenizer), corpus, detect("cpu", "fp32"), extra=extra)
    assert len(objective.rows.groups) == 80 and len(objective.valid_rows.groups) == 20
    stage.settings = RewardConfig()
    assert worse_on_purpose(stage, corpus) == ([], 0.0) and len(said) == 1
    stage.settings = RewardConfig(augment="other")
    with pytest.raises(UserError, match="leave it out"):
        worse_on_purpose(stage, CorpusLoader(questions(3), []))


# The reward model's training, and the way from votes to PPO.


def new_judge(tokenizer) -> RewardModel:
    return RewardModel(make_chat(tokenizer, context=48, depth=1))


def test_the_reward_models_training_saves_and_returns_as_told(tmp_path, tokenizer, monkeypatch):
    """Every three batches of seven, and at the end; with the loss of each batch and of each measurement."""
    saved: list[int] = []
    corpus = CorpusLoader(comparisons(40), comparisons(10, seed=9))
    model = new_judge(tokenizer)
    runtime = detect("cpu", "fp32")
    config = TrainingConfig(steps=7, batch_size=4, save_every=3, evaluations=2)
    trainer = Trainer(RewardTraining(model, corpus, runtime), config, runtime, folder=tmp_path)
    monkeypatch.setattr(trainer, "save_state", lambda: saved.append(trainer.state.step))
    returned, train_losses, valid_losses = trainer.train()
    assert returned is model and saved == [3, 6, 7] and len(train_losses) == 7
    measured = [row for row, _ in read_log(tmp_path / "metrics.jsonl") if "valid" in row]
    assert [step for step, _ in valid_losses] == [row["step"] for row in measured] == [0, 4, 7]


def test_no_prompt_is_both_learned_and_measured(tmp_path):
    rows = [{"prompt": f"p{n % 20}", "chosen": f"good {n}", "rejected": "bad"} for n in range(60)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    corpus = ComparisonCorpus.read(tmp_path / "a.jsonl", valid_fraction=0.1)
    learned, measured = ({c.prompt for c in side} for side in (corpus.train, corpus.valid))
    assert len(measured) == 2 and not learned & measured
    train, held_out = split_prompts(corpus)
    assert {p.turns for p in held_out} == measured and {p.turns for p in train} == learned


@pytest.fixture
def votes(tmp_path):
    """Forty votes of somebody who likes to hear "f", exported by the page in three shapes."""
    store = Store(tmp_path / "votes.sqlite")
    for i, pair in enumerate(comparisons(40, seed=5)):
        better, worse = ({"model": "m", "text": text, "seed": 0} for text in (pair.chosen, pair.rejected))
        left, right = (better, worse) if i % 3 else (worse, better)
        messages = [{"role": "user", "content": pair.prompt[0].text}]
        store.add_vote(store.add_pair(messages, left, right), "left" if left is better else "right")
    for name in ("minigpt", "trl", "summarize_from_feedback"):
        rows = exports.lines(exports.FORMATS[name](store))
        (tmp_path / f"{name}.jsonl").write_text(rows, encoding="utf-8")
    return tmp_path


def test_forty_votes_teach_the_voters_taste(votes, speaker):
    """Of a hundred pairs that the voter has not seen, at least ninety are judged as the voter would."""
    found = [ComparisonCorpus.read(votes / f"{name}.jsonl") for name in ("minigpt", "trl", "summarize_from_feedback")]
    pairs = [
        sorted((c.prompt[0].text, c.chosen, c.rejected) for c in [*corpus.train, *corpus.valid]) for corpus in found
    ]
    assert pairs[0] == pairs[1] == pairs[2] and len(pairs[0]) == 40
    corpus, runtime = CorpusLoader(found[0].train, comparisons(100, seed=7)), detect("cpu", "fp32")
    torch.manual_seed(0)
    model = RewardModel(copy_of(speaker))
    config = TrainingConfig(steps=40, batch_size=16, lr=1e-2, warmup_steps=0, evaluations=1)
    trainer = Trainer(RewardTraining(model, corpus, runtime), config, runtime)
    trainer.train()
    assert trainer.scores.accuracy >= 0.9


def test_ppo_reads_only_the_prompts_of_votes(votes, speaker):
    """Whatever the answers and the verdict were: the prompts stay the same, and PPO trains on them."""
    path = votes / "trl.jsonl"
    prompts = prompts_of(PromptCorpus.read(path, valid_fraction=0.0).train)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [p.turns for p in prompts] == [(Turn("user", row["prompt"][0]["content"]),) for row in rows]
    for row in rows:
        row["chosen"], row["rejected"] = ([{"role": "assistant", "content": text}] for text in ("other", "words"))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert prompts_of(PromptCorpus.read(path, valid_fraction=0.0).train) == prompts
    drawn = draw_prompts(prompts, 0, 16, seed=0)
    responses = respond(speaker, drawn, 6, Sampling(seed=0))
    assert {response.turns for response in responses} <= {prompt.turns for prompt in prompts}
