"""Decoding: every strategy is one step in a loop, and they equal each other where they must."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from helpers.models import make_chat, make_model

from minigpt import ChatModel, Prompt, Sampling, Turn, beam_search, generate, respond, stream
from minigpt.data.tokenizer import TextStream
from minigpt.model.sampling import GREEDY


def logprob_of(model, prompt, ids) -> float:
    """The summed log-probability of a continuation, by one plain forward pass."""
    with torch.no_grad():
        scores = model(torch.tensor([[*prompt, *ids]])).double().log_softmax(-1)[0]
    return sum(scores[len(prompt) - 1 + i, token].item() for i, token in enumerate(ids))


def test_greedy_takes_the_best_token_of_a_plain_forward_pass(model):
    ids = [3, 1, 4]
    for _ in range(10):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    assert generate(model, [[3, 1, 4]], 10)[0].ids == ids[3:]


def test_rows_of_unequal_length_do_not_disturb_each_other(model):
    """A row alone writes what it writes in a batch, padded and with neighbours that finish early; greedy and seeded."""
    prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [11, 12]]
    for sampling in (GREEDY, Sampling(seed=7)):
        together = generate(model, prompts, 12, sampling, stop={3, 17, 30})
        for row, prompt in enumerate(prompts):
            single = Sampling(temperature=sampling.temperature, seed=sampling.seed + row)
            alone = generate(model, [prompt], 12, single, stop={3, 17, 30})[0]
            assert alone.ids == together[row].ids
            assert alone.stop == together[row].stop
            assert alone.logprobs == pytest.approx(together[row].logprobs, abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_are_those_of_the_distribution_drawn_from(model, temperature):
    prompt = [1, 2]
    drawn = generate(model, [prompt], 8, Sampling(temperature=temperature, seed=1))[0]
    with torch.no_grad():
        scores = (model(torch.tensor([prompt + drawn.ids]))[0] / temperature).log_softmax(-1)
    expected = [scores[1 + i, token].item() for i, token in enumerate(drawn.ids)]
    assert drawn.logprobs == pytest.approx(expected, abs=1e-5)


def test_same_seed_same_text_and_other_seed_other_text(model):
    def write(seed):
        return generate(model, [[1, 2]], 20, Sampling(seed=seed))[0].ids

    assert write(5) == write(5)
    assert len({tuple(write(seed)) for seed in range(8)}) > 1


def test_stream_equals_generate(model):
    for sampling in (GREEDY, Sampling(seed=2)):
        whole = generate(model, [[1, 2]], 15, sampling, stop={9, 30})[0].ids
        assert list(stream(model, [1, 2], 15, sampling, stop={9, 30})) == whole


def test_a_chat_models_answer_ends_where_its_turn_does(speaker):
    """Without looking for the end of the turn, the text goes on as a made-up conversation."""
    prompt = [Prompt((Turn("user", "the and a?"),))]
    (response,) = respond(speaker, prompt, 20, Sampling(temperature=0))
    assert response.finished and response.ids[-1] == speaker.tokenizer.eos
    assert not any(map(speaker.tokenizer.is_control, response.ids[response.start : -1]))


def test_generation_ends_at_the_context(model):
    written = generate(model, [list(range(1, 30))], 50)[0]
    assert len(written.ids) == 3 and written.stop is None
    for prompts, words in (([[]], "empty"), ([[1] * 32], "no room")):
        with pytest.raises(ValueError, match=words):
            generate(model, prompts, 5)


def test_no_repeat_ngram_holds_over_prompt_and_reply(model):
    ids = [1, 2, 1, *generate(model, [[1, 2, 1]], 20, Sampling(temperature=0, no_repeat_ngram=2))[0].ids]
    pairs = list(itertools.pairwise(ids))
    assert len(pairs) == len(set(pairs))


def banned_from(vocab: int, n: int, prompt: list[int]) -> int:
    """The most tokens that can follow a prompt, if no n of them in a row may come twice: a search over all texts."""

    def longest(ids: list[int]) -> int:
        seen = {tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}
        ways = [[*ids, token] for token in range(vocab) if tuple([*ids, token][-n:]) not in seen]
        return max((1 + longest(way) for way in ways), default=0)

    return longest(prompt)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 2])
def test_a_row_that_may_write_nothing_more_ends_with_what_it_has(temperature, n):
    model = make_model(vocab=3, context=32)
    for seed in range(5):
        settings = Sampling(temperature=temperature, top_p=0.9, no_repeat_ngram=n, seed=seed)
        prompts = [[0, 1], [2], [1, 1, 0], [0, 1, 2]]
        for prompt, written in zip(prompts, generate(model, prompts, 20, settings), strict=True):
            assert len(written.ids) == len(written.logprobs) <= banned_from(3, n, prompt)
            assert written.stop is None and all(map(math.isfinite, written.logprobs))
            ids = [*prompt, *written.ids]
            grams = {tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}
            # It ended only when every token was banned, and its neighbours in the batch changed nothing.
            assert all((*ids[len(ids) - n + 1 :], token) in grams for token in range(3))
        alone = Sampling(temperature=temperature, top_p=0.9, no_repeat_ngram=n, seed=seed)
        assert list(stream(model, prompts[0], 20, alone)) == generate(model, prompts, 20, settings)[0].ids


# Beam search.


def test_beam_of_width_one_is_greedy():
    for seed in range(50):
        model = make_model(["qwen3", "gpt2"][seed % 2], seed=seed, vocab=20, depth=1)
        best = beam_search(model, [1, 2], 8, beam_width=1, stop={7})[0]
        greedy = generate(model, [[1, 2]], 8, stop={7})[0]
        assert (best.ids, best.finished) == (greedy.ids, greedy.stop == 7)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("stop", [set(), {0}])
def test_beam_of_full_width_equals_brute_force(length_penalty, stop):
    """With room for every text of length 4 over 5 tokens, the best hypothesis is the best of all texts."""
    for seed in range(5):
        model = make_model(seed=seed, vocab=5, depth=1)
        candidates = []
        for length in range(1, 5):
            for ids in itertools.product(range(5), repeat=length):
                ended = ids[-1] in stop
                if any(token in stop for token in ids[:-1]) or not (ended or length == 4):
                    continue
                score = logprob_of(model, [1], ids) / length**length_penalty
                candidates.append((score, list(ids[:-1]) if ended else list(ids)))
        best = beam_search(model, [1], 4, beam_width=5**4, length_penalty=length_penalty, stop=stop)[0]
        assert best.ids == max(candidates)[1]
        assert best.score == pytest.approx(max(candidates)[0], abs=1e-5)


def test_defect_03_beam_keeps_the_best_candidates_by_log_probability():
    """A beam finds texts at least as likely as greedy's, and reports their true log-probability."""
    better = 0
    for seed in range(40):
        model = make_model(seed=seed, vocab=30, depth=1)
        found = beam_search(model, [1, 2], 6, beam_width=5)
        greedy = generate(model, [[1, 2]], 6)[0].ids
        for hypothesis in found:
            assert hypothesis.logprob == pytest.approx(logprob_of(model, [1, 2], hypothesis.ids), abs=1e-4)
        assert found == sorted(found, key=lambda h: -h.score)
        better += found[0].logprob >= logprob_of(model, [1, 2], greedy) - 1e-6
    assert better >= 38


@pytest.mark.parametrize(("prompt", "n"), [([1], 1), ([0, 1, 2], 1), ([0, 1], 2)])
def test_a_beam_ends_where_every_token_is_banned(prompt, n):
    """Nothing is lost by it: every candidate is a text that the model gives a probability, and the likeliest is found
    among those that no token may follow."""
    model = make_model(vocab=3, context=32)
    for width in (1, 4, 50):
        found = beam_search(model, prompt, 20, beam_width=width, no_repeat_ngram=n)
        assert found and found == sorted(found, key=lambda h: -h.score)
        for h in found:
            ids = [*prompt, *h.ids]
            grams = {tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)}
            assert all((*ids[len(ids) - n + 1 :], token) in grams for token in range(3)) and not h.finished
            assert math.isfinite(h.score) and len(h.ids) <= banned_from(3, n, prompt)


def test_finished_hypotheses_are_kept():
    model = make_model(seed=3, vocab=12, depth=1)
    found = beam_search(model, [1], 10, beam_width=6, stop={0, 1, 2})
    assert len(found) == 6
    assert any(h.finished for h in found)
    for h in found:
        assert not {0, 1, 2} & set(h.ids)


# Text out.


@pytest.fixture
def talker(tokenizer) -> ChatModel:
    return make_chat(tokenizer, context=64)


def test_streamed_text_equals_the_whole(talker):
    tokenizer = talker.tokenizer
    for seed in range(20):
        text = TextStream(tokenizer)
        ids, pieces = [], []
        for token in stream(talker.gpt, [5, 6], 40, Sampling(seed=seed)):
            ids.append(token)
            pieces.append(text.feed(token))
        pieces.append(text.flush())
        assert "".join(pieces) == tokenizer.decode(ids)
