"""Agents from outside: when they are installed, what is looked at before, and what is left of them."""

import json
import os
import subprocess
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.configloader import raw_config_parse
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner

from components.agent import AgentProvider
from components.settings import from_program
from recovery.agent import metrics
from recovery.agent.state import Fault, State
from recovery.cli import app
from recovery.cli.agents import LATE_SECONDS, LOG, NEVER_PRUNED, _codes, _fault
from recovery.errors import Refused, SettingError, Silent, StoreError, TransportError
from recovery.node.shell import Output
from recovery.operations import agents, bundle
from recovery.operations.agents import AgentStatus
from recovery.planning.diagnosis import Kind
from recovery.settings import Settings
from tests.unit import cluster
from tests.unit import factories as make
from tests.unit.cluster import assessment


@pytest.fixture
def of(tmp_path: Path) -> Settings:
    given = tmp_path / "credentials"
    given.write_text("[default]\naws_secret_access_key = hidden\n")
    return make.settings(agent={"credentialsFile": str(given)})


def test_a_recovery_does_not_wait_for_agents_but_they_for_its_proof(of: Settings, monkeypatch: Any) -> None:
    before: dict[str, set[str]] = {}

    def seen(request: Any) -> None:
        before[request.name] = {urn.rsplit("::", 1)[-1] for urn in request.dependencies}

    cluster.build(of, monkeypatch, seen)
    waiting = {name for name, named in before.items() if any(one.endswith("-agent") for one in named)}
    assert not waiting
    for node in of.managers:
        assert before[f"{node.name}-agent"] == {"health"}


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "unreadable-file"), ("no ini: hidden", "setting-invalid"), ("[other]\nx = hidden\n", "setting-invalid")],
)
def test_a_file_for_agents_is_read_before_anything_is_done(
    of: Settings, content: str | None, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of.agent
    assert of.agent.credentials_file
    path = of.agent.credentials_file
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    raw = make.raw(agent={"credentialsFile": str(path)})
    given = {f"requorum:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in raw.items()}
    monkeypatch.setattr("components.settings.CONFIG", ContextVar("config", default=given))
    monkeypatch.setattr("pulumi.runtime.config.CONFIG", ContextVar("config", default=given))
    with pytest.raises(SettingError, match=f"code: {code}$") as caught:
        from_program()
    assert caught.value.key == "agent.credentialsFile"
    assert "hidden" not in str(caught.value)


SHARED = """# of the operator: hidden-word
[operator]
aws_access_key_id = hidden-id
aws_secret_access_key = hidden
[DEFAULT]
region = nowhere
[default]
aws_access_key_id = hidden-id-too
[nodes]
# hidden-word
role_arn = arn:aws:iam::1:role/nodes
source_profile = base
[base]
aws_secret_access_key = a%b#c
"""


def profiles(path: Path, profile: str | None) -> dict[str, dict[str, str]]:
    """What a node is given of the file, as an AWS client reads it there."""
    backup = {**make.RAW["backup"], **({"profile": profile} if profile else {})}
    of = make.settings(agent={"credentialsFile": str(path)}, backup=backup)
    carried = path.with_name("carried")
    carried.write_bytes(agents._files(of, of.managers[0])["etc/credentials"])
    assert "hidden-word" not in carried.read_text()
    return dict(raw_config_parse(str(carried)))


def test_a_node_is_given_no_profile_but_those_of_the_sites(tmp_path: Path) -> None:
    shared = tmp_path / "credentials"
    shared.write_text(SHARED)
    assert profiles(shared, None) == {"default": {"region": "nowhere", "aws_access_key_id": "hidden-id-too"}}
    assert profiles(shared, "nodes") == {
        "nodes": {"region": "nowhere", "role_arn": "arn:aws:iam::1:role/nodes", "source_profile": "base"},
        "base": {"region": "nowhere", "aws_secret_access_key": "a%b#c"},
    }
    shared.write_text(SHARED.replace("[base]", "[hidden-base]"))
    with pytest.raises(SettingError, match=r"code: setting-invalid$") as caught:
        profiles(shared, "nodes")
    assert "hidden" not in str(caught.value)
    assert "base" not in str(caught.value)


def test_a_folder_for_metrics_is_named_from_the_root_on() -> None:
    with pytest.raises(SettingError, match=r"agent\.metricsFolder: metrics .*\n.*\n.*code: setting-invalid"):
        make.settings(agent={"metricsFolder": "metrics"})


class FakeShell:
    """A node that answers as ``answers`` says, by its name; the names of those asked are kept."""

    answers: ClassVar[dict[str, Any]]
    asked: ClassVar[list[str]]

    def __init__(self, node: Any, _ssh: Any) -> None:
        self.node = node

    def __enter__(self) -> "FakeShell":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, argv: Any, **_: Any) -> Output:
        self.asked.append(self.node.name)
        assert argv[2:] == [agents.CHECK, "check", "hourly"]
        answer = self.answers.get(self.node.name, Output(b"", "", 0))
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Output)
        return answer


@pytest.fixture
def shells(monkeypatch: pytest.MonkeyPatch) -> type[FakeShell]:
    monkeypatch.setattr(agents, "Shell", FakeShell)
    monkeypatch.setattr(FakeShell, "answers", {}, raising=False)
    monkeypatch.setattr(FakeShell, "asked", [], raising=False)
    return FakeShell


def test_a_manager_that_cannot_have_an_agent_is_refused(of: Settings, shells: type[FakeShell]) -> None:
    agents.require_fit(of, assessment(of))
    assert sorted(shells.asked) == ["manager-a", "manager-b", "manager-c"]
    shells.answers = {"manager-b": Output(b"", "python3-nacl is missing: apt-get install python3-nacl\n", 2)}
    with pytest.raises(Refused, match=r"apt-get install python3-nacl(?s:.*)code: agent-cannot-run$") as caught:
        agents.require_fit(of, assessment(of))
    assert caught.value.node == "manager-b"


def test_one_that_falls_silent_is_for_the_survey_to_judge(of: Settings, shells: type[FakeShell]) -> None:
    shells.answers = {"manager-b": Silent("x", "y", remedy="z")}
    agents.require_fit(of, assessment(of))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.HEALTHY, Kind.ABSENT)])
def test_no_recovery_asks_for_what_an_agent_needs(of: Settings, shells: type[FakeShell], kind: Kind) -> None:
    agents.require_fit(of, assessment(of, kind))
    assert not shells.asked


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
        files = agents._files(of, of.managers[0])
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


def with_agent(of: Settings, **changes: Any) -> Settings:
    assert of.agent
    return of.model_copy(update={"agent": of.agent.model_copy(update=changes)})


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


def test_metrics_that_nobody_writes_any_more_are_removed(of: Settings, node: Node) -> None:
    old, new = node.root / "old", node.root / "new folder"
    node.install(with_agent(of, metrics_folder=old))
    (old / metrics.FILE).write_text("x")
    (old / "other.prom").write_text("x")
    node.install(with_agent(of, metrics_folder=old))
    assert (old / metrics.FILE).exists(), "they are written on"
    node.install(with_agent(of, metrics_folder=new))
    assert [file.name for file in old.iterdir()] == ["other.prom"]
    (new / metrics.FILE).write_text("x")
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
    assert node.run(agents.CHECK, "hourly").stderr == b"python3-nacl is missing: apt-get install python3-nacl\n"


class Provider:
    """The provider of an agent whose node is looked at, or has it removed, without one."""

    def __init__(self, of: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        self.provider, self.dialled = AgentProvider(), list[str]()
        self.provider._settings = of
        self.found = AgentStatus("digest", timer=True, watch=True, waiting=0, state=State())
        monkeypatch.setattr(agents, "inspect", self._dial(lambda: self.found))
        monkeypatch.setattr(agents, "remove", self._dial(lambda: False))
        monkeypatch.setattr("components.agent.say", lambda line: self.dialled.append(line))

    def _dial(self, answer: Callable[[], Any]) -> Callable[..., Any]:
        def act(_settings: Settings, node: Any) -> Any:
            self.dialled.append(node.dial)
            return answer()

        return act


@pytest.fixture
def provider(of: Settings, monkeypatch: pytest.MonkeyPatch) -> Provider:
    return Provider(of, monkeypatch)


def props(of: Settings, **changes: Any) -> dict[str, Any]:
    node = replace(of.managers[0], **changes)
    return {
        "manager": node.name,
        "node": node.to_json(),
        "digest": "digest",
        "host": "x",
        "running": True,
    }


@pytest.mark.parametrize(("wanted", "found"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_watch_that_runs_and_shall_not_is_seen(of: Settings, provider: Provider, wanted: bool, found: bool) -> None:
    provider.provider._settings = with_agent(of, on_change=wanted)
    provider.found = replace(provider.found, watch=found)
    read = provider.provider.read("x", props(of))
    assert read.outs
    assert read.outs["running"] is (wanted == found)


def test_a_node_is_dialled_where_the_settings_have_it_now(of: Settings, provider: Provider) -> None:
    was = props(of, ssh_address="192.0.2.9")
    read = provider.provider.read("x", was)
    assert provider.dialled == [of.managers[0].dial]
    assert read.outs
    assert read.outs["node"] == props(of)["node"]


def test_a_node_that_is_named_no_more_is_dialled_where_it_was(of: Settings, provider: Provider) -> None:
    gone = props(of, name="manager-z", ssh_address="192.0.2.9")
    provider.provider.delete("x", gone)
    assert provider.dialled[0] == "192.0.2.9"
    assert (
        "ssh root@192.0.2.9 systemctl disable --now requorum-watch.service requorum-copy.timer" in provider.dialled[1]
    )


NOW = 1_700_000_000.0
LONG = LATE_SECONDS + 60
FINE = AgentStatus("digest", timer=True, watch=True, waiting=0, state=State(attempted=NOW - 60), due=NOW - 120, now=NOW)
POLICY = StoreError("writing", "AccessDenied", remedy="requorum policy", code="not-allowed")
WELL: dict[str, AgentStatus] = {
    "fine": FINE,
    "another's turn": replace(FINE, result="exit-code", status=75),
    "has run, and nothing was due since": replace(FINE, state=State(attempted=NOW - 9 * LONG), due=NOW - 9 * LONG),
    "is at it": replace(FINE, state=State(attempted=NOW - 9 * LONG), due=NOW - 60),
    "stores it just now": replace(FINE, waiting=1, since=NOW - 60),
}
AT_FAULT: dict[str, tuple[AgentStatus | TransportError, str]] = {
    "silent": (Silent("connecting", "nothing answers", remedy="requorum status"), "next: requorum status"),
    "none there": (replace(FINE, digest=""), "next: pulumi up"),
    "no timer": (replace(FINE, timer=False), "next: pulumi up"),
    "no watch": (replace(FINE, watch=False), "next: pulumi up"),
    "an error of ours": (
        replace(FINE, state=State(attempted=NOW).failing(Fault.STORE, str(POLICY))),
        "next: requorum policy",
    ),
    "another error": (replace(FINE, state=State(attempted=NOW).failing(Fault.COPY, "no room")), LOG),
    "a full disk: nothing is remembered": (replace(FINE, state=State(), result="exit-code", status=1), LOG),
    "killed": (replace(FINE, result="oom-kill", status=9), LOG),
    "never ran since it is there": (replace(FINE, state=State(), due=NOW - LONG), LOG),
    "what S3 never got": (replace(FINE, waiting=1, since=NOW - LONG), LOG),
}


@pytest.mark.parametrize("standing", WELL.values(), ids=WELL)
def test_nothing_is_wrong_with_an_agent_that_does_its_work(standing: AgentStatus) -> None:
    assert _fault(standing, watched=True) == ""


@pytest.mark.parametrize(("standing", "remedy"), AT_FAULT.values(), ids=AT_FAULT)
def test_what_is_wrong_with_an_agent_is_said_with_what_to_do(
    standing: AgentStatus | TransportError, remedy: str, snapshot: SnapshotAssertion
) -> None:
    fault = _fault(standing, watched=True)
    assert fault.endswith(f". {remedy}")
    assert fault == snapshot


def test_the_codes_of_an_agents_faults_are_in_the_json() -> None:
    broken = State().failing(Fault.STORE, str(POLICY)).failing(Fault.DISK, "no room")
    assert _codes(replace(FINE, state=broken)) == ["not-allowed"]
    assert _codes(FINE) == []
    assert _codes(Silent("connecting", "nothing answers", remedy="", code="node-unreachable")) == ["node-unreachable"]


def test_an_agent_that_watches_and_shall_not_is_at_fault() -> None:
    assert _fault(FINE, watched=False)
    assert not _fault(replace(FINE, watch=False), watched=False)


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


@pytest.mark.parametrize(
    ("backup", "agent", "warned"),
    [({}, {}, True), ({"retention": {}}, {}, False), ({}, {"onChange": False}, False)],
)
def test_copies_that_nobody_prunes_are_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backup: dict[str, Any], agent: dict[str, Any], warned: bool
) -> None:
    raw = make.raw(agent=agent, backup={**make.RAW["backup"], **backup})
    (tmp_path / "stack.yaml").write_text(
        json.dumps({"config": {f"requorum:{key}": value for key, value in raw.items()}})
    )
    monkeypatch.setattr(agents, "inspect", lambda _, __: replace(FINE, watch=agent.get("onChange", True)))
    done = CliRunner().invoke(app, ["agents", "--config-file", str(tmp_path / "stack.yaml"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["warnings"] == ([NEVER_PRUNED] if warned else [])
