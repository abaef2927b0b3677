"""The sections of the page, in their order: stages, curves, reward model, PPO, answers, mood, truth, knobs."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ...alignment.reward_metrics import wilson_interval
from ...recipe import STAGES
from ...training.plots import PANELS
from .changes import look_up, within_chance
from .charts import Series, bar, dot_plot, histogram_chart, line_chart
from .markup import Markup, join, tag
from .measures import STAGE_NAMES, measure
from .page import NOTHING, Page, Section, changes_section, table
from .stages import SCRIPTS, parent_of

#: What a stage is about, in the headline table.
HEADLINES = {
    "pretrain": ("perplexity", "bits_per_byte", "word_perplexity"),
    "sft": ("loss",),
    "reward": ("accuracy",),
    "ppo": ("reward", "kl"),
    "dpo": ("accuracy",),
}
BESIDE = ("length", "distinct_2", "kl", "reward", "wins", "interval", "ties")  # all others are marks
WHO = {"asked": "residents whom fine-tuning asks about", "held_out": "held-out residents"}


def stages_section(page: Page) -> Markup:
    """The headline: a row for each stage, and whether they belong together."""
    columns = ("Stage", "Its own measure", "Parameters", "Steps", "Minutes", "Speed", "Machine", "Weights", "From")
    rows = [
        [
            join(STAGE_NAMES[name], tag("span", facts["status"], class_="change")),
            own_measure(page, name),
            page.number("stages", name, "parameters"),
            page.number("stages", name, "steps"),
            page.number("stages", name, "minutes"),
            speed(page, name),
            tag("div", facts["machine"] or NOTHING, page.change("stages", name, "machine"), class_="wrap"),
            join(tag("code", (facts["sha256"] or "–")[:8], title=facts["sha256"]),
                 page.change("stages", name, "sha256")),
            parent_of(name, page.stages),
        ]
        for name, facts in page.stages.items()
    ]  # fmt: skip
    missing = [f"{name} (python {SCRIPTS[name]})" for name in page.report["missing"]]
    return join(
        table(columns, rows, "Stages, held-out measures", {2, 3, 4, 5}),
        *(tag("p", tag("strong", "Broken chain: "), sentence, class_="broken") for sentence in page.report["broken"]),
        tag("p", f"Not here: {', '.join(missing)}.", class_="muted small after") if missing else None,
    )


def own_measure(page: Page, name: str) -> Markup:
    figures = page.stages[name]["figures"]
    found = [n for n in HEADLINES[name] if figures.get(n) is not None]
    if not found:
        return NOTHING
    lines = [
        tag("span", f"{measure(n).label} ", page.number("stages", name, "figures", n), class_="measured")
        for n in found
    ]  # fmt: skip
    if "accuracy" in found and (interval := figures.get("interval")):
        told = f"{interval[0]:.1%} to {interval[1]:.1%}, {figures['examples']:,} judgements"
        lines.append(tag("span", told, class_="change"))
    if name == "ppo" and "update" in figures:
        lines.append(tag("span", "kept: update ", page.number("stages", name, "figures", "update"), class_="change"))
    return tag("div", *lines, class_="wrap")


def speed(page: Page, name: str) -> Markup:
    for unit in ("tokens_per_second", "answers_per_second"):
        if unit in page.stages[name]:
            return join(page.number("stages", name, unit), tag("span", measure(unit).label, class_="change"))
    return NOTHING


def curves_section(page: Page) -> Markup | None:
    """The losses of the stages that have one."""
    charts = []
    for name, facts in page.stages.items():
        curves = facts["curves"]
        if name == "ppo" or not (curves["train"] or curves["valid"]):
            continue
        series = [
            Series("training, smoothed", curves["train"], 0),
            Series("held out", curves["valid"], 1, dots=True),
            Series("held out, before", look_up(page.earlier, ("stages", name, "curves", "valid")) or [], 3),
        ]
        charts.append(line_chart(STAGE_NAMES[name], series, "tokens read", "loss (nats)"))
    note = "On the way only the first held-out rows are measured; the table above tells of all of them."
    return join(tag("p", note, class_="muted"), tag("div", *charts, class_="grid")) if charts else None


def reward_section(page: Page) -> Markup | None:
    """Can its probabilities be trusted, does it tell good from bad, does it only like long answers?"""
    if "reward" not in page.stages:
        return None
    figures = page.stages["reward"]["figures"]
    charts = []
    if calibration := figures.get("calibration"):
        before = look_up(page.earlier, ("stages", "reward", "figures", "calibration")) or []
        series = [Series("held out" if before else "", calibration, 0, dots=True), Series("before", before, 3)]
        charts.append(line_chart("Calibration", series, "probability the model gives", "share that came true",
                                 square=True))  # fmt: skip
    if histogram := figures.get("histogram"):
        counts = {f"{name} answers": histogram[name] for name in ("better", "worse")}
        charts.append(histogram_chart("Scores", histogram["edges"], counts, "raw score"))
    names = ("accuracy", "loss", "calibration_error", "longer_preferred", "longer_scored_higher", "length_correlation")
    rows = [
        part
        for name in names
        if figures.get(name) is not None
        for part in (tag("dt", measure(name).label), tag("dd", page.number("stages", "reward", "figures", name)))
    ]
    bias = length_bias(figures)
    facts = tag("div", tag("h3", "In numbers"), tag("dl", *rows), tag("p", bias) if bias else None, class_="facts")
    return tag("div", *charts, facts if rows else None, class_="grid")


def length_bias(figures: dict[str, Any]) -> str:
    """Whether length moves the model more than it moves people."""
    people, model = figures.get("longer_preferred"), figures.get("longer_scored_higher")
    if people is None or model is None:
        return ""
    if within_chance(people, model, figures["examples"]):
        return "It prefers the longer answer as often as its raters do, within chance: no length bias of its own."
    more = "more" if model > people else "less"
    return f"It prefers the longer answer {more} often than its raters do, by {100 * abs(model - people):.1f} points."


def ppo_section(page: Page) -> Markup | None:
    """The dashboard: lines for the answers of each update, dots for the held-out prompts."""
    if "ppo" not in page.stages:
        return None
    curves = page.stages["ppo"]["curves"]
    charts = []
    for title, names in PANELS:
        found = [name for name in names if name in curves]
        series = []
        for look, name in enumerate(found):
            named = name.removeprefix("true_").replace("_", "-") if len(found) > 1 else ""
            series.append(Series(named, curves[name]["train"], look))
            series.append(Series("", curves[name]["valid"], look, dots=True))
        charts.append(line_chart(title[0].upper() + title[1:], series, "update"))
    note = "Lines: the answers of each update, drawn at random. Dots: always the same held-out prompts."
    figures = page.stages["ppo"]["figures"]
    names = ("reward", "kl", "objective", "entropy", "length", "ended", "distinct_2",
             *(name for name in figures if name.startswith("true_")))  # fmt: skip
    columns = [measure(name).label for name in names]
    row = [page.number("stages", "ppo", "figures", name) for name in names]
    title = f"The policy that was kept, after update {figures.get('update', '–')}, on held-out prompts"
    whole = table(["", *columns], [["PPO", *row]], title, set(range(1, len(names) + 1))) if figures else None
    return join(whole, tag("p", note, class_="muted after"), tag("div", *charts, class_="grid"))


def answers_section(page: Page) -> Markup | None:
    """The same prompts, one answer of each stage below the other."""
    answers = page.report["answers"]
    if not answers:
        return None
    cards = []
    for prompt, asked in answers.items():
        rows = []
        for stage, answer in asked["stages"].items():
            about = []
            if "reward" in answer:
                about.append(tag("span", "reward ", page.number("answers", prompt, "stages", stage, "reward")))
            if "mark" in answer:
                fully, mark = answer["marked"] == 1, answer["mark"]
                text = mark if fully else f"not {mark}" if not answer["marked"] else f"{answer['marked']:.0%} {mark}"
                about.append(tag("span", text, class_="better" if fully else "worse"))
            if not answer["ended"]:
                about.append(tag("span", "cut off"))
            continued = " continued" if stage == "pretrain" else ""
            said = tag("p", answer["text"] or tag("span", "(nothing)", class_="nothing"), class_=f"said{continued}",
                       dir="auto")  # fmt: skip
            rows += [
                tag("dt", STAGE_NAMES[stage]),
                tag("dd", said, tag("div", *about, class_="about") if about else None),
            ]
        before = [tag("p", line, class_="before small muted") for line in asked["before"]]
        head = (*before, tag("h3", prompt, dir="auto"), tag("span", asked["note"], class_="small muted"))
        cards.append(tag("article", *head, tag("dl", *rows), class_="answer"))
    note = "The likeliest answer of each stage to held-out prompts (greedy)."
    if "pretrain" in page.stages:
        note += " The pre-trained model has not learned to answer: it goes on with the text."
    return join(tag("p", note, class_="muted"), tag("div", *cards, class_="grid pair"))


def truth_section(page: Page) -> Markup | None:
    """The exam and the contest: what the grader, who knows the truth, says."""
    exam, contest = page.report.get("exam"), page.report.get("contest")
    if not exam and not contest:
        return None
    count = page.report["questions"]
    parts = exam_tables(page, exam, count) if exam else []
    if contest:
        parts.append(tag("h3", "Contest at temperature 1, marked by the grader"))
        parts += [tag("p", sentence, class_="finding") for sentence in page.report["findings"]]
        parts.append(tag("div", *(contest_chart(c, contest[c], count) for c in contest), class_="grid pair"))
        parts += [contest_table(page, column) for column in contest]
    return join(*parts)


def mood_section(page: Page) -> Markup | None:
    """For a reward model of labels: how likely the answers of each policy bear the label."""
    mood = page.report.get("mood")
    if not mood:
        return None
    names = ("wanted", "distinct_2", "longer", "kl")
    rows = []
    for name, row in mood["entrants"].items():
        wanted, *others = (page.number("mood", "entrants", name, number) for number in names)
        low, high = row["interval"]
        wanted = join(wanted, tag("span", f"{low:.1%} to {high:.1%}", class_="change"))
        rows.append([entrant(name), wanted, *others, tag("div", row["example"], class_="wide", dir="auto")])
    title = f"How likely an answer is {mood['label']}, by the reward model"
    more = f"mean over {mood['prompts']:,} held-out prompts at temperature 1, with its interval (95%)"
    columns = ["Stage", *(measure(name).label for name in names), f"“{mood['asked']}”"]
    chart = dot_plot(title, {entrant(n): {mood["label"]: (r["wanted"], tuple(r["interval"]))}
                             for n, r in mood["entrants"].items()})  # fmt: skip
    return join(chart, table(columns, rows, captioned(title, more), {1, 2, 3, 4}))


def exam_tables(page: Page, exam: dict[str, Any], count: int) -> list[Markup]:
    """What the stages know of Tinytown, and who is asked about."""
    rows = []
    for name, row in exam.items():
        shots = tag("span", f"after {row['shots']} worked examples", class_="change") if "shots" in row else None
        rows.append([join(STAGE_NAMES[name], shots), *(share(page, "exam", name, c) for c in
                                                 ("asked", "held_out", "new_wording"))])  # fmt: skip
    return [
        tag("p", "Asked residents are those whom the dialogues of fine-tuning ask about. Of held-out residents only the"
            " articles of pre-training tell, so answering about them takes knowledge from there.", class_="muted"),
        table(("Stage", "Asked", "Held-out", "Held-out, new wording"), rows,
              captioned("Exam", f"share of right answers, greedy, {count:,} questions a column"), {1, 2, 3}),
    ]  # fmt: skip


def marks_of(result: dict[str, Any]) -> list[str]:
    return [name for name in result if name not in BESIDE]


def about(column: str) -> str:
    return WHO.get(column, f"{column.replace('_', '-')} prompts")


def share(page: Page, *path: str) -> Markup:
    value = look_up(page.report, path)
    return NOTHING if value is None else join(page.number(*path), bar(value))


def captioned(title: str, more: str) -> Markup:
    return join(title, tag("span", f", {more}", class_="muted"))


def entrant(name: str) -> str:
    return STAGE_NAMES.get(name, name)


def contest_chart(column: str, entrants: dict[str, Any], count: int) -> Markup:
    rows = {
        entrant(name): {q: (r[q], wilson_interval(r[q] * count, count)) for q in (marks_of(r)[0], marks_of(r)[-1])}
        for name, r in entrants.items()
    }
    return dot_plot(about(column)[0].upper() + about(column)[1:], rows)


def contest_table(page: Page, column: str) -> Markup:
    entrants = page.report["contest"][column]
    shown = [*marks_of(next(iter(entrants.values()))), *BESIDE[:4]]
    rows = []
    for name, result in entrants.items():
        wins: object = NOTHING
        if result["wins"] is not None:
            low, high = result["interval"]
            told = tag("span", f"{low:.1%} to {high:.1%}", class_="change")
            wins = join(page.number("contest", column, name, "wins"), told)
        numbers = [page.number("contest", column, name, number) for number in shown]
        rows.append([entrant(name), *numbers, wins, page.number("contest", column, name, "ties")])
    columns = ["Stage", *(measure(number).label for number in shown), "wins over SFT (95%)", "ties"]
    more = f"{page.report['questions']:,} questions; wins are of the pairs that differ"
    return table(columns, rows, captioned(f"About {about(column)}", more), set(range(1, len(columns))))


def knobs_section(page: Page) -> Markup | None:
    """The settings that differ from the defaults, with what each of them is."""
    rows = []
    for name, facts in page.stages.items():
        known = {field.name: field for field in fields(STAGES[name])}
        for i, (knob, value) in enumerate(facts["settings"].items()):
            default = known[knob].default
            value = join(str(value), page.change("stages", name, "settings", knob))
            meaning = tag("div", known[knob].metadata["help"], class_="wide")
            stage = tag("span", STAGE_NAMES[name], class_="nothing" if i else None)
            rows.append([stage, tag("code", knob), value, "none" if default == "" else str(default), meaning])
    if not rows:
        return None
    return table(("Stage", "Setting", "Value", "Default", "What it is"), rows, "Not the defaults", {2, 3})


SECTIONS: dict[str, tuple[str, Section]] = {
    "stages": ("Stages", stages_section),
    "changes": ("What changed", changes_section),
    "curves": ("Losses", curves_section),
    "reward": ("Reward model", reward_section),
    "ppo": ("PPO", ppo_section),
    "answers": ("The same prompts, every stage", answers_section),
    "mood": ("Mood", mood_section),
    "truth": ("The truth", truth_section),
    "knobs": ("Knobs", knobs_section),
}
