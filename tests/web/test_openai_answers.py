"""Several answers to one request, prompts of every shape, log-probabilities whose bytes are the text, long chats."""

from __future__ import annotations

import pytest
from helpers.web import CONTEXT, QUESTION, ScriptedEngine, chat, error_of, make_app, read_stream

from minigpt import Turn
from minigpt.model.checkpoint import load_model
from minigpt.web import inspect as look
from minigpt.web.openai_answers import named
from minigpt.web.replies import spelling

pytest_plugins = ["helpers.web_fixtures"]


def complete(client, **body):
    return client.post("/v1/completions", json={"model": "town/pretrain", "max_tokens": 6, "seed": 1, **body})


def texts_of(response) -> list[str]:
    choices = response.get_json()["choices"]
    assert [choice["index"] for choice in choices] == list(range(len(choices)))
    return [choice["text"] for choice in choices]


# n.


def test_n_answers_are_those_of_n_seeds(client):
    body = {"model": "town/sft", "max_tokens": 12, "temperature": 1.5}
    alone = [chat(client, **body, seed=seed).get_json() for seed in (5, 6, 7)]
    three = chat(client, **body, seed=5, n=3).get_json()
    assert [c["message"] for c in three["choices"]] == [one["choices"][0]["message"] for one in alone]
    assert [c["index"] for c in three["choices"]] == [0, 1, 2]
    used = [one["usage"] for one in alone]
    assert three["usage"]["prompt_tokens"] == used[0]["prompt_tokens"]
    assert three["usage"]["completion_tokens"] == sum(one["completion_tokens"] for one in used)


def test_n_answers_are_streamed_side_by_side(client):
    body = {"model": "town/sft", "max_tokens": 12, "temperature": 1.5, "seed": 5, "n": 3, "logprobs": True}
    whole = chat(client, **body).get_json()
    texts, ends, tokens = ["", "", ""], [None] * 3, [0, 0, 0]
    events = read_stream(chat(client, **body, stream=True).data)
    for _, data in events[:-1]:
        for choice in data["choices"]:
            i = choice["index"]
            texts[i] += choice["delta"].get("content", "")
            tokens[i] += len((choice["logprobs"] or {"content": []})["content"])
            assert ends[i] is None
            ends[i] = choice["finish_reason"]
    assert texts == [choice["message"]["content"] for choice in whole["choices"]]
    assert ends == [choice["finish_reason"] for choice in whole["choices"]]
    assert tokens == [len(choice["logprobs"]["content"]) for choice in whole["choices"]]
    assert events[-2][1]["usage"] == whole["usage"]


# Prompts.


def test_a_prompt_is_a_text_its_ids_or_a_list_of_either(client, models):
    tokenizer = load_model(models / "town/pretrain").tokenizer
    ids = [tokenizer.encode_document(text) for text in ("The market", "How")]
    expected = [texts_of(complete(client, prompt=text))[0] for text in ("The market", "How")]
    for prompt in ("The market", ["The market"], ids[0], [ids[0]]):
        assert texts_of(complete(client, prompt=prompt)) == expected[:1], prompt
    for prompt in (["The market", "How"], ids):
        assert texts_of(complete(client, prompt=prompt)) == expected, prompt
    again = complete(client, prompt=["The market", "How"], n=2)
    assert texts_of(again)[::2] == expected
    events = read_stream(complete(client, prompt=["The market", "How"], stream=True).data)
    streamed = ["", ""]
    for _, data in events[:-1]:
        for choice in data["choices"]:
            streamed[choice["index"]] += choice["text"]
    assert streamed == expected


@pytest.mark.parametrize("prompt", [[], [[]], ["a", 5], [5, "a"], [10**6], [[10**6]], [-1], [1.5], 5, {}, ["a"] * 17,
                                    ["a"] * 9, [["a"]], [[[1]]]])  # fmt: skip
def test_other_prompts_are_refused(client, prompt):
    response = complete(client, prompt=prompt, n=2)
    assert response.status_code == 400 and error_of(response)["param"].startswith("prompt")


# Log-probabilities.


@pytest.mark.parametrize("text", [" Fine, thank you!", " 日本 🎂 é", "  x", " a\n\nb", "🎂"])
@pytest.mark.parametrize("stop", [[], ["k y"], ["本"], ["e,"], ["zz"]])
def test_bytes_of_tokens_join_to_the_text(models, tokenizer, tmp_path, text, stop):
    """However characters are spread over tokens, and wherever a stop text cuts."""
    app = make_app(models, tmp_path, lambda model: ScriptedEngine(model, tokenizer.encode(text)))
    for streamed in (False, True):
        body = {"logprobs": True, "stop": stop, "top_logprobs": 1}
        if streamed:
            chunks = [data for _, data in read_stream(chat(app.test_client(), **body, stream=True).data)[:-1]]
            said = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
            tokens = [t for c in chunks for t in (c["choices"][0]["logprobs"] or {"content": []})["content"]]
        else:
            [choice] = chat(app.test_client(), **body).get_json()["choices"]
            said, tokens = choice["message"]["content"], choice["logprobs"]["content"]
        assert said == next((text.lstrip().split(s)[0] for s in stop if s in text), text.lstrip())
        assert bytes(byte for token in tokens for byte in token["bytes"]).decode() == said
        for token in tokens:
            if not token["token"].startswith("bytes:"):
                assert token["token"].encode() == bytes(token["bytes"])
    app.close()


def test_bytes_of_random_tokens_join_to_the_text(client):
    """Whatever a model writes, half characters too, which show as U+FFFD."""
    for seed in range(20):
        body = {"model": "town/sft", "max_tokens": 20, "seed": seed, "temperature": 2, "logprobs": True}
        [choice] = chat(client, **body).get_json()["choices"]
        joined = bytes(byte for token in choice["logprobs"]["content"] for byte in token["bytes"])
        text = choice["message"]["content"]
        assert joined.decode("utf-8", "ignore") == text.replace("\ufffd", "")


def test_a_prompt_is_scored_without_going_on(client, models):
    """As evaluation harnesses ask: echo, log-probabilities, and no token or one."""
    model = load_model(models / "town/pretrain")
    ids = model.tokenizer.encode_document("The market opens.")
    scores = look.answer_logprobs(model.gpt, ids[:1], ids[1:])
    expected = [float(row[token]) for row, token in zip(scores, ids[1:], strict=False)]
    [choice] = complete(client, prompt="The market opens.", echo=True, logprobs=1, max_tokens=0).get_json()["choices"]
    assert choice["text"] == "The market opens." and choice["finish_reason"] == "length"
    found = choice["logprobs"]
    assert "".join(found["tokens"]) == choice["text"]
    assert found["token_logprobs"] == pytest.approx(expected, abs=1e-4)
    assert [choice["text"][at:].startswith(t) for at, t in zip(found["text_offset"], found["tokens"], strict=True)]
    likeliest = [max(best, key=best.get) for best in found["top_logprobs"]]
    assert likeliest == [named(spelling(model.tokenizer, int(row.argmax()))) for row in scores[:-1]]
    by_ids = complete(client, prompt=ids[1:], echo=True, logprobs=1, max_tokens=1).get_json()["choices"][0]
    assert by_ids["text"].startswith("The market opens.") and by_ids["logprobs"]["token_logprobs"][0] is None
    assert len(by_ids["logprobs"]["tokens"]) == len(ids)  # one less before it, one more behind
    nothing = complete(client, prompt="The market", max_tokens=0).get_json()
    assert nothing["choices"][0]["text"] == "" and nothing["usage"]["completion_tokens"] == 0


# Long chats.


def exchanges(count: int, answer: str = "Fine, thank you!") -> list[dict]:
    pair = [{"role": "user", "content": "How are you?"}, {"role": "assistant", "content": answer}]
    return pair * count


def test_a_chat_never_grows_too_long(client):
    """The newest turns that fit are read, however many there are, and what is left out is told."""
    system = [{"role": "system", "content": "Be kind."}]
    usual = chat(client, messages=[*system, *exchanges(9), *QUESTION], max_tokens=8, temperature=0).get_json()
    for count in (31, 32, 40, 2000):
        response = chat(client, messages=[*system, *exchanges(count), *QUESTION], max_tokens=8, temperature=0)
        assert response.status_code == 200, count
        answer = response.get_json()
        assert answer["choices"] == usual["choices"]
        assert answer["minigpt"]["dropped"] == usual["minigpt"]["dropped"] + 2 * (count - 9)
    long = exchanges(3, "The market opens at noon. " * 5000)  # far more characters than a context holds
    assert chat(client, messages=[*long, *QUESTION], max_tokens=8).status_code == 200


def test_a_system_prompt_that_leaves_no_room_gives_way(client, models):
    chat_model = load_model(models / "town/sft")
    rules = "Be kind to gulls. " * 300
    response = chat(client, messages=[{"role": "system", "content": rules}, *QUESTION], max_tokens=8)
    assert response.status_code == 200
    fitted = chat_model.need_fit([Turn("system", rules), Turn("user", "How are you?")], 8)
    assert response.get_json()["usage"]["prompt_tokens"] == len(fitted.ids) <= CONTEXT - 8
    assert fitted.turns[-1] == Turn("user", "How are you?") and fitted.shortened
    assert fitted.turns[0].role == "system" and rules.startswith(fitted.turns[0].text)
    endless = chat_model.need_fit([Turn("system", "kind " * 1000), Turn("user", "How are you?")], 8)
    assert endless.turns == (Turn("user", "How are you?"),) and endless.dropped == 1


def test_more_tokens_than_a_context_holds_are_as_many_as_it_holds(client):
    for name in ("max_tokens", "max_completion_tokens"):
        answer = chat(client, **{name: 10**9}, temperature=0).get_json()
        assert answer["usage"]["completion_tokens"] <= CONTEXT // 2
