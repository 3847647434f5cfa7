"""The script that prepares a machine, and how a machine is found to differ from it."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recovery.planning.preparation import (
    AWAIT_ENGINE,
    FIREWALL_OFF,
    PLACE,
    WRITE_VERSION,
    Preparation,
    prepare,
    script,
    version,
)
from recovery.settings import Settings
from recovery.swarm.found import SwarmFacts
from recovery.swarm.model import Survey
from recovery.swarm.on_node import Chain, OnNode
from tests.unit import factories as make

S = make.settings()
A = S.managers[0]


def test_an_update_installs_what_a_machine_lacks_if_the_settings_say_so() -> None:
    installs = S.model_copy(update={"hosts": S.hosts.model_copy(update={"install": True})})
    made = one(installs, replace(WELL, lacks=("age",)))
    assert (made.drift[-1], made.lacks) == ("it lacks age, which the update installs", ())
    assert "apt-get install -qq -y" in made.script
    assert "apt-get install -qq -y" not in one(S, WELL).script
    subprocess.run(["sh", "-n"], input=made.script, text=True, check=True)


def asked(of: Settings, firewall: bool | None) -> Settings:
    return of.model_copy(update={"hosts": of.hosts.model_copy(update={"firewall": firewall})})


ADOPTED = make.settings(clusterId=make.CLUSTER)
OFF = asked(S, False)
WELL = OnNode(firewall=True, at_boot=True, ipv4=Chain.OK, ipv6=Chain.OK)
EARLIER = OnNode(firewall=True, at_boot=True, ipv4=Chain.OLD, ipv6=Chain.MISSING)
"""As a release left it that knew only IPv4, and wrote no version and no digest."""


@pytest.mark.parametrize("wanted", [True, False, None])
def test_the_script_is_valid_shell(wanted: bool | None) -> None:
    subprocess.run(["sh", "-n"], input=script(S, wanted, 4789), text=True, check=True)


def stubs(folder: Path, **tools: str) -> Mapping[str, str]:
    """An environment in which these tools are scripts of a line."""
    for name, text in tools.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("answers", "status", "asked"),
    [("[ $(wc -l < asked) = 3 ]", 0, 3), ("echo no such socket >&2; false", 1, 100)],
    ids=["once, the third time", "never"],
)
def test_an_engine_that_answers_once_is_not_asked_again(tmp_path: Path, answers: str, status: int, asked: int) -> None:
    env = stubs(tmp_path, docker=f"echo >> asked; {answers}", sleep="", timeout='shift; "$@"')
    done = subprocess.run(
        ["sh", "-eu"], input=AWAIT_ENGINE, text=True, capture_output=True, cwd=tmp_path, env=env, check=False
    )
    assert (done.returncode, (tmp_path / "asked").read_text().count("\n")) == (status, asked)
    assert ("does not answer: systemctl status docker (no such socket)" in done.stderr) is bool(status)
    assert AWAIT_ENGINE in script(S, None, 4789)


JUMP = "-A INPUT -j REQUORUM"
DOCKERS = "-A INPUT -p udp -m udp --dport 4789 -m policy --dir in --pol none -j DROP"
OTHER = "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"


@pytest.mark.parametrize(
    ("listed", "removed", "place"),
    [
        ((), 0, 1),
        ((OTHER,), 0, 1),
        ((JUMP, OTHER), 1, 1),
        ((OTHER, JUMP), 1, 1),
        ((DOCKERS, OTHER), 0, 2),
        ((DOCKERS, DOCKERS, JUMP, OTHER, DOCKERS), 1, 3),
        ((JUMP, DOCKERS, JUMP), 2, 2),
    ],
    ids=["alone", "before others", "it is there", "it is late", "after docker's", "it is after docker's", "twice"],
)
def test_the_chain_comes_first_and_once_and_dockers_own_rules_stay_before_it(
    tmp_path: Path, listed: tuple[str, ...], removed: int, place: int
) -> None:
    forwarding = removed
    listed = (*listed, *[line.replace("INPUT", "FORWARD") for line in listed])
    (tmp_path / "rules.v4").write_text("-A REQUORUM -i lo -j RETURN\n")
    (tmp_path / "rules.forward").write_text("-A REQUORUM -p esp -j DROP\n")
    (tmp_path / "listed").write_text("\n".join(("-P INPUT ACCEPT", *listed)) + "\n")
    env = stubs(tmp_path, iptables=f"cat {tmp_path}/listed", iptables_restore=f"cat >> {tmp_path}/told")
    text = PLACE.replace("/etc/requorum/firewall", f"{tmp_path}/rules").replace("/proc/net/if_inet6", "/nowhere")
    subprocess.run(["sh"], input=text, text=True, env=env, check=True)
    assert (tmp_path / "told").read_text().splitlines() == [
        "*filter",
        ":REQUORUM - [0:0]",
        "-A REQUORUM -i lo -j RETURN",
        *["-D INPUT -j REQUORUM"] * removed,
        f"-I INPUT {place} -j REQUORUM",
        "COMMIT",
        "*mangle",
        ":REQUORUM - [0:0]",
        "-A REQUORUM -p esp -j DROP",
        *["-D FORWARD -j REQUORUM"] * forwarding,
        "-I FORWARD 1 -j REQUORUM",
        "COMMIT",
    ]
    assert (tmp_path / "rules.v4.sum").exists()


def one(of: Settings, found: OnNode | None, **changes: Any) -> Preparation:
    """The preparation of the first manager, on which this was found."""
    seen = make.healthy(of)
    first, *others = seen.reports
    reports = [replace(first, on_node=found, **changes), *others]
    return prepare(of, make.survey(reports))[A.name]


CURRENT = version(script(S, True, 4789))


@pytest.mark.parametrize(
    ("of", "found", "marked", "drift"),
    [
        (S, replace(WELL, version=CURRENT), "lab", ()),
        (S, WELL, "lab", ()),
        (S, replace(WELL, ipv6=Chain.UNUSED), "lab", ()),
        (OFF, OnNode(), "lab", ()),
        (ADOPTED, OnNode(), "lab", ()),
        (S, replace(WELL, version="old"), "lab", ("it is prepared by another release or with other settings",)),
        (
            S,
            OnNode(),
            "",
            ("it is not prepared for this cluster", "the firewall's rules are missing (IPv4, IPv6)"),
        ),
        (ADOPTED, OnNode(), "", ("it is not prepared for this cluster",)),
        (ADOPTED, OnNode(), "other", ("it is prepared for cluster other",)),
        (S, replace(WELL, ipv4=Chain.LATE), "lab", ("the firewall's rules are not the first in INPUT (IPv4)",)),
        (S, replace(WELL, ipv4=Chain.CHANGED), "lab", ("the firewall's rules are changed (IPv4)",)),
        (S, replace(WELL, ipv6=Chain.MISSING), "lab", ("the firewall's rules are missing (IPv6)",)),
        (S, EARLIER, "lab", ()),
        (S, replace(EARLIER, at_boot=False), "lab", ("the firewall does not start with the machine",)),
        (
            asked(S, True),
            EARLIER,
            "lab",
            ("the firewall's rules are missing (IPv6)", "the firewall's rules are of an earlier release (IPv4)"),
        ),
        (S, replace(WELL, at_boot=False), "lab", ("the firewall does not start with the machine",)),
        (OFF, WELL, "lab", ("it has the firewall, which requorum:hosts.firewall switches off",)),
        (ADOPTED, replace(WELL, ipv4=Chain.MISSING), "lab", ("the firewall's rules are missing (IPv4)",)),
    ],
    ids=[
        "as it should be",
        "by a release that wrote no version",
        "no IPv6",
        "without the firewall",
        "of a swarm that was there",
        "other settings",
        "reinstalled",
        "taken over",
        "another cluster's",
        "another rule came first",
        "rules were flushed",
        "one family is missing",
        "an earlier release knew one family",
        "its unit is off",
        "an earlier release knew one family, and the firewall is asked for",
        "unit is off",
        "firewall is switched off",
        "the firewall it was given once",
    ],
)
def test_each_difference_of_a_machine_is_said(of: Settings, found: OnNode, marked: str, drift: tuple[str, ...]) -> None:
    assert one(of, found, marked=marked).drift == drift


def test_a_machine_that_nobody_looked_at_differs_in_nothing_and_is_prepared_all_the_same() -> None:
    made = one(S, None)
    assert (made.known, made.drift) == (False, ())
    assert made.script == script(S, True, 4789) + WRITE_VERSION.format(CURRENT)


def test_a_tool_that_is_missing_is_said_and_nothing_is_run_for_it() -> None:
    made = one(S, replace(WELL, lacks=("age",)))
    assert (made.drift, made.lacks) == ((), ("age",))


def moved(of: Settings, port: int) -> Survey:
    seen = make.healthy(of)
    return make.survey(
        [replace(r, on_node=replace(WELL, version=CURRENT), swarm=SwarmFacts({}, port)) for r in seen.reports]
    )


def test_the_data_path_port_is_the_swarms_own() -> None:
    made = prepare(S, moved(S, 4799))[A.name]
    assert "7946,4799" in made.script
    assert made.drift == ("it is prepared by another release or with other settings",)


def test_without_a_leader_no_machine_is_prepared_anew_because_nobody_tells_the_port() -> None:
    was = replace(WELL, version=version(script(S, True, 4799)))
    seen = make.survey([replace(make.leaderless(node), on_node=was) for node in S.managers])
    assert prepare(S, seen)[A.name].drift == ()


@pytest.mark.parametrize(("wanted", "on", "off"), [(True, True, False), (False, False, True), (None, False, False)])
def test_the_firewall_is_switched_on_or_off_or_left_alone(wanted: bool | None, on: bool, off: bool) -> None:
    made = script(S, wanted, 4789)
    assert ("systemctl enable --quiet requorum-firewall.service" in made) is on
    assert (FIREWALL_OFF in made) is off
