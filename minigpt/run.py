"""What the run_*.py scripts share: open a recipe's stage, look after the model folder, announce, train, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

from . import cli
from .config import ModelConfig
from .data.examples import Comparison, Conversation, Document
from .data.formats import FORMATS, CorpusLoader
from .data.formats.loader import KINDS
from .data.tokenizer import Tokenizer
from .errors import UserError
from .files import friendly_disk_errors, write_atomically
from .lineage import changed_during, changed_since, parents_of
from .model.chat_model import ChatModel
from .model.checkpoint import MODEL_FILES, VALUE_HEAD, load_model, make_room, read_card, save_model
from .model.gpt import GPT
from .recipe import STAGES, Recipe, load_recipe, override
from .registry import MODELS
from .run_lock import RunLock
from .training.device import Runtime, detect, seed_everything
from .training.language_modelling import LanguageModelling
from .training.objective import Objective
from .training.plots import CURVE, plot_curves
from .training.run_state import METRICS, SAMPLES, STATE, RunLog, TrainingState, read_log
from .training.samples import Sampler
from .training.trainer import Trainer

LEARNED_NOTHING = 3  # the exit code of a run that ended, but whose model has learned nothing
COMPARISONS = "comparisons.jsonl"  # what a simulated annotator said, beside the reward model that learned from it
#: All that a run ever writes into its folder.
RUN_FILES = {*MODEL_FILES, VALUE_HEAD, STATE, METRICS, SAMPLES, COMPARISONS, CURVE}
#: The kinds of examples for the stages whose objective does not say so itself.
LEARNS: dict[str, tuple[type, ...]] = {
    "pretrain": (Document, Conversation), "sft": (Document, Conversation), "dpo": (Comparison,),
}  # fmt: skip
QUESTIONS, LONGEST_QUESTION = 60, 500  # how many the chat page may propose, and how many characters long


def add_data_flags(parser: argparse.ArgumentParser, stage: str) -> None:
    group = parser.add_argument_group("data and results")
    group.add_argument("--recipe", default="tinytown", help="name of a recipe, or a .toml file (default tinytown)")
    group.add_argument("--corpus", help="another corpus in the recipe's format: a path, or a name from the catalogue")
    group.add_argument("--format", choices=FORMATS, help="how to read --corpus (default the recipe's format)")
    cli.add_reading_flag(group)
    cli.add_corpora_flag(group)
    group.add_argument("--out", help=f"folder to write to (default trained_models/RECIPE/{stage})")
    group.add_argument("--dropout", type=float, help="share of activations that training sets to zero")
    again = group.add_mutually_exclusive_group()
    again.add_argument(
        "--resume", action="store_true", help="go on with an unfinished run in that folder, if there is one"
    )
    again.add_argument("--restart", action="store_true", help="throw an unfinished run in that folder away")


class Resumable(Protocol):
    """What `Run.run` needs of a trainer."""

    log: RunLog
    saved_step: int

    def resume(self) -> bool: ...

    def train(self) -> Any: ...


class Run:
    """One run of a stage: the recipe with command-line overrides applied, the folder it writes to, how it resumes."""

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        self.name, self.arguments = name, arguments
        self.recipe: Recipe = load_recipe(arguments.recipe, arguments.skip_bad_rows)
        file = {"recipe_file": arguments.recipe} if arguments.recipe.endswith(".toml") else {}
        self.made_by = {"recipe": self.recipe.name} | file  # for the model's card
        if self.recipe.inherits:
            self._inherit()
        if not (arguments.corpus or self.recipe.source(name)):
            raise UserError(f"the recipe {self.recipe.name} has no stage [{name}]; add it, or name a --corpus.")
        self.runtime: Runtime = detect(arguments.device, arguments.dtype)
        self.folder = Path(arguments.out) if arguments.out else MODELS / self.recipe.name / name
        kind = STAGES[name]
        given = cli.given(arguments, [f.name for f in fields(kind)])
        self.settings: Any = kind(**override(self.recipe.settings(name), given))
        self.lock = RunLock(self.folder)
        if self.runtime.is_main:  # the other processes of a torchrun write nothing
            self.lock.acquire()
        try:
            self.resuming = self._is_resuming()
        except BaseException:
            self.lock.release()
            raise
        seed_everything(self.settings.seed)

    def _inherit(self) -> None:
        """Take what the recipe leaves out from the one that made the model of --init-from, which also stays the recipe
        that the card names: what the answers are about, and who can mark them, has not changed."""
        parent = getattr(self.arguments, "init_from", None)
        if not parent:
            raise UserError(
                f"the recipe {self.recipe.name} goes on from a finished model; name its folder with --init-from."
            )
        card = read_card(Path(parent))
        self.made_by = {key: card[key] for key in ("recipe", "recipe_file") if key in card}
        if not self.made_by:
            raise UserError(f"the card in {parent} names no recipe, which {self.recipe.name} would go on from.")
        base = card.get("recipe_file") or card["recipe"]
        self.recipe = self.recipe.inheriting(load_recipe(base, self.arguments.skip_bad_rows))

    def _is_resuming(self) -> bool:
        """Whether there is a run to go on with. An unfinished one is never thrown away unasked."""
        unfinished = TrainingState.exists(self.folder)
        parents = parents_of(self.name, self.recipe.name, self.arguments)
        if self.arguments.resume and not unfinished and (card := read_card(self.folder)).get("finished"):
            if (other := changed_since(card, parents)) is None:
                self.say(f"{self.folder} is finished, there is nothing to resume; leave out --resume to train it anew")
                if card.get("warning"):
                    self.warn(card["warning"])
                raise SystemExit(LEARNED_NOTHING if card.get("warning") else 0)
            self.say(f"{self.folder} is finished, but {other} is not the model that it began from: it is trained again")
        if unfinished and not (self.arguments.resume or self.arguments.restart):
            raise UserError(
                f"{self.folder} holds an unfinished run; add --resume to go on with it or --restart to start over."
            )
        if unfinished and self.arguments.resume and (other := changed_during(self.folder, parents)):
            raise UserError(
                f"{self.folder} holds an unfinished run, but {other} is not the model that it began from;"
                " start over with --restart."
            )
        return unfinished and self.arguments.resume

    def claim_folder(self, tokenizer: Tokenizer) -> None:
        """Make room for a new run: a finished model that is already there is kept once more, under another name."""
        if self.resuming or not self.runtime.is_main:
            return
        folder = self.folder.resolve()
        with friendly_disk_errors(self.folder):
            present = {path.name for path in folder.iterdir()} if folder.exists() else set()
            leftovers = {name for name in present if name.endswith(".tmp")}
            if strangers := present - leftovers - RUN_FILES:
                raise UserError(
                    f"{self.folder} holds files that are not a model's ({min(strangers)}); choose another --out."
                )
            if read_card(folder).get("finished") and not TrainingState.exists(folder):
                self.say(f"the former {self.folder} is now {make_room(folder).name}")
            else:  # what a run left that never came to its end
                for name in present:
                    (folder / name).unlink()
            write_atomically(folder / "tokenizer.model", tokenizer.model)

    def say(self, text: str) -> None:
        if self.runtime.is_main:
            print(text, flush=True)

    def warn(self, text: str) -> None:
        if self.runtime.is_main:
            print(f"warning:   {text}", file=sys.stderr, flush=True)

    def say_next(self, *commands: list[str]) -> None:
        """What to run next, each command as it works from here."""
        for label, (script, *words) in zip(("next:", *["or:"] * len(commands)), commands, strict=False):
            self.say(f"{label:11}{cli.how_to_run(script, *words)}")

    def next_stage(self, stage: str, **folders: str | Path | None) -> list[str]:
        """The script of another stage of this recipe. It finds the recipe's model folders by itself; `folders` are the
        flags for those that lie elsewhere."""
        words = [f"run_{stage}.py", "--recipe", self.arguments.recipe]
        if self.arguments.corpora_dir:
            words += ["--corpora-dir", self.arguments.corpora_dir]
        if self.arguments.skip_bad_rows:
            words += ["--skip-bad-rows"]
        for flag, folder in folders.items():
            words += [f"--{flag.replace('_', '-')}", str(folder)] if folder else []
        return words

    def open_corpus(self, layout: str | None = None) -> CorpusLoader:
        """The stage's corpus, or the command line's; `layout` is how to read the latter unless --format says it."""
        corpus, wanted = self.arguments.corpus, self.arguments.format or (layout if self.arguments.corpus else None)
        corpus = self.recipe.open_corpus(self.name, self.arguments.corpora_dir, corpus, wanted)
        kind, good = type(corpus.train[0]), LEARNS.get(self.name)
        if good and kind not in good:
            wanted = " or ".join(KINDS[one] for one in good)
            raise UserError(f"{self.name} learns from {wanted}, not from {KINDS[kind]}; see --format.")
        self.say(f"corpus:    {corpus.summary()}")
        return corpus

    def tokenizer(self, corpus: CorpusLoader) -> Tokenizer:
        """The recipe's tokenizer: trained now, or on resuming the one that the run began with."""
        path = self.folder / "tokenizer.model"
        if self.resuming and path.is_file():
            return Tokenizer.load(path)
        size = (self.recipe.model | cli.given(self.arguments, ["vocab_size"])).get("vocab_size", 4096)
        self.shape(size)  # one that cannot be is told before the minute that follows
        self.say("tokenizer: learning its pieces from the recipe's text")
        texts = self.recipe.tokenizer_texts(self.arguments.corpora_dir, first=corpus)
        return Tokenizer.train(texts, size, characters=self.recipe.model.get("characters", False))

    def new_model(self, tokenizer: Tokenizer) -> ChatModel:
        """A model of random weights in the recipe's shape, or the command line's."""
        return ChatModel(GPT(self.shape(tokenizer.vocab_size)), tokenizer)

    def shape(self, vocab_size: int) -> ModelConfig:
        """The shape that recipe and command line wish for. Raises UserError for one that cannot be."""
        wanted = self.recipe.model | cli.given(self.arguments, ["depth", "context", "architecture", "dropout"])
        shape = cli.given(
            self.arguments, ["hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size"]
        )
        shape |= {name: wanted[name] for name in ("architecture", "dropout") if name in wanted}
        return ModelConfig.from_depth(vocab_size, wanted.get("context", 256), wanted.get("depth", 4), **shape)

    def folder_of(self, stage: str, given: str | None) -> Path:
        """The model folder of an earlier stage: the one given on the command line, else the recipe's."""
        folder = Path(given) if given else MODELS / self.recipe.name / stage
        if not given and not (folder / "config.json").is_file():
            command = cli.how_to_run(*self.next_stage(stage))
            raise UserError(f"{folder} holds no model yet; run {command} first.")
        return folder

    def parent_model(self, folder: Path) -> ChatModel:
        """The model that an earlier stage left in `folder`."""
        dropout = self.arguments.dropout
        if dropout is None:
            dropout = self.recipe.model.get("dropout", 0.0)
        return load_model(folder, self.runtime.device, dropout)

    def train_language_model(self, chat: ChatModel, corpus: CorpusLoader, parent: Path | None = None) -> None:
        """Train a language model on the corpus: pre-training and SFT."""
        objective = LanguageModelling(chat, corpus, self.runtime, self.settings.compile)
        asked = {"questions": found} if (found := questions(corpus)) else {}

        def save(run: dict[str, Any]) -> None:
            save_model(self.folder, objective.chat, self.card(parent) | asked | run)

        sampler = Sampler(objective.chat, corpus.valid)
        self.train(objective, save, parent, sample=sampler, unmeasured="no validation text, so no validation loss")

    def train(
        self,
        objective: Objective,
        save: Callable[[dict[str, Any]], None],
        parent: Path | None,
        plot: Callable[[Path, str], Path] = plot_curves,
        sample: Callable[[], list[dict[str, str]]] | None = None,
        unmeasured: str = "no held-out judgements",
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Announce, train and measure an objective; `save` writes the model with the run's card, and `prepare` what
        else belongs into the folder, before the first step."""
        trainer = Trainer(
            objective,
            self.settings,
            self.runtime,
            folder=self.folder,
            save=save,
            sample=sample,
            origin=self.origin(parent),
        )
        self.claim_folder(objective.chat.tokenizer)
        if self.runtime.is_main:
            prepare()
        self.announce(trainer)
        self.run(trainer, plot)
        held_out = f"{trainer.scores}, on all {objective.held_out:,} validation rows" if trainer.scores else unmeasured
        self.say(f"\n{held_out}")

    def card(self, parent: Path | None) -> dict[str, Any]:
        """What every model's card begins with."""
        return {
            "stage": self.name,
            **self.made_by,
            "parent": self.origin(parent) or None,
            "machine": self.runtime.describe(),
        }

    @staticmethod
    def origin(*parents: Path | None) -> str:
        """Names the weights that a run starts from: it is resumed only from the same ones."""
        return "+".join(read_card(parent).get("sha256", "") for parent in parents if parent)

    def run(self, trainer: Resumable, plot: Callable[[Path, str], Path]) -> None:
        """Train, from where an earlier run was stopped if that is wished; draw the picture. Ctrl-C leaves a run that
        --resume goes on with."""
        trainer.resume() if self.resuming else trainer.log.start()
        try:
            trainer.train()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{self.folder} keeps the run up to step {trainer.saved_step:,}; add --resume to go on."
                if trainer.saved_step
                else "Nothing was saved yet."
            ) from None
        finally:
            if self.runtime.is_main and any("valid" not in row for row, _ in read_log(self.folder / METRICS)):
                plot(self.folder, f"{self.recipe.title}: {self.name}")
            self.lock.release()
        self.say(f"model:     {self.folder}")

    def announce(self, trainer: Trainer) -> None:
        """What is about to happen, and how long it will take."""
        settings = trainer.config
        tokens = trainer.rows.token_count / trainer.rows_per_epoch * min(settings.batch_size, trainer.rows_per_epoch)
        seconds = trainer.seconds_per_step()
        if settings.minutes:
            length = f"{settings.minutes:.1f} minutes"
        else:
            length = f"{trainer.total_steps:,} steps, about {trainer.total_steps * seconds / 60:.1f} minutes"
        dropped = "".join(f", dropped {n:,} {why}" for why, n in getattr(trainer.rows, "dropped", {}).items())
        self.say(
            f"{self.introduce(trainer.objective.chat)}\n"
            f"data:      {trainer.rows.token_count:,} tokens, {trainer.rows_per_epoch:,} rows an epoch{dropped}\n"
            f"plan:      {length}; {tokens:,.0f} tokens a step, about {tokens / seconds:,.0f} tokens/s"
            + ("; an earlier run goes on" if self.resuming else "")
        )

    def introduce(self, chat: ChatModel) -> str:
        """Stage, machine and model, a line each."""
        config = chat.gpt.config
        return (
            f"stage:     {self.name} of {self.recipe.name} ({self.recipe.title})\n"
            f"machine:   {self.runtime.describe()}\n"
            f"model:     {config.architecture}, {config.num_hidden_layers} layers of {config.hidden_size},"
            f" {chat.gpt.parameter_count():,} parameters, context {config.max_position_embeddings}"
        )


def questions(corpus: CorpusLoader) -> list[str]:
    """Some of the questions that held-out conversations begin with: the chat page proposes them."""
    openings = [e.turns[0].text for e in corpus.valid if isinstance(e, Conversation) and e.turns[0].role == "user"]
    return [text for text in dict.fromkeys(openings) if len(text) <= LONGEST_QUESTION][:QUESTIONS]
