"""The Trainer: one loop, honest names, and runs that end the same however often they are stopped."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.models import make_trainer

from minigpt import GPT, ChatModel, Conversation, CorpusLoader, Document, ModelConfig, TrainingConfig, Turn, UserError
from minigpt.training.device import Runtime, detect
from minigpt.training.language_modelling import byte_lengths, measure_perplexity
from minigpt.training.optimizer import Optimizer, rate_at
from minigpt.training.run_state import TrainingState

ROOT = Path(__file__).parents[2]
SENTENCES = [f"The {a} {b} the {c}." for a in ("baker", "gull", "boat") for b in ("sees", "likes", "hears") for c in
             ("market", "bridge", "harbour", "town", "fish", "bread", "apple")]  # fmt: skip


@pytest.fixture
def corpus():
    documents = [Document(" ".join(SENTENCES[i : i + 6]), group=str(i), words=30) for i in range(0, 57)]
    return CorpusLoader(documents, valid_fraction=0.1)


def new_model(tokenizer, dropout: float = 0.0) -> ChatModel:
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_attention_heads": 2}
    gpt = GPT(ModelConfig.from_depth(tokenizer.vocab_size, 32, 2, dropout=dropout, **shape))
    return ChatModel(gpt, tokenizer)


def test_training_lowers_the_loss_and_returns_its_evidence(tokenizer, corpus):
    trainer = make_trainer(new_model(tokenizer), corpus, steps=40, batch_size=8, evaluations=4)
    result = trainer.train()
    model, train_losses, valid_losses = result
    assert model is result.model
    assert len(train_losses) == 40 and len(valid_losses) == 5
    assert [step for step, _ in valid_losses] == [0, 10, 20, 30, 40]
    assert train_losses[0] == pytest.approx(math.log(tokenizer.vocab_size), rel=0.05)
    assert valid_losses[-1][1] < 0.7 * valid_losses[0][1]


def test_defect_02_an_epoch_is_a_pass_over_the_corpus(tokenizer, corpus):
    """Every row once, whatever the batch; steps are called steps."""
    trainer = make_trainer(new_model(tokenizer), corpus, epochs=2, batch_size=4)
    rows = trainer.rows_per_epoch
    assert trainer.total_steps == 2 * (rows // 4) and trainer.steps_per_epoch == rows // 4
    expected = trainer.rows.epoch(1, trainer.config.seed)
    for index in range(trainer.steps_per_epoch):
        batch = trainer.global_batch(trainer.steps_per_epoch + index)
        assert torch.equal(batch.inputs, expected.batch(index * 4, index * 4 + 4).inputs)
    assert len(set(expected.starts.tolist())) == len(expected) >= rows - 1


def test_gradient_accumulation_weighs_tokens_not_rows(tokenizer):
    """1 batch of 8 ragged rows equals 4 of 2: the loss is divided once, by all targets that count."""
    talks = [Conversation((Turn("user", "How are you?"), Turn("assistant", "fine " * n)), str(n)) for n in range(1, 12)]
    corpus = CorpusLoader(talks, [talks[0]])
    results = []
    for micro in (8, 2, 3):
        trainer = make_trainer(new_model(tokenizer), corpus, steps=3, batch_size=8, micro_batch=micro)
        results.append(trainer.train().record_train_loss)
    assert results[0] == pytest.approx(results[1], abs=1e-5)
    assert results[0] == pytest.approx(results[2], abs=1e-5)


def test_the_best_model_is_the_one_returned_and_saved(tokenizer, corpus):
    saved = []
    trainer = make_trainer(
        new_model(tokenizer), corpus, steps=30, batch_size=8, evaluations=6, lr=0.05, matrix_lr=0.5,
        save=lambda card: saved.append(card["metrics"]["loss"]),
    )  # fmt: skip
    _, _, valid_losses = trainer.train()
    best = min(loss for _, loss in valid_losses)
    objective = trainer.objective
    scores = measure_perplexity(objective.chat, objective.valid_rows, trainer.runtime, limit=64)
    assert scores.loss == pytest.approx(best, abs=1e-6)
    assert saved[-2] == pytest.approx(best)


def test_measurements_on_the_way_take_the_same_random_rows_each_time(tokenizer, tmp_path):
    """Not the first ones: here these are all alike. The last measurement takes all."""
    easy, hard = ["gull " * 200] * 4, [" ".join(SENTENCES[i::7]) for i in range(7)]
    documents = [Document(text, group=str(i), words=30) for i, text in enumerate(easy + hard)]
    corpus = CorpusLoader(documents, documents)
    said = []
    trainer = make_trainer(
        new_model(tokenizer), corpus, folder=tmp_path, steps=2, batch_size=2, evaluations=2, evaluation_rows=6, lr=0.0,
        matrix_lr=0.0, sample=lambda: [],
    )  # fmt: skip
    evaluate = trainer.objective.evaluate
    trainer.objective.evaluate = lambda *a: said.append((a, evaluate(*a))) or said[-1][1]
    trainer.train()
    on_the_way, last = [scores.loss for (limit, *_), scores in said if limit], said[-1][1].loss
    first_rows = trainer.objective.valid_rows.in_order().batch(0, 6).inputs
    chosen = trainer.objective.valid_rows.in_order().some(6).batch(0, 6).inputs
    assert len(on_the_way) == 3 and len(set(on_the_way)) == 1 and last not in on_the_way
    assert not torch.equal(first_rows, chosen)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    total = len(trainer.objective.valid_rows.in_order())
    assert [row["valid_rows"] for row in rows if "valid" in row] == [[6, total]] * 3


def test_without_validation_text_training_goes_on_unmeasured(tokenizer, text):
    corpus = CorpusLoader([Document(text)])
    trainer = make_trainer(new_model(tokenizer), corpus, steps=3, batch_size=2)
    assert len(trainer.train().record_train_loss) == 3 and trainer.scores is None


def test_a_minute_budget_is_kept(tokenizer, corpus, monkeypatch):
    """With a clock that ticks a second a step, a tenth of a minute is six steps, and the rate falls to its end."""
    now = [0.0]
    trainer = make_trainer(new_model(tokenizer), corpus, minutes=0.1, warmup_steps=0, batch_size=4, evaluations=1)
    monkeypatch.setattr("minigpt.training.trainer.time.monotonic", lambda: now[0])
    rates = []
    step = trainer.optimizer.step
    monkeypatch.setattr(
        trainer.optimizer, "step", lambda rate: (rates.append(rate), step(rate), now.__setitem__(0, now[0] + 1))
    )
    assert len(trainer.train().record_train_loss) == 6
    assert rates == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])


def test_schedule_by_hand():
    config = TrainingConfig(warmup_steps=4, decay=0.5)
    rates = [rate_at(step, step / 8, config) for step in range(8)]
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25])
    assert rate_at(8, 1.0, config) == 0


def test_muon_takes_the_matrices_and_adamw_the_rest(tokenizer):
    model = new_model(tokenizer).gpt
    muon, adamw = Optimizer.for_training(model, TrainingConfig()).parts
    assert isinstance(muon, torch.optim.Muon)
    matrices = {id(p) for p in muon.param_groups[0]["params"]}
    rest = {id(p) for p in adamw.param_groups[0]["params"]}
    assert id(model.layers[0].mlp.up_proj.weight) in matrices
    assert {id(model.embed_tokens.weight), id(model.norm.weight)} <= rest
    assert matrices | rest == {id(p) for p in model.parameters()} and not matrices & rest


def test_a_nan_loss_stops_with_a_sentence(tokenizer, corpus):
    model = new_model(tokenizer)
    with torch.no_grad():
        model.gpt.norm.weight.fill_(float("nan"))
    with pytest.raises(UserError, match="NaN at step 0"):
        make_trainer(model, CorpusLoader(corpus.train, []), steps=2, batch_size=4).train()


def test_bits_per_byte_and_word_perplexity_by_hand(tokenizer, corpus):
    """From the loss of every token one by one: nats over bytes, and nats over the words of the published file."""
    model = new_model(tokenizer)
    trainer = make_trainer(model, corpus, steps=1, batch_size=4)
    scores = measure_perplexity(model, trainer.objective.valid_rows, trainer.runtime)
    table = trainer.objective.valid_rows.in_order()
    nats, size, count = 0.0, 0, 0
    for i in range(len(table)):
        batch = table.batch(i, i + 1)
        logs = model.gpt.eval()(batch.inputs).log_softmax(-1)[0]
        nats -= sum(logs[t, token].item() for t, token in enumerate(batch.targets[0]))
        size += len(tokenizer.decode(batch.targets[0].tolist()).encode())
        count += batch.targets.numel()
    assert scores.loss == pytest.approx(nats / count, rel=1e-4)
    assert scores.bits_per_byte == pytest.approx(nats / math.log(2) / size, rel=1e-4)
    words = sum(document.words for document in corpus.valid)
    assert scores.word_perplexity == pytest.approx(
        math.exp(nats / count * trainer.objective.valid_rows.token_count / words), rel=1e-4
    )


def test_bytes_of_pieces(tokenizer):
    lengths = byte_lengths(tokenizer)
    for sample in ("How are you?", "日本 🦊", "12 kinds\n"):
        assert lengths[tokenizer.encode(sample)].sum() == len(sample.encode())
    assert lengths[tokenizer.eos] == 0


# Stopping and resuming.


def weights(model: GPT) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_ten_steps_and_ten_more_equal_twenty(tmp_path, tokenizer, corpus, optimizer):
    """With dropout on, bit for bit, and the log has every step once."""
    settings = dict(steps=20, batch_size=4, evaluations=4, save_every=10, optimizer=optimizer)

    def trainer(folder):
        return make_trainer(new_model(tokenizer, dropout=0.1), corpus, folder=folder, **settings)

    straight = trainer(tmp_path / "straight").train()
    stopped = trainer(tmp_path / "stopped")
    step = stopped.step

    def pull_the_plug(progress):
        if stopped.state.step == 13:
            raise RuntimeError("power cut")
        return step(progress)

    stopped.step = pull_the_plug
    with pytest.raises(RuntimeError, match="power cut"):
        stopped.train()
    resumed = trainer(tmp_path / "stopped")
    assert resumed.resume() and resumed.state.step == 10
    result = resumed.train()
    assert result.record_train_loss == straight.record_train_loss
    assert result.record_valid_loss == straight.record_valid_loss
    for name, value in weights(straight.model).items():
        assert torch.equal(value, result.model.state_dict()[name]), name
    steps = [
        json.loads(line) for line in (tmp_path / "stopped" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [row["step"] for row in steps if "train_loss" in row] == list(range(1, 21))
    assert not TrainingState.exists(tmp_path / "stopped")


def test_save_every(tmp_path, tokenizer, corpus, monkeypatch):
    saved = []
    trainer = make_trainer(new_model(tokenizer), corpus, folder=tmp_path, steps=7, batch_size=4, save_every=3)
    monkeypatch.setattr(trainer, "save_state", lambda: saved.append(trainer.state.step))
    trainer.train()
    assert saved == [3, 6, 7]  # and at the end, so that a Ctrl-C while measuring loses nothing


def test_what_save_every_leaves_on_the_disk(tmp_path, tokenizer, corpus):
    """A state to go on from after every third step, one at a time; at the end the model in its place."""
    seen: dict[int, list[int]] = {}
    trainer = make_trainer(
        new_model(tokenizer), corpus, folder=tmp_path, steps=7, batch_size=4, save_every=3, evaluations=1,
        save=lambda run: (tmp_path / "model").write_text(str(run["steps"])),
    )  # fmt: skip
    step = trainer.step

    def watched(progress):
        if TrainingState.exists(tmp_path):
            again = make_trainer(new_model(tokenizer), corpus, folder=tmp_path, steps=7, batch_size=4, save_every=3,
                            evaluations=1)  # fmt: skip
            assert again.resume()
            seen.setdefault(again.state.step, []).append(trainer.state.step)
        return step(progress)

    trainer.step = watched
    trainer.train()
    assert seen == {3: [3, 4, 5], 6: [6]}
    assert not TrainingState.exists(tmp_path) and (tmp_path / "model").read_text() == "7"


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs an NVIDIA chip"))])  # fmt: skip
def test_half_precision_learns_as_much(tokenizer, corpus, device):
    """After 50 steps the loss is that of single precision, within a twentieth."""
    losses = {}
    for dtype in ("fp32", "bf16"):
        runtime = detect(device, dtype)
        trainer = make_trainer(new_model(tokenizer), corpus, steps=50, batch_size=8, evaluations=1, runtime=runtime)
        with runtime.autocast():
            product = torch.ones(2, 2, device=runtime.device) @ torch.ones(2, 2, device=runtime.device)
        assert product.dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[dtype]
        losses[dtype] = trainer.train()[2][-1][1]
        assert all(p.dtype == torch.float32 for p in trainer.model.parameters())
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.05) and losses["bf16"] != losses["fp32"]


def test_ctrl_c_finishes_the_step_and_saves(tmp_path, tokenizer, corpus):
    trainer = make_trainer(new_model(tokenizer), corpus, folder=tmp_path, steps=50, batch_size=4)
    step = trainer.step

    def interrupted(progress):
        if trainer.state.step == 5:
            signal.raise_signal(signal.SIGINT)
        return step(progress)

    trainer.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    again = make_trainer(new_model(tokenizer), corpus, folder=tmp_path, steps=50, batch_size=4)
    assert again.resume() and again.state.step == 6


def test_resuming_with_other_settings_is_refused(tmp_path, tokenizer, corpus):
    trainer = make_trainer(new_model(tokenizer), corpus, folder=tmp_path, steps=5, batch_size=4)
    trainer.save_state()
    with pytest.raises(UserError, match="batch_size was 4, is 8"):
        make_trainer(new_model(tokenizer), corpus, folder=tmp_path, steps=5, batch_size=8).resume()
    (tmp_path / "training_state.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match="damaged"):
        make_trainer(new_model(tokenizer), corpus, folder=tmp_path, steps=5, batch_size=4).resume()


RUN = """
import sys
import weakref
from pathlib import Path

sys.path.insert(0, "tests")
import torch
import torch.distributed as dist
torch.set_num_threads(1)
from helpers.models import TEXT, make_trainer
from minigpt import GPT, ChatModel, CorpusLoader, Document, ModelConfig, Tokenizer
from minigpt.model.checkpoint import save_model
from minigpt.training.device import detect, leave_processes
folder = Path(sys.argv[1])
tokenizer = Tokenizer.train([TEXT], 340)
texts = [" ".join(TEXT.split()[i:] + TEXT.split()[:i]) for i in range(60)]
corpus = CorpusLoader([Document(text, str(i)) for i, text in enumerate(texts)])
torch.manual_seed(0)
gpt = GPT(ModelConfig.from_depth(tokenizer.vocab_size, 32, 2, hidden_size=32, dropout=float(sys.argv[3])))
model = ChatModel(gpt, tokenizer)
with leave_processes():
    trainer = make_trainer(model, corpus, detect(), folder=folder, steps=int(sys.argv[2]), batch_size=8, save_every=5,
                           evaluations=3, save=lambda card: save_model(folder, model, card))
    trainer.resume()
    trainer.train()
    if trainer.runtime.is_main:
        print("LOSSES", *trainer.state.train_losses)
    group = weakref.ref(dist.group.WORLD) if dist.is_initialized() else lambda: None
assert group() is None, "somebody still holds the process group: its threads outlive the interpreter"
"""


def start(script: Path, folder: Path, steps: int, dropout: float, *launcher: str) -> subprocess.Popen:
    script.write_text(RUN.replace('"tests"', repr(str(ROOT / "tests"))), encoding="utf-8")
    command = [sys.executable, *launcher, str(script), str(folder), str(steps), str(dropout)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no kill -9")
def test_kill_nine_at_random_moments_and_resume_gives_the_same_bits(tmp_path):
    script = tmp_path / "run.py"
    straight = start(script, tmp_path / "straight", 100, 0.1)
    assert straight.wait(120) == 0, straight.stderr.read()
    rng = random.Random(0)
    kills = 0
    folder = tmp_path / "killed"
    while kills < 10:
        run = start(script, folder, 100, 0.1)
        deadline = time.monotonic() + 60
        before = (folder / "training_state.safetensors").stat().st_mtime_ns if TrainingState.exists(folder) else 0
        # Wait for the run's first save, then pull the plug at a random moment after it.
        while time.monotonic() < deadline and run.poll() is None:
            if TrainingState.exists(folder) and (folder / "training_state.safetensors").stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        if run.poll() is not None:
            break  # it was done before the plug was pulled
        run.kill()
        run.wait()
        kills += 1
    last = start(script, folder, 100, 0.1)
    assert last.wait(120) == 0, last.stderr.read()
    assert kills >= 5
    ours, theirs = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("straight", "killed"))
    assert ours == theirs


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="torchrun needs libuv, which PyTorch lacks on Windows")
def test_two_processes_give_the_losses_of_one(tmp_path):
    script = tmp_path / "run.py"
    one = start(script, tmp_path / "one", 12, 0.0)
    assert one.wait(120) == 0, one.stderr.read()
    two = start(script, tmp_path / "two", 12, 0.0, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert two.wait(180) == 0, two.stderr.read()

    def losses(run):
        line = next(line for line in run.stdout.read().splitlines() if line.startswith("LOSSES"))
        return [float(value) for value in line.split()[1:]]

    expected = losses(one)
    assert len(expected) == 12
    assert losses(two) == pytest.approx(expected, rel=1e-4)  # sums in another order, and steps that build on them


def test_processes_share_the_rows_and_disagree_about_nothing(tokenizer, corpus):
    """Each of two processes takes its half of the batch; the halves' losses add up to the whole."""
    total = make_trainer(new_model(tokenizer), corpus, steps=1, batch_size=6).train().record_train_loss[0]
    halves = []
    for rank in range(2):
        runtime = Runtime(torch.device("cpu"), torch.float32, rank, world=2)
        object.__setattr__(runtime, "sum", lambda values: values)
        object.__setattr__(runtime, "sum_gradients", lambda parameters: None)
        object.__setattr__(runtime, "agree", lambda value: value)
        trainer = make_trainer(
            new_model(tokenizer),
            CorpusLoader(corpus.train, []),
            runtime=runtime,
            steps=1,
            batch_size=6,
        )
        halves.append(trainer.step(0.0))
    assert sum(halves) == pytest.approx(total, abs=1e-5)
