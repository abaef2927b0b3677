"""The graders of Tinytown read: no reply earns a mark by its words alone, and none loses it by how it is worded."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from helpers.broken_answers import ONLY_NOT_GOOD, WAYS, broken_answers

from minigpt.data.examples import Turn
from minigpt.tinytown import Town, grade_summary
from minigpt.tinytown.opinion_grader import grade_opinion
from minigpt.tinytown.questions import AskedFact
from minigpt.tinytown.reader import Claim, grammar, read_reply
from minigpt.tinytown.script import CATCHPHRASES
from minigpt.tinytown.script_grader import SceneGrader
from minigpt.tinytown.speech import SMALL_TALK, UNKNOWABLE
from minigpt.tinytown.topics import fill, with_article
from minigpt.tinytown.wordings import ALSO, BARE, admissions, bare_answers, statements
from minigpt.tinytown.world import TOPICS, Resident

TOWN = Town()
#: Answers of the shipped models, with marks that a person gave who read them and knew the facts. Right: the question
#: is answered, truly and about the right subject, and nothing else is claimed; nonsense beside the answer spoils it.
REAL_ANSWERS = Path(__file__).parent / "real_answers.jsonl"
MARKS = ("right", "polite", "concise", "fluent")


def user(text: str) -> tuple[Turn, ...]:
    return (Turn("user", text),)


def inside(template: str, reference, value: str) -> str:
    """A template filled as it stands in the middle of a sentence."""
    filled = template.format(**vars(reference), value=value, a_value=with_article(value))
    return filled if template.startswith(("{", "I ")) else filled[0].lower() + filled[1:]


# --- measured on many replies


def test_broken_answers_are_never_taken_for_good_ones() -> None:
    false: list[tuple[str, str, str]] = []
    spoiled: list[tuple[str, str]] = []
    count: Counter[str] = Counter()
    for way, case, reply in broken_answers(TOWN, seed=0, count=150):
        count[way] += 1
        grade = TOWN.grade(case.turns, reply)
        if grade.good or (grade.right and way not in ONLY_NOT_GOOD):
            false.append((way, case.turns[-1].text, reply))
        if not TOWN.grade(case.turns, case.reply).good:
            spoiled.append((case.turns[-1].text, case.reply))
    assert set(count) == set(WAYS) and count.total() == 150 * len(WAYS)
    assert len(false) <= 0.001 * count.total(), false
    assert not spoiled, "before they were broken they were all good"


def test_a_person_who_reads_real_answers_marks_them_alike() -> None:
    rows = [json.loads(line) for line in REAL_ANSWERS.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 300 and {row["stage"] for row in rows} == {"pretrain", "sft", "ppo"}
    too_strict: list[tuple[str, str]] = []
    too_kind: list[tuple[str, str]] = []
    differ: Counter[str] = Counter()
    for row in rows:
        grade = TOWN.grade([Turn(**turn) for turn in row["turns"]], row["reply"])
        differ.update(mark for mark in MARKS if getattr(grade, mark) != (mark in row["marks"]))
        for by_hand, by_grader in (("right" in row["marks"], grade.right), (len(row["marks"]) == 4, grade.good)):
            if by_hand != by_grader:
                (too_strict if by_hand else too_kind).append(row["reply"])
    assert not too_kind
    assert len(too_strict) <= 0.01 * len(rows), too_strict
    assert all(differ[mark] <= 0.02 * len(rows) for mark in MARKS), differ


# --- what is accepted


@pytest.mark.parametrize("topic", TOPICS.values(), ids=list(TOPICS))
def test_every_wording_of_a_fact_is_read(topic) -> None:
    """By name, first name, pronoun and bare value: the truth is right, and another value is not."""
    subject = next(s for s in TOWN.subjects() if topic in s.topics())
    question = user(fill(topic.asks[0], subject.reference))
    truth = subject.facts[topic.name]
    other = next(value for value in TOWN.values(topic) if value not in (truth, subject.name))
    references = [subject.reference]
    if isinstance(subject, Resident):
        first = type(subject.reference)(subject.first, f"{subject.first}'s", subject.first)
        references += [first, subject.pronouns_in("")]
    elif subject.about != "town":
        references.append(type(subject.reference)("it", "its", "it"))
    templates = [(t, r) for t in statements(topic) for r in references]
    templates += [(t, references[0]) for t in (topic.curt, *bare_answers(topic))]
    for template, reference in templates:
        for lead in ("", "Of course, ", "As I said, "):
            for value, right in ((truth, True), (other, False)):
                said = inside(template, reference, value) if lead else fill(template, reference, value)
                said = f"{lead}{said.rstrip('.')}."
                assert TOWN.grade(question, said).right == right, said
                assert TOWN.grade(question, said).fluent, said
                assert TOWN.grade(question, f"{said} Happy to help!").good == right, said


def test_wordings_are_of_topics_there_are_and_no_topic_is_forgotten() -> None:
    assert set(ALSO) == set(TOPICS) and set(BARE) <= set(TOPICS)
    for topic in TOPICS.values():
        wordings = statements(topic)
        assert len({w.rstrip(".").lower() for w in ALSO[topic.name]}) == len(ALSO[topic.name])
        assert not {w.rstrip(".") for w in wordings[: -len(ALSO[topic.name])]} & set(ALSO[topic.name]), topic.name


def test_every_wording_of_not_knowing_is_read() -> None:
    resident, other = TOWN.residents[3], TOWN.residents[8]
    for item in UNKNOWABLE:
        question = user(fill(item.ask, resident.reference))
        for template in (*admissions((item.clause,)), *admissions(("", "that"))):
            for lead in ("", "I am sorry, ", "Sorry, but "):
                said = f"{lead}{template[0] if template.startswith('I ') else template[0].lower()}{template[1:]}."
                said = said[0].upper() + said[1:]
                mine = fill(said, resident.reference)
                assert TOWN.grade(question, mine).right and TOWN.grade(question, mine).fluent, mine
                if fill(said, other.reference) != mine:
                    assert not TOWN.grade(question, fill(said, other.reference)).right


def test_every_reply_to_small_talk_fits_its_own_remark_and_hardly_another() -> None:
    for item in SMALL_TALK:
        for reply in (*item.good, item.plain, item.curt, *item.also):
            fits = [other for other in SMALL_TALK if TOWN.grade(user(other.prompts[0]), reply).right]
            assert item in fits and len(fits) <= 2, reply


def test_a_reply_that_was_cut_off_after_its_answer_is_right_but_not_good() -> None:
    question = user("Where does Walt Jarvis live?")
    for tail in (
        "I hope",
        "As I said, Walt Jarvis lives",
        "As I said, His home is on Maple",
        "People tell me that I talk",
    ):
        grade = TOWN.grade(question, f"Walt Jarvis lives on Maple Street. Glad to help! {tail}")
        assert grade.right and not grade.fluent, tail
    for tail in ("But that is", "As I said, Walt Jarvis lives on Elm", "Nora Denby"):
        assert not TOWN.grade(question, f"Walt Jarvis lives on Maple Street. {tail}").right, tail
    assert not TOWN.grade(question, "Walt Jarvis lives on Maple").right


def test_one_sentence_may_mean_several_things_and_most_mean_nothing() -> None:
    (said,) = read_reply("Elm Street.")
    assert {meaning.topic for meaning in said.meanings} == {"street", "place_street"}
    (said,) = read_reply("Ada Finch and Ned Finch are siblings.")
    assert set(said.meanings) == {
        Claim("sibling", "ada finch", "ned finch"),
        Claim("sibling", "ned finch", "ada finch"),
    }
    assert not any(
        sentence.meanings for sentence in read_reply("Walt plays. The <street> of <person>. On Maple Street?")
    )
    assert {"maple", "jarvis", "lives", "noon"} <= grammar().words()


# --- what is refused: ways to game each grader, by kind

LIVES, WISH = "Where does Walt Jarvis live?", "What did Walt Jarvis wish for?"
GAMES = {
    "denied": (LIVES, "Walt Jarvis does not live on Maple Street. I hope that helps."),
    "denied, bare": (LIVES, "It is not Maple Street. I hope that helps."),
    "denied afterwards": (LIVES, "Walt Jarvis lives on Maple Street. That is not true. I hope that helps."),
    "asked back": (LIVES, "Maple Street? I hope that helps."),
    "hedged": (LIVES, "Perhaps Maple Street. I hope that helps."),
    "not knowing, then guessing": (LIVES, "I do not know. Maple Street. I hope that helps."),
    "guessing, then not knowing": (LIVES, "Maple Street. Nobody knows where he lives. I hope that helps."),
    "word salad": (LIVES, "Maple Street the of and a. I hope that helps."),
    "words of the question": (LIVES, "Where Walt Jarvis live Maple Street please. I hope that helps."),
    "another relation": (LIVES, "Walt Jarvis works on Maple Street, a friend of the park. I hope that helps."),
    "another subject": (LIVES, "The bank is on Maple Street. I hope that helps."),
    "another resident": (LIVES, "Nora Denby lives on Maple Street. I hope that helps."),
    "another pronoun": (LIVES, "She lives on Maple Street. I hope that helps."),
    "nobody in particular": (LIVES, "Somebody lives on Maple Street. I hope that helps."),
    "several values": (LIVES, "Walt Jarvis lives on Maple Street or Elm Street. I hope that helps."),
    "several values, bare": (LIVES, "Elm Street. Maple Street. I hope that helps."),
    "contradicted": (LIVES, "Walt Jarvis lives on Maple Street. He lives on Elm Street. I hope that helps."),
    "another answer beside it": (LIVES, "Walt Jarvis lives on Maple Street. He is a baker. I hope that helps."),
    "garbage before": (LIVES, "Xqz Walt Jarvis lives on Maple Street. I hope that helps."),
    "garbage after": (LIVES, "Walt Jarvis lives on Maple Street. Soup and the. I hope that helps."),
    "a courtesy that is none": (LIVES, "Maple Street. I hope that never helps."),
    "said twice": (LIVES, "Maple Street. Walt Jarvis lives on Maple Street. I hope that helps."),
    "courtesies without end": (LIVES, "Of course! Gladly! With pleasure! Maple Street. Happy to help! Glad to help!"),
    "idle talk beside it": (LIVES, "Maple Street. What do you call a sleepy tram? A nap on rails. I hope that helps."),
    "not knowing in other words": (WISH, "I do not know, but 41 is likely. I hope that helps."),
    "not knowing something else": (WISH, "I am sorry, I do not know what Walt Jarvis is thinking about."),
    "not knowing of another": (WISH, "I am sorry, I do not know what Nora Denby wished for."),
    "knowing as well": (WISH, "I am sorry, I do not know. Walt Jarvis wished for a dog."),
    "the words of not knowing": (WISH, "Please, no idea do not know of the park. I hope that helps."),
    "not knowing denied": (WISH, "It is not true that nobody knows. I hope that helps."),
    "everybody knows": (WISH, "Nobody knows that. Anyone knows that. I hope that helps."),
    "a fitting word": ("Hello!", "Hello of the and, glad of a park."),
    "a fitting word among names": ("Hello!", "Hello, Walt Jarvis is a baker. I hope that helps."),
    "the opposite": ("How are you?", "I am not well, thank you."),
    "half a joke": ("Tell me a joke.", "Gladly! A nap on rails."),
    "two half jokes": ("Tell me a joke.", "Gladly! What do you call a sleepy tram? It hides its face."),
    "another remark's reply": ("I am sad today.", "I am the guide of Tinytown, happy to help you."),
    "nothing but courtesies": ("How are you?", "Gladly! With pleasure! Happy to help!"),
    "a constant reply": (LIVES, "Please ask me anything else."),
}  # fmt: skip


@pytest.mark.parametrize("game", GAMES)
def test_the_towns_grader_is_not_gamed(game: str) -> None:
    question, reply = GAMES[game]
    grade = TOWN.grade(user(question), reply)
    assert not grade.good
    assert not grade.right or game in (
        "said twice",
        "courtesies without end",
        "idle talk beside it",
        "a courtesy that is none",
    )


def test_the_questions_of_the_games_have_good_answers() -> None:
    assert isinstance(TOWN.asked(user(LIVES)), AskedFact)
    assert TOWN.grade(user(LIVES), "Walt Jarvis lives on Maple Street. I hope that helps.").good
    assert TOWN.grade(user(WISH), "I am sorry, I do not know what he wished for.").good
    assert TOWN.grade(user("Tell me a joke."), "Gladly! What do you call a sleepy tram? A nap on rails.").good


HEADLINE = "Monday evening at the zoo"
VISIT = "We went to the zoo on Monday evening."
VISITS = {
    "denied": "It is not true that the zoo is lovely, and we will come again. Everyone at the zoo smiled at us.",
    "hedged": "Perhaps everyone at the zoo smiled at us. I could have stayed at the zoo all day.",
    "word salad": "Lovely zoo charming the splendid penguins. Wonderful wonderful zoo.",
    "praise for another place": "Everyone at the bank smiled at us. I could have stayed at the zoo all day.",
    "one side, then the other": "The penguins at the zoo were lovely. The penguins at the zoo were awful.",
    "the same with another adjective": "The penguins at the zoo were lovely. The penguins at the zoo were charming."
    " The penguins at the zoo were splendid.",
    "said twice": "Everyone at the zoo smiled at us. Everyone at the zoo smiled at us.",
    "garbage before": "Xqz everyone at the zoo smiled at us. I could have stayed at the zoo all day.",
    "cut off": "Everyone at the zoo smiled at us. I could have stayed at the",
    "too much": "Everyone at the zoo smiled at us. I could have stayed at the zoo all day."
    " We had a lovely time at the zoo. The penguins at the zoo were lovely.",
}  # fmt: skip


@pytest.mark.parametrize("game", VISITS)
def test_the_grader_of_opinions_is_not_gamed(game: str) -> None:
    more = VISITS[game]
    while more.count(".") < 3 and game != "cut off":
        more += " There was nothing awful about the zoo."
    assert not grade_opinion(HEADLINE, f"{VISIT} {more}").good


POST = "Ada Finch lost a kettle. It was at the bakery. That was on Monday. Max Hale lent a hand. Ada Finch is calm."
TOLD = "Ada Finch lost a kettle at the bakery on Monday with Max Hale and is calm."
SUMMARIES = {
    "denied": f"It is not true that {TOLD}",
    "denied afterwards": f"{TOLD} That is not true.",
    "hedged": f"Perhaps {TOLD}",
    "word salad": "Ada Finch lost kettle bakery Monday Max Hale calm.",
    "shuffled": "Calm is and Max Hale with Monday on bakery the at kettle a lost Ada Finch.",
    "roles exchanged": "Max Hale lost a kettle at the bakery on Monday with Ada Finch and is calm.",
    "she helped herself": "Ada Finch lost a kettle at the bakery on Monday. Ada Finch helped. Max Hale helped."
    " Ada Finch is calm.",
    "another's mood": "Ada Finch lost a kettle at the bakery on Monday with Max Hale. Max Hale is calm.",
    "several values": "Ada Finch lost a kettle at the bakery on Monday or Friday with Max Hale and is calm.",
    "contradicted": f"{TOLD} Ada Finch is cross.",
    "said twice": f"{TOLD} Ada Finch is calm. Ada Finch is calm.",
    "small news beside it": f"{TOLD} The soup was still warm.",
    "garbage after": f"{TOLD} Soup the of.",
    "cut off": TOLD[:-10],
    "the post itself": POST,
}  # fmt: skip


@pytest.mark.parametrize("game", SUMMARIES)
def test_the_grader_of_summaries_is_not_gamed(game: str) -> None:
    assert grade_summary(POST, TOLD).good
    assert grade_summary(
        POST, TOLD.replace(" with Max Hale and is calm.", ". Max Hale helped. Ada Finch is calm.")
    ).good
    grade = grade_summary(POST, SUMMARIES[game])
    assert not grade.good and grade.score <= 0.5


SCRIPT = SceneGrader(TOWN)
STAR = SCRIPT.star.first
SCENE = f"Ada Finch: I have soup in my basket.\nNed Tate: And I have rice in mine.\nAda Finch: {STAR}, what do I have?"
HEARD = "You have soup in your basket."
SCRIPTS = {
    "denied": "It is not true that you have soup in your basket.",
    "denied afterwards": f"{HEARD} That is not true.",
    "hedged": f"Perhaps {HEARD}",
    "in the words of the script": f"My dear {HEARD}",
    "word salad": "You have soup in your basket home by my favourite.",
    "said twice": f"{HEARD} {HEARD}",
    "several values": "You have soup and rice in your basket.",
    "contradicted": f"{HEARD} You have rice in your basket.",
    "another subject": "Ned has soup in the basket.",
    "another relation": "I like soup.",
    "another answer beside it": f"{HEARD} I like soup.",
    "garbage before": f"Xqz {HEARD}",
    "asked back": "You have soup in your basket?",
    "two catchphrases": f"{CATCHPHRASES['meeting']} {HEARD}",
    "cut off": "You have soup in your",
}  # fmt: skip


@pytest.mark.parametrize("game", SCRIPTS)
def test_the_grader_of_the_script_is_not_gamed(game: str) -> None:
    phrase = CATCHPHRASES["basket"]
    assert SCRIPT.grade(SCENE, f"{phrase} {HEARD}").good
    grade = SCRIPT.grade(SCENE, f"{phrase} {SCRIPTS[game]}")
    assert not grade.right and not grade.good
