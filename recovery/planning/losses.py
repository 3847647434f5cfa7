"""States what a plan cannot bring back."""

from collections.abc import Mapping, Sequence

from recovery.copies.copy import Choice
from recovery.copies.manifest import Manifest
from recovery.planning.diagnosis import Diagnosis
from recovery.swarm.model import AddressChange, Inventory

SHOWN = 5
"""Of the IDs of each kind of object that a plan names."""


LOCKED_AGAIN = (
    "the swarm is autolocked: it is opened with the key in escrow, and locked again with a new one, kept there too",
)


def lost_objects(chosen: Inventory, newer: Choice | None) -> tuple[str, ...]:
    """Which objects are lost, and which come back, by what a newer copy lists."""
    if newer is None:
        return ()
    listed = newer.manifest.inventory
    told = {"lost": listed.missing_from(chosen), "back, and removed since": chosen.missing_from(listed)}
    return tuple(f"{what}, going by {newer.copy.name}: {_counted(ids)}" for what, ids in told.items() if ids)


def _counted(objects: Mapping[str, Sequence[str]]) -> str:
    more = {kind: f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else "" for kind, ids in objects.items()}
    return "; ".join(f"{kind} {', '.join(ids[:SHOWN])}{more[kind]}" for kind, ids in objects.items())


def unconfirmed_ca(manifest: Manifest, cas: frozenset[str]) -> tuple[str, ...]:
    """What is to be said of a copy whose CA no living node knows."""
    if not cas:
        return (
            f"no living node knows the swarm's CA: that the copy's ({manifest.ca_sha256[:12]}…) is that, only Pulumi's state can tell",
        )
    if manifest.ca_sha256 not in cas:
        return (f"the copy's CA ({manifest.ca_sha256[:12]}…) is not the one that the living nodes know",)
    return ()


def at_other_addresses(moved: tuple[AddressChange, ...]) -> tuple[str, ...]:
    """What follows from other addresses, and what nobody but the operator can know."""
    if not moved:
        return ()
    return (
        f"elsewhere: {', '.join(move.text for move in moved)}",
        f"no machine of this swarm answers at {', '.join(move.old for move in moved)}; if a manager runs there "
        "unheard, or comes back, there are two swarms",
        "whatever knows managers by those addresses (workers that are not named here, clients, DNS, load balancers) finds "
        "nobody: tell it the new ones; such a worker must leave the swarm and join again, and its containers are replaced",
    )


def older_engine(engine: str, manifest: Manifest) -> str:
    """What follows when the engine is older than the one that the copy was made with."""
    return (
        f"the engine of {manifest.manager} ({engine}) is older than the copy's ({manifest.engine}): it may not read it, "
        "or drop what it does not know of a service"
    )


def silence(diagnosis: Diagnosis) -> tuple[str, ...]:
    """Which nodes are left alone, since they are silent and not known to be lost."""
    return tuple(f"{name} is silent and not known to be lost: it is left alone" for name in diagnosis.silent)
