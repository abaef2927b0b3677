"""Write Tinytown to a folder, whole or not at all, with a table of contents in tinytown.json."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from . import speech
from .articles import wikitext_file, write_articles
from .films import film_files
from .gossip import comparisons_file, policy_file, retellings_file
from .opinions import expand_file, sentiment_file
from .script import script_file
from .town import Town
from .world import RESIDENTS

#: Raise this whenever the same seed would give other bytes, so that folders written before are written anew.
VERSION = 12
CONTENTS = "tinytown.json"


def write_corpora(
    folder: str | Path,
    seed: int = 0,
    *,
    residents: int = RESIDENTS,
    tellings: int = 20,
    conversations: int = 8000,
) -> dict[str, Any]:
    """Write all corpora of Tinytown below `folder` and return what tinytown.json says about them.

    `tellings` is how often the articles tell of each subject. A folder that already holds these very corpora
    stays as it is. Each file appears in one move, and tinytown.json last, so that an interrupted run leaves
    nothing that looks complete.
    """
    folder = Path(folder)
    recipe = {
        "version": VERSION,
        "seed": seed,
        "residents": residents,
        "tellings": tellings,
        "conversations": conversations,
    }
    present = read_contents(folder)
    if present is not None and present["recipe"] == recipe:
        return present
    town = Town(seed, residents)
    files = corpus_files(town, tellings, conversations)
    contents = {
        "recipe": recipe,
        "counts": count(town, files, conversations),
        "quality": speech.QUALITY,
        "sha256": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()},
    }
    _publish(folder, files, json.dumps(contents, indent=2) + "\n")
    return contents


def ensure_corpora(folder: str | Path, seed: int = 0) -> Path:
    """The folder, after writing Tinytown into it unless the corpora of this seed are there, of any size."""
    present = read_contents(Path(folder))
    if present is None or (present["recipe"]["version"], present["recipe"]["seed"]) != (VERSION, seed):
        write_corpora(folder, seed)
    return Path(folder)


def read_contents(folder: Path) -> dict[str, Any] | None:
    """What tinytown.json says, if it is there and every file it lists is too."""
    try:
        contents: dict[str, Any] = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
        complete = all((folder / name).is_file() for name in contents["sha256"])
        complete &= {"version", "seed"} <= contents["recipe"].keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return contents if complete else None


def corpus_files(town: Town, tellings: int, conversations: int) -> dict[str, str]:
    """The text of every file, by its path below the folder."""
    files = {
        "articles/wiki.train.tokens": wikitext_file(write_articles(town, "train", tellings)),
        "articles/wiki.valid.tokens": wikitext_file(write_articles(town, "valid", 1)),
        "articles/wiki.test.tokens": wikitext_file(write_articles(town, "test", 1)),
    }
    dialogues = town.dialogues(conversations)
    files |= {f"dialogs/{name}": text for name, text in film_files(dialogues).items()}
    return files | {
        "script/script_lines.csv": script_file(town),
        "summaries/comparisons.jsonl": comparisons_file(town),
        "summaries/policy.jsonl": policy_file(town),
        "summaries/retellings.txt": retellings_file(town),
        "doccano/sentiment.jsonl": sentiment_file(town),
        "doccano/expand.jsonl": expand_file(town),
    }


def count(town: Town, files: dict[str, str], conversations: int) -> dict[str, int]:
    """Sizes, for people."""
    return {
        "residents": len(town.residents),
        "asked residents": sum(resident.asked for resident in town.residents),
        "words of articles to train on": len(files["articles/wiki.train.tokens"].split()),
        "conversations": conversations,
        "utterances": files["dialogs/movie_lines.txt"].count("\n"),
        "lines of the script": files["script/script_lines.csv"].count("\n") - 1,
        "comparisons of summaries": files["summaries/comparisons.jsonl"].count("\n"),
        "posts with a summary": files["summaries/policy.jsonl"].count("\n"),
        "stories told twice": files["summaries/retellings.txt"].count("\n\n") + 1,
        "opinions": files["doccano/sentiment.jsonl"].count("\n"),
        "headlines with a text": files["doccano/expand.jsonl"].count("\n"),
    }


def _publish(folder: Path, files: dict[str, str], contents: str) -> None:
    """Move complete files into place. The old tinytown.json goes first and the new one comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".tinytown-", dir=folder))
    try:
        for name, text in files.items():
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        (scratch / CONTENTS).write_text(contents, encoding="utf-8", newline="\n")
        (folder / CONTENTS).unlink(missing_ok=True)
        for name in [*files, CONTENTS]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch / name, folder / name)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
