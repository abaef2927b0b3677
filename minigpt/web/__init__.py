"""The chat page: a small Flask server in three tiers, routes -> services -> store and models.

Start reading at `service.py`, which is what the routes call; `engine.py` writes many answers in one batch, `models.py`
loads model folders by name, `store.py` keeps votes and chats, `schema.py` checks requests, `security.py` who may ask.
"""

from __future__ import annotations

from .app import create_app
from .settings import Settings

__all__ = ["Settings", "create_app"]
