"""A file that others read, written in one moment: they see the old one or the new one, and never a part."""

import os
import tempfile
from pathlib import Path

from recovery.errors import LocalError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that everybody may read. Raises: OSError.

    The folder may belong to somebody else. So the new file is one that nobody else has made or linked.
    """
    file, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(file, "wb") as writing:
            writing.write(content)
            os.fchmod(file, 0o644)
        Path(made).replace(path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def save(path: Path, text: str) -> None:
    """Write a text to a file that a person named. Raises: LocalError."""
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise LocalError(
            f"writing {path}",
            str(error.strerror),
            remedy="make its folder, or free space on its disk, then run the same command again",
            code="disk-failed",
        ) from None
