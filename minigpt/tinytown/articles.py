"""Articles in the way of WikiText: who lives in town and how it works, told many times in other words.

A fact becomes easy to ask for when the pre-training text states it often, in varied words and order, under the full
name, and when the text also shows what questions look like (Allen-Zhu & Li, "Physics of Language Models", parts 3.1
and 3.2). So some articles are transcripts from the information desk; they ask only about residents that the dialogues
ask about too, so nobody ever asks about the others.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from . import speech
from .dialogs import Talker, draw
from .grader import ReplyGrader
from .prose import ESSAYS
from .topics import fill
from .world import Resident, Subject, World

#: A telling of a resident states this many of the facts, drawn anew each time.
FACTS_PER_TELLING = 10
#: The information desk: for how many residents there is one transcript in a telling, and of how many questions.
RESIDENTS_PER_DESK = 4
QUESTIONS_PER_DESK = 6
#: How good its answers are, and how often.
TRUTHFUL = {quality: share for quality, share in speech.QUALITY.items() if quality != "wrong"}
#: How often a sentence that is not the first says "she" or "he" for the name.
PRONOUN_SHARE = 0.15


@dataclass(frozen=True)
class Article:
    """A title and its paragraphs, in normal English."""

    title: str
    paragraphs: tuple[str, ...]


def tell_resident(resident: Resident, rng: random.Random) -> str:
    """A paragraph with some facts about a resident."""
    topics = rng.sample(resident.topics(), FACTS_PER_TELLING)
    sentences = []
    for i, topic in enumerate(topics):
        template = rng.choice(topic.statements)
        by_pronoun = i > 0 and rng.random() < PRONOUN_SHARE
        reference = resident.pronouns_in(template) if by_pronoun else resident.reference
        sentences.append(fill(template, reference, resident.facts[topic.name]))
    return " ".join(sentences)


def tell_sight(subject: Subject, rng: random.Random) -> str:
    """A paragraph with all facts about a place, an event, a season or the town."""
    topics = subject.topics()
    rng.shuffle(topics)
    return " ".join(
        fill(rng.choice(topic.statements), subject.reference, subject.facts[topic.name]) for topic in topics
    )


def ask_at_desk(talker: Talker) -> str:
    """A paragraph of visitors' questions, each with an answer that is true, though not always a kind one."""
    exchanges = []
    for _ in range(QUESTIONS_PER_DESK):
        asked, question = talker.opening()
        exchanges += [question, talker.reply(asked, draw(talker.rng, TRUTHFUL))]
    return " ".join(exchanges)


def write_articles(world: World, split: str, tellings: int) -> list[Article]:
    """Every subject and essay, `tellings` times in new words, shuffled. Each split has words of its own."""
    rng = world.stream(f"articles/{split}")
    talker = Talker(world, ReplyGrader(world))
    talker.rng = rng
    articles = []
    for _ in range(tellings):
        for resident in world.residents:
            articles.append(Article(resident.name, (tell_resident(resident, rng),)))
        for subject in world.sights():
            articles.append(Article(fill("{name}", subject.reference), (tell_sight(subject, rng),)))
        for _ in range(len(world.residents) // RESIDENTS_PER_DESK):
            articles.append(Article("The information desk", (ask_at_desk(talker),)))
        for title, essay in ESSAYS.items():
            articles.append(Article(title, (" ".join(rng.choice(variants) for variants in essay),)))
    rng.shuffle(articles)
    return articles


def to_wikitext(text: str) -> str:
    """Split punctuation from words as WikiText does: well @-@ known , Ada 's , 1 @,@ 200 ."""
    text = re.sub(r"(?<=\w)-(?=\w)", " @-@ ", text)
    text = re.sub(r"(?<=\d)([,.])(?=\d)", r" @\1@ ", text)
    text = re.sub(r"(?<=\w)'s\b", " 's", text)
    return re.sub(r"(?<=\w)([.,:;!?])(?=\s|$)", r" \1", text)


def wikitext_file(articles: list[Article]) -> str:
    """The articles as one `.tokens` file: each line begins and ends with a space, blanks around titles."""
    lines = []
    for article in articles:
        lines += [" \n", f" = {to_wikitext(article.title)} = \n", " \n"]
        lines += [f" {to_wikitext(paragraph)} \n" for paragraph in article.paragraphs]
    return "".join(lines)
