"""The catalogue of public corpora: find one on disk, or fetch it from its publisher.

    minigpt corpora list
    minigpt corpora fetch wikitext-2

Nothing is downloaded unless `fetch` is called. The entries are in `corpora/catalogue.toml`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import cli
from ..errors import UserError, nearest
from .download import FAILURES, check_sha256, download, extract
from .source import read_toml

CATALOGUE = Path(__file__).resolve().parents[2] / "corpora" / "catalogue.toml"
ENVIRONMENT = "MINIGPT_CORPORA"
MANY = 4  # more files than this are not all named in a message


@dataclass(frozen=True)
class Source:
    """One mirror: a zip `archive` with `files` in it, or the `urls` of the files themselves. Where a `page` wants an
    account, only people can download the `files`. A mirror with file names of its own says which of them is `main`."""

    archive: str = ""
    files: tuple[str, ...] = ()
    urls: Mapping[str, str] = field(default_factory=dict)
    page: str = ""
    main: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The files that this source puts into the corpus folder."""
        return self.files or tuple(self.urls)

    @property
    def where(self) -> str:
        return self.archive or self.page or next(iter(self.urls.values()))


@dataclass(frozen=True)
class Entry:
    """One corpus of the catalogue; `main` is the file to read where it is not the whole folder."""

    name: str
    title: str
    folder: str
    licence: str
    cite: str
    source: tuple[Source, ...]
    aliases: tuple[str, ...] = ()
    main: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)

    def locate(self, corpora: Path) -> Path | None:
        """The folder (or its `main` file) if all files of one of the sources are there."""
        for folder in (self.folder, *self.aliases):
            place = corpora / folder
            for source in self.source:
                if all((place / name).is_file() for name in source.names):
                    return place / (source.main or self.main)
        return None


def load_catalogue(path: Path = CATALOGUE) -> dict[str, Entry]:
    """All entries by name. Raises UserError if the file is missing or an entry is incomplete."""
    try:
        if not path.is_file():
            raise UserError(f"{path} is missing; run from a checkout of the project, which holds it.")
        return {name: _entry(name, dict(table)) for name, table in read_toml(path).items()}
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: {error}; mend the entry.") from error


def _entry(name: str, table: dict[str, Any]) -> Entry:
    sources = tuple(Source(**s | {"files": tuple(s.get("files", ()))}) for s in table.pop("source"))
    return Entry(name=name, source=sources, aliases=tuple(table.pop("aliases", ())), **table)


def corpora_dir(cli_value: str | Path | None = None) -> Path:
    """The folder of all corpora: --corpora-dir, else the variable MINIGPT_CORPORA, else ./corpora."""
    return Path(cli_value or os.environ.get(ENVIRONMENT) or "corpora")


def get(name: str) -> Entry:
    """The entry called `name`. Raises UserError, with the nearest names, for any other."""
    entries = load_catalogue()
    if name not in entries:
        known = ", ".join(entries)
        raise UserError(f"there is no corpus {name!r} in the catalogue{nearest(name, entries)}; it has {known}.")
    return entries[name]


def find(name: str, corpora: str | Path | None = None) -> Path:
    """Where corpus `name` lies on disk. Never downloads; raises UserError saying how to get it."""
    entry, folder = get(name), corpora_dir(corpora)
    place = entry.locate(folder)
    if place is None:
        fetchable = not all(source.page for source in entry.source)
        command = f"run minigpt corpora fetch {name}, or " if fetchable else ""
        raise UserError(f"{name} is not in {folder}; {command}{_by_hand(entry, folder)}")
    return place


def _by_hand(entry: Entry, corpora: Path) -> str:
    names = entry.source[0].names
    files = " and ".join(names) if len(names) <= MANY else f"its {len(names)} files ({names[0]} ... {names[-1]})"
    return f"download {entry.source[0].where} in a browser and put {files} into {corpora / entry.folder}."


def fetch(entry: Entry, corpora: str | Path | None = None) -> Path:
    """Download a corpus that is not on disk yet, from the first mirror that works; returns its place.

    The folder appears complete or not at all. An interrupted download goes on with the next call.
    Raises UserError, with every mirror's reason, when none works.
    """
    folder = corpora_dir(corpora)
    place = entry.locate(folder)
    if place is not None:
        return place
    reasons = []
    for source in entry.source:
        try:
            _fetch_from(source, entry, folder)
        except (*FAILURES, UserError) as error:
            reasons.append(f"{source.where}: {error}")
            continue
        place = entry.locate(folder)
        assert place is not None
        return place
    raise UserError(f"{entry.name} could not be fetched ({'; '.join(reasons)}); {_by_hand(entry, folder)}")


def _fetch_from(source: Source, entry: Entry, corpora: Path) -> None:
    if source.page:
        raise UserError("that page wants an account")
    parts = corpora / ".download"
    parts.mkdir(parents=True, exist_ok=True)
    # The unpacked files are gathered beside their final place: a rename within one disk is atomic.
    with tempfile.TemporaryDirectory(dir=parts) as unpacked:
        new = Path(unpacked)
        if source.archive:
            archive = download(source.archive, _part_name(parts, source.archive))
            try:
                extract(archive, source.files, new)
            finally:
                archive.unlink()
        for name, url in source.urls.items():
            shutil.move(download(url, _part_name(parts, url)), new / name)
        for name in source.names:
            check_sha256(new / name, entry.sha256.get(name))
        target = corpora / entry.folder
        target.mkdir(parents=True, exist_ok=True)
        for name in source.names:
            os.replace(new / name, target / name)


def _part_name(parts: Path, url: str) -> Path:
    """One name per URL: two mirrors' halves must never be joined."""
    return parts / f"{hashlib.sha256(url.encode()).hexdigest()[:12]}-{url.rsplit('/', 1)[-1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code (2 for a mistake of the user)."""
    parser = cli.Parser(prog="minigpt corpora", description="Public corpora, by name.")
    parser.add_argument("--corpora-dir", help=f"folder of all corpora (default ${ENVIRONMENT}, else corpora)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="what there is, and what is on disk")
    commands.add_parser("fetch", help="download one corpus").add_argument("name")
    options = parser.parse_args(arguments)
    folder = corpora_dir(options.corpora_dir)
    if options.command == "fetch":
        print(fetch(get(options.name), folder))
        return 0
    for entry in load_catalogue().values():
        print(f"{entry.name:18} {entry.locate(folder) or 'not on disk'}")
        print(f"    {entry.title}\n    {entry.licence}; {entry.cite}")
    return 0
