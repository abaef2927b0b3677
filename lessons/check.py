"""Check your answers to a lesson's exercises.

python -m lessons.check 01             the first time, this puts the exercises into lessons/answers/01.py; write there
python -m lessons.check 01 --hint      a first hint for what isn't right yet; --hint 2 and --hint 3 say more
python -m lessons.check 01 --quiz      the lesson's five questions (--zh: in Chinese, also the hints)
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import shutil
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from .expect import Wrong
from .fences import HERE, LessonError, find

ANSWERS = HERE / "answers"


def load(path: Path) -> ModuleType:
    """A file as a module; its name need not be one that Python can import."""
    spec = importlib.util.spec_from_file_location(f"lesson_{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exercises(number: str) -> dict[str, Any]:
    """The exercises of a lesson by name: the functions `check_NAME(answer, rng)` of checks/NN.py."""
    module = load(HERE / "checks" / f"{number}.py")
    return {name[6:]: check for name, check in vars(module).items() if name.startswith("check_")}


def hints(number: str) -> dict[str, list[dict[str, str]]]:
    """Three hints for each exercise, in English ("en") and Chinese ("zh")."""
    return dict(json.loads((HERE / "hints" / f"{number}.json").read_text(encoding="utf-8")))


def verdict(check: Any, given: Any, seed: int) -> str:
    """What is wrong with an answer; empty if nothing is."""
    if given is None:
        return "there is no function of this name in the file"
    try:
        check(given, random.Random(seed))
    except NotImplementedError:
        return "not written yet"
    except Wrong as wrong:
        return str(wrong)
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} (line {at.lineno} of {Path(at.filename).name})"
    return ""


def check_file(number: str, path: Path, seed: int) -> dict[str, str]:
    """The verdict on each exercise. Raises LessonError for a file that Python cannot read."""
    try:
        module = load(path)
    except Exception as error:
        line = getattr(error, "lineno", None) or traceback.extract_tb(error.__traceback__)[-1].lineno
        raise LessonError(f"{path}, line {line}: {type(error).__name__}: {error}") from error
    return {name: verdict(check, getattr(module, name, None), seed) for name, check in exercises(number).items()}


def quiz(number: str, language: str) -> int:
    """Ask the five questions, the choices in a random order; a wrong choice is told why it is wrong."""
    right = 0
    questions = json.loads((HERE / "quiz" / f"{number}.json").read_text(encoding="utf-8"))
    for count, question in enumerate(questions, start=1):
        choices = random.sample(question["choices"], len(question["choices"]))
        print(f"\n{count}. {question['question'][language]}")
        for letter, choice in zip("abcdef", choices, strict=False):
            print(f"   {letter}) {choice[language]}")
        said = input("   > ").strip().lower()[:1]
        chosen = dict(zip("abcdef", choices, strict=False)).get(said)
        if chosen and chosen.get("right"):
            right += 1
            print("   " + {"en": "Right.", "zh": "对。"}[language])
        else:
            answer = next(choice for choice in choices if choice.get("right"))
            if chosen:
                print(f"   {chosen['why'][language]}")
            print(f"   -> {answer[language]}")
    print(f"\n{right}/{len(questions)}")
    return 0 if right == len(questions) else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="lessons.check", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("lesson", help="its number: 00, 01 ...")
    parser.add_argument("--hint", type=int, nargs="?", const=1, default=0, choices=(1, 2, 3), help="how much to tell")
    parser.add_argument("--quiz", action="store_true", help="ask the lesson's questions instead")
    parser.add_argument("--zh", action="store_true", help="hints and quiz in Chinese")
    arguments = parser.parse_args()
    language = "zh" if arguments.zh else "en"
    try:
        return answer(find(arguments.lesson).name[:2], arguments.quiz, arguments.hint, language)
    except LessonError as error:
        print(error, file=sys.stderr)
        return 2
    except (KeyboardInterrupt, EOFError):
        return 130


def answer(number: str, ask: bool, hint: int, language: str) -> int:
    """What the reader asked for: the quiz, or the verdict on the answers, with hints."""
    if ask:
        return quiz(number, language)
    answers = ANSWERS / f"{number}.py"
    if not answers.is_file():
        ANSWERS.mkdir(exist_ok=True)
        shutil.copyfile(HERE / "exercises" / f"{number}.py", answers)
        print(f"The exercises are in {answers}: write your answers there, then run this again.")
        return 1
    seed = random.SystemRandom().randrange(10**6)
    verdicts = check_file(number, answers, seed)
    for name, problem in verdicts.items():
        print(f"{'-' if problem else '+'} {name}: {problem or 'right'}")
        for told in hints(number)[name][:hint] if problem else []:
            print(f"    {told[language]}")
    if any(verdicts.values()) and not hint:
        print("\nStuck? Add --hint.")
    return 1 if any(verdicts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
