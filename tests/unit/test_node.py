"""The script that prepares a machine."""

import subprocess

import pytest

from components.node import firewall_rules, preparation
from tests.unit import factories as make

S = make.settings()


def test_the_script_is_valid_shell() -> None:
    subprocess.run(["sh", "-n"], input=preparation(S), text=True, check=True)


def test_the_nodes_network_is_let_in_and_everybody_else_is_kept_out() -> None:
    rules = firewall_rules(S)
    assert f"-A REQUORUM -s {S.subnet} -p tcp -m multiport --dports 2377,7946 -j ACCEPT" in rules
    assert f"-A REQUORUM -s {S.subnet} -p udp -m multiport --dports 7946,4789 -j ACCEPT" in rules
    assert [rule.split()[-1] for rule in rules[-2:]] == ["DROP", "DROP"]
    assert "DROP" not in " ".join(rules[:-2])


def test_the_data_path_port_is_the_configured_one() -> None:
    moved = S.model_copy(update={"swarm": S.swarm.model_copy(update={"data_path_port": 4799})})
    assert any("7946,4799" in rule for rule in firewall_rules(moved))


@pytest.mark.parametrize(("wanted", "there"), [(True, True), (False, False)])
def test_the_firewall_can_be_left_to_the_operator(wanted: bool, there: bool) -> None:
    changed = S.model_copy(update={"hosts": S.hosts.model_copy(update={"firewall": wanted})})
    assert ("iptables-restore -w" in preparation(changed)) is there
