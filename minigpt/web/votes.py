"""Blind pairs, votes and thumbs, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable

from ..data.fulltext import snippet
from ..model.sampling import CHATTY, SEEDS
from ..registry import SHIPPED
from . import bodies
from .errors import ApiError
from .replies import Reply
from .service import Json, Service
from .store import Row

TRIES = 4  # for two answers that differ


class Votes:
    """Pairs are made by `service`'s models and kept in its store; its random numbers decide which and on which side."""

    def __init__(self, service: Service) -> None:
        self.service, self.store = service, service.store

    def pair(self, body: bodies.Pair, gone: Callable[[], bool]) -> Json:
        """Two answers to one prompt, sides drawn by chance, names kept for after the vote."""
        first, second = self._models(body)
        for attempt in range(TRIES):
            replies = self._answers(body, (first, second), attempt, gone)
            left, right = ({"model": r.loaded.entry.name, "text": r.text.strip(), "seed": r.seed} for r in replies)
            if left["text"] != right["text"]:
                break
        if self.service.rng.random() < 0.5:
            left, right = right, left
        asked = [{"role": turn.role, "content": turn.text} for turn in body.turns]
        number = self.store.add_pair(asked, left, right)
        out = {"pair_id": number, "left": {"text": left["text"]}, "right": {"text": right["text"]}}
        same = {"same": True} if left["text"] == right["text"] else {}
        return {**out, "dropped": max(reply.dropped for reply in replies), **same}

    def _models(self, body: bodies.Pair) -> tuple[str, str]:
        """The named models; else the current one against one drawn from the older ones, or against itself."""
        entries = self.service.cache.entries()
        current = self.service.cache.find(body.model)
        if body.other is not None:
            return current.name, self.service.cache.find(body.other).name
        older = [
            entry.name
            for entry in entries.values()
            if entry.writes
            and entry.stage != "pretrain"
            and entry.config.vocab_size == current.config.vocab_size
            and (entry.saved[0] < current.saved[0] or entry.recipe == SHIPPED)
            and entry.card.get("sha256") != current.card.get("sha256")
        ]
        return current.name, self.service.rng.choice(older or [current.name])

    def _answers(
        self, body: bodies.Pair, models: tuple[str, str], attempt: int, gone: Callable[[], bool]
    ) -> list[Reply]:
        """Both answers, written side by side with different seeds; greedy ones are drawn at a temperature if needed."""
        seed = body.seed
        drawn = {"temperature": CHATTY.temperature} if attempt and body.temperature == 0 else {}
        seeds = [None if seed is None else (seed + 2 * attempt + side) % SEEDS for side in range(2)]
        wanted = [body.model_copy(update={"seed": own, **drawn}) for own in seeds]
        replies = self.service.side_by_side(list(zip(wanted, models, strict=True)), "pair", gone)
        if any(reply.note == "stopped" for reply in replies):
            raise ApiError(503, "stopped", "The pair was not finished.")
        return replies

    def vote(self, body: bodies.Vote) -> Json:
        """Keep a vote, then say who had written what. Scoring comes after: the vote is safe before it."""
        number = self.store.add_vote(body.pair_id, body.vote)
        pair = self.store.pair(body.pair_id)
        assert pair is not None
        turns = bodies.as_turns(pair["messages"])
        scores, reward = self.service.scorer.scores(turns, [pair["left_text"], pair["right_text"]])
        return {
            "vote_id": number,
            "left": {"model": pair["left_model"], "seed": pair["left_seed"]},
            "right": {"model": pair["right_model"], "seed": pair["right_seed"]},
            "reward": {"left": scores[0], "right": scores[1], "model": reward.name, "reason": reward.reason},
            "counts": self.counts(),
        }

    def thumb(self, body: bodies.Thumb) -> Json:
        thumb = None if body.thumb == "none" else body.thumb
        if not self.store.set_thumb(body.answer_id, thumb):
            raise ApiError(404, "not_found", "There is no such answer.", "answer_id")
        return body.model_dump()

    def counts(self) -> Row:
        counts = self.store.counts()
        needed = max(0, self.service.settings.retrain_votes - counts["since_training"])
        return {**counts, "needed": needed}

    def stats(self, days: int) -> Json:
        """Answers, votes, wins and thumbs for each day and model of the last `days` days, and for each model in all."""
        since = f"-{days - 1} days"
        events = self.store.rows(EVENTS)
        recent = {day for row in self.store.rows(DAYS, since) for day in row.values()}
        by_day: dict[tuple[str, str], Row] = {}
        by_model: dict[str, Row] = {}
        for event in events:
            day, model, what = event["day"], event["model"], event["what"]
            total = by_model.setdefault(model, {"model": model, **dict.fromkeys(TOTALS, 0)})
            rows = [total]
            if day in recent:
                rows.append(by_day.setdefault((day, model), {"day": day, "model": model, **dict.fromkeys(DAILY, 0)}))
            for row in rows:
                if what in VOTED:
                    row["votes"] += event["n"]
                if what in row:
                    row[what] += event["n"]
        return {
            "days": [by_day[key] for key in sorted(by_day)],
            "models": [by_model[key] for key in sorted(by_model)],
            "counts": self.counts(),
        }

    def search(self, words: str, limit: int) -> Json:
        """Stored answers and voted pairs that hold the words."""
        found, indexed = self.store.search(words, limit)
        results = []
        for row in found:
            about = self.store.rows(ABOUT[row["kind"]], row["ref"])
            if about:
                results.append({"kind": row["kind"], "id": row["ref"], **about[0], **snippet(row["body"], words)})
        return {"results": results, "how": "index" if indexed else "scan"}


DAILY = ("answers", "votes", "wins", "up", "down")
VOTED = ("wins", "losses", "ties", "both_bad")
TOTALS = ("answers", "votes", *VOTED, "up", "down")

ABOUT = {
    "chat": "SELECT chat AS chat_id, created, model FROM answers WHERE id = ?",
    "vote": "SELECT NULL AS chat_id, created, left_model || ' / ' || right_model AS model FROM pairs WHERE id = ?",
}

#: (day, model, what, n): every answer, thumb, and each side of every vote.
EVENTS = """
SELECT day, model, what, count(*) AS n FROM (
    SELECT substr(created, 1, 10) AS day, model, 'answers' AS what FROM answers
    UNION ALL SELECT substr(created, 1, 10), model, thumb FROM answers WHERE thumb IS NOT NULL
    UNION ALL SELECT substr(v.created, 1, 10), left_model,
        CASE vote WHEN 'left' THEN 'wins' WHEN 'right' THEN 'losses' WHEN 'tie' THEN 'ties' ELSE 'both_bad' END
        FROM votes v JOIN pairs p ON p.id = v.pair
    UNION ALL SELECT substr(v.created, 1, 10), right_model,
        CASE vote WHEN 'right' THEN 'wins' WHEN 'left' THEN 'losses' WHEN 'tie' THEN 'ties' ELSE 'both_bad' END
        FROM votes v JOIN pairs p ON p.id = v.pair
) GROUP BY day, model, what
"""

DAYS = f"SELECT DISTINCT day FROM ({EVENTS}) WHERE day >= date('now', ?)"
