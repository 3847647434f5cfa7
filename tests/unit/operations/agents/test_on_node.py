"""An agent on its node: installed, looked at and removed by a node's own shell."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from recovery.agent.config import METRICS_FILE
from recovery.agent.state import State
from recovery.operations import agents, bundle
from recovery.operations.agents import AgentStatus
from recovery.settings import Settings
from tests.unit.operations.agents.wanted import NOW, with_agent


class Node:
    """The folders of a node below a folder of ours, and its systemctl, which notes what it is told."""

    TOOL = '#!/bin/sh\necho "$(basename $0) $*" >> {log}\n[ "$1" != fails ]\n'

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, root / "log"
        for folder in ("etc/systemd/system", "usr/local/lib", "bin"):
            (root / folder).mkdir(parents=True)
        for name in ("systemctl", "systemd-analyze"):
            tool = root / "bin" / name
            tool.write_text(
                self.TOOL.format(log=self.log).replace("fails", "disable" if name == "systemctl" else "calendar-")
            )
            tool.chmod(0o755)
        (root / "python3").write_text('#!/bin/sh\ncase "$*" in *import\\ json*) exec python3 "$@";; esac\n')
        (root / "python3").chmod(0o755)

    def run(self, script: str, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
        for folder in ("/etc/requorum/", "/etc/systemd/", "/usr/local/"):
            script = script.replace(folder, f"{self.root}{folder}")
        script = script.replace("/usr/bin/python3", str(self.root / "python3"))
        self.log.write_text("")
        path = {"PATH": f"{self.root / 'bin'}:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", script, "sh", *arguments], input=stdin, capture_output=True, env=path)

    def install(self, of: Settings) -> list[str]:
        assert of.agent
        files = agents.files(of, of.managers[0])
        small = {path: content for path, content in files.items() if not path.startswith("lib/")}
        done = self.run(
            agents.INSTALL, of.agent.schedule, "digest", str(of.agent.metrics_folder or ""), stdin=bundle.packed(small)
        )
        assert done.returncode == 0, done.stderr.decode()
        return self.log.read_text().splitlines()

    def there(self, path: str) -> bool:
        return (self.root / path).exists()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path / "node")


WATCH = "etc/systemd/system/requorum-watch.service"


def test_an_agent_that_shall_not_watch_does_not_after_the_next_boot_either(of: Settings, node: Node) -> None:
    told = node.install(of)
    assert node.there(WATCH)
    assert "systemctl enable --quiet --now requorum-watch.service" in told
    off = with_agent(of, on_change=False)
    assert agents.digest(off, of.managers[0]) != agents.digest(of, of.managers[0])
    told = node.install(off)
    assert not node.there(WATCH)
    assert "systemctl disable --quiet requorum-watch.service" in told
    assert not any("enable" in line and "watch" in line for line in told)
    assert "systemctl enable --quiet --now requorum-copy.timer" in told


def test_what_others_put_under_our_units_stays(of: Settings, node: Node) -> None:
    node.install(of)
    theirs = [f"etc/systemd/system/{unit}.d/override.conf" for unit in ("requorum-copy.service", "requorum-copy.timer")]
    for path in theirs:
        (node.root / path).parent.mkdir()
        (node.root / path).write_text("[Service]\nNice=5\n")
    told = node.install(of)
    assert node.there("etc/requorum/agent/installed"), "a folder of drop-ins does not stop the installation half way"
    assert "systemctl enable --quiet --now requorum-copy.timer" in told
    assert node.run(agents.REMOVE).returncode == 0
    assert [node.there(path) for path in theirs] == [True, True]
    assert not node.there("etc/systemd/system/requorum-copy.service")


def test_metrics_that_nobody_writes_any_more_are_removed(of: Settings, node: Node) -> None:
    old, new = node.root / "old", node.root / "new folder"
    node.install(with_agent(of, metrics_folder=old))
    (old / METRICS_FILE).write_text("x")
    (old / "other.prom").write_text("x")
    node.install(with_agent(of, metrics_folder=old))
    assert (old / METRICS_FILE).exists(), "they are written on"
    node.install(with_agent(of, metrics_folder=new))
    assert [file.name for file in old.iterdir()] == ["other.prom"]
    (new / METRICS_FILE).write_text("x")
    assert node.run(agents.REMOVE).returncode == 0
    assert not list(new.iterdir())
    assert not list((node.root / "etc/systemd/system").iterdir())
    assert not node.there("etc/requorum/agent")
    assert not node.there("usr/local/lib/requorum/agent")
    assert node.run(agents.REMOVE).returncode == 0, "there is nothing any more"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('[ "$1" != calendar ]', "requorum:agent.schedule: systemd does not understand 'hourly'"),
        (None, "systemd is missing"),
    ],
)
def test_a_node_says_what_it_lacks(node: Node, script: str | None, why: str) -> None:
    tool = node.root / "bin" / "systemd-analyze"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    checked = agents.CHECK if script else agents.CHECK.replace("systemd-analyze", "no-such-systemd")
    done = node.run(checked, "hourly")
    assert (done.returncode, done.stderr.decode().partition("\n")[0].startswith(why)) == (2, True), done.stderr


def test_a_node_with_all_of_it_is_fit_and_one_without_a_module_is_not(node: Node) -> None:
    assert node.run(agents.CHECK, "hourly").returncode == 0
    (node.root / "python3").write_text('#!/bin/sh\ncase "$*" in *nacl*|*version*) exit 1;; esac\n')
    assert b"Python 3.11 or newer" in node.run(agents.CHECK, "hourly").stderr
    (node.root / "python3").write_text('#!/bin/sh\ncase "$*" in *nacl*) exit 1;; esac\n')
    assert node.run(agents.CHECK, "hourly").stderr == b"these packages are missing: apt-get install python3-nacl\n"


def test_how_an_agent_stands_is_read_from_what_its_node_says(node: Node) -> None:
    kept = State(fingerprint="x", attempted=NOW)
    lines = ["digest", "1699999000", "1700000000", "active", "active", "@1699990000", "exit-code", "75"]
    told = "\n".join([*lines, "1699998000500 1699997000500", json.dumps(vars(kept))])
    wanted = AgentStatus("digest", True, True, 2, kept, "exit-code", 75, 1699997000.5, 1699999000.0, 1700000000.0)
    assert agents.agent_status(told) == wanted
    by_timer = agents.agent_status("\n".join([*lines[:4], "inactive", *lines[5:], "", ""]))
    assert (by_timer.watch, by_timer.due, by_timer.since, by_timer.state) == (False, 1699990000.0, 0.0, State())
    nothing = agents.agent_status(node.run(agents.LOOK.replace("/var/lib/", f"{node.root}/var/lib/")).stdout.decode())
    assert (nothing.digest, nothing.waiting, nothing.due, nothing.state) == ("", 0, 0.0, State())
    assert nothing.now > NOW


def test_each_line_is_where_it_is_looked_for(node: Node, of: Settings) -> None:
    node.install(of)
    (node.root / "bin" / "systemctl").write_text(
        '#!/bin/sh\ncase "$*" in\n*LastTrigger*) echo @1699990000;; *Result*) echo timeout;; *ExecMain*) echo 15;;\n'
        "*watch*) echo inactive; exit 3;; *) echo active;; esac\n"
    )
    for name in ("1699998000500", "1699997000500", "1699996000500.new"):
        (node.root / "var/lib/requorum/agent/spool" / name).mkdir(parents=True)
    (node.root / "var/lib/requorum/agent/state.json").write_text(json.dumps({"taken": 5.0}))
    found = agents.agent_status(node.run(agents.LOOK.replace("/var/lib/", f"{node.root}/var/lib/")).stdout.decode())
    assert replace(found, now=0.0) == AgentStatus(
        "digest", True, False, 2, State(taken=5.0), "timeout", 15, 1699997000.5, 1699990000.0
    )
