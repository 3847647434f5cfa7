"""A page in a file."""

from pathlib import Path

from recovery.errors import LocalError
from recovery.whole_file import write_whole


def save(path: Path, page: str) -> None:
    """Write a page to a file, in one moment. Raises: LocalError."""
    try:
        write_whole(path, page.encode())
    except OSError as error:
        raise LocalError(
            f"writing {path}",
            str(error.strerror),
            remedy="make its folder, or free space on its disk, then run the same command again",
            code="disk-failed",
        ) from None
