"""Asks whoever runs machines whether silent ones run: a command of the operator's or of a driver, or EC2."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace

from recovery.errors import HostError
from recovery.node.shell import SHOWN
from recovery.node.shell import said as one_line
from recovery.parallel import side_by_side
from recovery.settings import Settings
from recovery.settings.hosts import EC2, filled
from recovery.survey import ec2
from recovery.swarm.machines import Node
from recovery.swarm.model import NodeReport, Presence, Reach

SECONDS = 10.0
"""How long the command may take for one machine."""
WORDS: Mapping[str, Presence] = {
    "running": Presence.PRESENT,
    "stopped": Presence.STOPPED,
    "gone": Presence.GONE,
    "unknown": Presence.UNKNOWN,
}
"""The answers of the command."""


def told(settings: Settings, reports: Sequence[NodeReport]) -> tuple[NodeReport, ...]:
    """The reports, with what `requorum:hosts.presence` says of silent machines.

    A machine that is gone for good counts as lost, without the operator's word; an update makes it again if it makes machines.
    A failed question says nothing about it.
    """
    silent = [report.node for report in reports if report.reach is Reach.SILENT]
    if not (settings.hosts.presence and silent):
        return tuple(reports)
    if settings.hosts.presence == EC2:
        answers = _of_ec2(settings, silent)
    else:
        answers = dict(zip((n.name for n in silent), side_by_side(lambda n: _asked(settings, n), silent), strict=True))
    gone = Reach.ABSENT if settings.hosts.made else Reach.NAMED
    return tuple(
        _with(report, answers[report.node.name], gone) if report.node.name in answers else report for report in reports
    )


def _with(report: NodeReport, answer: tuple[Presence, str], gone: Reach) -> NodeReport:
    presence, by = answer
    match presence:
        case Presence.GONE if gone is Reach.ABSENT:
            return replace(report, reach=gone, detail=f"gone, says {by}")
        case Presence.GONE:
            return replace(report, reach=Reach.NAMED, named=f"gone, says {by}")
        case Presence.STOPPED:
            return replace(report, reach=Reach.STOPPED, detail=f"it exists and does not run, says {by}")
        case Presence.PRESENT:
            return replace(report, detail=f"{report.detail}; its machine runs, says {by}")
        case _:
            return replace(report, detail=f"{report.detail}; {by}") if by else report


def _asked(settings: Settings, node: Node) -> tuple[Presence, str]:
    """The command's answer for one machine, and who gave it, or why there is none."""
    argv = filled(settings.hosts.presence, node)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Presence.UNKNOWN, f"{argv[0]} did not end within {SECONDS:g} s"
    except OSError as error:
        return Presence.UNKNOWN, f"{argv[0]} cannot be run: {error.strerror}"
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        why = one_line((done.stderr or done.stdout).decode(errors="replace")) or "no message"
        return Presence.UNKNOWN, f"{argv[0]} failed with exit status {done.returncode}: {why}"
    if said not in WORDS:
        return Presence.UNKNOWN, f"{argv[0]} said {said[:SHOWN]!r}, which is none of {', '.join(WORDS)}"
    return WORDS[said], argv[0]


def _of_ec2(settings: Settings, silent: Sequence[Node]) -> Mapping[str, tuple[Presence, str]]:
    try:
        found = ec2.presence([node.address for node in settings.nodes])
    except HostError as error:
        return {node.name: (Presence.UNKNOWN, f"{error.doing} failed: {error.why}") for node in silent}
    return {
        node.name: (state, "EC2" if state is not Presence.UNKNOWN else "")
        for node in silent
        for state in (found[node.address],)
    }
