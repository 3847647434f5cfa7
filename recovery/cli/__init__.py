"""The command line: show, copy and recover a cluster, and repair one node or service."""

from recovery.cli.console import app
from recovery.cli.interrupt import listen

__all__ = ["app", "main"]


def main() -> None:
    """Entry point; the name is what help and completion say, whatever file Python was started with."""
    listen()
    app(prog_name="requorum")
