"""The folder on this machine for copies that are being taken, opened or sent. An opened copy holds the CA's key.

The folder is below ``TMPDIR``, readable by its owner only, and removed at the end of its context. A killed process leaves
its folder behind, and a later process removes it.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recovery import temporary
from recovery.errors import FULL, local_fault

PREFIX = "requorum-copy-"
STALE_SECONDS = 86400.0
"""How old a folder must be before another process removes it: its owner may run in another container, unseen from here."""


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder (mode 0700) until the context ends. Raises: LocalError when it cannot be made, or the disk is full."""
    root = temporary.root()
    _tidy(root, time.time())
    try:
        made = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", dir=root)
    except OSError as error:
        raise local_fault(error, root) from None
    with made as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise local_fault(error, root) from None


def _tidy(root: Path, now: float) -> None:
    for folder in root.glob(f"{PREFIX}*"):
        try:
            found = folder.lstat()
        except OSError:
            continue  # another process removes it
        old = now - found.st_mtime > STALE_SECONDS
        if found.st_uid == os.getuid() and old and not _runs(folder.name.removeprefix(PREFIX).split("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass  # another user's process
    return True
