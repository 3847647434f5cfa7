"""Carries out what `recovery.planning.doctor` proposes: restart an engine, reboot a machine, promote a stand-in.

A manager is stopped only if the quorum survives that, or if there is no quorum and a restart may bring it back.
"""

from collections.abc import Mapping
from time import monotonic, sleep

from recovery.cluster import Cluster
from recovery.errors import ProofFailed, Refused, Silent, TransportError
from recovery.node.connections import BRISK
from recovery.node.engine import RESTART
from recovery.node.shell import said
from recovery.node.ssh import Shell
from recovery.operations import hosts
from recovery.planning import doctor
from recovery.planning.findings.finding import NO_MANAGER, NO_QUORUM_LEFT, OBJECTIONS, RECOVER_FIRST
from recovery.progress import Say
from recovery.steps import unlock
from recovery.survey.nodes import stable_survey, survey
from recovery.swarm.machines import Node
from recovery.swarm.model import ENTERED, LocalState, NodeReport, Reach, Survey

RESTART_SECONDS = 90.0
"""For an engine to start and a manager to have a leader again. An election takes up to 20 s."""
REBOOT_SECONDS = 600.0
"""Servers with much memory take minutes to start."""
PAUSE = 0.3
REMEDIES: Mapping[str, str] = {
    RECOVER_FIRST: "requorum plan, which shows the recovery and the command that consents to it",
    NO_QUORUM_LEFT: "repair the other managers first: requorum doctor",
    NO_MANAGER: "requorum status, which says what becomes of the managers",
}
"""What to do first, where a node must not be restarted now."""
RESTARTING, REBOOTING = "restarting the engine", "rebooting"
BOOT = "cat /proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat"
"""Prints text that differs after every boot: the kernel's boot ID and, for containers, the start of process 1."""


def restart(cluster: Cluster, node: Node, *, say: Say) -> NodeReport:
    """Restart the node's Docker engine, even if systemd has stopped trying. Returns the node's report after it.

    An engine that starts locked is unlocked with the key in escrow, unless the swarm has no leader. A recovery unlocks it then.

    Raises: Refused if the quorum would be lost, if only a recovery brings it back, or if the machine does not answer; ProofFailed if the engine does not come
    back; TransportError; as `unlock.require_key`, before the restart.
    """
    before = may_halt(cluster, node, RESTARTING)
    require_key(cluster, node, before)
    say(f"restarting the Docker engine of {node.name}")
    with cluster.shell(node) as shell:
        shell.run(["sh", "-c", RESTART], seconds=RESTART_SECONDS)
    return await_back(cluster, node, before, RESTARTING, RESTART_SECONDS, say=say)


def reboot(cluster: Cluster, node: Node, *, before: Survey | None = None, say: Say) -> NodeReport:
    """Restart the machine and wait until it answers after the boot. A node container is restarted by its host's engine.

    ``before`` is the survey by which the caller has decided that the node may be stopped; without it, this is checked here.
    Raises: as `restart`; HostError.
    """
    before = before or may_halt(cluster, node, REBOOTING)
    require_key(cluster, node, before)
    with cluster.shell(node) as shell:
        old = boot(shell)
        say(f"rebooting {node.name}")
        if cluster.settings.hosts.driver == "docker":
            hosts.restart(cluster.settings, node)
        else:
            _reboot(shell)
    end = monotonic() + REBOOT_SECONDS
    while monotonic() < end:
        try:
            with cluster.shell(node, pauses=BRISK) as shell:
                if boot(shell) != old:
                    return await_back(cluster, node, before, REBOOTING, RESTART_SECONDS, say=say)
        except TransportError:
            pass  # it is down or booting
        sleep(PAUSE)
    raise ProofFailed(
        REBOOTING,
        f"it did not boot within {REBOOT_SECONDS:.0f} s",
        remedy="look at the machine's console",
        node=node.name,
        code="node-not-back",
    )


def may_halt(cluster: Cluster, node: Node, doing: str) -> Survey:
    """Check that the node may be stopped for a moment, and return the survey. Raises: Refused if it may not."""
    seen = stable_survey(cluster)
    report = seen.of(node.name)
    if report.reach not in ENTERED:
        why = f"Requorum cannot log in to it: {report.reach}"
        raise Refused(doing, why, remedy="requorum doctor", node=node.name, code="node-unreachable")
    if why := doctor.objection_to_restart(seen, report):
        raise Refused(doing, why, remedy=REMEDIES[why], node=node.name, code=OBJECTIONS[why])
    return seen


def await_back(cluster: Cluster, node: Node, before: Survey, doing: str, seconds: float, *, say: Say) -> NodeReport:
    """Wait until the node is healthy, or as healthy as it can be without a leader. Raises: ProofFailed; as `unlock.start`."""
    managers, in_swarm = cluster.settings.managers, before.of(node.name).node_id != ""
    as_it_was = {LocalState.ACTIVE, LocalState.LOCKED} if before.leader is None else {LocalState.ACTIVE}
    end = monotonic() + seconds
    while True:
        seen = survey(cluster, nodes=[*managers, *([] if node in managers else [node])])
        report = seen.of(node.name)
        if report.state is LocalState.LOCKED and before.leader is not None:
            with cluster.shell(node) as shell:
                unlock.start(cluster, shell, say=say)
            continue
        up = report.reach is Reach.ANSWERS and (report.state in as_it_was or not in_swarm)
        if up and (before.leader is None or not doctor.trouble(report, seen)):
            return report
        if monotonic() > end:
            why = doctor.trouble(report, seen) or str(report.reach)
            raise ProofFailed(
                doing,
                f"it is not healthy after {seconds:.0f} s: {why}",
                remedy="requorum doctor",
                node=node.name,
                code="node-not-back",
            )
        sleep(PAUSE)


def require_key(cluster: Cluster, node: Node, before: Survey) -> None:
    """Check that the manager can be unlocked if its engine starts locked. Raises: as `unlock.require_key`."""
    report = before.of(node.name)
    if report.reach is Reach.ANSWERS and report.holds_raft:
        unlock.require_key(cluster, node)


def boot(shell: Shell) -> bytes:
    """What tells this boot of the machine apart from others. Raises: TransportError."""
    return shell.run(["sh", "-c", BOOT]).stdout


def _reboot(shell: Shell) -> None:
    try:
        done = shell.run(["systemctl", "--no-block", "reboot"], check=False)
    except Silent:
        return  # the machine went down before it answered
    if done.status > 0:
        raise TransportError(
            REBOOTING,
            said(done.stderr),
            remedy="reboot the machine by hand",
            node=shell.node.name,
            code="command-failed",
        )
