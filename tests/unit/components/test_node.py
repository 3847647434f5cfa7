"""The script that prepares a machine."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from components.node import AWAIT_ENGINE, firewall_rules, preparation
from tests.unit import factories as make

S = make.settings()


def test_the_script_is_valid_shell() -> None:
    subprocess.run(["sh", "-n"], input=preparation(S), text=True, check=True)


@pytest.mark.parametrize(
    ("answers", "status", "asked"),
    [("[ $(wc -l < asked) = 3 ]", 0, 3), ("echo no such socket >&2; false", 1, 100)],
    ids=["once, the third time", "never"],
)
def test_an_engine_that_answers_once_is_not_asked_again(tmp_path: Path, answers: str, status: int, asked: int) -> None:
    for name, script in (("docker", f"echo >> asked; {answers}"), ("sleep", ""), ("timeout", 'shift; "$@"')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-eu"], input=AWAIT_ENGINE, text=True, capture_output=True, cwd=tmp_path, env=path, check=False
    )
    assert (done.returncode, (tmp_path / "asked").read_text().count("\n")) == (status, asked)
    assert ("does not answer: systemctl status docker (no such socket)" in done.stderr) is bool(status)
    assert AWAIT_ENGINE in preparation(S)


def test_the_nodes_network_is_let_in_and_everybody_else_is_kept_out() -> None:
    rules = firewall_rules(S)
    assert f"-A REQUORUM -s {S.subnet} -p tcp -m multiport --dports 2377,7946 -j ACCEPT" in rules
    assert f"-A REQUORUM -s {S.subnet} -p udp -m multiport --dports 7946,4789 -j ACCEPT" in rules
    assert [rule.split()[-1] for rule in rules[-2:]] == ["DROP", "DROP"]
    assert "DROP" not in " ".join(rules[:-2])


def test_the_data_path_port_is_the_configured_one() -> None:
    moved = S.model_copy(update={"swarm": replace(S.swarm, data_path_port=4799)})
    assert any("7946,4799" in rule for rule in firewall_rules(moved))


@pytest.mark.parametrize(("wanted", "there"), [(True, True), (False, False)])
def test_the_firewall_can_be_left_to_the_operator(wanted: bool, there: bool) -> None:
    changed = S.model_copy(update={"hosts": S.hosts.model_copy(update={"firewall": wanted})})
    assert ("iptables-restore -w" in preparation(changed)) is there
