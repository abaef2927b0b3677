"""What the server can be told: folders, limits, who may ask, and the commands that a retraining runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

#: A step of a retraining: its name, and its command line; see `Settings.retrain_commands`.
Command = tuple[str, list[str]]

#: The recipe `votes` says how; `minigpt evaluate candidate` says whether the new policy may take the old one's place.
RETRAIN: list[Command] = [
    (
        "reward model",
        ["{python}", "-m", "minigpt", "reward", "--recipe", "votes", "--init-from", "{policy}",
         "--corpus", "{votes}", "--format", "votes", "--out", "{reward}", "--restart"],
    ),
    (
        "PPO",
        ["{python}", "-m", "minigpt", "ppo", "--recipe", "votes", "--init-from", "{policy}",
         "--reward", "{reward}", "--out", "{ppo}", "--restart"],
    ),
    (
        "evaluation",
        ["{python}", "-m", "minigpt", "evaluate", "candidate", "--model", "{ppo}", "--reward", "{reward}",
         "--against", "{current}", "--votes", "{heldout}"],
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Everything that `create_app` needs to know. Times are in seconds, sizes in bytes."""

    #: Folder with the models, RECIPE/STAGE below it; votes and chats are kept there too.
    models: Path = Path("trained_models")
    database: Path | None = None  # default: feedback.sqlite in `models`
    #: The model that answers where none is named; None: see `ModelCache.default`.
    default_model: str | None = None
    device: str = "cpu"
    #: Models kept in memory; the one that was used longest ago makes room.
    loaded_models: int = 6

    #: Answers that one model writes at once, and that may wait; one more is told to come back later (429).
    running: int = 32
    waiting: int = 32
    #: Longest time for one answer; what is written by then is the answer.
    answer_seconds: float = 60.0
    #: Calculations for looking inside (one at a time) that may wait.
    waiting_work: int = 16
    #: How long running answers may go on after the server was told to stop.
    drain_seconds: float = 5.0
    #: A stream in which nothing happens says `: ping` this often, and looks this often whether its reader has left.
    ping_seconds: float = 10.0
    tick_seconds: float = 0.25

    max_body: int = 1024 * 1024  # a client sends its whole chat again with every question
    #: Who does not know it gets nothing but the page. None: no token, which only a loopback server may do.
    token: str | None = None
    #: The names that a server without a token answers to, beside loopback's; pages that have such a name may write.
    hosts: tuple[str, ...] = ()
    #: Whether X-Forwarded-Proto and X-Forwarded-Host are believed: they are a proxy's word, or else anybody's.
    behind_proxy: bool = False

    #: Seeds what the server draws by chance: which pair to show, and on which side. None: not repeatable.
    seed: int | None = None

    #: Votes for one side or the other that a retraining wants.
    retrain_votes: int = 40
    #: The steps of a retraining, run one after the other in `retrain_folder`. In every word, {python} becomes this
    #: Python, {votes} a JSONL file of the votes to learn from, {heldout} one of those kept for measuring, {policy} the
    #: SFT model that the votes are about, {current} the model that answers now, {reward} and {ppo} the folders of the
    #: new models. A step's progress is read from the metrics.jsonl in the folder that its --out names.
    retrain_commands: list[Command] = field(default_factory=lambda: RETRAIN)
    retrain_folder: Path = Path()

    @property
    def store_path(self) -> Path:
        return self.database or self.models / "feedback.sqlite"
