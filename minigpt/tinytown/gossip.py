"""Posts of town gossip with summaries, good and bad, in the layout of OpenAI's summarize_from_feedback.

Who wins a comparison is no opinion: a summary that keeps all the facts beats one that drops, changes or
buries them. `retellings_file` tells of all residents; the posts that are summarised only of those that the dialogues
ask about, so that there are people left of whom no summary has ever been seen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .dialogs import draw
from .people import words
from .places import DAYS, PLACES
from .topics import with_article
from .world import Resident, World

COMPARISONS = 4000
POSTS = 3000
#: Stories that two neighbours tell, each in words of their own.
RETELLINGS = 6000
#: The share of comparisons that is marked as validation data.
VALID_SHARE = 0.1
#: Which share of the summaries to learn from is of which quality. Mixed on purpose, as the dialogues are.
SUMMARIES = {"good": 0.55, "drops": 0.15, "garbles": 0.15, "rambles": 0.15}

DEEDS = words("lost found sold painted won broke repaired borrowed hid polished")
THINGS = words("umbrella kettle ladder bicycle hat lamp chair drum basket kite scarf teapot")
MOODS = words("proud cross merry tired surprised curious calm nervous")
SMALL_NEWS = (
    "Nobody talks about anything else.", "You know how these things go.", "The soup was still warm.",
    "It rained a little, but then it stopped.", "I heard it from three people.", "My shoes are still wet.",
    "Two dogs were asleep in the sun.", "I had only come for a loaf of bread.",
)  # fmt: skip


@dataclass(frozen=True)
class Story:
    """What happened. All but `who` and `helper` come from closed lists."""

    who: str
    deed: str
    thing: str
    place: str
    day: str
    mood: str
    helper: str


class Gossip:
    """Draws stories about some of the residents and tells them."""

    def __init__(self, world: World, stream: str, residents: Iterable[Resident]) -> None:
        self.rng: random.Random = world.stream(stream)
        self._names = [resident.name for resident in residents]

    def story(self) -> Story:
        """Something that happened."""
        rng = self.rng
        who, helper = rng.sample(self._names, 2)
        return Story(
            who, rng.choice(DEEDS), rng.choice(THINGS), rng.choice(list(PLACES)), rng.choice(DAYS),
            rng.choice(MOODS), helper,
        )  # fmt: skip

    def title(self, story: Story) -> str:
        """The title of a post."""
        titles = ("News about {}", "Have you heard about {}?", "What happened to {}")
        return self.rng.choice(titles).format(story.who)

    def post(self, story: Story) -> str:
        """Five sentences with the facts, and some small news between them."""
        rng = self.rng
        thing = with_article(story.thing)
        facts = [
            rng.choice((f"{story.who} {story.deed} {thing}.", f"It is true that {story.who} {story.deed} {thing}.")),
            rng.choice((f"It was at the {story.place}.", f"I saw it myself at the {story.place}.")),
            rng.choice((f"That was on {story.day}.", f"If I am not mistaken, it was {story.day}.")),
            rng.choice((f"{story.helper} was there to help.", f"{story.helper} lent a hand.")),
            f"{story.who} is {story.mood} about it.",
        ]
        first, *rest = facts
        rng.shuffle(rest)
        sentences = [first, *rest]
        for news in rng.sample(SMALL_NEWS, 2):
            sentences.insert(rng.randrange(len(sentences) + 1), news)
        return " ".join(sentences)

    def text(self, story: Story) -> str:
        """A post below its title."""
        return f"{self.title(story)}\n{self.post(story)}"

    def summary(self, story: Story) -> str:
        """All the facts in one sentence or three."""
        thing = with_article(story.thing)
        deed = f"{story.who} {story.deed} {thing} at the {story.place} on {story.day}"
        return self.rng.choice(
            (
                f"{deed} with {story.helper} and is {story.mood}.",
                f"{deed}. {story.helper} helped. {story.who} is {story.mood}.",
            )
        )

    def flawed(self, story: Story, flaw: str) -> str:
        """A summary that drops most of the facts, garbles one of them, or rambles on."""
        rng = self.rng
        if flaw == "drops":
            thing = with_article(story.thing)
            return rng.choice((f"{story.who} {story.deed} {thing}.", f"{story.who} is {story.mood}."))
        if flaw == "garbles":
            return self.summary(self._garble(story))
        return f"{self.summary(story)} {' '.join(rng.sample(SMALL_NEWS, 3))}"

    def _garble(self, story: Story) -> Story:
        lists = {"deed": DEEDS, "thing": THINGS, "place": tuple(PLACES), "day": DAYS, "mood": MOODS}
        slot = self.rng.choice(list(lists))
        return replace(story, **{slot: self.rng.choice([v for v in lists[slot] if v != getattr(story, slot)])})


def asked_residents(world: World) -> list[Resident]:
    """The residents whom posts with a summary are about."""
    return [resident for resident in world.residents if resident.asked]


def comparisons_file(world: World) -> str:
    """`comparisons.jsonl`: a post, two summaries, and which of them is better."""
    gossip = Gossip(world, "gossip/comparisons", asked_residents(world))
    flaws = [quality for quality in SUMMARIES if quality != "good"]
    lines = []
    for i in range(COMPARISONS):
        story = gossip.story()
        flaw = gossip.rng.choice(flaws)
        pair = [("ref", gossip.summary(story)), (flaw, gossip.flawed(story, flaw))]
        choice = gossip.rng.randrange(2)
        if choice:
            pair.reverse()
        post, title = gossip.post(story), gossip.title(story)
        valid = gossip.rng.random() < VALID_SHARE
        row = {
            "info": {
                "id": f"t3_{i}", "post": post, "title": title, "subreddit": "tinytown",
                "site": None, "article": None,
            },
            "summaries": [{"text": f" {text}", "policy": policy, "note": None} for policy, text in pair],
            "choice": choice,
            "worker": "town crier",
            "batch": "batch1",
            "split": "valid1" if valid else "train",
            "extra": {"confidence": None},
        }  # fmt: skip
        lines.append(json.dumps(row) + "\n")
    return "".join(lines)


def policy_file(world: World) -> str:
    """`policy.jsonl`: a post and a summary of it, good or bad in the shares of `SUMMARIES`."""
    gossip = Gossip(world, "gossip/posts", asked_residents(world))
    lines = []
    for _ in range(POSTS):
        story = gossip.story()
        quality = draw(gossip.rng, SUMMARIES)
        text = gossip.text(story)
        summary = gossip.summary(story) if quality == "good" else gossip.flawed(story, quality)
        lines.append(json.dumps({"original_text": text, "sum_text": summary}) + "\n")
    return "".join(lines)


def retellings_file(world: World) -> str:
    """`retellings.txt`: each story twice, by two neighbours, with a blank line between the stories.

    Who reads enough of these learns to carry a story's facts over into other words, which is half of summarising.
    """
    gossip = Gossip(world, "gossip/retellings", world.residents)
    stories = (gossip.story() for _ in range(RETELLINGS))
    texts = (f"{gossip.text(story)}\n{gossip.post(story)}" for story in stories)
    return "\n\n".join(texts) + "\n"
