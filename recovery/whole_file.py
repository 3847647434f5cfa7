"""A file that others read, written in one moment: they see the old one or the new one, and never a part."""

import os
import tempfile
from pathlib import Path


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
