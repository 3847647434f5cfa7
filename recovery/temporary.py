"""Where this machine has its temporary files: below ``TMPDIR``, or in the first folder of Python's that can be written."""

import os
import tempfile
from pathlib import Path

from recovery.errors import local_fault


def root() -> Path:
    """The folder. Raises: LocalError when no folder can be written."""
    try:
        return Path(tempfile.gettempdir())
    except OSError as error:
        raise local_fault(error, Path(os.environ.get("TMPDIR", "/tmp"))) from None  # noqa: S108 - Python looks there too
