"""Pipelines: Hugging Face's shapes, and its numbers where it opens the same folder; many at once equal one by one."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch
from helpers.models import WORDS, copy_of, questions

import minigpt
from minigpt import ChatModel, Turn, UserError, pipeline, respond
from minigpt.alignment.reward_model import RewardModel, load_reward_model, save_reward_model
from minigpt.data.examples import Prompt
from minigpt.model.checkpoint import save_model
from minigpt.model.sampling import GREEDY
from minigpt.pipeline import ALIASES

TEXTS = ["the and b?", "the market opens at noon, bread and apples", "f", "k k o?"]
CHAT = [{"role": "user", "content": "the t o?"}]
LABELS = ["positive", "negative"]


def judge(speaker: ChatModel, labels=(), seed: int = 0) -> RewardModel:
    """A reward model of random head; one with labels does not read the prompt, and tells `TEXTS` apart in turn."""
    torch.manual_seed(seed)
    model = RewardModel(copy_of(speaker), gain=0.5, bias=0.25, reads_prompt=not labels, labels=labels)
    with torch.no_grad():
        model.head.weight.mul_(40)
        if labels:
            ends = [model.model.hidden_states(torch.tensor([model.encode((), text).ids]))[0, -1] for text in TEXTS]
            odds = torch.tensor([[1.5], [-1.0], [2.0], [-0.5]])
            model.head.weight.copy_(torch.linalg.lstsq(torch.stack(ends), odds, driver="gelsd").solution.T)
    return model.eval()


# Text generation.


def test_a_text_is_answered_and_a_list_gives_a_list(speaker):
    write = pipeline("text-generation", model=speaker)
    one = write(TEXTS[0], max_new_tokens=6)
    assert [set(result) for result in one] == [{"generated_text"}]
    (alone,) = respond(speaker, [Prompt((Turn("user", TEXTS[0]),))], 6, GREEDY)
    assert one[0]["generated_text"].startswith(TEXTS[0]) and alone.text
    assert one[0]["generated_text"].removeprefix(TEXTS[0]).strip() == alone.text
    assert write(TEXTS, max_new_tokens=6) == [write(text, max_new_tokens=6) for text in TEXTS]
    assert write([], max_new_tokens=6) == []
    new = write(TEXTS[0], max_new_tokens=6, return_full_text=False)[0]["generated_text"]
    assert (TEXTS[0] + new).replace(" ", "") == one[0]["generated_text"].replace(" ", "")


def test_a_conversation_gets_its_answer_as_the_last_message(speaker):
    write = pipeline("text-generation", model=speaker)
    messages = write(CHAT, max_new_tokens=6)[0]["generated_text"]
    assert messages[:-1] == CHAT and messages[-1]["role"] == "assistant"
    assert messages[-1]["content"] == write(CHAT, max_new_tokens=6, return_full_text=False)[0]["generated_text"]
    assert (
        messages[-1]["content"]
        == write(CHAT[0]["content"], max_new_tokens=6, return_full_text=False)[0]["generated_text"]
    )
    longer = [*messages, {"role": "user", "content": "a?"}]
    assert write([CHAT, longer], max_new_tokens=6) == [write(CHAT, max_new_tokens=6), write(longer, max_new_tokens=6)]


def test_sequences_are_drawn_apart_and_can_be_drawn_again(speaker):
    write = pipeline("text-generation", model=speaker)
    drawing = {"do_sample": True, "max_new_tokens": 8, "return_full_text": False}
    three = write(TEXTS[0], num_return_sequences=3, seed=5, temperature=2.0, **drawing)
    assert len(three) == 3 and len({result["generated_text"] for result in three}) > 1
    for j in range(3):
        assert write(TEXTS[0], seed=5 + j, temperature=2.0, **drawing) == [three[j]]
    batch = write(TEXTS[:2], num_return_sequences=2, seed=5, **drawing)
    assert batch[1] == write(TEXTS[1], num_return_sequences=2, seed=7, **drawing)
    greedy = write(TEXTS[0], max_new_tokens=8, return_full_text=False)
    assert write(TEXTS[0], top_k=1, **drawing) == greedy == write(TEXTS[0], temperature=1e-4, **drawing)


def test_more_inputs_than_are_read_at_once(speaker, monkeypatch):
    prompts = [prompt.turns[0].text for prompt in questions(9)]
    write, look = pipeline("text-generation", model=speaker), pipeline("feature-extraction", model=speaker)
    options = {"max_new_tokens": 4, "do_sample": True}
    together = write(prompts, **options), look(prompts)
    monkeypatch.setattr(sys.modules["minigpt.pipeline"], "AT_ONCE", 4)  # the name itself is the function
    assert write(prompts, **options) == together[0]
    for a, b in zip(look(prompts), together[1], strict=True):
        assert torch.allclose(torch.tensor(a), torch.tensor(b), atol=1e-5)


def test_a_long_conversation_loses_its_oldest_turns_and_a_long_text_is_refused(speaker):
    write = pipeline("text-generation", model=speaker)
    turns = [{"role": role, "content": " ".join(WORDS)} for _ in range(9) for role in ("user", "assistant")]
    assert write([*turns, *CHAT], max_new_tokens=6)[0]["generated_text"][-1]["role"] == "assistant"
    with pytest.raises(ValueError, match="longer than"):
        write("the " * 60)


# Labels and rewards.


def test_the_likelier_label_comes_with_its_probability(speaker):
    model = judge(speaker, LABELS)
    classify = pipeline("sentiment", model=model)
    results = classify(TEXTS)
    assert {result["label"] for result in results} == set(LABELS)
    for text, result in zip(TEXTS, results, strict=True):
        odds = (model.score([((), text)])[0] - model.bias) / model.gain
        assert (odds > 0) == (result["label"] == "positive") and 0.5 <= result["score"] <= 1
        assert classify(text)[0] == {"label": result["label"], "score": pytest.approx(result["score"], abs=1e-5)}
        both = classify(text, top_k=None)
        assert both[0]["label"] == result["label"] and sum(label["score"] for label in both) == pytest.approx(1)
    assert [[label["label"] for label in labels] for labels in classify(TEXTS, top_k=None)] == [
        [label["label"] for label in classify(text, top_k=None)] for text in TEXTS
    ]


def test_swapped_labels_swap_the_answers(speaker):
    """The same head, with the other label as the wanted one."""
    ours, theirs = (pipeline("sentiment", model=judge(speaker, labels)) for labels in (LABELS, LABELS[::-1]))
    swap = dict(zip(LABELS, LABELS[::-1], strict=True))
    for a, b in zip(ours(TEXTS), theirs(TEXTS), strict=True):
        assert b == {"label": swap[a["label"]], "score": a["score"]}


def test_of_many_labels_only_the_wanted_one_is_told_from_the_rest(speaker):
    results = pipeline("sentiment", model=judge(speaker, ["joy", "anger", "fear"]))(TEXTS)
    assert {result["label"] for result in results} == {"joy", "not joy"}


def test_rewards_are_the_models_scores(speaker):
    model = judge(speaker)
    reward = pipeline("reward", model=model)
    pair = {"text": "the t o?", "text_pair": "b f"}
    chat = [*CHAT, {"role": "assistant", "content": "b f"}]
    expected = model.score([((Turn("user", "the t o?"),), "b f")])[0]
    assert reward(pair) == reward(chat) == [{"label": "reward", "score": pytest.approx(expected)}]
    other = {"text": "the t o?", "text_pair": "k k k k"}
    assert [r["score"] for r in reward([pair, other, chat])] == pytest.approx(
        [reward(pair)[0]["score"], reward(other)[0]["score"], expected], abs=1e-5
    )
    assert reward(other)[0]["score"] != pytest.approx(expected)
    assert pipeline("reward", model=judge(speaker, LABELS))("b f")[0]["score"] == pytest.approx(
        judge(speaker, LABELS).score([((), "b f")])[0]
    )


# Features.


def test_features_are_rows_for_tokens(speaker):
    look = pipeline("feature-extraction", model=speaker)
    [rows] = look(TEXTS[1])
    ids = speaker.tokenizer.encode_document(TEXTS[1])
    assert len(rows) == len(ids) and {len(row) for row in rows} == {speaker.gpt.config.hidden_size}
    many = look(TEXTS)
    for text, features in zip(TEXTS, many, strict=True):
        assert torch.allclose(torch.tensor(features), torch.tensor(look(text)), atol=1e-5)
    with pytest.raises(ValueError, match="tokens"):
        look("the " * 60)


# Folders.


@pytest.fixture(scope="module")
def folder(speaker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "sft", speaker, {"stage": "sft", "finished": True})
    save_model(folder / "pretrain", replace(speaker, is_chat=False), {"stage": "pretrain", "finished": True})
    save_reward_model(folder / "reward", judge(speaker), {"stage": "reward", "finished": True})
    save_reward_model(folder / "sentiment", judge(speaker, LABELS), {"stage": "reward", "finished": True})
    return folder


def test_a_folder_gives_what_the_model_in_memory_gives(speaker, folder):
    assert load_reward_model(folder / "sentiment").labels == LABELS
    for task, name, model, given in [
        ("text-generation", "sft", speaker, TEXTS[0]),
        ("sentiment", "sentiment", judge(speaker, LABELS), TEXTS[0]),
        ("reward", "reward", judge(speaker), {"text": "a?", "text_pair": "b"}),
        ("feature-extraction", "pretrain", speaker, TEXTS[0]),
    ]:
        assert pipeline(task, model=folder / name)(given) == pipeline(task, model=model)(given), task


def test_hugging_face_says_the_same(speaker, folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.pipeline("text-generation", model=str(folder / "sft"), device="cpu")
    ours = pipeline("text-generation", model=folder / "sft")
    options = {"max_new_tokens": 6, "do_sample": False}
    for chat in (CHAT, [*CHAT, {"role": "assistant", "content": "b f"}, {"role": "user", "content": "a?"}]):
        message = ours(chat, **options)[0]["generated_text"][-1]
        expected = theirs(chat, **options)[0]["generated_text"][-1]
        assert message == {**expected, "content": expected["content"].strip()}
    # Of a bare text, it leaves out the piece that begins a document.
    text, bos = "the market", speaker.tokenizer.piece(speaker.tokenizer.bos)
    raw = transformers.pipeline("text-generation", model=str(folder / "pretrain"), device="cpu")(bos + text, **options)
    bare = pipeline("text-generation", model=folder / "pretrain")(text, **options)
    assert bos + bare[0]["generated_text"] == raw[0]["generated_text"]
    theirs = transformers.pipeline("feature-extraction", model=str(folder / "pretrain"), device="cpu")(bos + text)
    ours = pipeline("feature-extraction", model=folder / "pretrain")(text)
    assert torch.allclose(torch.tensor(ours), torch.tensor(theirs), atol=1e-4)


@pytest.mark.parametrize("alias", ALIASES)
def test_hugging_faces_names_of_a_task_work(folder, alias):
    assert pipeline(alias, model=folder / "sentiment")("b f") == pipeline("sentiment", model=folder / "sentiment")(
        "b f"
    )


def test_the_shipped_models_are_there_without_a_name():
    for task, given in {
        "text-generation": "Who are you?",
        "reward": {"text": "Who are you?", "text_pair": "The guide."},
        "feature-extraction": "The town",
    }.items():
        assert len(pipeline(task)(given)) == 1, task


# Mistakes.


def test_mistakes_get_a_sentence(speaker, folder, monkeypatch, tmp_path):
    with pytest.raises(UserError, match="did you mean sentiment"):
        pipeline("sentimnet")
    with pytest.raises(UserError, match="reward model"):
        pipeline("text-generation", model=folder / "reward")
    with pytest.raises(UserError, match="not a reward model"):
        pipeline("reward", model=folder / "sft")
    with pytest.raises(UserError, match="knows no labels"):
        pipeline("sentiment", model=folder / "reward")
    with pytest.raises(UserError, match="holds no model"):
        pipeline("reward", model=tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"run_reward\.py --recipe expand"):
        pipeline("sentiment")


def test_inputs_of_the_wrong_kind_are_refused(speaker):
    write, reward = pipeline("text-generation", model=speaker), pipeline("reward", model=judge(speaker))
    classify = pipeline("sentiment", model=judge(speaker, LABELS))
    answered = [*CHAT, {"role": "assistant", "content": "b"}]
    for use, given in [
        (write, 5), (write, [5]), (write, answered), (write, [{"role": "user"}]),
        (write, [{"role": "king", "content": "a"}]),
        (reward, "b"), (reward, {"text": "a"}), (reward, {"text": "a", "text_pair": 5}), (reward, CHAT), (reward, [[]]),
        (classify, [5]), (classify, "the " * 60), (reward, {"text": "a", "text_pair": "the " * 60}),
    ]:  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            use(given)
    for options in ({"num_return_sequences": 2}, {"max_new_tokens": 0}, {"num_return_sequences": 0}):
        with pytest.raises(ValueError):
            write("a?", **options)
    assert minigpt.pipeline is pipeline
