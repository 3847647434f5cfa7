"""Carries out LEAVE: managers that a forced new cluster left behind leave their old one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from recovery.errors import RequorumError
from recovery.node.engine import SECONDS as ENGINE_SECONDS
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.steps import Action
from recovery.settings import Settings
from recovery.steps import journal
from recovery.survey.nodes import ask
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey


def dismiss(settings: Settings, before: Survey, leader: Node, *, say: Callable[[str], None]) -> None:
    """Have the managers that a forced new cluster left behind leave their old swarm, in parallel.

    ``before`` was surveyed before ``leader`` was forced; each survivor has a safety copy since. An engine that searches for
    its former leader cannot leave for up to 20 s, and each question about its swarm starts the search again. The
    managers are therefore not surveyed again. If one does not leave, ``say`` reports it, and it leaves when it rejoins.

    Raises: TransportError when the leader does not answer.
    """
    with Shell(leader, settings.ssh) as shell:
        now = ask(shell, seconds=ENGINE_SECONDS)
    orphans = [seen.node for seen in before.managers if seen.raft and seen.is_left_behind(now)]

    def one(node: Node) -> None:
        say(f"{node.name} leaves the old swarm state: it is not a member of the forced new cluster")
        try:
            with journal.step(settings, Action.LEAVE, node.name, say), Shell(node, settings.ssh) as shell:
                Engine(shell).leave()
        except RequorumError as error:
            say(f"{node.name} did not leave the old swarm state; it leaves when it rejoins: {error}")

    with ThreadPoolExecutor(max_workers=max(len(orphans), 1)) as pool:
        list(pool.map(one, orphans))
