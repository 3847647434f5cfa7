"""Nodes that are up and that Requorum cannot see into: what to do about each, and when nothing may be changed before."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery.errors import Refused
from recovery.planning.diagnosis import Diagnosis, Kind
from recovery.swarm.machines import Ssh
from recovery.swarm.model import ACCESS_FAULTS, OF_HOST_KEYS, NodeReport, Reach, Survey

MAY_PASS = frozenset({Reach.SLOW, Reach.LIMITED, Reach.JUMP, Reach.FAILED, Reach.GARBLED})
"""Faults that a machine in trouble has too, or that its owner chooses. Requorum leaves such a node alone, as a silent one, if the swarm has a leader."""


@dataclass(frozen=True)
class Advice:
    """What to do about a fault of access, and the code of the fault."""

    remedy: str
    code: str


def faults(survey: Survey) -> tuple[NodeReport, ...]:
    """The nodes that Requorum cannot see into, managers first."""
    return tuple(report for report in survey.managers + survey.workers if report.reach in ACCESS_FAULTS)


def in_the_way(survey: Survey, diagnosis: Diagnosis) -> tuple[NodeReport, ...]:
    """The nodes whose access must be repaired before Requorum changes anything, managers first.

    Every fault is in the way of a new cluster. After the loss of all managers, no worker is. Else a fault that may pass is
    in the way only on a manager, and only if no manager reports a leader.
    """

    def blocks(report: NodeReport) -> bool:
        worker = report.node.role == "worker"
        if diagnosis.kind is Kind.ABSENT:
            return True
        if report.reach in MAY_PASS:
            return not worker and survey.leader is None
        return not (worker and diagnosis.kind is Kind.ALL_LOST)

    return tuple(filter(blocks, faults(survey)))


def locked_out(reports: Sequence[NodeReport], ssh: Ssh, doing: str = "") -> Refused:
    """The refusal that names the fault of each node, and what to do about the first one."""
    first, code, remedy = reports[0], advice(reports[0], ssh).code, command(reports[0], ssh)
    if len(reports) == 1:
        doing = doing or f"connecting to {ssh.user_of(first.node)}@{first.node.dial} by SSH"
        why = f"{first.reach}: {first.detail}"
        return Refused(doing, why, remedy=remedy, node=first.node.name, code=code)
    why = "".join(f"\n  {report.node.name}: {report.reach}: {report.detail}" for report in reports)
    doing = doing or "looking at the nodes"
    return Refused(doing, f"Requorum cannot see into these:{why}", remedy=remedy, code=code)


def command(report: NodeReport, ssh: Ssh) -> str:
    """What to do about a node that Requorum cannot see into, with its name."""
    where = "for" if report.reach in OF_HOST_KEYS else "on"
    return f"{where} {report.node.name}: {advice(report, ssh).remedy}"


def advice(report: NodeReport, ssh: Ssh) -> Advice:
    """What to do about a node that Requorum cannot see into."""
    dial = report.node.dial
    match report.reach:
        case Reach.REFUSED:
            waits = "If sshd runs, the host may limit new connections: wait 30 s"
            return Advice(f"start sshd on {dial}, or correct requorum:ssh.port. {waits}", code="ssh-refused")
        case Reach.LIMITED:
            limits = "what limits new SSH connections: ufw status, iptables -S, MaxStartups in sshd_config"
            return Advice(
                f"wait 30 s. If that does not help, look on {dial} whether sshd runs and {limits}", code="ssh-limited"
            )
        case Reach.SLOW:
            remedy = f"find out what the login of {dial} waits for, or set requorum:ssh.loginSeconds higher"
            return Advice(remedy, code="slow-login")
        case Reach.DENIED:
            remedy = "correct requorum:ssh.user or requorum:ssh.privateKeyFile, or authorize the key on the node"
            return Advice(remedy, code="access-denied")
        case Reach.WRONG_KEY:
            lines = f"its lines in {ssh.known_hosts_file} with the output of: {report.scan}"
            remedy = f"find out which machine answers at {dial}. If it is the right one, replace {lines}"
            return Advice(remedy, code="host-key-changed")
        case Reach.NOT_PINNED:
            compare = "compare the fingerprint on the machine (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub)"
            return Advice(f"{compare}, then: {report.scan} >> {ssh.known_hosts_file}", code="host-key-not-pinned")
        case Reach.GARBLED:
            login = f"the login of {ssh.user_of(report.node)} on {dial} run commands: its shell, ForceCommand in sshd_config"
            return Advice(f"let {login}, command= in authorized_keys", code="answer-garbled")
        case Reach.NO_RIGHTS:
            remedy = f"run as root: echo '{ssh.user_of(report.node)} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/requorum"
            return Advice(remedy, code="missing-rights")
        case Reach.JUMP:
            return Advice(
                "repair the jump host that is named, or correct its entry in requorum:ssh.jump", code="jump-host-failed"
            )
        case _:
            return Advice(f"read sshd's log on {dial}: journalctl -u ssh", code="ssh-failed")
