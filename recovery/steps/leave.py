"""Carries out LEAVE: managers that a forced new cluster left behind leave their old one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from recovery.errors import RequorumError
from recovery.node.engine import SECONDS as ENGINE_SECONDS
from recovery.node.engine import Engine
from recovery.node.ssh import Shell
from recovery.planning.membership import is_orphan
from recovery.planning.steps import Action
from recovery.settings import Settings
from recovery.steps import journal
from recovery.survey.nodes import ask
from recovery.swarm.machines import Node
from recovery.swarm.model import Survey


def dismiss(settings: Settings, before: Survey, leader: Node, *, say: Callable[[str], None]) -> None:
    """Have the managers that a forced new cluster left behind leave their old one, side by side.

    ``before`` is from before ``leader`` was forced; a safety copy of each was taken since. An engine that looks for the
    leader of before lets nobody leave for up to 20 s, and every question about its swarm makes it look again: so they
    are not asked once more. One that does not leave stops no other: that is said, and it leaves when it is to join.

    Raises: TransportError when the leader does not answer.
    """
    with Shell(leader, settings.ssh) as shell:
        now = ask(shell, seconds=ENGINE_SECONDS)
    orphans = [seen.node for seen in before.managers if seen.raft and is_orphan(seen, now)]

    def one(node: Node) -> None:
        say(f"{node.name} is of before the forced new cluster: it leaves")
        try:
            with journal.step(settings, Action.LEAVE, node.name, say), Shell(node, settings.ssh) as shell:
                Engine(shell).leave()
        except RequorumError as error:
            say(f"{node.name} has not left, and is to when it rejoins: {error}")

    with ThreadPoolExecutor(max_workers=max(len(orphans), 1)) as pool:
        list(pool.map(one, orphans))
