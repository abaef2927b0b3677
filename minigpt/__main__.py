"""The `minigpt` command: the numbered scripts and everything else, as subcommands.

minigpt chat                                      the same as python run_chat.py, from any folder
minigpt evaluate knowledge --help                 the same as python -m minigpt evaluate knowledge --help
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from . import cli
from .errors import UserError, nearest
from .training.device import leave_processes

#: The numbered scripts, by what follows `run_` in their names.
SCRIPTS: dict[str, str] = {
    "chat": "talk to a model, in the browser or here",
    "pretrain": "step 1: learn the language",
    "sft": "step 2: learn to answer",
    "reward": "step 3: learn what people prefer",
    "ppo": "step 4: learn to answer the way people prefer",
}
#: What each other subcommand is for, and the module whose `main` carries it out. Imported only when asked for: most of
#: them need torch, and a list of commands should not wait for it.
COMMANDS: dict[str, tuple[str, str]] = {
    "evaluate knowledge": ("evaluation.knowledge", "what the models know of Tinytown, asked and held-out residents"),
    "evaluate win-rate": ("evaluation.win_rate", "two stages answer the same prompts, the grader says which wins"),
    "evaluate sentiment": ("evaluation.sentiment", "how positive the texts of each policy are"),
    "evaluate candidate": ("evaluation.candidate", "whether a model trained on votes is better than the one in use"),
    "evaluate blimp": ("evaluation.blimp", "which of two sentences is English: grammar in 67,000 pairs"),
    "report": ("evaluation.report.command", "a report card of all stages of a recipe, as one HTML file"),
    "dpo": ("alignment.dpo", "DPO on the comparisons that the reward model learned from"),
    "models": ("registry", "list all models, or show one: parents, figures, whether its file is intact"),
    "export": ("export", "copy finished models in half the size"),
    "corpora list": ("data.catalogue", "public corpora by name, and which of them are on disk"),
    "corpora fetch": ("data.catalogue", "download one of them"),
    "corpora collect": ("data.collect.command", "web pages become a corpus"),
    "corpora speakers": ("data.speakers", "who has how many lines in a script"),
    "corpora doccano": ("data.formats.doccano", "write a corpus for labelling with doccano"),
    "corpora agreement": ("data.agreement", "how far doccano's annotators agree (Cohen's kappa)"),
    "corpora tinytown": ("tinytown.command", "write Tinytown's corpora, or look at a sample"),
}


def overview() -> str:
    described = SCRIPTS | {name: what for name, (_, what) in COMMANDS.items()}
    lines = [f"  {name:20}{what}" for name, what in described.items()]
    return "usage: minigpt COMMAND ...\n\n" + "\n".join(lines) + "\n\nminigpt COMMAND --help explains a command."


def script(name: str) -> ModuleType:
    """A numbered script as a module: from the clone, or from the package where a wheel has put it."""
    path = cli.scripts_folder() / f"run_{name}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader, f"{path} is Python"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> int | None:
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in SCRIPTS:
        sys.argv = [f"minigpt {words[0]}", *words[1:]]
        return script(words[0]).main()
    for name, (module, _) in COMMANDS.items():
        parts = name.split()
        if words[: len(parts)] == parts:
            # Commands of one module tell each other apart by their own subcommand.
            kept = parts[-1:] if module == "data.catalogue" else []
            sys.argv = [f"minigpt {' '.join(parts[: len(parts) - len(kept)])}", *kept, *words[len(parts) :]]
            return importlib.import_module(f".{module}", __package__).main()
    known = sorted({name.split()[0] for name in COMMANDS} | set(COMMANDS) | set(SCRIPTS))
    group = [name for name in COMMANDS if name.split()[0] == words[0]]
    if group:
        raise UserError(f"{words[0]} wants one of: {', '.join(name.split()[1] for name in group)}.")
    raise UserError(f"there is no command {words[0]!r}{nearest(words[0], known)}; minigpt --help lists them all.")


def command() -> None:
    """What the installed `minigpt` runs."""
    with leave_processes():
        cli.run(main)


if __name__ == "__main__":
    command()
