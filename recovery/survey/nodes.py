"""Surveys every known address, in parallel and with time limits."""

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic, sleep

from recovery.errors import AccessDenied, CommandFailed, EngineError, HostKeyChanged, Silent, SshRefused, TransportError
from recovery.node.engine import Engine
from recovery.node.shell import DATA_ROOT
from recovery.node.ssh import Shell
from recovery.onnode.archive import OPENED, PLACED, REPAIRED
from recovery.settings import Settings
from recovery.survey import damage, hosts, lost
from recovery.swarm.certificate import identity
from recovery.swarm.machines import Node
from recovery.swarm.model import LocalState, NodeReport, Presence, Reach, Survey

CONNECT_SECONDS = 2.0
GONE_SECONDS = 1.0
ENGINE_SECONDS = 2.5
LATE_SECONDS = 10.0
"""How long a running machine may take to let us in, or its engine to answer, before it counts as silent: it may be busy."""
ELECTION_SECONDS = 30.0
"""An election starts 10 to 20 s after a leader is lost (swarmkit: a tick is 1 s, an election 10 ticks and a random part)."""
PAUSE = 0.5
MARK_PATH = "/etc/requorum/cluster"
"""Holds the cluster's name on every machine we prepared."""
PROBE = (
    f"cat /etc/machine-id; cat {MARK_PATH} 2>/dev/null || echo; "
    f'cd "$1/swarm" 2>/dev/null || exit 0; cat {PLACED} 2>/dev/null || echo; '
    "ls raft/wal-v3-encrypted/*.wal >/dev/null 2>&1 && echo raft || echo; "
    f"[ -e {OPENED} ] && echo opened || echo; "
    f"cat {REPAIRED} 2>/dev/null || echo; echo $(df -B1 --output=avail . 2>/dev/null | tail -n 1); "
    "sha256sum certificates/swarm-root-ca.crt 2>/dev/null || echo; cat certificates/swarm-node.crt 2>/dev/null; true"
)
"""Prints machine ID, our mark, what we placed, `raft` when a log lies there, `opened` when we opened the key file of an
autolocked manager, what was wrong with a log that we have cut, the free bytes of its disk, and the CA's digest, a line each,
and the node's certificate (public)."""


@dataclass(frozen=True)
class SurveyLimits:
    """Seconds for a machine to accept a connection, from the same beginning to let us in, and for each answer of its engine."""

    connect: float
    login: float
    engine: float = ENGINE_SECONDS


QUICK = SurveyLimits(CONNECT_SECONDS, CONNECT_SECONDS)
PATIENT = SurveyLimits(CONNECT_SECONDS, LATE_SECONDS)


def survey(
    settings: Settings,
    *,
    nodes: Sequence[Node] | None = None,
    patient: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Survey:
    """The reports of all nodes, or of ``nodes``, with the operator's declarations about silent ones.

    With ``patient``, nodes that are `late` are asked once more, with longer limits.

    Raises: HostError when the docker driver's engine does not answer; SettingError for unusable SSH files.
    """
    asked = settings.nodes if nodes is None else nodes
    present = hosts.presence(settings, asked)

    def look(nodes: Sequence[Node], limits: SurveyLimits) -> list[tuple[NodeReport, bool]]:
        with ThreadPoolExecutor(max_workers=max(len(nodes), 1)) as pool:
            return list(pool.map(lambda node: _look(node, settings, present[node.name], limits), nodes))

    looks = look(asked, QUICK)
    names = {node.name for node in asked}
    unasked = tuple(node for node in settings.nodes if node.name not in names)
    seen = Survey(tuple(report for report, _ in looks), now(), unasked)
    left = {node.name for node in asked} if patient else set()
    living = {report.node.name for report, lives in looks if lives}
    while again := [node for node in late(seen, living) if node.name in left]:
        left -= {node.name for node in again}
        engine = ENGINE_SECONDS if seen.leader is None else LATE_SECONDS
        newer = {r.node.name: r for r, _ in look(again, SurveyLimits(lost.KNOCK_SECONDS, LATE_SECONDS, engine))}
        seen = Survey(tuple(newer.get(report.node.name, report) for report in seen.reports), now(), unasked)
    return replace(seen, reports=lost.with_declarations(settings, seen.reports, seen.taken))


def late(seen: Survey, living: Collection[str]) -> tuple[Node, ...]:
    """The nodes that may report more with longer limits; ``living`` are the nodes whose machines run.

    A late node is silent although its machine runs. Or the leader reaches it, and its report is missing or incomplete.
    Other managers are not asked again: their engines may search for a leader, which takes 20 s, and each question
    prolongs the search.
    """
    listed = seen.leader.members if seen.leader else ()

    def is_late(report: NodeReport) -> bool:
        entries = [entry for entry in listed if entry.stands_at(report.node)]
        heard = any(entry.reachable if report.node.role == "manager" else entry.ready for entry in entries)
        if report.reach is Reach.SILENT:
            return heard or report.node.name in living
        unsaid = not report.engine or (report.control and not report.members)
        return heard and unsaid and report.reach in (Reach.ANSWERS, Reach.NO_ENGINE)

    return tuple(report.node for report in seen.reports if is_late(report))


def stable_survey(
    settings: Settings, *, nodes: Sequence[Node] | None = None, seconds: float = ELECTION_SECONDS
) -> Survey:
    """A patient `survey`, repeated until a running election has ended or ``seconds`` have passed.

    It is also repeated while managers name different leaders, because their reports may be from different moments.
    """
    end = monotonic() + seconds
    while True:
        seen = survey(settings, nodes=nodes, patient=True)
        if not (seen.electing or len(seen.leaders) > 1) or monotonic() > end:
            return seen
        sleep(PAUSE)


def report(node: Node, settings: Settings, presence: Presence) -> NodeReport:
    """The report of one node, which has `LATE_SECONDS` to let us in if it accepts the connection."""
    return _look(node, settings, presence, PATIENT)[0]


def _look(node: Node, settings: Settings, presence: Presence, limits: SurveyLimits) -> tuple[NodeReport, bool]:
    """The report of one node, and whether its machine runs: it accepted the connection, or its driver says so.

    If the driver reports a machine as gone, its address is dialled too, because the driver may ask the wrong engine.
    The machine is not gone if it accepts a connection.
    """
    if presence is Presence.STOPPED:
        return NodeReport(node, Reach.STOPPED, "the machine exists and does not run"), False
    gone = presence is Presence.GONE
    connect = min(limits.connect, GONE_SECONDS) if gone else limits.connect
    shell = Shell(node, settings.ssh, connect_seconds=connect, login_seconds=limits.login)

    def fault(reach: Reach, detail: str) -> tuple[NodeReport, bool]:
        return NodeReport(node, reach, detail), shell.accepted or presence is Presence.PRESENT

    try:
        with shell:
            return ask(shell, seconds=limits.engine), True
    except (Silent, CommandFailed) as error:
        if gone and not shell.accepted:
            return fault(Reach.ABSENT, "the host driver has no such machine")
        return fault(Reach.SILENT, error.why)
    except SshRefused as error:
        return fault(Reach.REFUSED, error.why)
    except HostKeyChanged as error:
        return fault(Reach.WRONG_KEY, error.why)
    except AccessDenied as error:
        return fault(Reach.DENIED, error.why)
    except TransportError as error:
        return fault(Reach.SILENT, error.why)


def ask(shell: Shell, *, seconds: float = ENGINE_SECONDS) -> NodeReport:
    """The report of the node behind an open shell; its engine has ``seconds`` for each answer."""
    base = NodeReport(shell.node, Reach.ANSWERS)
    try:
        engine = Engine(shell, seconds=seconds)
    except EngineError as error:
        return _on_disk(shell, replace(base, reach=Reach.NO_ENGINE, detail=error.why), DATA_ROOT)
    try:
        info = engine.info()
    except EngineError as error:
        # A manager whose leader has just died answers nothing that it would ask the leader for.
        seen = _on_disk(shell, replace(base, detail=error.why, state=LocalState.PENDING), DATA_ROOT)
        return seen if seen.raft else replace(seen, reach=Reach.NO_ENGINE, state=LocalState.INACTIVE)
    swarm = info["Swarm"]
    state = LocalState(swarm.get("LocalNodeState") or "inactive")
    seen = replace(
        base,
        engine=info.get("ServerVersion", ""),
        state=state,
        control=bool(swarm.get("ControlAvailable")),
        detail=swarm.get("Error", ""),
    )
    root = info.get("DockerRootDir") or DATA_ROOT
    seen = _on_disk(shell, replace(seen, data_root=_elsewhere(shell, root)), root)
    if state is LocalState.INACTIVE:
        return seen if seen.left_over else replace(seen, node_id="", cluster_id="", ca_sha256="")
    remotes = tuple(remote["Addr"] for remote in swarm.get("RemoteManagers") or ())
    seen = replace(seen, node_id=swarm.get("NodeID") or seen.node_id, remotes=remotes)
    if not seen.control:
        return seen
    try:
        return replace(seen, members=engine.members())
    except EngineError as error:
        return replace(seen, detail=error.why)


def _elsewhere(shell: Shell, root: str) -> str:
    """The engine's data folder if it is neither `DATA_ROOT` nor linked to it; else empty."""
    here = root == DATA_ROOT or shell.run(["test", root, "-ef", DATA_ROOT], seconds=5, check=False).status == 0
    return "" if here else root


def _on_disk(shell: Shell, seen: NodeReport, root: str) -> NodeReport:
    lines = shell.run(["sh", "-c", PROBE, "probe", root], seconds=5, check=False).stdout.decode(errors="replace")
    machine, mark, placed, raft, opened, repaired, free, ca, certificate = [*lines.split("\n", 8), *[""] * 9][:9]
    found = replace(
        seen,
        machine=machine,
        marked=mark,
        placed=placed,
        raft=raft == "raft",
        opened=opened == "opened",
        repaired=repaired,
        ca_sha256=ca.partition(" ")[0],
    )
    node_id, cluster_id = identity(certificate)
    found = replace(found, node_id=node_id, cluster_id=cluster_id)
    return damage.examined(shell, found, root, int(free) if free.strip().isdecimal() else None)
