"""States what a plan cannot bring back."""

from collections.abc import Mapping, Sequence

from recovery.copies.copy import Choice
from recovery.copies.manifest import Manifest
from recovery.planning.diagnosis import Diagnosis
from recovery.swarm.moved import AddressChange
from recovery.swarm.workload import Inventory

SHOWN = 5
"""The most IDs of each kind of object that a plan names."""


LOCKED_AGAIN = (
    "the swarm is autolocked. Requorum opens it with the unlock key in escrow, locks it again with a new key, and stores "
    "the new key in escrow",
)


def lost_objects(chosen: Inventory, newer: Choice | None) -> tuple[str, ...]:
    """Which objects are lost, and which removed objects the restore brings back, according to a newer copy's list."""
    if newer is None:
        return ()
    listed = newer.manifest.inventory
    back = "were removed, and the restore brings them back"
    groups = {"are lost": listed.missing_from(chosen), back: chosen.missing_from(listed)}
    return tuple(f"according to {newer.copy.name}, these {what}: {counted(ids)}" for what, ids in groups.items() if ids)


def counted(objects: Mapping[str, Sequence[str]]) -> str:
    """The IDs of each kind, up to `SHOWN`."""
    more = {kind: f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "" for kind, ids in objects.items()}
    return "; ".join(f"{kind} {', '.join(ids[:SHOWN])}{more[kind]}" for kind, ids in objects.items())


def unconfirmed_ca(manifest: Manifest, cas: frozenset[str]) -> tuple[str, ...]:
    """A warning about a copy whose CA nobody confirms. A copy under another CA than the trusted one is not chosen."""
    if cas:
        return ()
    return (
        f"no living node knows the swarm's CA. Only the Pulumi state can confirm the copy's CA ({manifest.ca_sha256[:12]}…)",
    )


def at_other_addresses(moved: tuple[AddressChange, ...]) -> tuple[str, ...]:
    """What other addresses mean for the operator, and what only the operator can know."""
    if not moved:
        return ()
    return (
        f"managers at other addresses: {', '.join(move.text for move in moved)}",
        f"no machine of this swarm answers at {', '.join(move.old for move in moved)}. If a manager still runs at one of "
        "these addresses, two swarms will exist",
        "give the new addresses to clients, DNS and load balancers",
        "a worker that the stack file does not name, and that knows only the old addresses, must leave the swarm and join "
        "again. The swarm replaces its containers",
    )


def older_engine(engine: str, choice: Choice) -> str:
    """What may happen if the engine is older than the engine that wrote the copy."""
    return (
        f"the engine of {choice.manager} ({engine}) is older than the engine that wrote the copy ({choice.manifest.engine}). It "
        "may fail to read the copy, or drop options of services that it does not support"
    )


def without_unnamed(without: tuple[str, ...]) -> tuple[str, ...]:
    """What it means to go on without managers that no settings name."""
    if not without:
        return ()
    return (
        f"managers that no settings name, and that may still run: {', '.join(without)}. They lose their vote. If one still "
        "runs, two swarms may exist",
    )


def left_alone(diagnosis: Diagnosis) -> tuple[str, ...]:
    """The nodes that Requorum does not change, because they are not known to be lost."""
    why = {True: "is up and not seen from here", False: "is silent and not known to be lost"}
    return tuple(f"{name} {why[name in diagnosis.unseen]}. Requorum does not change it" for name in diagnosis.silent)
