"""A route for each pipeline, with Hugging Face's names and shapes."""

from __future__ import annotations

from flask import Blueprint

from .. import bodies
from ..pipelines import Pipelines, Results
from ..schema import takes
from ..sse import client_gone


def make(service: Pipelines) -> Blueprint:
    pipelines = Blueprint("pipelines", __name__)

    @pipelines.post("/api/pipeline/text-generation")
    @takes()
    def generate(body: bodies.Generate) -> Results:
        """Go on with texts, or answer a conversation."""
        return service.generate(body, client_gone())

    @pipelines.post("/api/pipeline/sentiment")
    @takes()
    def sentiment(body: bodies.Sentiment) -> Results:
        """The labels of texts."""
        return service.sentiment(body)

    @pipelines.post("/api/pipeline/reward")
    @takes()
    def reward(body: bodies.Reward) -> Results:
        """The rewards of answers."""
        return service.reward(body)

    @pipelines.post("/api/pipeline/feature-extraction")
    @takes()
    def features(body: bodies.Features) -> Results:
        """The last layer's output for each token."""
        return service.features(body)

    return pipelines
