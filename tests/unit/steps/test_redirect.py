"""A detour leads connections to the new address of a manager, in the family that both addresses are of."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, cast

import pytest

from recovery.errors import Refused
from recovery.node.ssh import Shell
from recovery.steps.redirect import detour
from tests.unit import factories as make


class Recorder:
    """A shell that notes what it is asked to run."""

    node = make.settings().workers[0]

    def __init__(self) -> None:
        self.ran: list[list[str]] = []

    def run(self, argv: list[str], **_: Any) -> None:
        self.ran.append(argv)


@pytest.mark.parametrize(
    ("routes", "tool"),
    [
        ({"10.0.0.1": "10.9.0.1", "10.0.0.2": "10.9.0.1"}, "iptables"),
        ({"fd00::1": "fd09::1"}, "ip6tables"),
    ],
)
def test_the_rules_are_of_the_family_of_the_addresses(routes: Mapping[str, str], tool: str) -> None:
    shell = Recorder()
    detour(cast(Shell, shell), {old: ip_address(new) for old, new in routes.items()})
    (argv,) = shell.ran
    pairs = [address for route in routes.items() for address in route]
    assert argv[-len(pairs) - 2 :] == [tool, "2377", *pairs]


def test_no_detour_leads_from_one_family_to_the_other() -> None:
    shell = Recorder()
    with pytest.raises(Refused) as caught:
        detour(cast(Shell, shell), {"10.0.0.1": ip_address("fd09::1")})
    assert caught.value.code == "families-differ"
    assert not shell.ran
