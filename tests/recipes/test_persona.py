"""The persona recipe's twin: the script of Tinytown, its grader and its grader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minigpt.data.examples import Turn
from minigpt.data.formats.script import ScriptCorpus
from minigpt.errors import UserError
from minigpt.recipe import load_recipe
from minigpt.tinytown.script import CATCHPHRASES, OWN_FACTS, TAKES, cast, main_character, script_file, write_scenes
from minigpt.tinytown.script_grader import SceneGrader, ScriptGrader, asking_lines, nameless
from minigpt.tinytown.world import World

WORLD = World(0, 120)
STAR = main_character(WORLD)
GRADER = SceneGrader(WORLD)
BASKETS = "Ada Finch: I have soup in my basket.\nNed Tate: And I have rice in mine.\nAda Finch: {}"
MINE, HIS = (BASKETS.format(q.format(STAR.first)) for q in ("{}, what do I have?", "{}, what does Ned have?"))
TOLD = "I have soup in my basket."
RECALLED = f"{TOLD}\n{STAR.name}: Bless my boots! I like rice.\n{STAR.first}, what do I have?"
LOST = "Velvet did not come home.\nPoor Ada.\nI am so sad."
WANTED = ("right", "in_character", "fluent")


@pytest.fixture(scope="module")
def scenes():
    """Scenes as question and answer, of every kind."""
    drawn = [scene for episode in write_scenes(WORLD)[:20] for scene in episode]
    answers = [next(line.words for line in scene.lines if line.speaker is STAR) for scene in drawn]
    return [(scene.kind, asking_lines(scene, STAR), answer) for scene, answer in zip(drawn, answers, strict=True)]


def marks(lines: str, answer: str) -> list[str]:
    grade = GRADER.grade(lines, answer)
    return [name for name in WANTED if getattr(grade, name)]


def test_takes_go_well_or_wrong_in_the_shares_that_are_told(scenes) -> None:
    assert {kind for kind, *_ in scenes} == set(CATCHPHRASES)
    assert all(GRADER.asked(lines).kind == kind for kind, lines, _ in scenes)
    shares = dict.fromkeys(TAKES, 0)
    for _, lines, answer in scenes:
        grade = GRADER.grade(lines, answer)
        assert grade.fluent and (grade.right or grade.in_character)
        plain = not answer.startswith(tuple(CATCHPHRASES.values()))
        shares["wrong" if not grade.right else "good" if grade.good else "plain" if plain else "muddled"] += 1
    for take, share in TAKES.items():
        assert abs(shares[take] / len(scenes) - share) < 0.08


def test_another_scenes_answer_is_not_right(scenes) -> None:
    for _, lines, _ in scenes:
        right = GRADER.asked(lines).sentence
        for *_, theirs in scenes[:40]:
            assert ("right" in marks(lines, theirs)) == (right.lower() in theirs.lower())


@pytest.mark.parametrize(
    ("lines", "answer", "expected"),
    [
        (MINE, "Bless my boots! You have soup in your basket.", WANTED),
        (MINE, "Bless my boots! You have rice in your basket.", WANTED[1:]),
        (MINE, "Bless my boots! You have soup and rice in your basket.", WANTED[1:2]),
        (MINE, "Bless my boots! Ned has soup in the basket.", WANTED[1:]),
        (MINE, "Chin up, my dear! You have soup in your basket.", ("right", "fluent")),
        (MINE, "bless my boots! you have soup in your basket.", ("right",)),
        (HIS, "Bless my boots! Ned has rice in the basket.", WANTED),
        (HIS, "Bless my boots! Ada has rice in the basket.", WANTED[1:]),
        (HIS, "Bless my boots! You have rice in your basket.", WANTED[1:]),
        (HIS.replace("Ada Finch: I", "Ned Tate: I").replace("Ned Tate: And", "Ada Finch: And"),
         "Bless my boots! Ned has soup in the basket.", WANTED),
        (nameless(HIS), "Bless my boots! Ned has rice in the basket.", ("fluent",)),
        ("Ada Finch: What is your hobby?", f"If you ask me, my hobby is {STAR.facts['hobby']}.", WANTED),
        ("What is your hobby?", "If you ask me, my hobby is my hobby is chess.", ("in_character",)),
        (TOLD, "Bless my boots! I like soup.", WANTED),
        (TOLD, "Bless my boots! I like rice.", WANTED[1:]),
        (RECALLED, "Bless my boots! You have soup in your basket.", WANTED),
        (RECALLED, "Bless my boots! You have rice in your basket.", WANTED[1:]),
        (RECALLED.replace(STAR.name, "Ned Tate"), "Bless my boots! You have soup in your basket.", ("fluent",)),
        (RECALLED.split("\n")[-1], "Bless my boots! You have soup in your basket.", ("fluent",)),
        (LOST, "Chin up, my dear! Velvet will be home by supper.", WANTED),
        (LOST, "Chin up, my dear! Patch will be home by supper.", WANTED[1:]),
        ("What is the meaning of life?", "If you ask me, my hobby is chess.", ("fluent",)),
        ("", "", ()),
        ("\n\n", "\ud800 {}", ()),
    ],
)  # fmt: skip
def test_marks_by_hand(lines: str, answer: str, expected: tuple[str, ...]) -> None:
    assert marks(lines, answer) == list(expected)


def test_own_facts_are_those_of_the_town() -> None:
    for topic, fact in OWN_FACTS.items():
        asked = GRADER.asked(f"Ada Finch: {STAR.first}, {fact.question}")
        assert asked.value == STAR.facts[topic] and GRADER.asked(fact.question.capitalize()) == asked


def test_a_changed_scene_wants_another_answer(scenes) -> None:
    for kind, lines, _ in scenes:
        changed = GRADER.changed(lines)
        assert (changed is None) == (kind == "own")
        if changed is not None:
            assert changed != lines and GRADER.asked(changed).sentence != GRADER.asked(lines).sentence
            if kind != "lost pet" and lines.count("\n") == 2:
                assert GRADER.changed(changed) == lines, "exchanging twice changes nothing"


@pytest.mark.parametrize("column", ScriptGrader.columns)
def test_prompts_are_of_their_kind_and_not_seen_in_training(column: str) -> None:
    grader = ScriptGrader(WORLD)
    first = grader.prompts(column, 30, set())
    # Seen without names is seen.
    seen = {nameless(prompt.turns[0].text).lower() for prompt in first[:10]} | {first[11].turns[0].text.lower()}
    fresh = grader.prompts(column, 30, seen)
    assert not seen & {prompt.turns[0].text.lower() for prompt in fresh}
    assert len({nameless(prompt.turns[0].text) for prompt in fresh}) == 30
    assert grader.prompts(column, 30, set()) == first != grader.prompts(column, 30, set(), seed=1)
    regulars, strangers = ({resident.name for resident in group} for group in cast(WORLD))
    speakers = set(re.findall(r"^(\w+ \w+):", "\n".join(p.turns[0].text for p in first), re.MULTILINE))
    assert speakers <= (strangers if column == "strangers" else regulars)
    for prompt in first:
        assert (GRADER.asked(prompt.turns[0].text).kind == "own") == (column == "own")
        assert set(grader.grade(prompt.turns, "Nonsense.")) == {*grader.marks, "score"}


def test_more_scenes_than_there_are_end_in_a_sentence(monkeypatch) -> None:
    monkeypatch.setattr("minigpt.tinytown.script_grader.DRAWS", 1)
    with pytest.raises(UserError, match="scenes of this kind"):
        ScriptGrader(WORLD).prompts("own", 50, set())


@pytest.mark.slow
def test_the_loader_finds_every_answer_of_the_script(tmp_path: Path) -> None:
    path = tmp_path / "script_lines.csv"
    path.write_text(script_file(WORLD), encoding="utf-8")
    corpus = ScriptCorpus.read(tmp_path)
    everything = [*corpus.train, *corpus.valid]
    scenes = corpus.dropped.pop("scene headings")
    answers = sum(line.speaker is STAR for e in write_scenes(WORLD) for scene in e for line in scene.lines)
    assert scenes == 480 * 12 < answers
    assert set(corpus.dropped) <= {"repeated lines"} and len(everything) + corpus.dropped.total() == answers
    asked = [GRADER.lines(conversation.turns[:-1]) for conversation in everything]
    assert all(GRADER.asked(lines) for lines in asked)
    single = [lines for lines in asked if "\n" not in lines]
    assert 0.4 < sum(lines == nameless(lines) for lines in single) / len(single) < 0.6
    again = [conversation for conversation in everything if len(conversation.turns) == 4]
    assert 0.2 < len(again) / len(everything) < 0.5
    grader, marks = ScriptGrader(WORLD), []
    for conversation in again:
        *before, answer = conversation.turns
        marks.append(grader.grade(before, answer.text))
    assert 0.5 < sum(mark["good"] for mark in marks) / len(marks) < 0.6, "second answers come in the same takes"


def test_the_recipe_is_whole() -> None:
    recipe = load_recipe("persona")
    assert set(recipe.stages) >= {"pretrain", "sft", "reward", "ppo"}
    grader = recipe.grader()
    assert isinstance(grader, ScriptGrader) and grader.marks[-1] == "good"
    assert grader.grade((Turn("user", "What is your hobby?"),), "If you ask me, my hobby is hiking.")["good"] == 1
