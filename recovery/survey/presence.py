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
from recovery.swarm.model import NodeReport, Reach
from recovery.swarm.presence import Presence

SECONDS = 30.0
"""How long the command may take. A driver first loads the SDK of its cloud."""
OF_ALL = "{addresses}"
"""The argument of a command that is asked once, for the addresses of all silent machines."""
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
    elif OF_ALL in settings.hosts.presence:
        answers = _asked_once(settings, silent)
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
    said, fault = _run(argv)
    return (Presence.UNKNOWN, fault) if fault else _meant(argv[0], said)


def _asked_once(settings: Settings, silent: Sequence[Node]) -> Mapping[str, tuple[Presence, str]]:
    """The command's answers for all machines, by the node's name. It prints ``ADDRESS ANSWER``, a line for each."""
    addresses = [str(node.address) for node in silent]
    argv = [one for given in settings.hosts.presence for one in (addresses if given == OF_ALL else (given,))]
    said, fault = _run(argv)
    words = dict(line.split(None, 1) for line in said.splitlines() if len(line.split()) > 1)
    return {
        node.name: (Presence.UNKNOWN, fault) if fault else _meant(argv[0], words.get(str(node.address), ""))
        for node in silent
    }


def _meant(program: str, said: str) -> tuple[Presence, str]:
    if said not in WORDS:
        return Presence.UNKNOWN, f"{program} said {said[:SHOWN]!r}, which is none of {', '.join(WORDS)}"
    return WORDS[said], program


def _run(argv: Sequence[str]) -> tuple[str, str]:
    """What a command printed, and why it failed; empty if it did not."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return "", f"{argv[0]} did not end within {SECONDS:g} s"
    except OSError as error:
        return "", f"{argv[0]} cannot be run: {error.strerror}"
    if done.returncode:
        why = one_line((done.stderr or done.stdout).decode(errors="replace")) or "no message"
        return "", f"{argv[0]} failed with exit status {done.returncode}: {why}"
    return done.stdout.decode(errors="replace").strip(), ""


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
