"""Opinions of visitors as doccano exports them: labelled texts, and headlines with long texts."""

from __future__ import annotations

import json
import random

from .places import DAYS, PLACES
from .topics import with_article
from .world import World

SENTIMENT_TEXTS = 1500
HEADLINES = 1500
LABELS = ("positive", "negative")

PRAISE = ("wonderful", "lovely", "delightful", "charming", "excellent", "splendid")
BLAME = ("awful", "dull", "dreadful", "gloomy", "disappointing", "terrible")
#: Sentences that take a side. Some hold an adjective of the other side: counting words is not enough.
OPINIONS = {
    "positive": (
        "The {offer} at the {place} was {good}.", "We had {a_good} time at the {place}.",
        "The {place} is {good}, and we will come again.",
        "I thought it would be {bad}, but the {place} was {good}.",
        "There was nothing {bad} about the {place}.", "Never before have I seen such {good} {offer}.",
        "Everyone at the {place} smiled at us.", "I could have stayed at the {place} all day.",
    ),
    "negative": (
        "The {offer} at the {place} was {bad}.", "We had {a_bad} time at the {place}.",
        "The {place} is {bad}, and we will not come again.",
        "I thought it would be {good}, but the {place} was {bad}.",
        "There was nothing {good} about the {place}.", "Never before have I seen such {bad} {offer}.",
        "Nobody at the {place} looked at us.", "I could not leave the {place} soon enough.",
    ),
}  # fmt: skip
#: What a headline may be like; {when} is a day, or a part of one.
HEADLINES_ABOUT = (
    "{when} at the {place}",
    "Our {when} at the {place}",
    "A visit to the {place} on {when}",
    "Notes on the {place}",
)
#: Kept for evaluation: no headline of the corpus is like these.
UNSEEN_HEADLINES = ("The {place} on {when}", "What we saw at the {place} on {when}")
TIMES = tuple(f"{day}{part}" for day in DAYS for part in ("", " morning", " afternoon", " evening"))
OPENINGS = ("We went to the {place} on {when}.", "On {when} we went to the {place}.")
SENTENCES = 3  # opinions in a long text, after its opening


def phrase(template: str, place: str, good: str, bad: str, a_good: str, a_bad: str) -> str:
    """A sentence of opinion about a place; `a_good` and `a_bad` are the adjectives after their articles."""
    offer = PLACES[place]
    if offer.endswith("s"):  # goods in the plural
        template = template.replace("{offer} at the {place} was", "{offer} at the {place} were")
    return template.format(place=place, offer=offer, good=good, bad=bad, a_good=a_good, a_bad=a_bad)


def opine(label: str, place: str, rng: random.Random, count: int) -> list[str]:
    """`count` different sentences of one opinion about a place."""
    sentences = []
    for template in rng.sample(OPINIONS[label], count):
        good, bad = rng.choice(PRAISE), rng.choice(BLAME)
        sentences.append(phrase(template, place, good, bad, with_article(good), with_article(bad)))
    return sentences


def sentiment_file(world: World) -> str:
    """`sentiment.jsonl`: text classification, one or two sentences and their label."""
    rng = world.stream("sentiment")
    labels: dict[str, str] = {}  # by text: no text twice, so that validation never repeats training
    while len(labels) < SENTIMENT_TEXTS:
        label, place = rng.choice(LABELS), rng.choice(list(PLACES))
        labels[" ".join(opine(label, place, rng, rng.choice((1, 2))))] = label
    return "".join(_export(i, text, label) for i, (text, label) in enumerate(labels.items(), start=1))


def expand_file(world: World) -> str:
    """`expand.jsonl`: sequence to sequence, a headline and a long text. Half of the texts are positive."""
    rng = world.stream("expand")
    texts: dict[str, str] = {}  # by headline: none is there twice, so that validation asks for something new
    while len(texts) < HEADLINES:
        label, place, when = rng.choice(LABELS), rng.choice(list(PLACES)), rng.choice(TIMES)
        headline = rng.choice(HEADLINES_ABOUT).format(place=place, when=when)
        opening = rng.choice(OPENINGS).format(place=place, when=when)
        texts[headline] = " ".join([opening, *opine(label, place, rng, SENTENCES)])
    return "".join(_export(i, headline, text) for i, (headline, text) in enumerate(texts.items(), start=1))


def headlines(templates: tuple[str, ...]) -> list[str]:
    """All headlines of these kinds."""
    filled = (t.format(place=place, when=when) for t in templates for place in PLACES for when in TIMES)
    return list(dict.fromkeys(filled))


def _export(number: int, text: str, label: str) -> str:
    return json.dumps({"id": number, "text": text, "label": [label], "Comments": []}) + "\n"
