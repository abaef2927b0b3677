"""The report card of a recipe: what each stage measured, wrote and knows, on one page that needs nothing else.

    minigpt report                                 Tinytown, into trained_models/tinytown/report.html
    minigpt report --recipe movie --out movie.html
    minigpt report --against earlier/report.json   and what became of each number since

The numbers are written beside the page, as report.json; for the same models they are the same. Stages that were not
trained are left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ... import cli
from ...alignment.reward_model import load_reward_model
from ...errors import UserError
from ...files import read_json, to_json, write_together
from ...model.checkpoint import load_model
from ...recipe import STAGES, Recipe, load_recipe
from ...registry import MODELS
from ...training.device import detect
from ..blimp import RESULT
from ..sentiment import PROMPTS
from . import trials
from .changes import changes, changes_table
from .findings import findings
from .page import render
from .stages import broken_links, describe_stage, is_trained, plain

VERSION = 1  # of the shape of report.json
#: What parts of a report were once called.
OLD_NAMES = {"exam": "knowledge", "contest": "win_rate", "mood": "sentiment"}


def make_report(recipe: Recipe, home: Path, questions: int, best_of: int, device: torch.device) -> dict[str, Any]:
    """All numbers of the report card, from the run folders in `home` and from what their models answer now."""
    trained = [stage for stage in STAGES if is_trained(home / stage)]
    if not trained:
        script = f"run_{next(iter(recipe.stages))}.py --recipe {recipe.name}"
        raise UserError(f"{home} holds no trained stage yet; run python {script} first.")
    grader = recipe.grader()
    if grader is not None:
        trials.check_questions(recipe, grader, questions)
    models = {stage: load_model(home / stage, device) for stage in trained if stage != "reward"}
    reward = load_reward_model(home / "reward", device) if "reward" in trained else None
    loaded: dict[str, Any] = {**models, "reward": reward}
    stages = {stage: describe_stage(stage, home / stage, loaded[stage]) for stage in trained}
    report: dict[str, Any] = {
        "report": VERSION,
        "recipe": recipe.name,
        "title": recipe.title,
        "stages": stages,
        "missing": [stage for stage in recipe.stages if stage not in trained],
        "broken": broken_links(stages),
    }
    print(f"answers:   {', '.join(models)}, the same prompts", flush=True)
    prompts = trials.choose_prompts(recipe, models, home)
    report["answers"] = trials.answer_all(recipe, prompts, models, reward)
    if recipe.about_town:
        print(f"knowledge: {', '.join(models)}, three columns of {questions} questions", flush=True)
        report["knowledge"] = trials.knowledge(models, questions)
    if grammar := {stage: read_json(home / stage / RESULT) for stage in trained if (home / stage / RESULT).is_file()}:
        report["grammar"] = grammar
    if reward is not None and reward.labels and "sft" in trained:
        print(f"sentiment: {PROMPTS} held-out prompts, at temperature 1", flush=True)
        report["sentiment"] = trials.sentiment(recipe, home, device)
    if grader is not None:
        report["questions"] = questions
        if "sft" in trained:
            print(f"win rate:  {questions} prompts a column, at temperature 1", flush=True)
            report["win_rate"] = trials.win_rate(recipe, home, trained, questions, best_of, device)
            report["findings"] = findings(report["win_rate"], report.get("knowledge", {}), questions)
    return plain(report)


def read_report(path: Path) -> dict[str, Any]:
    """An earlier report.json. Raises UserError for any other file."""
    report = read_json(path)
    if not isinstance(report, dict) or report.get("report") != VERSION:
        raise UserError(f"{path} is not a report of this version; name a report.json that this command wrote.")
    return {OLD_NAMES.get(str(key), str(key)): value for key, value in report.items()}


def main() -> None:
    parser = cli.Parser(description=__doc__)
    parser.add_argument("--recipe", default="tinytown", help="name of a recipe, or a .toml file (default tinytown)")
    parser.add_argument("--out", type=Path, help="page to write (default trained_models/RECIPE/report.html)")
    parser.add_argument("--against", type=Path, metavar="JSON", help="an earlier report.json: also show what changed")
    parser.add_argument(
        "--questions", type=int, default=200, help="in each column of knowledge and win rate (default 200)"
    )
    parser.add_argument(
        "--best-of", type=int, default=4, help="SFT answers of which the reward model picks one (default 4; 0: none)"
    )
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    if arguments.questions < 1 or arguments.best_of < 0:
        raise UserError("--questions must be at least 1, and --best-of at least 0.")
    recipe = load_recipe(arguments.recipe)
    home = MODELS / recipe.name
    page = arguments.out or home / "report.html"
    if page.suffix not in (".html", ".htm"):
        raise UserError(f"--out {page} must end in .html; the numbers go beside it, into {page.stem}.json.")
    # Read now: it may be the very file that is about to be written.
    earlier = read_report(arguments.against) if arguments.against else {}
    device = detect(arguments.device, arguments.dtype).device
    report = make_report(recipe, home, arguments.questions, arguments.best_of, device)
    numbers = page.with_suffix(".json")
    write_together({numbers: to_json(report), page: render(report, earlier)})
    for sentence in [*report["broken"], *report.get("findings", [])]:
        print(f"\n{sentence}")
    if earlier:
        print(f"\n{changes_table(changes(earlier, report))}")
    print(f"\nreport:    {page} (numbers: {numbers})")
