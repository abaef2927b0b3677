"""Command lines: flags made from the settings' dataclasses, a helpful parser, and one place where errors end."""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, NoReturn

from .characters import sound
from .config import ARCHITECTURES, TrainingConfig, former_names, former_values
from .errors import UserError, nearest


def typed(text: str) -> str:
    """What somebody typed. Where the locale knows ASCII only, Python keeps other letters as bytes in disguise."""
    with contextlib.suppress(UnicodeEncodeError):
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return sound(text)[0]


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that suggests the nearest right flag, and knows what flags and values were once called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **options)
        if self.description and self.prog.startswith("minigpt "):
            self.description = re.sub(r"python run_(\w+)\.py", r"minigpt \1", self.description)
        self.former_flags: dict[str, str] = {}
        self.former_values: dict[tuple[str, str], str] = {}

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = [self._present_word(word) for word in (sys.argv[1:] if args is None else args)]
        for i, (flag, value) in enumerate(itertools.pairwise(words), start=1):
            words[i] = self.former_values.get((flag, value), value)
        return super().parse_known_args(words, namespace)

    def _present_word(self, word: str) -> str:
        flag, equals, value = word.partition("=")
        if flag not in self.former_flags:
            return word
        now = self.former_flags[flag]
        print(f"{flag} is now called {now}.", file=sys.stderr)
        return now + equals + value

    def error(self, message: str) -> NoReturn:
        if match := re.match(r"unrecognized arguments: (\S+)", message):
            flag = match[1].split("=")[0]
            known = [option for action in self._actions for option in action.option_strings]
            message = f"{flag} is unknown{nearest(flag, known) or '; see --help'}"
        self.exit(2, f"{self.prog}: {message}\n")


def add_settings_flags(parser: argparse.ArgumentParser, settings: type = TrainingConfig) -> None:
    """One flag for each field of a settings dataclass. A flag that is not given leaves the recipe's value."""
    group = parser.add_argument_group("settings (the recipe's value, or the default, if not given)")
    if isinstance(parser, Parser):
        parser.former_flags |= {_flag(former): _flag(name) for former, name in former_names(settings).items()}
        parser.former_values |= {(_flag(name), old): new for (name, old), new in former_values(settings).items()}
    for field in fields(settings):
        assert field.default is not MISSING
        if isinstance(field.default, bool):
            group.add_argument(_flag(field.name), action=argparse.BooleanOptionalAction, help=field.metadata["help"])
            continue
        group.add_argument(
            _flag(field.name),
            type=typed if isinstance(field.default, str) else type(field.default),
            choices=field.metadata.get("choices"),
            metavar=None if "choices" in field.metadata else type(field.default).__name__.upper(),
            help=f"{field.metadata['help']} (default {'none' if field.default == '' else field.default})",
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model (the recipe's value if not given)")
    group.add_argument(
        "--depth", type=int, help="the one dial: layers, 64 of width for each, heads and all that follows"
    )
    group.add_argument("--context", type=int, help="tokens that the model sees at once")
    group.add_argument("--vocab-size", type=int, help="pieces of the tokenizer, which is trained on the recipe's text")
    group.add_argument(
        "--architecture", choices=ARCHITECTURES, help="qwen3, the modern shape, or gpt2, the classic one"
    )
    group.add_argument("--hidden-size", type=int, help="width, instead of 64 for each layer")
    group.add_argument(
        "--num-attention-heads", type=int, help="heads, instead of one for each 32 of width (64 in wide models)"
    )
    group.add_argument("--num-key-value-heads", type=int, help="key-value heads, instead of half the heads")
    group.add_argument(
        "--intermediate-size", type=int, help="width inside the MLP, instead of 8/3 (gpt2: 4) of the width"
    )


def add_machine_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    group.add_argument("--dtype", default="auto", help="auto, fp32 or bf16")


def add_corpora_flag(group: argparse._ActionsContainer) -> None:
    group.add_argument("--corpora-dir", help="folder with corpora already on disk (also: the variable MINIGPT_CORPORA)")


def add_reading_flag(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--skip-bad-rows", action="store_true", help="count faulty rows and go on, instead of stopping at the first"
    )


def add_score_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scoring answers, instead of training")
    group.add_argument(
        "--score", nargs="?", const="", metavar="FILE",
        help="print rewards: of --answer to --prompt, or of each row of a .jsonl file (the model is --out's)",
    )  # fmt: skip
    group.add_argument("--prompt", type=typed, help="what was asked")
    group.add_argument("--answer", type=typed, help="what was answered")


def scripts_folder() -> Path:
    """Where the numbered scripts lie: beside the package in a clone, inside it once a wheel was installed."""
    package = Path(__file__).resolve().parent
    return package / "scripts" if (package / "scripts").is_dir() else package.parent


def how_to_run(command: str, *words: str) -> str:
    """A script of ours, or the command `minigpt`, as it works from here: with the Python that runs now, and the script
    where the present one lies. Who called a script as `minigpt sft` is told of the others so too."""
    if sys.argv[0].startswith("minigpt ") and command.startswith("run_"):
        command, words = "minigpt", (command.removeprefix("run_").removesuffix(".py"), *words)
    known = shutil.which("python")
    if known and Path(known).samefile(sys.executable) and Path(known).parent == Path(sys.executable).parent:
        python = "python"
    else:
        python = os.path.relpath(sys.executable) if Path(sys.executable).is_relative_to(Path.cwd()) else sys.executable
    called = ["-m", command] if command == "minigpt" else [str(Path(sys.argv[0]).parent / command)]
    typed = [python, *called, *words]
    return subprocess.list2cmdline(typed) if os.name == "nt" else shlex.join(typed)


def given(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Those of the named flags that were on the command line."""
    return {name: value for name in names if (value := getattr(arguments, name, None)) is not None}


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run a script's `main` and leave: 0 when done, 2 after a user's mistake (one sentence), 130 after Ctrl-C."""
    for output in (sys.stdout, sys.stderr):
        # What a young model writes may not exist in the terminal's character set.
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="replace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")  # for `typed`
    try:
        status = main() or 0
    except UserError as error:
        script = Path(sys.argv[0])
        print(f"{script.parent.name if script.stem == '__main__' else script.name}: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt as stop:
        print(f"\nstopped. {stop}".rstrip(), file=sys.stderr)
        status = 130
    except BrokenPipeError:  # the reader of our output (head, less) has left
        sys.stderr.close()
        status = 0
    raise SystemExit(status)
