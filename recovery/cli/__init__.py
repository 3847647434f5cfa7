"""The command line: looking, copying, recovering, and what can be done about one node or service."""

from recovery.cli.console import app

__all__ = ["agents", "app", "cluster", "copies", "data", "main", "nodes"]


def main() -> None:
    """Entry point."""
    app()
