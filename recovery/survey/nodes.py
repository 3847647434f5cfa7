"""Surveys every known address, in parallel and with time limits."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from recovery.cluster import Cluster
from recovery.errors import (
    AccessDenied,
    CommandFailed,
    EngineError,
    Garbled,
    HostKeyChanged,
    HostKeyUnknown,
    JumpHostFailed,
    Limited,
    Silent,
    SlowLogin,
    SshRefused,
    TransportError,
)
from recovery.node import data_root
from recovery.node.answers import LONGEST
from recovery.node.connections import BRISK, GENTLE
from recovery.node.door import door
from recovery.node.garbled import garbled
from recovery.node.shell import DATA_ROOT, SHOWN
from recovery.node.ssh import Shell
from recovery.onnode.archive import OPENED, PLACED, REPAIRED
from recovery.parallel import side_by_side
from recovery.survey import bare, damage, hosts, lost, presence
from recovery.survey.on_node import LOOK, framed
from recovery.swarm.address import without_port
from recovery.swarm.certificate import identity, role_of, validity
from recovery.swarm.engine_kind import unsupported
from recovery.swarm.entries import entries_of
from recovery.swarm.found import SwarmFacts
from recovery.swarm.machines import SWARM_PORT, Node
from recovery.swarm.model import ENTERED, OF_HOST_KEYS, LocalState, NodeReport, Reach, Survey
from recovery.swarm.on_node import MARK_PATH
from recovery.swarm.presence import Presence
from recovery.swarm.votes import is_fading
from recovery.waiting import until

CONNECT_SECONDS = 2.0
GONE_SECONDS = 1.0
ENGINE_SECONDS = 2.5
LATE_SECONDS = 10.0
"""How long the engine of a running machine may take to answer: it may be busy."""
ELECTION_SECONDS = 30.0
"""An election starts 10 to 20 s after a leader is lost (swarmkit: a tick is 1 s, an election 10 ticks and a random part)."""
PROBE = (
    f'id -u; [ -z "$2" ] || {{ {LOOK} }}; '
    f"cat /etc/machine-id; cat {MARK_PATH} 2>/dev/null || echo; "
    f'cd "$1/swarm" 2>/dev/null || exit 0; cat {PLACED} 2>/dev/null || echo; '
    "ls raft/wal-v3-encrypted/*.wal >/dev/null 2>&1 && echo raft || echo; "
    f"[ -e {OPENED} ] && echo opened || echo; "
    f"cat {REPAIRED} 2>/dev/null || echo; echo $(df -B1 --output=avail . 2>/dev/null | tail -n 1); "
    "sha256sum certificates/swarm-root-ca.crt 2>/dev/null || echo; cat certificates/swarm-node.crt 2>/dev/null; true"
)
"""Prints the ID of the user and, with a second argument, what `recovery.survey.on_node` reads. Then prints machine ID, our
mark, what we placed, `raft` when a log lies there, `opened` when we opened the key file of an autolocked manager, what was
wrong with a log that we have cut, the free bytes of its disk, and the CA's digest, a line each, and the node's certificate (public)."""
ROOT = "0"
NO_RIGHTS = "the login is user {user}: not root, and without sudo that needs no password"
SHA256 = re.compile("[0-9a-f]{64}")
DIGITS = 20
"""No disk has a number of bytes with so many digits."""
FAULTS: Mapping[type[TransportError], Reach] = {
    SshRefused: Reach.REFUSED,
    Limited: Reach.LIMITED,
    SlowLogin: Reach.SLOW,
    CommandFailed: Reach.SLOW,
    AccessDenied: Reach.DENIED,
    HostKeyChanged: Reach.WRONG_KEY,
    HostKeyUnknown: Reach.NOT_PINNED,
    Garbled: Reach.GARBLED,
    JumpHostFailed: Reach.JUMP,
    Silent: Reach.SILENT,
}
"""What an error says about how far we got. Any other is `Reach.FAILED`."""
LATE = frozenset({Reach.SLOW, Reach.LIMITED, Reach.REFUSED})
"""Faults that may pass when a node is asked once more: longer, or after a pause."""


@dataclass(frozen=True)
class SurveyLimits:
    """Seconds for a machine to accept a connection, from the same beginning to let us in, and for each answer of its engine.

    ``pauses`` are the seconds between attempts at a host that may limit new connections.
    """

    connect: float
    login: float
    engine: float = ENGINE_SECONDS
    pauses: tuple[float, ...] = BRISK


QUICK = SurveyLimits(CONNECT_SECONDS, CONNECT_SECONDS)


def survey(
    cluster: Cluster,
    *,
    nodes: Sequence[Node] | None = None,
    patient: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Survey:
    """The reports of all nodes, or of ``nodes``, with the operator's declarations about silent ones.

    With ``patient``, nodes that are `late` are asked once more, with longer limits and pauses. Without, that are only
    nodes whose login is slow, and only if no manager reports a leader.

    Raises: HostError when the docker driver's engine does not answer; SettingError for unusable SSH files.
    """
    settings = cluster.settings
    asked = settings.nodes if nodes is None else nodes
    present = hosts.presence(settings, asked)

    def look(nodes: Sequence[Node], limits: SurveyLimits) -> tuple[tuple[NodeReport, bool], ...]:
        return side_by_side(lambda node: _look(cluster, node, present[node.name], limits), nodes)

    looks = look(asked, QUICK)
    names = {node.name for node in asked}
    unasked = tuple(node for node in settings.nodes if node.name not in names)
    seen = Survey(tuple(report for report, _ in looks), now(), unasked)
    left = {node.name for node in asked}
    living = {report.node.name for report, lives in looks if lives}
    while again := [node for node in (late(seen, living) if patient else _unheard(seen)) if node.name in left]:
        left -= {node.name for node in again}
        engine = ENGINE_SECONDS if seen.leader is None else LATE_SECONDS
        longer = SurveyLimits(lost.KNOCK_SECONDS, settings.ssh.login_seconds, engine, GENTLE if patient else BRISK)
        newer = {r.node.name: r for r, _ in look(again, longer)}
        seen = Survey(tuple(newer.get(report.node.name, report) for report in seen.reports), now(), unasked)
    reports = presence.told(settings, seen.reports)
    return replace(seen, reports=lost.with_declarations(cluster, reports, seen.taken))


def late(seen: Survey, living: Collection[str]) -> tuple[Node, ...]:
    """The nodes that may report more with longer limits; ``living`` are the nodes whose machines run.

    A late node is silent although its machine runs, or its login is slow or may be limited. Or the leader reaches it, and
    its report is missing or incomplete.
    Other managers are not asked again: their engines may search for a leader, which takes 20 s, and each question
    prolongs the search.
    """
    listed = seen.leader.members if seen.leader else ()

    def is_late(report: NodeReport) -> bool:
        entries = entries_of(report.node, listed, seen.told)
        heard = any(entry.reachable if report.node.role == "manager" else entry.ready for entry in entries)
        if report.reach is Reach.SILENT:
            return heard or report.node.name in living
        if report.reach in LATE:
            return True
        unsaid = not report.engine or (report.control and not report.members)
        return heard and unsaid and report.reach in ENTERED

    return tuple(report.node for report in seen.reports if is_late(report))


def _unheard(seen: Survey) -> tuple[Node, ...]:
    """The managers whose login is slow, if they may be the only ones to report a leader."""
    slow = (report.node for report in seen.managers if report.reach is Reach.SLOW)
    return () if seen.leader else tuple(slow)


def stable_survey(
    cluster: Cluster, *, nodes: Sequence[Node] | None = None, seconds: float = ELECTION_SECONDS
) -> Survey:
    """A patient `survey`, repeated until a running election has ended or ``seconds`` have passed.

    It is also repeated while managers name different leaders, because their reports may be from different moments, and while
    a leader has not noticed yet that its quorum is lost. If none of ``nodes`` has a leader, it asks also the other nodes that
    the engines of these know as managers.
    """

    def look() -> Survey:
        seen = survey(cluster, nodes=nodes, patient=True)
        others = [node for node in seen.unasked if str(node.address) in seen.known_managers]
        if seen.leader or not others:
            return seen
        return survey(cluster, nodes=[*(report.node for report in seen.reports), *others], patient=True)

    return until(
        look,
        seconds,
        holds=lambda seen: not seen.electing and len(seen.leaders) < 2 and not is_fading(seen),
    )


def report(cluster: Cluster, node: Node, presence: Presence) -> NodeReport:
    """The report of one node, which has the seconds of the settings to let us in if it accepts the connection."""
    return _look(cluster, node, presence, SurveyLimits(CONNECT_SECONDS, cluster.settings.ssh.login_seconds))[0]


def _look(cluster: Cluster, node: Node, presence: Presence, limits: SurveyLimits) -> tuple[NodeReport, bool]:
    """The report of one node, and whether its machine runs: it accepted the connection, or its driver says so.

    If the driver reports a machine as gone, its address is dialled too, because the driver may ask the wrong engine.
    The machine is not gone if it accepts a connection.
    """
    if presence is Presence.STOPPED:
        return NodeReport(node, Reach.STOPPED, "the machine exists and does not run"), False
    gone = presence is Presence.GONE
    connect = min(limits.connect, GONE_SECONDS) if gone else limits.connect
    shell = cluster.shell(
        node, connect_seconds=connect, login_seconds=limits.login, pauses=BRISK if gone else limits.pauses
    )
    try:
        with shell:
            return ask(shell, seconds=limits.engine), True
    except TransportError as error:
        reach, detail = FAULTS.get(type(error), Reach.FAILED), error.why
        if reach is Reach.SILENT and gone and not shell.accepted:
            reach, detail = Reach.ABSENT, "the host driver has no such machine"
        scan = door(node, cluster.settings.ssh).scan if reach in OF_HOST_KEYS else ""
        return NodeReport(node, reach, detail, scan=scan), shell.accepted or presence is Presence.PRESENT


def ask(shell: Shell, *, seconds: float = ENGINE_SECONDS, whole: bool = True) -> NodeReport:
    """The report of the node behind an open shell; its engine has ``seconds`` for each answer.

    A ``whole`` report also says what Requorum put on the machine.
    """
    from recovery.node.engine import Engine  # loads docker: not for nodes that are silent

    base = NodeReport(shell.node, Reach.ANSWERS)
    try:
        engine = Engine(shell, seconds=seconds)
    except EngineError as error:
        root = data_root.of(shell)
        seen = _on_disk(shell, replace(base, reach=Reach.NO_ENGINE, detail=error.why), root, whole)
        return bare.judged(shell, seen, root)
    try:
        info = engine.info()
    except EngineError as error:
        # A manager whose leader has just died answers nothing that it would ask the leader for.
        pending = replace(base, detail=error.why, state=LocalState.PENDING)
        seen = _on_disk(shell, pending, data_root.of(shell), whole)
        if seen.raft:
            return seen
        seen = replace(seen, state=LocalState.INACTIVE)
        return seen if seen.reach is Reach.NO_RIGHTS else replace(seen, reach=Reach.NO_ENGINE)
    swarm = info["Swarm"]
    seen = _on_disk(shell, _told(base, info), info.get("DockerRootDir") or DATA_ROOT, whole)
    if seen.state is LocalState.INACTIVE:
        return (
            seen
            if seen.left_over
            else replace(seen, node_id="", cluster_id="", ca_sha256="", certificate=None, certified="")
        )
    known = swarm.get("RemoteManagers") or ()
    remotes = tuple(remote["Addr"] for remote in known)
    peers = {without_port(remote["Addr"]): remote["NodeID"] for remote in known if remote["NodeID"]}
    cluster_id = seen.cluster_id or (swarm.get("Cluster") or {}).get("ID", "")
    node_id, advertised = swarm.get("NodeID") or seen.node_id, swarm.get("NodeAddr") or ""
    seen = replace(seen, node_id=node_id, advertised=advertised, cluster_id=cluster_id, remotes=remotes, peers=peers)
    if not seen.control:
        return seen
    try:
        return replace(seen, members=engine.members())
    except EngineError as error:
        return replace(seen, detail=error.why)


def _told(base: NodeReport, info: Mapping[str, Any]) -> NodeReport:
    """What the engine tells of itself and of its swarm."""
    swarm = info["Swarm"]
    return replace(
        base,
        engine=info.get("ServerVersion", ""),
        unsupported=unsupported(info),
        state=LocalState(swarm["LocalNodeState"]),
        control=bool(swarm.get("ControlAvailable")),
        detail=swarm.get("Error", ""),
        swarm=SwarmFacts.of(swarm.get("Cluster")),
        ca=validity(((swarm.get("Cluster") or {}).get("TLSInfo") or {}).get("TrustRoot", "")),
    )


def _on_disk(shell: Shell, seen: NodeReport, root: str, whole: bool) -> NodeReport:
    port = shell.node.listen_port if isinstance(shell.node, Node) else SWARM_PORT
    argv = ["sh", "-c", PROBE, "probe", root, "look" if whole else "", str(port)]
    told = shell.run(argv, seconds=5, check=False)
    on_node, lines = framed(told.stdout.decode(errors="replace"))
    user, machine, mark, placed, raft, opened, repaired, free, ca, certificate = [*lines.split("\n", 9), *[""] * 10][
        :10
    ]
    if not user.isdecimal():
        raise Garbled(
            "looking at its disk",
            f"it does not say which user the login is: {(user or told.stderr).strip()[-SHOWN:]!r}",
            remedy="on the node, run: id -u",
            node=shell.node.name,
            code="answer-garbled",
        )
    if user != ROOT:
        seen, on_node = replace(seen, reach=Reach.NO_RIGHTS, detail=NO_RIGHTS.format(user=user)), None
    found = replace(
        seen,
        on_node=on_node,
        machine=_line(shell, machine),
        marked=_line(shell, mark),
        placed=_line(shell, placed),
        raft=raft == "raft",
        opened=opened == "opened",
        repaired=repaired,
        ca_sha256=_digest(shell, ca.partition(" ")[0]),
    )
    node_id, cluster_id = identity(certificate)
    found = replace(
        found, node_id=node_id, cluster_id=cluster_id, certificate=validity(certificate), certified=role_of(certificate)
    )
    return damage.examined(shell, found, root, _bytes(free))


def _line(shell: Shell, text: str) -> str:
    """A name on one line. Raises: Garbled."""
    if text.isprintable() and len(text) <= LONGEST:
        return text
    raise garbled(shell.node.name, "looking at its disk", f"this is no name: {text[:SHOWN]!r}")


def _digest(shell: Shell, text: str) -> str:
    """A SHA-256, or nothing. Raises: Garbled."""
    if not text or SHA256.fullmatch(text):
        return text
    raise garbled(shell.node.name, "looking at its disk", f"this is no SHA-256: {text[:SHOWN]!r}")


def _bytes(text: str) -> int | None:
    """How many bytes are free; None if it does not tell."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < DIGITS else None
