"""Agents from outside: when they are installed, and what is looked at before."""

import json
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.configloader import raw_config_parse

from components.settings import from_program
from recovery.agent.config import CREDENTIALS
from recovery.cluster import Cluster
from recovery.errors import Refused, SettingError, Silent
from recovery.node.shell import Output
from recovery.operations import agents
from recovery.planning.diagnosis import Kind
from recovery.settings import Settings
from tests.unit import cluster
from tests.unit import factories as make
from tests.unit.cluster import assessment


def test_a_recovery_does_not_wait_for_agents_but_they_for_its_proof(of: Settings, monkeypatch: Any) -> None:
    before: dict[str, set[str]] = {}

    def seen(request: Any) -> None:
        before[request.name] = {urn.rsplit("::", 1)[-1] for urn in request.dependencies}

    cluster.build(of, monkeypatch, seen)
    waiting = {name for name, named in before.items() if any(one.endswith("-agent") for one in named)}
    assert not waiting
    for node in of.managers:
        assert before[f"{node.address}-agent"] == {"health"}


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
    carried.write_bytes(agents.files(of, of.managers[0])["etc/credentials"])
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
    monkeypatch.setattr(Cluster, "shell", lambda of, node: FakeShell(node, of.settings.ssh))
    monkeypatch.setattr(FakeShell, "answers", {}, raising=False)
    monkeypatch.setattr(FakeShell, "asked", [], raising=False)
    return FakeShell


def test_a_manager_that_cannot_have_an_agent_is_refused(of: Settings, shells: type[FakeShell]) -> None:
    agents.require_fit(Cluster(of), assessment(of))
    assert sorted(shells.asked) == ["manager-a", "manager-b", "manager-c"]
    lacks = Output(b"", "these packages are missing: apt-get install python3-nacl\n", 2)
    shells.answers = {"manager-b": lacks, "manager-c": lacks}
    with pytest.raises(Refused, match=r"manager-b: (?s:.*)manager-c: (?s:.*)code: agent-cannot-run$"):
        agents.require_fit(Cluster(of), assessment(of))


def test_one_that_falls_silent_is_for_the_survey_to_judge(of: Settings, shells: type[FakeShell]) -> None:
    shells.answers = {"manager-b": Silent("x", "y", remedy="z")}
    agents.require_fit(Cluster(of), assessment(of))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.HEALTHY, Kind.ABSENT)])
def test_no_recovery_asks_for_what_an_agent_needs(of: Settings, shells: type[FakeShell], kind: Kind) -> None:
    agents.require_fit(Cluster(of), assessment(of, kind))
    assert not shells.asked


def test_each_manager_gets_the_credentials_that_have_its_name(tmp_path: Path) -> None:
    of = make.settings(agent={"credentialsFile": f"{tmp_path}/{{name}}.key"})
    for manager in of.managers:
        (tmp_path / f"{manager.name}.key").write_text(f"[default]\naws_access_key_id = {manager.name}\n")
    agents.check(of)
    for manager in of.managers:
        given = agents.files(of, manager)[f"etc/{CREDENTIALS.name}"].decode()
        assert [other.name for other in of.managers if other.name in given] == [manager.name]
    (tmp_path / f"{of.managers[-1].name}.key").unlink()
    with pytest.raises(SettingError, match=f"{of.managers[-1].name}.key"):
        agents.check(of)


def test_the_programs_of_an_agent_are_hardened(tmp_path: Path) -> None:
    of = make.settings(agent={"metricsFolder": "/srv/100%"})
    made = agents.files(of, of.managers[0])
    for unit in ("copy", "watch"):
        lines = made[f"units/requorum-{unit}.service"].decode().split("[Service]")[1].splitlines()
        assert {"NoNewPrivileges=yes", "ProtectSystem=strict", "PrivateTmp=yes"} <= set(lines)
        assert [line for line in lines if line.startswith("MemoryMax=")]
        (writable,) = [line for line in lines if line.startswith("ReadWritePaths=")]
        assert ("-/srv/100%%" in writable.split()) is (unit == "copy")
