"""A program that watches what a file names, to be run in a terminal: `python -m tests.unit.cli.watched FILE [--json]`."""

import sys
from pathlib import Path

import typer

from recovery.cli import interrupt
from recovery.cli.console import ended
from recovery.cli.live import watch
from recovery.cli.show import cluster as show
from recovery.planning.diagnosis import diagnose
from tests.unit import factories as make

S = make.settings(workers=[{"name": f"worker-{n}", "address": f"10.77.1.{20 + n}"} for n in range(1, 21)])
A, B, C = S.managers
STATES = {
    "healthy": lambda: [*make.healthy(S).reports],
    "silent": lambda: [
        *(make.manager(node, S.nodes, unreachable=(C.name,)) for node in (A, B)),
        make.silent(C),
        *map(make.worker, S.workers),
    ],
    "lost": lambda: [*map(make.gone, S.managers), *map(make.worker, S.workers)],
}


def status(name: str) -> show.Status:
    """The status that a state gives."""
    seen = make.survey(STATES[name]())
    copies = {node.name: make.copy_of(make.manifest(node.name)) for node in S.managers}
    return show.status(S, seen, diagnose(seen, make.CLUSTER, cluster="lab", copies=True), copies, None)


def main(file: Path, *options: str) -> None:
    """Watch, as `requorum status --watch` does."""
    interrupt.listen()
    with ended(interrupted=""):
        last = watch(lambda: status(file.read_text()), 0.2, as_json="--json" in options)
        raise typer.Exit(last.exit_code if last else interrupt.STATUS)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *sys.argv[2:])
    except typer.Exit as end:
        sys.exit(end.exit_code)
