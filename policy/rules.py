"""What a production swarm must keep, as rules over the resources of a stack. Pure: only the standard library."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PROVIDER = "pulumi:providers:pulumi-python"
"""The type of the provider of Requorum's resources. It has the settings of the stack file, as JSON."""
MEMBER = "pulumi-python:dynamic/requorum:Member"
EXAMPLE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
"""The recipient of the example: nobody has its identity."""


@dataclass(frozen=True)
class Swarm:
    """What the rules know of a swarm."""

    zones: tuple[str, ...]
    """The zone of each manager."""
    drained: Mapping[str, bool]
    """Whether a manager takes no tasks, by its name."""
    backup: Mapping[str, Any]
    agent: bool


@dataclass(frozen=True)
class Rule:
    """One rule: its name, what it demands, and what of it a swarm lacks."""

    name: str
    demands: str
    lacking: Callable[[Swarm], Iterator[str]]


def swarm_of(resources: Sequence[tuple[str, Mapping[str, Any]]]) -> Swarm | None:
    """The swarm in the types and properties of a stack's resources; None if the stack has none."""
    given = next((props for kind, props in resources if kind == PROVIDER and "requorum:cluster" in props), None)
    members = [props for kind, props in resources if kind == MEMBER]
    if given is None or not members:
        return None
    managers = [member for member in members if member.get("role") == "manager"]
    return Swarm(
        tuple(str(manager.get("zone", "")) for manager in managers),
        {str(manager["name"]): manager.get("availability") == "drain" for manager in managers},
        _setting(given, "backup") or {},
        _setting(given, "agent") not in (None, ""),  # {} is an agent with its defaults
    )


def _setting(given: Mapping[str, Any], key: str) -> Any:
    value = given.get(f"requorum:{key}")
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _zones(swarm: Swarm) -> Iterator[str]:
    held = Counter(swarm.zones)
    if len(held) < 3:
        yield f"its managers are in {len(held)} zones: {', '.join(sorted(held))}"
    most, zone = max(((count, zone) for zone, count in held.items()), default=(0, ""))
    if len(held) >= 3 and len(swarm.zones) - most <= len(swarm.zones) // 2:
        yield f"the loss of zone {zone} would take the quorum along: it has {most} of {len(swarm.zones)} managers"


def _odd(swarm: Swarm) -> Iterator[str]:
    count = len(swarm.zones)
    if count < 3:
        yield f"it has {count} managers, and tolerates the loss of none"
    elif count % 2 == 0:
        yield f"it has {count} managers: {count - 1} tolerate as many losses"


def _recipients(swarm: Swarm) -> Iterator[str]:
    recipients = {str(one) for one in swarm.backup.get("recipients", ())}
    if len(recipients) < 2:
        yield f"copies are sealed to {len(recipients)} recipients: if that identity is lost, so are all copies"
    if EXAMPLE in recipients:
        yield "a recipient is the one of the example, and nobody has its identity"


def _elsewhere(swarm: Swarm) -> Iterator[str]:
    second = swarm.backup.get("second")
    if swarm.backup.get("lock"):
        return
    if not second:
        yield "its copies are at one site, where they can be deleted: set backup.second or backup.lock"
    elif _bucket(second) == _bucket(swarm.backup):
        yield "its second site is in the bucket of the first, and both are deleted together: name another bucket, or set backup.lock"


def _bucket(site: Mapping[str, Any]) -> tuple[str, str]:
    """The bucket of a site, by whatever prefix."""
    return str(site.get("endpoint") or "").rstrip("/"), str(site.get("bucket"))


def _agent(swarm: Swarm) -> Iterator[str]:
    if not swarm.agent:
        yield "no agent takes copies: set requorum:agent"


def _drained(swarm: Swarm) -> Iterator[str]:
    if busy := [name for name, drained in swarm.drained.items() if not drained]:
        yield f"these managers take tasks: {', '.join(busy)}"


RULES = (
    Rule("three-zones", "The managers are in at least three zones, and none holds the quorum.", _zones),
    Rule("odd-managers", "There are 3, 5, 7 or another odd number of managers.", _odd),
    Rule("recipients", "Copies are sealed to two recipients at least, and none is the example's.", _recipients),
    Rule("second-site-or-lock", "Copies are at a second site, in another bucket, or locked.", _elsewhere),
    Rule("agent", "An agent on each manager takes copies.", _agent),
    Rule("drained-managers", "Managers take no tasks.", _drained),
)
