"""Downloading one file: resumable, checked, and never half-written under its final name."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from ..errors import UserError
from .source import readable

#: Some mirrors refuse urllib's default name with 403.
USER_AGENT = "minigpt-corpus-fetcher/1.0"
CHUNK = 1 << 16  # bytes
TIMEOUT = 30  # seconds without an answer
#: What a download that failed raises.
FAILURES = (OSError, http.client.HTTPException)


def download(url: str, target: Path) -> Path:
    """Fetch `url` into `target`, going on from `target.part` where an earlier call was interrupted.

    Raises one of FAILURES when the server cannot be reached, refuses, or stops early;
    the part file stays.
    """
    part = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, have)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing after what we have, so what we have is not this file's beginning
            raise
        part.unlink()
        have, response = 0, _open(url, 0)
    with response:
        if response.status != 206:
            have = 0  # this server cannot resume and sends everything again
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=target.name, leave=False) as bar,
        ):
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    size = part.stat().st_size
    if total is not None and size < total:
        raise OSError(f"the connection ended after {size:,} of {total:,} bytes")
    os.replace(part, target)
    return target


def _open(url: str, start: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": USER_AGENT} | ({"Range": f"bytes={start}-"} if start else {})
    response: http.client.HTTPResponse = urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=TIMEOUT
    )
    return response


def check_sha256(path: Path, expected: str | None) -> None:
    """Remove `path` and raise UserError if its bytes are not the expected ones; None checks nothing."""
    if expected is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        path.unlink()
        raise UserError(
            f"{path.name} is not the file its publisher put out (SHA-256 {found[:12]}…, "
            f"expected {expected[:12].lower()}…) and was removed; fetch it again or from another mirror."
        )


def extract(archive: Path, names: Iterable[str], folder: Path) -> None:
    """Unpack the members called `names`, whatever folder of the zip they are in, into `folder`.

    Raises UserError for a broken zip, a missing member, and a zip with any path that leads out of it.
    """
    with readable(archive), zipfile.ZipFile(archive) as packed:
        members = packed.namelist()
        for member in members:
            # Only wanted names are written, but a zip that tries to leave its folder deserves no trust.
            path = PurePosixPath(member.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or ":" in member:
                raise UserError(f"{archive.name} holds the unsafe path {member!r} and was not unpacked.")
        for name in names:
            found = next((m for m in members if _is_file(m, name)), None)
            if found is None:
                raise UserError(f"{archive.name} holds no {name}; is it another corpus?")
            with packed.open(found) as source, (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target)


def _is_file(member: str, name: str) -> bool:
    """Whether a member is the file `name` itself and not the Mac's shadow of it."""
    path = PurePosixPath(member)
    return path.name == name and "__MACOSX" not in path.parts
