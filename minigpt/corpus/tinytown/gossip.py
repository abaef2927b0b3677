"""Posts of town gossip with summaries, good and bad, in the layout of OpenAI's summarize_from_feedback.

Who wins a comparison is no opinion: a summary that keeps all the facts beats one that drops, changes or
buries them.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace

from .people import words
from .places import DAYS, PLACES
from .questions import PERSON, any_of
from .topics import with_article
from .world import World

COMPARISONS = 1500
POSTS = 1500
#: The share of comparisons that is marked as validation data.
VALID_SHARE = 0.1

DEEDS = words("lost found sold painted won broke repaired borrowed hid polished")
THINGS = words("umbrella kettle ladder bicycle hat lamp chair drum basket kite scarf teapot")
MOODS = words("proud cross merry tired surprised curious calm nervous")
SMALL_NEWS = (
    "Nobody talks about anything else.", "You know how these things go.", "The soup was still warm.",
    "It rained a little, but then it stopped.", "I heard it from three people.", "My shoes are still wet.",
    "Two dogs were asleep in the sun.", "I had only come for a loaf of bread.",
)  # fmt: skip
#: A summary with more words is no summary.
SUMMARY_WORDS = 24


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


@dataclass(frozen=True)
class SummaryGrade:
    """How well a summary serves its post: the share of the facts it keeps, and two marks."""

    covered: float  # from 0 to 1
    faithful: bool  # says nothing that the post does not say
    concise: bool

    @property
    def score(self) -> float:
        """From 0 to 1. A summary that is not faithful is worth at most a quarter, a long one at most half."""
        return self.covered * (1.0 if self.faithful else 0.25) * (1.0 if self.concise else 0.5)


_PATTERNS = [PERSON, *map(any_of, (DEEDS, THINGS, PLACES, DAYS, MOODS))]


def grade_summary(post: str, summary: str) -> SummaryGrade:
    """Mark a summary by the facts in its post: people, deed, thing, place, day and mood. Takes any text."""
    told, kept = (
        {(i, value) for i, pattern in enumerate(_PATTERNS) for value in pattern.findall(text.lower())}
        for text in (post, summary)
    )
    covered = len(told & kept) / len(told) if told else 0.0
    return SummaryGrade(covered, kept <= told, 0 < len(summary.split()) <= SUMMARY_WORDS)


class Gossip:
    """Draws stories and tells them."""

    def __init__(self, world: World, stream: str) -> None:
        self.rng: random.Random = world.stream(stream)
        self._names = [resident.name for resident in world.residents]

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

    def summary(self, story: Story) -> str:
        """All the facts in one sentence."""
        thing = with_article(story.thing)
        deed = f"{story.who} {story.deed} {thing} at the {story.place} on {story.day}"
        return self.rng.choice(
            (
                f"{deed} with {story.helper} and is {story.mood}.",
                f"{deed}. {story.helper} helped. {story.who} is {story.mood}.",
            )
        )

    def flawed(self, story: Story) -> tuple[str, str]:
        """The name of a flaw, and a summary that has it."""
        rng = self.rng
        flaw = rng.choice(("drops", "garbles", "rambles"))
        if flaw == "drops":
            thing = with_article(story.thing)
            return flaw, rng.choice((f"{story.who} {story.deed} {thing}.", f"{story.who} is {story.mood}."))
        if flaw == "garbles":
            return flaw, self.summary(self._garble(story))
        return flaw, f"{self.summary(story)} {' '.join(rng.sample(SMALL_NEWS, 3))}"

    def _garble(self, story: Story) -> Story:
        lists = {"deed": DEEDS, "thing": THINGS, "place": tuple(PLACES), "day": DAYS, "mood": MOODS}
        slot = self.rng.choice(list(lists))
        return replace(story, **{slot: self.rng.choice([v for v in lists[slot] if v != getattr(story, slot)])})


def comparisons_file(world: World) -> str:
    """`comparisons.jsonl`: a post, two summaries, and which of them is better."""
    gossip = Gossip(world, "gossip/comparisons")
    lines = []
    for i in range(COMPARISONS):
        story = gossip.story()
        flaw, bad = gossip.flawed(story)
        pair = [("ref", gossip.summary(story)), (flaw, bad)]
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
    """`policy.jsonl`: a post and its good summary."""
    gossip = Gossip(world, "gossip/posts")
    lines = []
    for _ in range(POSTS):
        story = gossip.story()
        text = f"{gossip.title(story)}\n{gossip.post(story)}"
        lines.append(json.dumps({"original_text": text, "sum_text": gossip.summary(story)}) + "\n")
    return "".join(lines)
