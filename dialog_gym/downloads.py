"""Public data on disk: where it is looked for, and files fetched with resume and verified before use.

A file is verified by its git blob id, which a public repository gives for every file of a commit:
``sha1("blob SIZE" + NUL + content)``. A download goes to ``.NAME.part`` beside its place and gets its
name only when it is right; what was fetched before an interruption is taken up again.
"""

import gzip
import hashlib
import http.client
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from dialog_gym.core import DialogGymError
from dialog_gym.files import replacing

ATTEMPTS: Final = 4
"""Connections in a row that may bring nothing new before a download is given up."""
PAUSE = 0.5
"""Seconds before the next connection after one that brought nothing; doubled each time."""
TIMEOUT: Final = 30.0
"""Seconds without a byte after which a connection counts as cut."""
_CHUNK: Final = 1 << 16
_PARTIAL, _UNSATISFIABLE = 206, 416
_MANY: Final = 429


class Progress(Protocol):
    """Told how far some work is."""

    def __call__(self, done: int, total: int, label: str = "") -> None:
        """``done`` of ``total`` are finished; another ``label`` is another piece of work."""
        ...


class _Wrong(Exception):
    """The file is complete, and not the one that was asked for."""


def cache_folder() -> Path:
    """The user's folder for what can be fetched or made again."""
    if sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "dialog-gym"


def data_folder(chosen: Path | str | None = None) -> Path:
    """Where data sets are: ``chosen``, else $DIALOG_GYM_DATA, else ``data`` in the user's cache folder."""
    named = str(chosen or "") or os.environ.get("DIALOG_GYM_DATA", "")
    return Path(named).expanduser() if named else cache_folder() / "data"


def blob_id(path: Path) -> str:
    """The git blob id of a file, 40 hexadecimal digits."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def fits(path: Path, blob: str) -> bool:
    """Whether a file has this blob id; a file without a known id (the empty text) always fits."""
    return not blob or blob_id(path) == blob


def fetch(url: str, target: Path, blob: str, progress: Progress) -> None:
    """Download one file.

    Args:
        url: From where.
        target: To where; folders on the way are made.
        blob: The git blob id it must have.
        progress: Told the bytes that are there and the bytes expected, labelled with the file's name.

    Raises:
        DialogGymError: one line: no connection, a file that is not there, or a wrong one. ``target`` is only
            written when the file is right.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    resumed = part.exists()
    try:
        _download(url, part, blob, progress, target.name)
    except _Wrong:
        if resumed:  # its beginning may be of another file: once more from nothing
            return fetch(url, target, blob, progress)
        raise DialogGymError(
            f"{url} is not the expected file (its checksum is not {blob}); nothing was kept, try again later"
        ) from None
    os.replace(part, target)
    return None


def _download(url: str, part: Path, blob: str, progress: Progress, label: str) -> None:
    """Fill ``part`` until it is whole and right; a wrong one is removed."""
    idle, trouble = 0, ""
    while idle < ATTEMPTS:
        before = _size(part)
        try:
            whole = _continue(url, part, progress, label)
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != _MANY:
                part.unlink(missing_ok=True)
                raise DialogGymError(f"cannot download {url}: HTTP {error.code} {error.reason}") from None
            whole, trouble = False, f"HTTP {error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            whole, trouble = False, str(getattr(error, "reason", None) or error or type(error).__name__)
        if whole:
            if fits(part, blob):
                return
            part.unlink()
            raise _Wrong
        idle = 0 if _size(part) > before else idle + 1
        if 0 < idle < ATTEMPTS:
            time.sleep(PAUSE * 2 ** (idle - 1))
    kept = f"; {_size(part):,} bytes are kept, run it again to go on" if _size(part) else ""
    raise DialogGymError(f"cannot download {url}: {trouble or 'the connection was cut'}{kept}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _continue(url: str, part: Path, progress: Progress, label: str) -> bool:
    """Add one connection's bytes to ``part``; whether the file is whole now."""
    have = _size(part)
    headers = {"User-Agent": "dialog-gym", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _UNSATISFIABLE:  # nothing after what is there
            return True
        raise
    with answer:
        if answer.status != _PARTIAL:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else 0
        with part.open("ab" if have else "wb") as file:
            have += _copy(answer, file, have, total, progress, label)
    return have == total if length else True


def _copy(answer: BinaryIO, file: BinaryIO, have: int, total: int, progress: Progress, label: str) -> int:
    """Copy what a connection brings; the number of bytes, also when it breaks before the end."""
    copied = 0
    while chunk := answer.read(_CHUNK):
        file.write(chunk)
        copied += len(chunk)
        progress(have + copied, max(total, have + copied), label)
    return copied


def adopt(source: Path, target: Path, blob: str) -> None:
    """Copy a local file, unpacked if it is a ``.gz`` of the file wanted, and verify it.

    Args:
        source: The file, or its gzipped twin.
        target: To where; folders on the way are made. It is only written when the file is right.
        blob: The git blob id it must have; the empty text when none is known.

    Raises:
        DialogGymError: it cannot be read, or is another file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    packed = source.suffix == ".gz" and target.suffix != ".gz"
    try:
        with replacing(target) as part:
            with gzip.open(source) if packed else source.open("rb") as read, part.open("wb") as write:
                shutil.copyfileobj(read, write)
            if not fits(part, blob):
                raise DialogGymError(f"{source} is not the file of the release: its checksum is not {blob}")
    except (gzip.BadGzipFile, EOFError) as error:
        raise DialogGymError(f"cannot unpack {source}: {error}") from None
