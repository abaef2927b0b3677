"""A route for each pipeline, with Hugging Face's names and shapes."""

from __future__ import annotations

from flask import Blueprint

from ..pipelines import Pipelines, Results
from ..schema import takes
from ..service import Body
from ..sse import client_gone
from . import tables


def make(service: Pipelines) -> Blueprint:
    pipelines = Blueprint("pipelines", __name__)

    @pipelines.post("/api/pipeline/text-generation")
    @takes(tables.GENERATE)
    def generate(body: Body) -> Results:
        """Go on with texts, or answer a conversation."""
        return service.generate(body, client_gone())

    @pipelines.post("/api/pipeline/sentiment")
    @takes(tables.SENTIMENT)
    def sentiment(body: Body) -> Results:
        """The labels of texts."""
        return service.sentiment(body)

    @pipelines.post("/api/pipeline/reward")
    @takes(tables.REWARD)
    def reward(body: Body) -> Results:
        """The rewards of answers."""
        return service.reward(body)

    @pipelines.post("/api/pipeline/feature-extraction")
    @takes(tables.FEATURES)
    def features(body: Body) -> Results:
        """The last layer's output for each token."""
        return service.features(body)

    return pipelines
