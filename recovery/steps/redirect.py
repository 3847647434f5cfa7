"""A detour on one node: for `SECONDS`, its connections to former addresses of managers go to their new addresses.

An engine accepts a manager's new address only from a manager, and reaches no manager at the addresses that it knows.
Certificates name nodes and not addresses, so the engine can check which manager answers through the detour. The manager
then reports the new addresses to the engine. Gossip needs longer. Once a minute it tries to reach the managers that it
started with (libnetwork, networkdb: rejoinClusterInterval). Requorum therefore does not close a detour. It ends by itself.
"""

from collections.abc import Mapping
from ipaddress import ip_address

from recovery.errors import ProofFailed, Refused
from recovery.node.ssh import Shell
from recovery.planning.steps import Step
from recovery.steps import votes
from recovery.steps.run import Run
from recovery.survey.nodes import ask
from recovery.swarm.address import Address, with_port, without_port
from recovery.swarm.machines import SWARM_PORT, Node
from recovery.swarm.model import NodeReport
from recovery.waiting import until

PAUSE = 0.1
SECONDS = 300
GOSSIP_PORT = 7946
CHAIN, UNIT = "REQUORUM-DETOUR", "requorum-detour"
END = (
    f"for tool in iptables ip6tables; do $tool -w -t nat -D OUTPUT -j {CHAIN}; $tool -w -t nat -F {CHAIN}; "
    f"$tool -w -t nat -X {CHAIN}; done"
)
OPEN = (
    f"{{ systemctl stop {UNIT}.timer; {END}; }} 2>/dev/null; set -e; "
    f'systemd-run --quiet --collect --unit={UNIT} --on-active={SECONDS} sh -c "$1"; tool=$2 port=$3; shift 3; '
    f'"$tool" -w -t nat -N {CHAIN}; '
    f'while [ $# -gt 0 ]; do "$tool" -w -t nat -A {CHAIN} -p tcp -d "$1" -m multiport --dports "$port,{GOSSIP_PORT}" '
    f'-j DNAT --to-destination "$2"; shift 2; done; "$tool" -w -t nat -I OUTPUT -j {CHAIN}'
)
"""Takes `END`, the family's iptables, the port of the managers' API, then pairs of an old and a new address. A detour that is open is replaced."""
TOOLS = {4: "iptables", 6: "ip6tables"}


def detour(shell: Shell, routes: Mapping[str, Address]) -> None:
    """Redirect the node's connections from each old address to the new address of the same family.

    Raises: Refused if the families differ, because no rule leads from one to the other; CommandFailed; Silent.
    """
    pairs = [(ip_address(old), new) for old, new in routes.items()]
    versions = {address.version for pair in pairs for address in pair}
    if len(versions) != 1:
        shown = ", ".join(f"{old} to {new}" for old, new in pairs)
        raise Refused(
            "directing it to the new addresses of the managers",
            f"no connection can be led from one family of addresses to the other ({shown})",
            remedy="on the node: docker swarm leave --force (its containers end), then run the same command again",
            node=shell.node.name,
            code="families-differ",
        )
    port = shell.node.listen_port if isinstance(shell.node, Node) else SWARM_PORT
    told = [END, TOOLS[versions.pop()], str(port), *(str(one) for pair in pairs for one in pair)]
    shell.run(["sh", "-c", OPEN, "open", *told])


def redirect(run: Run, step: Step) -> None:
    """Carry out REDIRECT: direct a worker to a manager, or a manager to a manager whose former address is in the raft log.

    Raises: ProofFailed if the worker reaches no manager within `votes.SECONDS`; CommandFailed; TransportError.
    """
    node, settings = run.settings.node(step.node), run.settings
    if node.role == "manager":
        routes = {entry.raft_address: settings.node(name).address for name, entry in run.survey.misplaced.items()}
        detour(run.shell(node), routes)
        return
    manager = run.leader().node
    run.say(f"{node.name} knows no current manager. Requorum directs it to {manager.address}")
    _redirect_worker(run, run.survey.of(node.name), manager)


def _redirect_worker(run: Run, report: NodeReport, manager: Node) -> None:
    """Direct a worker to ``manager``, which sends it the addresses of the others."""
    shell = run.shell(report.node)
    detour(shell, {without_port(address): manager.address for address in report.remotes})

    def failure(_: bool) -> ProofFailed:
        return ProofFailed(
            f"directing it to {manager.address}",
            f"it reached no manager within {votes.SECONDS:.0f} s",
            remedy=f"make sure that it can reach {with_port(manager.address, manager.listen_port)}, then run the same command again. "
            "If it cannot, run on it: docker swarm leave --force (its containers end), then run the same command again",
            node=shell.node.name,
            code="swarm-timeout",
        )

    def knows_one() -> bool:
        return not ask(shell).is_stranded(run.survey.managed_at)

    until(knows_one, votes.SECONDS, pause=PAUSE, otherwise=failure)
