"""The command line: show, copy and recover a cluster, and repair one node or service."""

from recovery.cli import agents, cluster, copies, data, nodes
from recovery.cli.console import app

__all__ = ["agents", "app", "cluster", "copies", "data", "main", "nodes"]


def main() -> None:
    """Entry point; the name is what help and completion say, whatever file Python was started with."""
    app(prog_name="requorum")
