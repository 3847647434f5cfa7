"""The options that a swarm takes only when it is created: a living swarm keeps them, whatever the stack file says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from recovery.errors import Refused
from recovery.swarm.address import port_of
from recovery.swarm.found import DATA_PATH_PORT

if TYPE_CHECKING:
    from recovery.settings import Settings
    from recovery.swarm.model import Survey


def require_same(settings: Settings, survey: Survey) -> None:
    """Check that the stack file names the swarm's own options of its creation. Raises: Refused, before the first effect."""
    if differences := tuple(_differences(settings, survey)):
        raise Refused(
            "changing the swarm's options",
            f"a swarm takes these options only when it is created: {'; '.join(why for why, _ in differences)}",
            remedy=f"in the stack file, set {' and '.join(line for _, line in differences)}",
            code="founding-option",
        )


def _differences(settings: Settings, survey: Survey) -> Iterator[tuple[str, str]]:
    """What differs, and the line of the stack file that agrees with the swarm. A data path port that is not set is only noted."""
    facts, wanted = survey.leader.swarm if survey.leader else None, settings.swarm
    ports = {
        manager.name: port
        for manager in settings.managers
        if (entry := survey.entry(manager)) and (port := port_of(entry.manager_address))
    }
    if others := {name: port for name, port in ports.items() if port != wanted.listen_port}:
        name, port = next(iter(others.items()))
        yield f"{name} listens at port {port}, and not at {wanted.listen_port}", f"requorum:swarm.listenPort: {port}"
    if facts is None:
        return
    if wanted.data_path_port not in (DATA_PATH_PORT, facts.data_path_port):
        port = facts.data_path_port
        yield f"its data path port is {port}, and not {wanted.data_path_port}", f"requorum:swarm.dataPathPort: {port}"
    pools = tuple(map(str, wanted.default_address_pools))
    if (
        pools
        and facts.address_pools
        and (pools, wanted.default_address_pool_mask)
        != (
            facts.address_pools,
            facts.address_pool_mask,
        )
    ):
        own = ", ".join(facts.address_pools)
        yield (
            f"its address pools are {own} with a mask of {facts.address_pool_mask}, and not {', '.join(pools)} with "
            f"{wanted.default_address_pool_mask}",
            f"requorum:swarm.defaultAddressPools: [{own}] and defaultAddressPoolMask: {facts.address_pool_mask}",
        )
