"""The policy: it writes from its whole distribution, reads what it wrote as it wrote it, and values what the prompt
says."""

from __future__ import annotations

import pytest
import torch
from helpers.models import copy_of, make_ppo, questions

from minigpt import Sampling, Turn, UserError
from minigpt.alignment.policy import Policy, load_value_head, save_value_head
from minigpt.alignment.reward_model import RewardModel
from minigpt.data.examples import Prompt
from minigpt.data.preferences import EncodedAnswer
from minigpt.model.checkpoint import load_model, save_model
from minigpt.model.responses import Response, respond, response_batch, token_logprobs


def test_ppo_06_a_row_reads_the_same_alone_and_padded_among_others(speaker):
    """Answers, log-probabilities and values do not depend on the padding, on either side."""
    prompts = questions(12)
    together = respond(speaker, prompts, 8, Sampling(seed=5))
    assert len({len(response.ids) for response in together}) > 3
    policy = Policy(speaker)
    torch.nn.init.normal_(policy.value_head.weight)
    logprobs, _, hidden = token_logprobs(speaker.gpt, response_batch(together, pad=0))
    values = policy.value_head(hidden).squeeze(-1)
    at = 0
    for i, prompt in enumerate(prompts):
        (alone,) = respond(speaker, [prompt], 8, Sampling(seed=5 + i))
        assert alone.ids == together[i].ids
        assert alone.logprobs == pytest.approx(together[i].logprobs, abs=1e-5)
        length = len(alone.ids) - alone.start
        assert logprobs[at : at + length].tolist() == pytest.approx(together[i].logprobs, abs=1e-5)
        alone_values = policy.values(torch.tensor([alone.ids]))[0, alone.start - 1 : -1]
        assert torch.allclose(values[at : at + length], alone_values, atol=1e-5)
        at += length
    assert at == len(logprobs)


def test_ppo_07_answers_are_drawn_from_the_whole_distribution(speaker):
    """Chi-square of 2,000 first tokens against the softmax at temperature 0.7, rare tokens counted together."""
    prompt = questions(1)[0]
    episodes = respond(speaker, [prompt] * 2000, 1, Sampling(temperature=0.7, seed=1))
    start = episodes[0].start
    with torch.no_grad():
        chances = (speaker.gpt(torch.tensor([episodes[0].ids[:start]]))[0, -1] / 0.7).softmax(-1)
    counts = torch.bincount(torch.tensor([episode.ids[start] for episode in episodes]), minlength=len(chances))
    often = chances * 2000 > 5
    expected = torch.cat([chances[often], chances[~often].sum()[None]]) * 2000
    found = torch.cat([counts[often], counts[~often].sum()[None]])
    freedom = len(expected) - 1
    assert freedom >= 7
    assert ((found - expected).square() / expected).sum() < freedom + 4 * (2 * freedom) ** 0.5


def test_ppo_07_rollouts_are_drawn_without_filters(speaker, monkeypatch):
    """Answers of a filtered distribution would make every ratio compare two different distributions."""
    used = []
    monkeypatch.setattr("minigpt.alignment.rollout.respond", lambda *a: used.append(a[-1]) or respond(*a))
    make_ppo(speaker, temperature=0.7).update()
    assert set(used) == {Sampling(temperature=0.7, seed=0)}


def test_ppo_01_values_and_rewards_read_the_prompt(speaker):
    """The same answer to another question is another case for both."""
    policy, judge = Policy(speaker), RewardModel(copy_of(speaker))
    torch.nn.init.normal_(policy.value_head.weight)
    first, second = (speaker.tokenizer.encode_prompt(p.turns) for p in (questions(1, seed=3)[0], questions(1, 4)[0]))
    answer = [*speaker.tokenizer.encode(" the f"), speaker.tokenizer.eos]
    values = [policy.values(torch.tensor([[*prompt, *answer]]))[0, -3:] for prompt in (first, second)]
    scores = judge.score_ids([EncodedAnswer([*prompt, *answer], len(prompt)) for prompt in (first, second)])
    assert (values[0] - values[1]).abs().min() > 1e-4
    assert abs(scores[0] - scores[1]) > 1e-4


def test_ppo_01_the_first_word_of_a_long_question_counts(speaker):
    """Nothing of what the policy has read is cut off before the reward model reads it."""
    judge, policy = RewardModel(copy_of(speaker)), Policy(speaker)
    torch.nn.init.normal_(policy.value_head.weight)
    asked = [Prompt((Turn("user", f"{first} {'a t o b ' * 7}"),)) for first in ("the", "f")]
    episodes = respond(speaker, asked, 4, Sampling())
    answer = episodes[0].ids[episodes[0].start :]
    assert episodes[0].start == episodes[1].start > 28
    ids = [[*episode.ids[: episode.start], *answer] for episode in episodes]
    scores = judge.score_ids([EncodedAnswer(row, episodes[0].start) for row in ids])
    values = policy.values(torch.tensor(ids))[:, -1]
    assert abs(scores[0] - scores[1]) > 1e-5 and abs(values[0] - values[1]) > 1e-5


def test_the_mask_is_true_where_the_policy_wrote():
    """Of ids padded on the right, and shifted: the prompt's last position is the first that predicts."""
    asked = (Turn("user", "a"),)
    short = Response(asked, [9, 8, 1, 2], start=2, finished=False, text="", logprobs=[])
    long = Response(asked, [9, 1, 2, 3, 4, 5], start=1, finished=True, text="", logprobs=[])
    rows = response_batch([short, long], pad=0)
    assert rows.ids.tolist() == [[9, 8, 1, 2, 0, 0], [9, 1, 2, 3, 4, 5]]
    assert rows.mask.int().tolist() == [[0, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


def test_an_answer_is_cut_off_or_ends_in_its_end_piece(speaker):
    episodes = respond(speaker, questions(30), 4, Sampling(seed=1))
    eos = speaker.tokenizer.eos
    for episode in episodes:
        written = episode.ids[episode.start :]
        assert episode.ids[: episode.start] == speaker.tokenizer.encode_prompt(episode.turns)
        assert episode.finished == (written[-1] == eos) and eos not in written[:-1]
        assert episode.finished or len(written) == 4
        assert len(episode.logprobs) == len(written) and max(episode.logprobs) <= 0
        assert episode.text == speaker.tokenizer.decode(written).strip()
    assert {episode.finished for episode in episodes} == {True, False}


def test_many_prompts_are_answered_as_few_are(speaker):
    """In passes of three or all at once: every answer has a seed of its own."""
    few = respond(speaker, questions(8), 6, Sampling(seed=3), batch_size=3)
    many = respond(speaker, questions(8), 6, Sampling(seed=3))
    assert [response.ids for response in few] == [response.ids for response in many]


def test_a_long_conversation_loses_its_oldest_turns(speaker):
    turn = Turn("user", "the and a t o")
    talk = Prompt((turn, Turn("assistant", "b f k"), turn, Turn("assistant", "b f k"), turn))
    (episode,) = respond(speaker, [talk], 10, Sampling())
    assert episode.ids[: episode.start] == speaker.tokenizer.encode_prompt(talk.turns[2:])
    assert len(episode.ids) <= speaker.context


def test_the_value_head_comes_back_as_it_was_saved(tmp_path, speaker):
    """And the folder is still that of a model that writes."""
    policy = Policy(copy_of(speaker))
    torch.nn.init.normal_(policy.value_head.weight)
    save_model(tmp_path, policy.chat, {"stage": "ppo"})
    with pytest.raises(UserError, match="no value head"):
        load_value_head(tmp_path, load_model(tmp_path))
    save_value_head(tmp_path, policy)
    again = load_value_head(tmp_path, load_model(tmp_path))
    ids = torch.randint(8, 300, (2, 20))
    with torch.no_grad():
        assert torch.equal(again.values(ids), policy.values(ids))
