"""What differs between two looks at a cluster. Pure."""

from dataclasses import dataclass
from datetime import datetime

from recovery.cli.show.cluster import NodeStatus, Status

NONE = "none"


@dataclass(frozen=True)
class Change:
    """One thing that was different when Requorum looked before."""

    at: datetime
    of: str
    before: str
    now: str
    node: str = ""
    """The node that it concerns; empty for the cluster."""

    @property
    def line(self) -> str:
        """The change in a line, with its time (UTC)."""
        return f"{self.at:%H:%M:%S} {self.of}: {self.before} -> {self.now}"


def changes(before: Status, now: Status) -> tuple[Change, ...]:
    """What changed from one look to the next: the state first, then node by node."""
    then, after = _facts(before), _facts(now)
    return tuple(
        Change(now.taken, of, then.get(of, (NONE, ""))[0], after.get(of, (NONE, ""))[0], node=(after | then)[of][1])
        for of in dict.fromkeys((*after, *then))
        if then.get(of) != after.get(of)
    )


def _facts(status: Status) -> dict[str, tuple[str, str]]:
    """What counts as a change, by what it is of, with its node. Ages grow by themselves, so times stand for them."""
    nodes = {node.name: (_standing(node), node.name) for node in status.nodes}
    managers = [node for node in status.nodes if node.role == "manager"]
    copies = {f"copy of {node.name}": (_time(node.last_copy), node.name) for node in managers}
    drifts = {f"drift of {node.name}": (node.drift or NONE, node.name) for node in status.nodes}
    others = {f"not named: {other.hostname}": ("ready" if other.ready else "down", "") for other in status.others}
    state, command = (status.guidance.state, ""), (status.guidance.command or NONE, "")
    return {f"cluster {status.cluster}": state, "next": command, **nodes, **copies, **drifts, **others}


def _standing(node: NodeStatus) -> str:
    words = (
        "leader" if node.leader else node.role,
        node.state,
        node.reach if node.reach != "answers" else "",
        node.reachability if node.reachability == "unreachable" else "",
        node.availability if node.availability not in ("", "active") else "",
        node.maintenance.text if node.maintenance else "",
    )
    return ", ".join(filter(None, words))


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else NONE
