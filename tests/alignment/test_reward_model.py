"""The reward model: where it reads, what it learns from judgements, how it is measured, and its folder."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
import torch
from helpers.models import WORDS, make_chat, questions

from minigpt import (
    GPT,
    ChatModel,
    Comparison,
    CorpusLoader,
    LabelledText,
    ModelConfig,
    RewardConfig,
    Tokenizer,
    Trainer,
    TrainingConfig,
    Turn,
    UserError,
)
from minigpt.alignment.ppo_run import model_reward
from minigpt.alignment.reward_model import MAX_GAP, RewardModel, load_reward_model, save_reward_model
from minigpt.alignment.reward_training import (
    RewardTraining,
    label_loss,
    new_reward_model,
    preference_task,
    ranking_loss,
    regression_loss,
)
from minigpt.data.examples import RatedAnswer
from minigpt.data.preferences import EncodedAnswer, answer_batch, encode_answers
from minigpt.model.checkpoint import load_model, save_model
from minigpt.model.responses import Response
from minigpt.training.device import detect

ASKED = (Turn("user", "How are you?"),)


def new_judge(tokenizer, architecture: str = "qwen3", **shape) -> RewardModel:
    return RewardModel(new_chat(tokenizer, architecture=architecture, **shape))


def new_chat(tokenizer, **shape: Any) -> ChatModel:
    chat = make_chat(tokenizer, context=48, **shape)
    # With weights of 1, a norm applied twice would not show.
    torch.nn.init.uniform_(chat.gpt.norm.get_parameter("weight"), 0.5, 2.0)
    return chat


def training(model: RewardModel, train: list, valid: list | None = None, want: str = "positive") -> RewardTraining:
    return RewardTraining(model, CorpusLoader(train, valid or []), detect("cpu", "fp32"), want)


@pytest.fixture(params=["qwen3", "gpt2"])
def judge(request, tokenizer) -> RewardModel:
    return new_judge(tokenizer, request.param)


def random_answers(tokenizer, count: int, seed: int) -> list[EncodedAnswer]:
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(count)]
    return [encode_answers(tokenizer, questions(1)[0].turns, [text], 48)[0][0] for text in texts]


def random_responses(tokenizer, count: int, seed: int) -> list[Response]:
    return [Response((), e.ids, e.start, True, "", []) for e in random_answers(tokenizer, count, seed)]


# Where it reads.


def test_ppo_01_the_score_depends_on_the_prompt(judge):
    here, there = judge.score([(ASKED, "the bread"), ((Turn("user", "Where are you?"),), "the bread")])
    assert abs(here - there) > 1e-4


@pytest.mark.parametrize("likelihood_penalty", [0.0, 0.7])
def test_ppo_02_padding_behind_the_end_changes_nothing(judge, likelihood_penalty):
    """The last real token is read, however much padding follows: alone, and in a batch of unequal lengths."""
    judge = RewardModel(judge.chat, likelihood_penalty=likelihood_penalty).eval()
    answers = random_answers(judge.tokenizer, 5, seed=0)
    together = judge.score_ids(answers)
    for answer, score in zip(answers, together, strict=True):
        assert judge.score_ids([answer])[0] == pytest.approx(score, abs=1e-5)
        ids = torch.tensor([[*answer.ids, *[judge.tokenizer.pad] * 7]])
        with torch.no_grad():
            padded = judge.at_end(ids, torch.tensor([answer.start]), torch.tensor([len(answer.ids)]))
        assert float(padded) == pytest.approx(score, abs=1e-5)
    assert len({len(answer.ids) for answer in answers}) > 1


def test_ppo_02_the_end_piece_is_read_and_moving_it_changes_the_score(judge):
    """The raw score is the head's at the very token that ends the answer, and at no other."""
    ids, _ = judge.encode(ASKED, "the bread and the fish")
    assert ids[-1] == judge.tokenizer.eos
    with torch.no_grad():
        everywhere = judge.head(judge.model.hidden_states(torch.tensor([[*ids, judge.tokenizer.pad]])))[0, :, 0]
    score = judge.score([(ASKED, "the bread and the fish")])[0]
    assert float(everywhere[len(ids) - 1]) == pytest.approx(score, abs=1e-5)
    assert (everywhere - score).abs().argsort()[0] == len(ids) - 1
    assert abs(judge.score([(ASKED, "the bread and the")])[0] - score) > 1e-4


def test_the_likelihood_penalty_is_the_gated_sum_of_the_answers_gaps(judge):
    """By one plain forward pass: of the answer's tokens and its end, not of the prompt's."""
    answers = random_answers(judge.tokenizer, 4, seed=0)
    knowing = RewardModel(judge.chat, likelihood_penalty=2.0).eval()
    knowing.head = judge.head
    torch.nn.init.normal_(knowing.gate.weight, std=0.3)
    for answer, without, score in zip(answers, judge.score_ids(answers), knowing.score_ids(answers), strict=True):
        with torch.no_grad():
            logs = knowing.model(torch.tensor([answer.ids]))[0].log_softmax(-1)
            weights = 2.0 * knowing.gate(knowing.model.hidden_states(torch.tensor([answer.ids])))[0, :, 0].sigmoid()
        places = range(answer.start, len(answer.ids))
        gaps = [(logs[i - 1].max() - logs[i - 1, answer.ids[i]]).clamp_max(MAX_GAP) for i in places]
        paid = sum(float(weights[i] * gap) for i, gap in zip(places, gaps, strict=True))
        assert without - score == pytest.approx(paid, abs=1e-4) and paid > 0.01


def test_the_models_own_choice_costs_nothing(judge):
    knowing = RewardModel(judge.chat, likelihood_penalty=2.0).eval()
    knowing.head = judge.head
    (asked,) = random_answers(judge.tokenizer, 1, seed=0)
    ids = asked.ids[: asked.start]
    for _ in range(6):
        with torch.no_grad():
            ids = [*ids, int(judge.model(torch.tensor([ids]))[0, -1].argmax())]
    favourite = [asked._replace(ids=ids)]
    assert knowing.score_ids(favourite) == pytest.approx(judge.score_ids(favourite), abs=1e-6)


def test_the_penalty_is_learned_through(judge):
    answers = random_answers(judge.tokenizer, 4, seed=0)
    knowing = RewardModel(judge.chat, likelihood_penalty=2.0).eval()
    torch.nn.init.zeros_(knowing.head.weight)
    knowing.at_end(*answer_batch([answers], [0.0], judge.tokenizer.pad).flat()).sum().backward()
    assert knowing.model.embed_tokens.weight.grad.abs().sum() > 0 and knowing.gate.weight.grad.abs().sum() > 0


def test_ppo_03_the_head_begins_with_deviation_one_over_root_of_its_width(tokenizer):
    """N(0, 1 / (size + 1)), without a bias."""
    wide = RewardModel(make_chat(tokenizer, depth=1, hidden_size=2048, intermediate_size=8))
    assert float(wide.head.weight.detach().std()) == pytest.approx(1 / math.sqrt(2049), rel=0.05)
    assert wide.head.bias is None


def test_every_token_scores_as_if_the_answer_ended_there(judge):
    """One score for each token of the answer and one for its end; the last one is the answer's."""
    scores = judge.token_scores(ASKED, "the bread and")
    words = judge.tokenizer.encode(" the bread and")
    assert len(scores) == len(words) + 1
    assert scores[-1] == pytest.approx(judge.score([(ASKED, "the bread and")])[0], abs=1e-5)
    prompt = judge.tokenizer.encode_prompt(ASKED)
    first = EncodedAnswer([*prompt, words[0], judge.tokenizer.eos], len(prompt))
    assert scores[0] == pytest.approx(judge.score_ids([first])[0], abs=1e-5)


# What is asked of its scores.


def test_ppo_04_the_ranking_loss_of_equal_scores_is_ln_2():
    assert float(ranking_loss(torch.full((1, 2), 3.0), torch.zeros(1))) == pytest.approx(math.log(2))


def test_ppo_04_only_differences_of_scores_are_ranked():
    torch.manual_seed(0)
    scores, none = torch.randn(20, 2), torch.zeros(20)
    assert float(ranking_loss(scores + 7, none)) == pytest.approx(float(ranking_loss(scores, none)), rel=1e-5)
    assert ranking_loss(scores + torch.tensor([1.0, 0.0]), none) < ranking_loss(scores, none)


def test_ppo_04_a_swapped_pair_has_the_opposite_margin(judge):
    """And its loss differs by exactly the margin: -log s(-m) = m - log s(m)."""
    pair = random_answers(judge.tokenizer, 2, seed=3)
    objective = training(judge, comparisons(4))
    batches = [answer_batch([p], [0.0], judge.tokenizer.pad) for p in (pair, pair[::-1])]
    with torch.no_grad():
        (one,), (other,) = (objective.scores(batch) for batch in batches)
        margin = float(one[0] - one[1])
        losses = [float(objective.loss(batch)) for batch in batches]
    assert margin == pytest.approx(-float(other[0] - other[1]), abs=1e-5) and abs(margin) > 1e-3
    assert losses[1] - losses[0] == pytest.approx(margin, abs=1e-4)


def test_the_other_losses_by_hand():
    scores, targets = torch.tensor([[2.0], [-1.0]]), torch.tensor([1.0, 0.0])
    assert float(regression_loss(scores, targets)) == pytest.approx(0.5 * (1 + 1))
    assert float(label_loss(scores, targets)) == pytest.approx(math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)))


def test_scores_are_the_same_twice_whatever_the_model_is_doing(tokenizer):
    """In the middle of a training with dropout, too; and the training goes on as it was."""
    judge = new_judge(tokenizer, depth=1, dropout=0.5).train()
    answers = random_answers(tokenizer, 6, seed=1)
    assert judge.score_ids(answers) == judge.score_ids(answers)
    assert judge.training and judge.model.training


def test_identical_texts_score_the_same_in_one_batch(judge):
    longer = "the gull and the boat k t b"
    first, _, second = judge.score([(ASKED, "the bread"), (ASKED, longer), (ASKED, "the bread")])
    assert first - second == pytest.approx(0, abs=1e-6)


# Learning.


def text_of(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=5))


def comparisons(count: int, seed: int = 0) -> list[Comparison]:
    """The answer with more "f" is the better one."""
    rng = random.Random(seed)
    pairs = [sorted((text_of(rng), text_of(rng)), key=lambda text: text.count("f")) for _ in range(3 * count)]
    fair = [(worse, better) for worse, better in pairs if worse.count("f") < better.count("f")]
    return [Comparison(ASKED, better, worse, str(i)) for i, (worse, better) in enumerate(fair)][:count]


def ratings(count: int, seed: int = 0) -> list[RatedAnswer]:
    rng = random.Random(seed)
    return [RatedAnswer(ASKED, text, 1.0 + text.count("f"), text) for text in (text_of(rng) for _ in range(count))]


def labels(count: int, seed: int = 0) -> list[LabelledText]:
    texts = [answer.answer for answer in ratings(count, seed)]
    return [LabelledText(text, "positive" if "f" in text else "negative") for text in texts]


def trained(tokenizer, train, valid, want: str = "positive", steps: int = 60):
    corpus = CorpusLoader(train, valid)
    model = new_reward_model(new_chat(tokenizer, depth=1), corpus, RewardConfig(want=want))
    config = TrainingConfig(steps=steps, batch_size=16, lr=3e-3, warmup_steps=0, evaluations=1)
    trainer = Trainer(training(model, train, valid, want), config, detect("cpu", "fp32"))
    trainer.train()
    return model, trainer.scores


@pytest.mark.parametrize("likelihood_penalty", [0.0, 2.0])
def test_ppo_04_a_new_reward_model_knows_nothing(tokenizer, likelihood_penalty):
    """Its loss is about ln 2: what a coin costs."""
    torch.manual_seed(0)
    gpt = GPT(ModelConfig.from_depth(tokenizer.vocab_size, 48, 1, hidden_size=32, num_attention_heads=4))
    pairs = comparisons(200)
    model = RewardModel(ChatModel(gpt, tokenizer, is_chat=True), likelihood_penalty=likelihood_penalty)
    objective = training(model, pairs, pairs)
    assert objective.evaluate(None, 64, final=True).loss == pytest.approx(math.log(2), abs=0.1)


def test_what_can_be_told_apart_is_told_apart(tokenizer):
    """Of 200 unseen pairs at least 95 % are judged rightly."""
    clear = [pair for pair in comparisons(2000) if "f" not in pair.rejected.split()]
    _, scores = trained(tokenizer, clear[200:], clear[:200], steps=120)
    assert scores.examples == 200 and scores.accuracy >= 0.95


def test_ppo_04_eight_pairs_are_learned_to_the_last(tokenizer):
    """Also when nothing but chance says which is the better one."""
    rng = random.Random(5)
    pairs = [Comparison(ASKED, text_of(rng), text_of(rng), str(i)) for i in range(8)]
    _, scores = trained(tokenizer, pairs, pairs, steps=40)
    assert scores.accuracy == 1 and scores.loss < 0.1


@pytest.mark.parametrize("examples", [comparisons, ratings, labels])
def test_each_kind_of_judgement_teaches_something_that_holds_for_others(tokenizer, examples):
    """Of 100 unseen judgements far more are right than by chance, and the loss is below that of knowing nothing."""
    _, scores = trained(tokenizer, examples(300), examples(100, seed=9))
    assert scores.examples == 100
    assert scores.interval[0] > 0.7 and scores.loss < 0.45


def test_the_wanted_label_decides_what_is_good(tokenizer):
    judge = new_judge(tokenizer)
    positive, negative = (training(judge, labels(30), want=want).rows.targets for want in ("positive", "negative"))
    assert set(positive) == {0.0, 1.0} and [1 - target for target in positive] == negative
    model, _ = trained(tokenizer, labels(300), [], want="negative", steps=40)
    low, high = model.score([(ASKED, "f f f f f"), (ASKED, "the k and b t")])
    assert low < 0 < high


def test_a_model_of_labels_does_not_read_the_prompt(tokenizer):
    model, _ = trained(tokenizer, labels(20), [], steps=1)
    here, there = model.score([(ASKED, "the bread"), ((Turn("user", "Where are you?"),), "the bread")])
    assert here == pytest.approx(there, abs=1e-6)


def test_a_label_that_nothing_has_is_no_wish(tokenizer):
    with pytest.raises(UserError, match="postive"):
        preference_task(CorpusLoader(labels(9), []), "postive")


def test_ratings_count_in_deviations_from_their_mean(tokenizer):
    learned, held_out = ratings(50), ratings(20, seed=3)
    objective = training(new_judge(tokenizer), learned, held_out)
    targets = torch.tensor(objective.rows.targets)
    assert abs(targets.mean()) < 1e-5 and float(targets.std(correction=0)) == pytest.approx(1, abs=1e-5)
    mean = sum(r.rating for r in learned) / 50
    signs = [target > 0 for target in objective.valid_rows.targets]
    assert signs == [answer.rating > mean for answer in held_out]


def test_answers_too_long_for_the_context_are_counted(tokenizer):
    pairs = [*comparisons(3), Comparison(ASKED, "bread " * 40, "fish")]
    assert training(new_judge(tokenizer), pairs).rows.dropped == {"answers too long for the context": 1}
    with pytest.raises(UserError, match="no answer fits a context of 48 tokens"):
        training(new_judge(tokenizer), pairs[3:])


def test_a_long_conversation_keeps_its_last_turns_and_a_long_question_is_refused(judge):
    """As many of them as fit, and a question first."""
    turns = (Turn("user", "a b t"), Turn("assistant", "k k"), Turn("user", "the f")) * 4
    ids, start = judge.encode(turns, "the")
    ends = [judge.tokenizer.encode_prompt(turns[i:]) for i, turn in enumerate(turns) if turn.role == "user"]
    fitting = [asked for asked in ends if len(asked) + 2 <= 48]
    assert ids[:start] == max(fitting, key=len) and fitting != ends
    with pytest.raises(ValueError, match="longer than the 48 tokens"):
        judge.score([((Turn("user", "bread " * 40),), "the")])


# Normalised rewards.


def test_ppo_05_normalised_rewards_have_mean_0_and_deviation_1_on_fresh_answers(tokenizer):
    model = new_judge(tokenizer, depth=1)
    model.normalise(random_responses(tokenizer, 3000, seed=1))
    fresh = torch.tensor(model.score_ids(random_answers(tokenizer, 3000, seed=2)))
    assert abs(fresh.mean()) < 0.05 and abs(fresh.std() - 1) < 0.05
    before = model.gain, model.bias
    model.normalise(random_responses(tokenizer, 3000, seed=1))
    assert (model.gain, model.bias) == pytest.approx(before)


def test_a_model_reads_of_a_policys_ids_what_it_reads_of_the_text(tokenizer):
    """With the prompt or, after labels, without it; the ids stay as they are."""
    model = new_judge(tokenizer)
    for reads_prompt in (True, False):
        model.reads_prompt = reads_prompt
        prompt = tokenizer.encode_prompt(ASKED)
        ids = [*prompt, *tokenizer.encode(" the f"), tokenizer.eos]
        response = Response(ASKED, ids, len(prompt), True, "the f", [])
        assert model.score_responses([response]) == model.score([(ASKED, "the f")])


def test_a_model_that_has_learned_nothing_cannot_be_normalised(tokenizer):
    model = new_judge(tokenizer)
    torch.nn.init.zeros_(model.head.weight)
    with pytest.raises(UserError, match="it has learned nothing"):
        model.normalise(random_responses(tokenizer, 10, seed=0))


# Folders.


@pytest.mark.parametrize("architecture", ["qwen3", "gpt2"])
def test_hugging_face_reads_the_folder_and_gives_the_same_raw_scores(tmp_path, tokenizer, architecture):
    """Also of padded rows: `AutoModelForSequenceClassification` finds the last real token by the padding piece."""
    transformers = pytest.importorskip("transformers")
    ours = new_judge(tokenizer, architecture)
    save_reward_model(tmp_path, ours, {"stage": "reward"})
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    answers = random_answers(tokenizer, 6, seed=0)
    ids, _, lengths = answer_batch([[answer] for answer in answers], [0.0] * 6, tokenizer.pad).flat()
    with torch.no_grad():
        scores = theirs(ids, attention_mask=(torch.arange(ids.size(1)) < lengths[:, None]).long()).logits
    assert scores.shape == (6, 1)
    assert scores[:, 0].tolist() == pytest.approx(ours.score_ids(answers), abs=1e-4)


@pytest.mark.parametrize("reads_prompt", [True, False])
def test_what_is_saved_is_what_is_loaded(tmp_path, judge, reads_prompt):
    judge = RewardModel(judge.chat, 2.5, -0.75, reads_prompt, likelihood_penalty=0.5).eval()
    torch.nn.init.normal_(judge.gate.weight)
    save_reward_model(tmp_path, judge, {"stage": "reward"})
    again = load_reward_model(tmp_path)
    asked = [(ASKED, "the bread"), (ASKED, "fish")]
    assert again.score(asked) == judge.score(asked)
    assert (again.gain, again.bias, again.reads_prompt, again.likelihood_penalty) == (2.5, -0.75, reads_prompt, 0.5)
    assert not again.training and again.tokenizer.fingerprint() == judge.tokenizer.fingerprint()
    assert json.loads((tmp_path / "minigpt.json").read_text(encoding="utf-8"))["gain"] == 2.5


def test_one_kind_of_model_is_not_taken_for_the_other(tmp_path, tokenizer):
    judge = new_judge(tokenizer)
    save_reward_model(tmp_path / "reward", judge, {"stage": "reward"})
    save_model(tmp_path / "sft", judge.chat, {"stage": "sft"})
    with pytest.raises(UserError, match=r"is a reward model: it scores answers .* it cannot write"):
        load_model(tmp_path / "reward")
    with pytest.raises(UserError, match=r"is not a reward model; run_reward\.py trains one"):
        load_reward_model(tmp_path / "sft")
    with pytest.raises(UserError, match="holds no model"):
        load_reward_model(tmp_path / "nowhere")


def test_a_reward_model_with_another_tokenizer_is_refused(tokenizer, text):
    other = Tokenizer.train([text], 330)
    with pytest.raises(UserError, match="another tokenizer than the policy"):
        model_reward(new_judge(other), new_chat(tokenizer))


def test_only_judgements_teach_a_reward_model(tokenizer):
    with pytest.raises(UserError, match="learns from comparisons, ratings or labels, not from Prompts"):
        preference_task(CorpusLoader(questions(3), []))
