"""Two machines as the kernel has them, each in a network namespace: what passes is heard, and what a rule or a device stops is not."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from recovery.node.reported import FORMS
from recovery.onnode.look import ports
from recovery.planning.findings import all as findings
from recovery.planning.findings.finding import Finding
from recovery.swarm import records
from recovery.swarm.evidence import Evidence
from tests.layers import ROOT
from tests.unit.planning.findings.looks import HEALTHY, S, look

NAMES = ("manager-a", "manager-b")
ADDRESSES = {name: str(S.node(name).address) for name in NAMES}
PROGRAM = "import json, sys, pathlib; from recovery.onnode.look import ports; print(json.dumps(ports.look(pathlib.Path('/none'), json.loads(sys.argv[1]))))"
TRIES = 20
DROP = ("-p", "udp", "-m", "udp", "--dport", "4789", "-j", "DROP")


@dataclass(frozen=True)
class Pair:
    """The namespaces of the two machines, by the machines' names."""

    spaces: Mapping[str, str]

    def on(self, name: str, *argv: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        inside = ["ip", "netns", "exec", self.spaces[name], *argv]
        return subprocess.run(inside, check=check, capture_output=True, text=True)

    def found(self) -> dict[str, Finding]:
        """What the doctor finds of ports and packets between the two, once they listened together."""
        for _ in range(TRIES):
            begun = {name: self._begin(name) for name in NAMES}
            told = {name: json.loads(process.communicate(timeout=60)[0]) for name, process in begun.items()}
            if abs(told[NAMES[0]]["began"] - told[NAMES[1]]["began"]) < 1.0:
                return self._judged(told)
        pytest.fail("the machine is too busy to start two programs together")

    @staticmethod
    def _judged(told: Mapping[str, Any]) -> dict[str, Finding]:
        looks = []
        for name in NAMES:
            document = {"began": told[name]["began"], "ended": told[name]["ended"], "ports": told[name]}
            seen = records.typed(FORMS["look"], document)
            looks.append(Evidence(name, seen.began, seen.ended, seen))
        rest = (look(node.name) for node in S.nodes if node.name not in NAMES)
        judged = findings.judge(S, HEALTHY, (*looks, *rest), ())
        return {one.name: one for one in judged if "tcp" not in one.name and one.kind != "clock-apart"}

    def _begin(self, name: str) -> "subprocess.Popen[str]":
        peers = [{"name": n, "address": a, "path": a, "manager": False} for n, a in ADDRESSES.items() if n != name]
        request = json.dumps({"node": name, "peers": peers, "port": 4789, "managers_port": 2377, "token": "t1"})
        argv = ["ip", "netns", "exec", self.spaces[name], sys.executable, "-c", PROGRAM, request]
        return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def pair() -> Iterator[Pair]:
    missing = [tool for tool in ("ip", "iptables") if not shutil.which(tool)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"missing: {', '.join(missing) or 'root'}")
    spaces = {name: f"requorum-test-{os.getpid()}-{name[-1]}" for name in NAMES}
    made = Pair(spaces)
    try:
        for space in spaces.values():
            done = subprocess.run(["ip", "netns", "add", space], check=False, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"the kernel makes no network namespace here: {done.stderr.strip()}")
        first, second = spaces.values()
        link = ["ip", "link", "add", "eth0", "netns", first, "type", "veth", "peer", "name", "eth0", "netns", second]
        subprocess.run(link, check=True)
        for name, address in ADDRESSES.items():
            made.on(name, "ip", "address", "add", f"{address}/16", "dev", "eth0")
            for device in ("lo", "eth0"):
                made.on(name, "ip", "link", "set", device, "up")
        yield made
    finally:
        for space in spaces.values():
            subprocess.run(["ip", "netns", "delete", space], check=False, capture_output=True)


def test_a_rule_of_the_receiver_is_found_and_the_shown_command_opens_the_port(pair: Pair) -> None:
    assert pair.found() == {}
    pair.on("manager-b", "iptables", "-A", "INPUT", *DROP)
    found = pair.found()
    assert [*found] == ["port-closed@manager-b:4789/udp"]
    (run,) = found["port-closed@manager-b:4789/udp"].proposals[0].runs
    assert run.node == "manager-b"
    pair.on(run.node, *run.argv)
    assert pair.found() == {}


def test_a_device_that_is_too_small_is_found_and_the_shown_command_makes_it_large_enough(pair: Pair) -> None:
    pair.on("manager-b", "ip", "link", "set", "dev", "eth0", "mtu", "1400")
    found = pair.found()
    assert [*found] == ["mtu-small@manager-b:eth0"]
    assert f"have {ports.DEFAULT_MTU + 50} bytes" in found["mtu-small@manager-b:eth0"].trouble
    pair.on("manager-b", "ip", "link", "set", "dev", "eth0", "mtu", "1500")
    assert pair.found() == {}
