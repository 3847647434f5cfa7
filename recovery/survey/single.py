"""Looks at one manager that no stack file names: its report, the other managers that it knows, and its log."""

from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from recovery.copies import snapshot
from recovery.errors import Refused
from recovery.node import data_root
from recovery.node.ssh import Shell
from recovery.onnode import copying
from recovery.parallel import side_by_side
from recovery.survey.nodes import ask
from recovery.survey.survivors import tried
from recovery.survey.unknown_managers import KNOCK
from recovery.swarm.address import Address
from recovery.swarm.certificate import identity
from recovery.swarm.key_file import Opening
from recovery.swarm.machines import SWARM_PORT, Node
from recovery.swarm.model import LocalState, NodeReport, Reach
from recovery.swarm.single import Single, remembered

UNKNOWN = IPv4Address(0)
"""The address of a machine that has no swarm directory."""
ENGINE_SECONDS = 25.0
"""An engine that lost its leader looks for it for 20 s before it answers. Nothing else waits for it here."""
BESIDE = (
    'cd "$1" 2>/dev/null || exit 0; tr -d "\\n" < swarm/state.json 2>/dev/null; echo; '
    "for file in swarm/docker-state.json $(ls -dt swarm.before-*/docker-state.json 2>/dev/null); do "
    '[ ! -e "$file" ] || { tr -d "\\n" < "$file"; break; }; done; echo; '
    "echo $(ls -d swarm.before-* swarm.saved-* swarm.requorum 2>/dev/null); "
    "cat swarm/certificates/swarm-node.crt 2>/dev/null; true"
)
"""Prints swarmkit's and the engine's own file about the swarm, and what lies next to the swarm directory, a line each, then the
node's certificate. A repaired directory lacks the engine's file, and the directory that it has replaced still has it."""
KEEP = (
    'set -e; cd "$1"; name="swarm.saved-$3.tar.zst"; rm -f swarm.saved-*.part; [ ! -e "$name" ] || exit 0; umask 077; '
    'cp "$2" "$name.part"; sync "$name.part"; mv "$name.part" "$name"'
)
"""Keeps an archive next to the swarm directory under the digest of its content."""
DIGITS = 12


@dataclass(frozen=True)
class Place:
    """Where a manager is in its swarm, as its files tell."""

    node: Node
    others: tuple[str, ...]
    """The addresses of the other managers."""
    beside: tuple[str, ...]
    """What lies next to its swarm directory."""
    root: str
    """The folder of its engine's data."""


def place(shell: Shell, advertised: Address | None) -> Place:
    """Read the files of a swarm directory. ``advertised`` is the manager's address if no file tells one.

    Raises: Refused if the directory is there and nothing tells the address; TransportError.
    """
    root = data_root.of(shell)
    told = shell.run(["sh", "-c", BESIDE, "beside", root], seconds=20).stdout.decode(errors="replace")
    state, engine_state, beside, certificate = [*told.split("\n", 3), "", "", ""][:4]
    node_id, _ = identity(certificate)
    files = remembered(state, engine_state)
    address = files.address(node_id) or advertised
    if address is None and node_id:
        raise Refused(
            "looking for its address in the swarm",
            f"no file in {root}/swarm tells at which address this manager is in its swarm",
            remedy="give the address that the other nodes know: --advertise-addr ADDRESS",
            node=shell.node.name,
            code="bad-argument",
        )
    node = replace(
        shell.node,
        address=address or UNKNOWN,
        data_path_address=files.data_path,
        listen_address=files.listen,
        listen_port=files.port,
    )
    return Place(node, files.others(node_id), tuple(f"{root}/{name}" for name in beside.split()), root)


def look(shell: Shell, at: Place, opening: Opening) -> Single:
    """Look at a manager whose shell is open. Its log is tried in the sandbox if the manager has no leader.

    Its swarm directory stays as it is. A damaged one is copied to a safe place next to it first.
    Raises: TransportError, DamagedCopy; as ``opening``.
    """
    report = ask(shell, seconds=ENGINE_SECONDS)
    seen = Single(report, at.others, beside=at.beside, root=at.root)
    if report.led or not report.raft:
        return seen
    seen = replace(seen, answering=answering(shell, at.others))
    if seen.lacks or report.full or seen.answering or not _readable(report, at.others):
        return seen
    kept = keep(shell, report) if report.damage else ""
    return replace(seen, kept=kept, survivor=tried(shell, report, opening))


def answering(shell: Shell, others: tuple[str, ...]) -> tuple[str, ...]:
    """Which of the addresses answer at the managers' port, asked from the node. All managers listen at one port."""
    port = str(shell.node.listen_port if isinstance(shell.node, Node) else SWARM_PORT)

    def answers(address: str) -> bool:
        return shell.run(["sh", "-c", KNOCK, "knock", address, port], check=False).status == 0

    return tuple(address for address, up in zip(others, side_by_side(answers, others), strict=True) if up)


def keep(shell: Shell, report: NodeReport) -> str:
    """Keep an archive of the swarm directory next to it. The archive of an unchanged directory is kept once.

    Raises: CommandFailed, also if the disk is full; Silent; DamagedCopy when the archive is not whole.
    """
    root = data_root.of(shell)
    with snapshot.staged(shell, root, how=copying.DAMAGED if report.damage else copying.HOT) as copy:
        digest = copy.manifest.archive_sha256[:DIGITS]
        shell.run(["sh", "-c", KEEP, "keep", root, str(copy.folder / copying.ARCHIVE), digest])
    return f"{root}/swarm.saved-{digest}.tar.zst"


def _readable(report: NodeReport, others: tuple[str, ...]) -> bool:
    """Whether a new cluster may have to be forced from its log.

    Not if its engine is down for another reason than its log, or if it is the only manager and waits only for its unlock key.
    """
    if report.reach is Reach.NO_ENGINE:
        return report.halted
    return report.state is not LocalState.LOCKED or bool(report.damage or others)
