"""A driver for machines that an HTTP API makes: POST /machines, GET /machines, DELETE /machines/NAME."""

import os
from collections.abc import Mapping
from typing import Any

import pulumi
import urllib3
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider

from components.hosts.driver import Driver, Machine, main
from recovery.swarm.presence import Presence

ADDRESS = "MACHINES_API"
"""The environment variable with the URL of the API."""
STATES = {"running": Presence.PRESENT}


def ask(method: str, path: str, body: Mapping[str, Any] | None = None, *, accepted: tuple[int, ...] = (200,)) -> Any:
    """What the API answers."""
    answer = urllib3.request(method, os.environ[ADDRESS] + path, json=body, timeout=30, retries=False)
    if answer.status not in accepted:
        raise RuntimeError(f"{method} {path}: {answer.status} {answer.data.decode(errors='replace')[:200]}")
    return answer.json() if answer.status == 200 else None


class MachineProvider(ResourceProvider):
    """Makes, finds and removes one machine. What it was told at its first boot is not kept."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        """Make the machine."""
        made = ask("POST", "/machines", props)
        return CreateResult(made["id"], {"name": props["name"], "address": props["address"]})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Another address is another machine. What only matters at the first boot changes nothing."""
        replaced = [key for key in ("name", "address") if olds[key] != news[key]]
        return DiffResult(changes=bool(replaced), replaces=replaced, delete_before_replace=True)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """The machine, if the API still has it: a refresh then keeps it in the state."""
        there = any(machine["id"] == id_ for machine in ask("GET", "/machines"))
        return ReadResult(id_, props) if there else ReadResult("", {})

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Remove the machine, if it is there."""
        remove(props["name"])


class ApiMachine(Resource, module="requorum-api", name="Machine"):
    """One machine of the API."""


class Api(Driver):
    """Machines of the API. It gives each the address that it asks for."""

    def machine(self, machine: Machine) -> pulumi.Input[str]:
        """Declare the machine."""
        node = machine.node
        props = {"name": machine.name, "address": str(node.address), "zone": node.zone, "user_data": machine.user_data}
        return ApiMachine(MachineProvider(), machine.resource("machine"), props, machine.options).id

    def known(self) -> Mapping[str, Presence]:
        """The machines that the API lists."""
        return {one["name"]: STATES.get(one["state"], Presence.STOPPED) for one in ask("GET", "/machines")}

    def fence(self, name: str) -> None:
        """Have the API remove the machine."""
        remove(name)


def remove(name: str) -> None:
    """Remove a machine, if it is there."""
    ask("DELETE", f"/machines/{name}", accepted=(200, 404))


if __name__ == "__main__":
    main(Api)
