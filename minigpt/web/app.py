"""The app factory: puts settings, models, store, services and routes together."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from ..model.chat_model import ChatModel
from . import errors, security
from .engine import Engine
from .model_cache import ModelCache
from .pipelines import Pipelines
from .retrain import Retraining
from .routes import aliases, feedback, openai, page, pipelines
from .service import Service
from .settings import Settings
from .store import Store
from .votes import Votes


class App(Flask):
    """A Flask app that knows what has to be closed with it."""

    cache: ModelCache
    store: Store
    retraining: Retraining

    def close(self, grace: float = 0.0) -> None:
        """Stop writing answers (what runs may go on for `grace` seconds), stop a training, close the store."""
        self.retraining.close()
        self.cache.close(grace)
        self.store.close()


def create_app(
    settings: Settings | None = None,
    *,
    engine: Callable[[ChatModel], Engine] | None = None,
    store: Store | None = None,
    cache: ModelCache | None = None,
) -> App:
    """The chat page's server as a WSGI app.

    `engine` makes what writes answers with a model; `store` keeps votes; both default to the real ones, and tests
    bring their own. Models are loaded when first asked for; `app.cache.preload()` loads the default one now.
    """
    settings = settings or Settings()

    def real_engine(chat: ChatModel) -> Engine:
        return Engine(chat.gpt, settings.running, settings.waiting, settings.answer_seconds)

    app = App("minigpt.web", static_folder=str(page.STATIC), static_url_path="/static")
    if settings.behind_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1, x_host=1)  # type: ignore[method-assign]
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body
    app.url_map.merge_slashes = False  # /v1//models is not found, rather than moved
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.cache = cache or ModelCache(
        settings.models,
        engine or real_engine,
        settings.device,
        settings.loaded_models,
        settings.waiting_work,
        settings.default_model,
    )
    app.store = store or Store(settings.store_path)
    errors.install(app)
    security.install(app, settings)
    service = Service(settings, app.cache, app.store)
    votes = Votes(service)
    app.retraining = Retraining(service, votes)
    for blueprint in (
        page.make(service, settings),
        openai.make(service, settings),
        feedback.make(service, votes, app.retraining, settings),
        pipelines.make(Pipelines(service)),
        aliases.make(service),
    ):
        app.register_blueprint(blueprint)
    return app
