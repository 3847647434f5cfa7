"""The command line: show, copy and recover a cluster, and repair one node or service."""

import sys
from io import TextIOWrapper

from recovery.cli.console import app
from recovery.cli.interrupt import listen

__all__ = ["app", "main"]


def main() -> None:
    """Entry point; the name is what help and completion say, whatever file Python was started with."""
    listen()
    _show_what_it_can()
    app(prog_name="requorum")


def _show_what_it_can() -> None:
    """Show a question mark for a character that the terminal's encoding does not have. Python would end with a traceback."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
