"""Files that are complete or not there: written under another name beside their own, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; what was written takes the place of ``path`` when the block ends without an error.

    Args:
        path: The file to be; its folder must be there. The name to write to has the same ending.

    Raises:
        OSError: nothing was written there, or it cannot be renamed; ``path`` is as it was.
    """
    working = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield working
        os.replace(working, path)
    finally:
        working.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, its line ends as they are.

    Raises:
        OSError: it cannot be written; a file that was there before is intact.
    """
    with replacing(path) as working:
        working.write_text(text, "utf-8", newline="\n")
