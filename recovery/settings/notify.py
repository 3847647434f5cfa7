"""Who is told what happened while nobody watched."""

from pathlib import Path
from typing import Literal

from recovery.settings.base import Frozen


class Notify(Frozen):
    """Who is told of failures: a file with a URL of apprise on each line, which may hold secrets."""

    urls_file: Path
    events: tuple[Literal["started", "failed", "recovered"], ...] = ("failed", "recovered")
