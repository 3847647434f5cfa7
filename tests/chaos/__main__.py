"""Runs the chaos matrix, or a part of it, on separate labs: ``python -m tests.chaos``.

Each line of the results is a case. With ``--resume``, cases without faults do not run again. With ``--write``, every edit
of a stack file runs on the fake swarm too, and the results become the page in docs/.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty

from lab import environment, image, lifecycle
from lab.instance import Instance
from recovery.settings.placement import names, placement
from tests.chaos import results, table
from tests.chaos.cluster import Cluster
from tests.chaos.oracle import Case, matrix, only, sample
from tests.chaos.trial import Result, Trial
from tests.edits import page
from tests.edits.edits import EDITS
from tests.edits.results import FAKE, LAB
from tests.edits.results import read as read_edits

OCTETS = (80, 81)
ZONES = ("a", "b", "c")
DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "chaos.md"
Group = tuple[Case, ...]
"""Cases that run on one cluster."""


def main() -> int:
    """Run the requested cases. Returns 0 if every case ended as it must."""
    options = _arguments()
    file = options.resume or Path(f"chaos-{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl")
    chosen = [only(group, options.only) for group in _groups(options)]
    earlier = results.read(file)
    groups = [tuple(remaining) for group in chosen if (remaining := results.left(group, earlier))]
    begun = time.monotonic()
    if groups:
        print(f"{sum(map(len, groups))} cases; results go to {file}")
        _run(groups, options.octets, file)
    by_name = results.read(file)
    wanted = [case.name for group in chosen for case in group]
    bad = [by_name[name] for name in wanted if name in by_name and by_name[name].faults]
    missing = [name for name in wanted if name not in by_name]
    print(f"{len(wanted) - len(bad) - len(missing)} of {len(wanted)} as they must be, {time.monotonic() - begun:.0f} s")
    for result in bad:
        print(f"{result.case.name}: {'; '.join(result.faults)}")
    if options.write:
        subprocess.run([sys.executable, "-m", "tests.edits"], check=False)
        losses = table.document(list(by_name.values()), results.dates(file), results.faults(file))
        DOCUMENT.write_text(losses + page.section(EDITS, *map(read_edits, (FAKE, LAB))))
        print(f"wrote {DOCUMENT}")
    return 1 if bad or missing else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--managers", type=int, choices=(3, 5), action="append", help="default: both")
    parser.add_argument("--autolock", choices=("off", "on", "both"), default="both")
    parser.add_argument(
        "--engine",
        type=_engine,
        default=image.DEFAULT,
        help=f"of the nodes: {', '.join(image.ENGINES)}; or several, such as 20.10+28, which the nodes have in turn; default: {image.DEFAULT}",
    )
    parser.add_argument(
        "--sample",
        action="store_true",
        help="of 5 managers 64 of the 320 cases: each loss once, the copies' states in turn",
    )
    parser.add_argument(
        "--only", default="", metavar="PATTERN", help="what a case's name must hold, such as '5 * good'"
    )
    parser.add_argument("--resume", type=Path, metavar="FILE", help="go on with these results")
    parser.add_argument("--write", action="store_true", help=f"make docs/{DOCUMENT.name} from the results")
    parser.add_argument("--octets", type=int, nargs="+", default=OCTETS, help="a lab each, side by side")
    return parser.parse_args()


def _groups(asked: argparse.Namespace) -> list[list[Case]]:
    """Group the cases by cluster. Small clusters come first, because their cases are quick."""
    locks = {"off": [False], "on": [True], "both": [False, True]}[asked.autolock]
    counts = sorted(asked.managers or (3, 5))
    groups = [list(matrix(managers(count), autolock=lock, engine=asked.engine)) for count in counts for lock in locks]
    return [sample(group) if asked.sample and len(group[0].managers) == 5 else group for group in groups]


def _engine(text: str) -> str:
    if unknown := set(text.split("+")) - image.ENGINES.keys():
        raise argparse.ArgumentTypeError(f"no image of {', '.join(sorted(unknown))}")
    return text


def managers(count: int) -> tuple[str, ...]:
    """The names of ``count`` managers in the lab."""
    return names(placement(count, ZONES))


def _run(groups: Sequence[Group], octets: Sequence[int], file: Path) -> None:
    """Give each lab one group at a time until no group remains."""
    waiting: multiprocessing.Queue[Group] = multiprocessing.Queue()
    for group in groups:
        waiting.put(group)
    labs = [multiprocessing.Process(target=_lane, args=(octet, waiting, file)) for octet in octets[: len(groups)]]
    for lab in labs:
        lab.start()
    for lab in labs:
        lab.join()


def _lane(octet: int, waiting: "multiprocessing.Queue[Group]", file: Path) -> None:
    lab = Instance(octet)
    lifecycle.down(lab, lambda _: None)
    try:
        lifecycle.up(lab, lambda _: None)
        os.environ.update(environment.variables(lab))
        with suppress(Empty):
            while True:
                group = waiting.get(timeout=1)
                first = group[0]
                cluster = Cluster(lab, managers=len(first.managers), autolock=first.autolock, engine=first.engine)
                trial = Trial(cluster)
                for case in group:
                    result = trial.run(case)
                    results.append(file, result)
                    print(_line(result), flush=True)
    finally:
        lifecycle.down(lab, lambda _: None)


def _line(result: Result) -> str:
    words = f"{result.ending or 'broke off'} {result.source}".strip()
    fault = f"  FAULT {'; '.join(result.faults)}" if result.faults else ""
    return f"{result.case.name}: {words}  {result.seconds:.1f} of {result.whole:.1f} s{fault}"


if __name__ == "__main__":
    sys.exit(main())
