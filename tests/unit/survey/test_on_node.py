"""What a look at a machine finds of what Requorum put there: by the script itself, and by what it may answer."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from recovery.operations import agents
from recovery.survey import nodes
from recovery.survey.on_node import LOOK, framed
from recovery.swarm.on_node import AGENT_HOME, AGENT_INSTALLED, Chain, Connection, OnNode

ANSWER = """<requorum>
version 0123456789abcdef
lacks age
firewall enabled
ipv4 ok
ipv6 late
agent digest
unit requorum-copy.timer
stopped requorum-watch.service
peer 10.77.1.11:2377 10.77.1.21:50000
peer [::ffff:10.77.1.11]:2377 [::ffff:10.77.1.21]:50001
peer 10.77.1.11:2376 192.0.2.1:50002
peer nonsense
data_path 192.0.2.21
</requorum>
"""


def test_the_answer_is_read_and_taken_out_of_what_else_is_printed() -> None:
    found, rest = framed(f"{ANSWER}machine\nmark\n")
    assert rest == "machine\nmark\n"
    assert found == OnNode(
        version="0123456789abcdef",
        lacks=("age",),
        firewall=True,
        at_boot=True,
        ipv4=Chain.OK,
        ipv6=Chain.LATE,
        agent="digest",
        units=("requorum-copy.timer",),
        stopped=("requorum-watch.service",),
        connections=(Connection(2377, "10.77.1.21"), Connection(2376, "192.0.2.1")),
        data_path="192.0.2.21",
    )


@pytest.mark.parametrize("text", ["", "machine\nmark\n", "<requorum>\nversion x\n"], ids=["empty", "not asked", "torn"])
def test_an_answer_that_is_not_whole_says_nothing(text: str) -> None:
    assert framed(text) == (None, text)


def look(root: Path, **tools: str) -> OnNode:
    """What the script finds on a machine whose files are below a folder."""
    script = LOOK
    for folder in ("/etc/requorum/", "/etc/systemd/system", "/usr/local/lib/", "/proc/net/"):
        script = script.replace(folder, f"{root}{folder}")
    (root / "bin").mkdir(exist_ok=True)
    for name in ("systemctl", "iptables", "ip6tables", "ss"):
        tool = root / "bin" / name
        tool.write_text(f"#!/bin/sh\n{tools.get(name, 'exit 1')}\n")
        tool.chmod(0o755)
    env = {"PATH": f"{root / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", script, "look", str(root)], capture_output=True, text=True, env=env, check=True)
    found, rest = framed(done.stdout)
    assert found
    assert (rest, done.stderr) == ("", "")
    return found


def write(root: Path, path: str, text: str = "x") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_bare_machine_has_nothing(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert (found.version, found.firewall, found.agent, found.units, found.connections) == ("", False, "", (), ())


RULES = "-N REQUORUM\n-A REQUORUM -i lo -j RETURN"
SUM = subprocess.run(["sha256sum"], input=f"{RULES}\n", capture_output=True, text=True, check=True).stdout
JUMP = "-A INPUT -j REQUORUM"
DOCKERS = "-A INPUT -p udp --dport 4789 -m policy --dir in --pol none -j DROP"
LISTS = f"""case $4 in REQUORUM) printf '%s\\n' '{RULES}';; *) echo '-P INPUT ACCEPT'; printf '%s\\n' LISTED;; esac"""


@pytest.mark.parametrize(
    ("listed", "digest", "chain"),
    [
        ((JUMP,), SUM, Chain.OK),
        ((DOCKERS, JUMP, DOCKERS), SUM, Chain.OK),
        (("-A INPUT -p tcp -j ACCEPT", JUMP), SUM, Chain.LATE),
        ((), SUM, Chain.LATE),
        ((JUMP,), "other  -\n", Chain.CHANGED),
        ((JUMP,), "", Chain.CHANGED),
    ],
    ids=["first", "after docker's", "another came first", "nobody goes there", "other rules", "a torn digest"],
)
def test_the_chain_and_its_place_are_looked_at(
    tmp_path: Path, listed: tuple[str, ...], digest: str, chain: Chain
) -> None:
    write(tmp_path, "etc/systemd/system/requorum-firewall.service")
    write(tmp_path, "etc/requorum/firewall.v4.sum", digest)
    lists = LISTS.replace("LISTED", " ".join(f"'{line}'" for line in listed))
    found = look(tmp_path, systemctl="echo enabled", iptables=lists)
    assert (found.firewall, found.at_boot, found.ipv4, found.ipv6) == (True, True, chain, Chain.UNUSED)


@pytest.mark.parametrize(
    ("rules", "listed", "chain"),
    [
        ("-N REQUORUM\n-A REQUORUM -p udp -j DROP", (JUMP,), Chain.OLD),
        ("-N REQUORUM\n-A REQUORUM -p udp -j DROP", (), Chain.LATE),
        ("-N REQUORUM", (JUMP,), Chain.CHANGED),
    ],
    ids=["in place", "nobody goes there", "flushed"],
)
def test_rules_of_a_release_that_wrote_no_digest_are_known_as_such(
    tmp_path: Path, rules: str, listed: tuple[str, ...], chain: Chain
) -> None:
    write(tmp_path, "etc/systemd/system/requorum-firewall.service")
    lists = LISTS.replace(RULES, rules).replace("LISTED", " ".join(f"'{line}'" for line in listed))
    assert look(tmp_path, systemctl="echo enabled", iptables=lists).ipv4 is chain


def test_a_chain_that_is_gone_is_missing_in_its_family_alone(tmp_path: Path) -> None:
    write(tmp_path, "etc/systemd/system/requorum-firewall.service")
    write(tmp_path, "etc/requorum/firewall.v4.sum", SUM)
    write(tmp_path, "proc/net/if_inet6")
    found = look(tmp_path, systemctl="echo disabled", iptables=LISTS.replace("LISTED", f"'{JUMP}'"))
    assert (found.at_boot, found.ipv4, found.ipv6) == (False, Chain.OK, Chain.MISSING)


def test_a_unit_of_the_agent_that_somebody_changed_or_removed_is_seen(tmp_path: Path) -> None:
    for unit in ("requorum-copy.service", "requorum-copy.timer", "requorum-due.service"):
        write(tmp_path, f"usr/local/lib/requorum/agent/units/{unit}", unit)
    write(tmp_path, "etc/systemd/system/requorum-copy.service", "requorum-copy.service")
    write(tmp_path, "etc/systemd/system/requorum-copy.timer", "changed")
    write(tmp_path, "etc/systemd/system/requorum-copy.service.d/override.conf", "theirs")
    write(tmp_path, "etc/requorum/agent/installed", "digest")
    found = look(tmp_path)
    assert (found.agent, found.units) == ("digest", ("requorum-copy.timer", "requorum-due.service"))


@pytest.mark.parametrize(
    ("status", "chain"), [(1, Chain.MISSING), (3, Chain.MISSING), (4, Chain.BUSY), (124, Chain.BUSY)]
)
def test_rules_that_somebody_changes_at_that_moment_are_not_taken_for_missing(
    tmp_path: Path, status: int, chain: Chain
) -> None:
    write(tmp_path, "etc/systemd/system/requorum-firewall.service")
    assert look(tmp_path, iptables=f"exit {status}").ipv4 is chain


@pytest.mark.parametrize(
    ("active", "stopped"), [("exit 0", ()), ("[ $3 = requorum-copy.timer ]", ("requorum-watch.service",))]
)
def test_a_unit_of_the_agent_that_does_not_run_is_seen(tmp_path: Path, active: str, stopped: tuple[str, ...]) -> None:
    for unit in ("requorum-copy.timer", "requorum-watch.service", "requorum-copy.service"):
        write(tmp_path, f"usr/local/lib/requorum/agent/units/{unit}")
    assert look(tmp_path, systemctl=active).stopped == stopped


@pytest.mark.parametrize("address", ["192.0.2.21", ""])
def test_the_data_path_address_is_what_the_engine_remembers(tmp_path: Path, address: str) -> None:
    state = json.dumps({"LocalAddr": "", "DataPathAddr": address, "JoinInProgress": False})
    write(tmp_path, "swarm/docker-state.json", state)
    found = look(tmp_path, ss="echo 0 0 10.77.1.11:2377 10.77.1.21:50000")
    assert (found.data_path, found.connections) == (address, (Connection(2377, "10.77.1.21"),))


def test_the_places_are_those_of_the_installation() -> None:
    assert (agents.HOME, str(agents.INSTALLED)) == (AGENT_HOME, AGENT_INSTALLED)


def test_the_question_is_part_of_the_surveys_and_is_asked_only_of_a_whole_look() -> None:
    assert f'[ -z "$2" ] || {{ {LOOK} }}; ' in nodes.PROBE
    subprocess.run(["sh", "-n", "-c", nodes.PROBE], check=True)
