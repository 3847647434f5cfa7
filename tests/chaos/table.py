"""Writes the results of the matrix as a page: totals, then a table for each cluster with a row for each loss."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from lab import image
from tests.chaos.oracle import Case, Copies, Ending, expected
from tests.chaos.trial import Result

HEAD = """# Chaos matrix

`make chaos` writes this page. A case loses one subset of the managers, with one state of the copies, on a real swarm
with running services. The cases run one after the other. Each must end in a proven recovery, or in a refusal.
[A separate function](../tests/chaos/oracle.py) decides how each case must end. The checks ask the engines of the nodes.

The seconds belong to the machine that ran the cases. The matrix of one engine has 400 cases: 80 with 3 managers and 320
with 5. With some engines only a part was run. The tables show the other cases as *not run*.

"""
LEGEND = """
A cell says how the case ended, and the seconds from machines that are up and empty to the proof.

| cell | meaning |
|---|---|
| rejoined | The swarm had a quorum. The lost managers are back under their own node IDs. |
| joined anew | The lost managers are back under new node IDs, because no copy held the old ones. |
| * | The leader was lost too. The time includes an election of 10 to 20 s. |
| forced a | The quorum was lost. A new cluster was forced from manager a's own log, after a safety copy of every survivor. |
| restored a | All managers were lost. The swarm was restored from the copy of manager a. |
| older | The copy before the newest was restored, without the last change. |
| refused | Requorum changed nothing. Then the case put the copies back, and the swarm was restored from manager a's copy. |

In the column *newest foreign*, copies of two swarms had one name. Requorum refused each case first and changed nothing.
The cell says how the case ended after `requorum:clusterId` was set.

Each case checks on every node:

- one cluster ID, the one from before, and one leader
- every manager Reachable and every worker Ready
- as many nodes as before, and the same node IDs
- the last change before the newest copies
- the same containers on the workers
- a fresh copy of every manager at the end

An engine may list a member as neither Reachable nor Ready, or no leader, for at most 5 s after the proof. The totals say how long.
"""


def document(found: Iterable[Result], dates: Sequence[str], faults: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page. ``faults`` are all faults, also those of cases that ran again."""
    results = sorted(found, key=lambda result: _order(result.case))
    parts = [HEAD, *_totals(results, dates), LEGEND]
    for (engine, count, lock), group in groupby(results, key=lambda result: _cluster(result.case)):
        parts += [
            f"\n## {count} managers, autolock {'on' if lock else 'off'}, engine {engine}\n\n",
            *_grid(list(group)),
        ]
    if faults:
        parts.append(
            "\n## Faults\n\nUnless a table shows a fault, the case ran again on a new cluster and ended as it must.\n\n"
        )
        parts += [f"- {name}: {what}\n" for name, what in faults]
    return "".join(parts)


def cell(result: Result) -> str:
    """The text of one case's result."""
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
    return case.engine, len(case.managers), case.autolock


def _order(case: Case) -> tuple[bool, tuple[str, int, bool], int, list[int], int]:
    """The sort key of a case. The default engine comes first."""
    places = [case.managers.index(name) for name in case.lost]
    return case.engine != image.DEFAULT, _cluster(case), len(case.lost), places, list(Copies).index(case.copies)
