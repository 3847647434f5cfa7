"""The results of the matrix as a page: totals, then a table for each cluster, a row for each loss."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from tests.chaos.oracle import Case, Copies, Ending, expected
from tests.chaos.trial import Result

HEAD = """# Chaos matrix

Every subset of the managers is lost, with every state of the copies, one case after the other on real swarms with
running services. Each case ends in a recovery that is proven, or in the refusal that it must end in. What it must end
in is decided by [a function of its own](../tests/chaos/oracle.py), and looked at through the engines of the nodes.
Written by `make chaos`; the seconds are this machine's. The matrix is 400 cases on one engine, 80 of 3 managers and 320
of 5; what was not run yet is called so. On other engines a part is run.

"""
LEGEND = """
A cell says what came of the case and the seconds from machines that are up and empty to the proof.

- **rejoined**: there was a quorum; the lost managers are back under their own node IDs. **joined anew**: under new
  ones, since no copy held the old. Where the leader was lost too (*), an election of 10 to 20 s is part of the time.
- **forced a**: no quorum; a new cluster from manager a's own log, after a safety copy of every survivor.
- **restored a**: all lost; from the copy of manager a. **older**: from the one before the newest, without the last change.
- *newest foreign*: each case was refused first, since copies of two swarms lie under one name, with nothing changed;
  the cell says what came of it once `requorum:clusterId` was set.
- **refused**: nothing was changed; then the copies were put back and the swarm restored from manager a's.

In each case, on every node: one cluster ID, the one from before; one leader; every manager Reachable and every worker
Ready; as many nodes as before; node IDs kept; the last change before the newest copies there; containers of the
workers the same; a fresh copy of every manager at the end. An engine may list a member as neither Reachable nor Ready, or no
leader, for no longer than 5 s after the proof; the totals say how long one did.
"""


def document(found: Iterable[Result], dates: Sequence[str], faults: Sequence[tuple[str, str]] = ()) -> str:
    """The page; ``faults`` are all that ever came, also those of cases that were run again."""
    results = sorted(found, key=lambda result: _order(result.case))
    parts = [HEAD, *_totals(results, dates), LEGEND]
    for (suite, count, lock), group in groupby(results, key=lambda result: _cluster(result.case)):
        parts += [f"\n## {count} managers, autolock {'on' if lock else 'off'}, {suite}\n\n", *_grid(list(group))]
    if faults:
        parts.append(
            "\n## Faults\n\nWhat is no fault in the tables was run again on a new cluster and ended as it must.\n\n"
        )
        parts += [f"- {name}: {what}\n" for name, what in faults]
    return "".join(parts)


def cell(result: Result) -> str:
    """What came of one case."""
    if result.faults or result.ending is None:
        return f"**FAULT**: {result.faults[0].splitlines()[0] if result.faults else 'broke off'}"
    wanted = expected(result.case)
    words = {
        Ending.NOTHING: "nothing to do",
        Ending.REJOINED: "joined anew" if wanted.renewed else "rejoined",
        Ending.FORCED: f"forced {_short(result.source)}" + (", joined anew" if wanted.renewed else ""),
        Ending.RESTORED: f"restored {_short(result.source)}" + ("" if wanted.last_change else ", older"),
        Ending.REFUSED: "refused",
    }[result.ending]
    if result.refused_first and result.case.copies is Copies.MISSING:
        words = f"refused; then {words}"
    return f"{words}, {result.seconds:.0f} s" + ("*" if result.led and result.ending is Ending.REJOINED else "")


def _totals(results: Sequence[Result], dates: Sequence[str]) -> list[str]:
    endings = Counter(str(result.ending) for result in results if not result.faults)
    engines = sorted({engine for result in results for engine in result.engines})
    rows = {
        "run": " to ".join(sorted({dates[0], dates[-1]})) if dates else "",
        "engine": ", ".join(engines),
        "cases": len(results),
        "ended as they must": sum(not result.faults for result in results),
        **{f"of these: {ending}": count for ending, count in sorted(endings.items())},
        "refused first, as they must be": sum(result.refused_first for result in results),
        "second swarms": sum(result.second_swarms for result in results),
        "workers with changed containers": sum(result.changed_workers for result in results),
        "longest from a recovery's end until all engines listed it so, in seconds": round(
            max((result.stood_after for result in results), default=0.0), 1
        ),
        "seconds per case, with the loss and the checks": round(
            sum(result.whole for result in results) / max(len(results), 1), 1
        ),
    }
    return ["| what | |\n|---|---|\n", *(f"| {name} | {value} |\n" for name, value in rows.items())]


def _grid(group: Sequence[Result]) -> list[str]:
    by_case = {(result.case.lost, result.case.copies): cell(result) for result in group}
    lines = [f"| lost | {' | '.join(Copies)} |\n", "|---" * (len(Copies) + 1) + "|\n"]
    for lost in dict.fromkeys(result.case.lost for result in group):
        named = " ".join(_short(name) for name in lost) or "nobody"
        lines.append(f"| {named} | {' | '.join(by_case.get((lost, copies), 'not run') for copies in Copies)} |\n")
    return lines


def _short(manager: str) -> str:
    return manager.removeprefix("manager-")


def _cluster(case: Case) -> tuple[str, int, bool]:
    return case.suite, len(case.managers), case.autolock


def _order(case: Case) -> tuple[tuple[str, int, bool], int, list[int], int]:
    places = [case.managers.index(name) for name in case.lost]
    return _cluster(case), len(case.lost), places, list(Copies).index(case.copies)
