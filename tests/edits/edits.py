"""The edits of a stack file, one by one and two at once."""

from collections.abc import Callable
from typing import Any

from tests.edits.files import HOST, INVALID, SPARES, Base, Edit, File, State

Change = Callable[[File], None]
MANAGERS, WORKERS = "managers", "workers"
WHILE_ONE_LIVES = {State.QUORUM_LOST: "manager-moved"}
"""Without a leader, no machine can take a manager's place, and a manager's address changes only if all managers are lost."""
NO_SURVIVOR_NAMED = {State.QUORUM_LOST: "unknown-manager"}
"""The file names no survivor any more, and a survivor holds the newest log: it must be named until the swarm has its quorum."""
PROMOTED = {State.ALL_LOST: "no-survivor"}
"""A worker that the file calls a manager is in the swarm, and holds no log: it must be named as a worker until the swarm is restored."""
STAND_IN = {State.QUORUM_LOST: "stand-in-holds-log"}
"""A survivor that the file calls a worker holds the newest log."""
NOWHERE = {**dict.fromkeys(State, "unknown-manager"), State.ALL_LOST: "no-good-copy"}
"""No manager of the file was ever one of the swarm."""


def nothing(_: File) -> None:
    """Change nothing."""


def named(group: str, *names: str, at: int = 0) -> Change:
    """Give names to the nodes of a list, from one on."""

    def change(file: File) -> None:
        for node, name in zip(file.values[group][at:], names, strict=False):
            node["name"] = name

    return change


def unnamed(file: File) -> None:
    """Take all names away."""
    for node in (*file.managers, *file.workers):
        del node["name"]


def order(group: str, *places: int) -> Change:
    """Put a list into another order."""

    def change(file: File) -> None:
        file.values[group] = [file.values[group][place] for place in places]

    return change


def add(group: str, *nodes: int, at: int | None = None, names: tuple[str, ...] = ()) -> Change:
    """Add machines that no list has yet, at the end or at a place."""

    def change(file: File) -> None:
        new: list[dict[str, Any]] = [{"address": file.address(last)} for last in nodes]
        for node, name in zip(new, names, strict=False):
            node["name"] = name
        place = len(file.values[group]) if at is None else at
        file.values[group][place:place] = new

    return change


def drop(group: str, *places: int) -> Change:
    """Take nodes out of a list."""

    def change(file: File) -> None:
        file.values[group] = [node for place, node in enumerate(file.values[group]) if place not in places]

    return change


def move(source: str, *places: int, at: int | None = None) -> Change:
    """Move nodes from one list to the other, to its end or to a place."""
    target = WORKERS if source == MANAGERS else MANAGERS

    def change(file: File) -> None:
        moved = [file.values[source][place] for place in places]
        drop(source, *places)(file)
        place = len(file.values[target]) if at is None else at
        file.values[target][place:place] = moved

    return change


def swap(manager: int, worker: int) -> Change:
    """Let a manager and a worker change their lists, each to the place of the other."""

    def change(file: File) -> None:
        one, other = file.managers[manager], file.workers[worker]
        file.managers[manager], file.workers[worker] = other, one

    return change


def put(group: str, place: int, **values: Any) -> Change:
    """Give values to one node."""

    def change(file: File) -> None:
        file.values[group][place].update(values)

    return change


def at(group: str, place: int, last: int) -> Change:
    """Give another address to one node."""
    return lambda file: put(group, place, address=file.address(last))(file)


def settings(**values: Any) -> Change:
    """Give values to the whole cluster."""
    return lambda file: file.values.update(values)


def option(group: str, **values: Any) -> Change:
    """Give values within a group of settings."""
    return lambda file: file.values.update({group: {**file.values.get(group, {}), **values}})


def with_id(file: File) -> None:
    """Name the swarm's ID."""
    file.values["clusterId"] = file.cluster_id


def without_id(file: File) -> None:
    """Name the swarm's ID no more."""
    file.values.pop("clusterId")


def both(*changes: Change) -> Change:
    """Make several changes at once."""

    def change(file: File) -> None:
        for one in changes:
            one(file)

    return change


A, B, C, D, E, F, G = SPARES
NEW = ("m1", "m2", "m3")
NEW_WORKERS = ("w1", "w2", "w3")
ALL_RENAMED = both(named(MANAGERS, *NEW), named(WORKERS, *NEW_WORKERS))

NAMES = (
    Edit("nothing is changed", nothing),
    Edit("the first manager is renamed", named(MANAGERS, "m1"), Base.NAMED),
    Edit("the second manager is renamed", named(MANAGERS, "m2", at=1), Base.NAMED),
    Edit("all managers are renamed", named(MANAGERS, *NEW), Base.NAMED),
    Edit("a worker is renamed", named(WORKERS, "w2", at=1), Base.NAMED),
    Edit("all workers are renamed", named(WORKERS, *NEW_WORKERS), Base.NAMED),
    Edit("every node is renamed", ALL_RENAMED, Base.NAMED),
    Edit("two managers exchange their names", named(MANAGERS, "beta", "alpha"), Base.NAMED),
    Edit("all managers exchange their names in a circle", named(MANAGERS, "beta", "gamma", "alpha"), Base.NAMED),
    Edit("two workers exchange their names", named(WORKERS, "two", "one"), Base.NAMED),
    Edit("a manager and a worker exchange their names", both(named(MANAGERS, "one"), named(WORKERS, "alpha")), Base.NAMED),
    Edit("managers without names get some", named(MANAGERS, *NEW)),
    Edit("workers without names get some", named(WORKERS, *NEW_WORKERS)),
    Edit("every node without a name gets one", ALL_RENAMED),
    Edit("every node loses its name", unnamed, Base.NAMED),
    Edit("a manager gets the name of another", named(MANAGERS, "beta"), Base.NAMED, INVALID),
    Edit("a worker gets the name that the next had by its place", named(WORKERS, "worker-2")),
    Edit("a name that none can be", named(MANAGERS, "M 1"), Base.NAMED, INVALID),
)  # fmt: skip
ORDER = (
    Edit("managers with names are reordered", order(MANAGERS, 2, 0, 1), Base.NAMED),
    Edit("managers without names are reordered", order(MANAGERS, 2, 0, 1)),
    Edit("workers with names are reordered", order(WORKERS, 2, 0, 1), Base.NAMED),
    Edit("workers without names are reordered", order(WORKERS, 2, 0, 1)),
    Edit("both lists are reversed", both(order(MANAGERS, 2, 1, 0), order(WORKERS, 2, 1, 0))),
    Edit("both lists are reversed, and all are renamed", both(order(MANAGERS, 2, 1, 0), order(WORKERS, 2, 1, 0), ALL_RENAMED), Base.NAMED),
)  # fmt: skip
MORE_OR_FEWER = (
    Edit("a worker is added at the end", add(WORKERS, A)),
    Edit("a worker is added in front", add(WORKERS, A, at=0)),
    Edit("a worker is added in the middle", add(WORKERS, A, at=1)),
    Edit("two workers are added", add(WORKERS, A, B)),
    Edit("the last worker is removed", drop(WORKERS, 2)),
    Edit("the first worker is removed", drop(WORKERS, 0)),
    Edit("a worker with a name is removed", drop(WORKERS, 1), Base.NAMED),
    Edit("all workers are removed", drop(WORKERS, 0, 1, 2)),
    Edit("a worker is removed in front, and one is added at the end", both(drop(WORKERS, 0), add(WORKERS, A))),
    Edit("a worker is removed, and another is renamed", both(drop(WORKERS, 0), named(WORKERS, "w2")), Base.NAMED),
    Edit("a worker is another machine under the same name", at(WORKERS, 1, A), Base.NAMED),
    Edit("a worker without a name is another machine", at(WORKERS, 1, A)),
    Edit("all workers are other machines", both(drop(WORKERS, 0, 1, 2), add(WORKERS, A, B, C))),
    Edit("3 managers become 5", add(MANAGERS, A, B)),
    Edit("3 managers become 5, the new ones in front", add(MANAGERS, A, B, at=0)),
    Edit("3 managers become 5, and all are renamed", both(named(MANAGERS, *NEW), add(MANAGERS, A, B, names=("m4", "m5"))), Base.NAMED),
    Edit("5 managers become 3, without the last ones", drop(MANAGERS, 3, 4), Base.FIVE, refused=NO_SURVIVOR_NAMED),
    Edit("5 managers become 3, without the first ones", drop(MANAGERS, 0, 1), Base.FIVE),
    Edit("5 managers become 3, with names, without the first ones", drop(MANAGERS, 0, 1), Base.FIVE_NAMED),
    Edit("3 managers become 4", add(MANAGERS, A), refused=INVALID),
    Edit("3 managers become 2", drop(MANAGERS, 1), refused=INVALID),
    Edit("3 managers become none", drop(MANAGERS, 0, 1, 2), refused=dict.fromkeys(State, "setting-missing")),
    Edit("the second manager is another machine under the same name", at(MANAGERS, 1, A), Base.NAMED, WHILE_ONE_LIVES),
    Edit("the first manager is another machine under the same name", at(MANAGERS, 0, A), Base.NAMED, WHILE_ONE_LIVES),
    Edit("a manager without a name is another machine", at(MANAGERS, 2, A), refused={State.QUORUM_LOST: "old-address-in-use"}),
    Edit("two of 5 managers are other machines under the same names", both(at(MANAGERS, 0, A), at(MANAGERS, 3, B)), Base.FIVE_NAMED, WHILE_ONE_LIVES),
    Edit("the second manager is a machine that was a manager before, under the same name", at(MANAGERS, 1, A), Base.RETURNING),
    Edit("the second manager is another machine under a new name", both(drop(MANAGERS, 1), add(MANAGERS, A, names=("delta",))), Base.NAMED),
    Edit("the first manager is another machine under a new name", both(drop(MANAGERS, 0), add(MANAGERS, A, names=("delta",))), Base.NAMED),
    Edit("the third manager is another machine under a new name", both(drop(MANAGERS, 2), add(MANAGERS, A, names=("delta",))), Base.NAMED, refused=NO_SURVIVOR_NAMED),
    Edit("all managers are other machines under new names", both(drop(MANAGERS, 0, 1, 2), add(MANAGERS, A, B, C, names=NEW)), refused=NOWHERE),
    Edit("all managers are other machines, and no worker is left", both(drop(MANAGERS, 0, 1, 2), drop(WORKERS, 0, 1, 2), add(MANAGERS, A, B, C, names=NEW)), refused=NOWHERE),
    Edit("a manager is another machine, and a worker is added", both(drop(MANAGERS, 2), add(MANAGERS, A, names=("delta",)), add(WORKERS, B)), Base.NAMED, refused=NO_SURVIVOR_NAMED),
    Edit("a machine is in both lists", add(WORKERS, 11), refused=INVALID),
    Edit("a machine is in a list twice", add(WORKERS, 21), refused=INVALID),
    Edit("a worker is outside the subnet", put(WORKERS, 0, address="192.0.2.1"), refused=INVALID),
)  # fmt: skip
MOVES = (
    Edit("two workers become managers", move(WORKERS, 0, 1), refused=PROMOTED),
    Edit("two workers with names become managers", move(WORKERS, 0, 1), Base.NAMED, refused=PROMOTED),
    Edit("two of 5 managers become workers", move(MANAGERS, 3, 4), Base.FIVE, refused=STAND_IN),
    Edit("the first two of 5 managers become workers", move(MANAGERS, 0, 1), Base.FIVE_NAMED),
    Edit("the first manager and a worker exchange their roles", swap(0, 0), Base.NAMED, refused=PROMOTED),
    Edit("the second manager and a worker exchange their roles", swap(1, 0), Base.NAMED, refused=PROMOTED),
    Edit("a manager and a worker without names exchange their roles", swap(0, 0), refused=PROMOTED),
    Edit("all managers and all workers exchange their roles", both(swap(0, 0), swap(1, 1), swap(2, 2)), Base.NAMED, refused=STAND_IN | PROMOTED),
    Edit("a manager and a worker exchange their roles and names", both(swap(0, 0), named(MANAGERS, "alpha"), named(WORKERS, "one")), Base.NAMED, refused=PROMOTED),
    Edit("a manager becomes a worker, and a new machine a manager", both(move(MANAGERS, 0), add(MANAGERS, A, names=("delta",))), Base.NAMED),
    Edit("a worker becomes a manager, and a manager is removed", both(drop(MANAGERS, 0), move(WORKERS, 0)), Base.NAMED, refused=PROMOTED),
    Edit("two workers become managers, and all are renamed", both(ALL_RENAMED, move(WORKERS, 0, 1)), Base.NAMED, refused=PROMOTED),
)  # fmt: skip
COUNTS = (
    Edit("1 manager becomes 3", add(MANAGERS, A, B, names=("beta", "gamma")), Base.ONE),
    Edit("1 manager becomes 3 with workers", move(WORKERS, 0, 1), Base.ONE, refused=PROMOTED),
    Edit("1 manager becomes 7", add(MANAGERS, A, B, C, D, E, F), Base.ONE),
    Edit("the only manager is another machine under a new name", both(drop(MANAGERS, 0), add(MANAGERS, A, names=("beta",))), Base.ONE, refused={State.HEALTHY: "unknown-manager", State.ALL_LOST: "no-good-copy"}),
    Edit("the only manager and a worker exchange their roles", swap(0, 0), Base.ONE, refused=PROMOTED),
    Edit("3 managers become 1", drop(MANAGERS, 1, 2), Base.NAMED, refused=NO_SURVIVOR_NAMED),
    Edit("3 managers become 1, the last", drop(MANAGERS, 0, 1), Base.NAMED),
    Edit("3 managers become 1, and the others workers", move(MANAGERS, 1, 2), Base.NAMED, refused=STAND_IN),
    Edit("3 managers become 7", add(MANAGERS, A, B, C, D), Base.NAMED),
    Edit("5 managers become 7", add(MANAGERS, A, B), Base.FIVE_NAMED),
    Edit("7 managers become 5, without the first ones", drop(MANAGERS, 0, 1), Base.SEVEN),
    Edit("7 managers become 5, and two workers", move(MANAGERS, 5, 6), Base.SEVEN, refused=STAND_IN),
    Edit("7 managers become 3", drop(MANAGERS, 0, 2, 4, 6), Base.SEVEN, refused=NO_SURVIVOR_NAMED),
    Edit("7 managers become 1", drop(MANAGERS, 0, 1, 2, 3, 4, 5), Base.SEVEN, refused=NO_SURVIVOR_NAMED),
    Edit("all of 7 managers are 3 other machines", both(drop(MANAGERS, *range(7)), add(MANAGERS, A, B, C, names=NEW)), Base.SEVEN, refused=NOWHERE),
    Edit("all of 7 managers are other machines", both(drop(MANAGERS, *range(7)), add(MANAGERS, *SPARES)), Base.SEVEN, refused=NOWHERE),
    Edit("a manager is replaced, one becomes a worker, a worker a manager, and one is in another zone", both(put(MANAGERS, 4, zone="c"), drop(MANAGERS, 3), move(MANAGERS, 0), move(WORKERS, 0), add(MANAGERS, A, names=("new",))), Base.FIVE_NAMED, refused=PROMOTED | NO_SURVIVOR_NAMED),
    Edit("a manager and a worker are in other zones", both(put(MANAGERS, 0, zone="b"), put(MANAGERS, 1, zone="a"), put(WORKERS, 0, zone="b")), Base.FIVE_NAMED),
)  # fmt: skip
WORDS = (
    Edit("two managers exchange their zones", both(put(MANAGERS, 0, zone="b"), put(MANAGERS, 1, zone="a")), Base.NAMED),
    Edit("a worker is in another zone", put(WORKERS, 0, zone="c")),
    Edit("the zones have other names", settings(zones=["x", "y", "z"])),
    Edit("a zone that the file does not name", put(WORKERS, 0, zone="x"), refused=INVALID),
    Edit("all managers are in one zone", both(*(put(MANAGERS, place, zone="a") for place in range(3))), refused=INVALID),
    Edit("a worker gets a label", put(WORKERS, 0, labels={"disk": "ssd"})),
    Edit("every manager gets a label", both(*(put(MANAGERS, place, labels={"tier": "one"}) for place in range(3)))),
    Edit("a worker gets a label and a name", put(WORKERS, 0, labels={"disk": "ssd"}, name="w1")),
    Edit("a manager becomes active", put(MANAGERS, 0, availability="active")),
    Edit("a worker is drained", put(WORKERS, 0, availability="drain")),
    Edit("a worker pauses, and another is removed", both(put(WORKERS, 0, availability="pause"), drop(WORKERS, 2))),
    Edit("a word that no availability is", put(WORKERS, 0, availability="off"), refused=INVALID),
    Edit("a key that does not exist", put(WORKERS, 0, colour="red"), refused=dict.fromkeys(State, "setting-unknown-key")),
)  # fmt: skip
CLUSTER = (
    Edit("the cluster has another name", settings(cluster="other"), refused=dict.fromkeys(State, "foreign-swarm")),
    Edit("the swarm's ID is named", with_id),
    Edit("the swarm's ID is named no more", without_id, Base.ADOPTED),
    Edit("the ID of another swarm is named", settings(clusterId="cluster-of-nobody"), refused=dict.fromkeys(State, "foreign-swarm")),
    Edit("the swarm is protected", settings(protect=True)),
    Edit("the swarm has another option", option("swarm", taskHistoryLimit=3)),
    Edit("the subnet is larger", settings(subnet="10.76.0.0/15")),
    Edit("the SSH key has another path", lambda file: option("ssh", privateKeyFile=file.values["ssh"]["privateKeyFile"] + "-moved")(file)),
    Edit("a worker has an address for SSH", put(WORKERS, 0, sshAddress=HOST)),
    Edit("a worker has an address for the data path", both(put(WORKERS, 0, dataPathAddress="10.99.0.1"), settings(subnet="10.77.0.0/16, 10.99.0.0/24"))),
    Edit("the copies have another prefix", option("backup", prefix="elsewhere"), refused={State.ALL_LOST: "no-good-copy"}, copied=False),
)  # fmt: skip
EDITS = (*NAMES, *ORDER, *MORE_OR_FEWER, *MOVES, *COUNTS, *WORDS, *CLUSTER)
