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
HEADLINES_ABOUT = (
    "A visit to the {place}",
    "{day} at the {place}",
    "Our day at the {place}",
    "Notes on the {place}",
)
OPENINGS = ("We went to the {place} on {day}.", "On {day} we went to the {place}.")


def opine(label: str, place: str, rng: random.Random, count: int) -> list[str]:
    """`count` different sentences of one opinion about a place."""
    offer = PLACES[place]
    sentences = []
    for template in rng.sample(OPINIONS[label], count):
        if offer.endswith("s"):  # goods in the plural
            template = template.replace("{offer} at the {place} was", "{offer} at the {place} were")
        good, bad = rng.choice(PRAISE), rng.choice(BLAME)
        a_good, a_bad = with_article(good), with_article(bad)
        words = {"place": place, "offer": offer, "good": good, "bad": bad, "a_good": a_good, "a_bad": a_bad}
        sentences.append(template.format_map(words))
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
    lines = []
    for i in range(HEADLINES):
        label, place, day = rng.choice(LABELS), rng.choice(list(PLACES)), rng.choice(DAYS)
        headline = rng.choice(HEADLINES_ABOUT).format(place=place, day=day)
        opening = rng.choice(OPENINGS).format(place=place, day=day)
        lines.append(_export(i + 1, headline, " ".join([opening, *opine(label, place, rng, 3)])))
    return "".join(lines)


def _export(number: int, text: str, label: str) -> str:
    return json.dumps({"id": number, "text": text, "label": [label], "Comments": []}) + "\n"
