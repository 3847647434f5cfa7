"""Engines that keep their data elsewhere are followed. Engines of another kind are refused, but never in a recovery."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from recovery.errors import EngineError, Garbled, Refused
from recovery.node import answers, data_root
from recovery.node.shell import DATA_ROOT, Output
from recovery.node.ssh import Shell
from recovery.operations.assess import Assessment
from recovery.planning.diagnosis import Kind, diagnose
from recovery.planning.plan import Plan
from recovery.settings import Settings, parse
from recovery.survey import nodes
from recovery.swarm.engine_kind import unsupported
from recovery.swarm.model import NodeReport, Reach
from tests.unit import factories as make

OF = make.settings()
A, B, C = OF.managers
WELL = list(make.healthy(OF).reports)
UNKNOWN = [make.empty(node) for node in OF.nodes]
LEADERLESS = [make.leaderless(A), make.gone(B), make.gone(C)]


def assessed(reports: Sequence[NodeReport], strange: str) -> Assessment:
    seen = make.survey([replace(r, unsupported="podman") if r.node.name == strange else r for r in reports])
    found = diagnose(seen, None if reports is UNKNOWN else make.CLUSTER, cluster=OF.cluster, copies=False)
    return Assessment(seen, found, Plan(found.kind))


@pytest.mark.parametrize(("reports", "kind"), [(WELL, Kind.HEALTHY), (UNKNOWN, Kind.ABSENT)])
@pytest.mark.parametrize("node", ["manager-b", "worker-1"])
def test_an_engine_of_another_kind_is_refused_while_all_is_well(
    reports: list[NodeReport], kind: Kind, node: str
) -> None:
    found = assessed(reports, node)
    assert found.diagnosis.kind is kind
    with pytest.raises(Refused, match=rf"{node}: (?s:.*)it is podman(?s:.*)code: engine-unsupported$"):
        found.require_safe(OF)
    assessed(reports, "nobody").require_safe(OF)


IPV6 = {
    "subnet": "fd00::/64",
    "managers": [{"address": f"fd00::{last}"} for last in (11, 12, 13)],
    "workers": [{"address": "fd00::21"}],
}


@pytest.mark.parametrize(
    ("of", "engine", "refused"),
    [
        (parse(make.raw(**IPV6)), "24.0.9", True),
        (parse(make.raw(**IPV6)), "25.0.1", False),
        (parse(make.raw(**IPV6, clusterId=make.CLUSTER)), "24.0.9", False),
        (OF, "24.0.9", False),
    ],
    ids=["too old", "new enough", "it was there", "IPv4"],
)
def test_an_engine_that_is_too_old_for_ipv6_is_refused(of: Settings, engine: str, refused: bool) -> None:
    seen = make.survey([replace(one, engine=engine) for one in make.healthy(of).reports])
    found = diagnose(seen, make.CLUSTER, cluster=of.cluster, copies=False)
    assessment = Assessment(seen, found, Plan(found.kind))
    if not refused:
        assessment.require_safe(of)
        return
    with pytest.raises(Refused, match=r"code: engine-without-ipv6$"):
        assessment.require_safe(of)


def test_where_there_is_something_to_recover_nothing_is_refused_for_that() -> None:
    found = assessed(LEADERLESS, "manager-a")
    assert found.diagnosis.kind is Kind.QUORUM_LOST
    found.require_safe(OF)


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"DockerRootDir": DATA_ROOT, "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin"]}, ""),
        ({"DockerRootDir": "/srv/docker"}, ""),
        ({"SecurityOptions": ["name=userns"]}, "userns-remap"),
        ({"SecurityOptions": ["name=rootless", "name=cgroupns"]}, "rootless"),
        ({"DockerRootDir": "/var/snap/docker/common/var-lib-docker"}, "snap"),
        ({"BuildahVersion": "1.33.2", "ServerVersion": "4.9.3"}, "podman"),
    ],
)
def test_an_engine_tells_its_kind(info: dict[str, Any], told: str) -> None:
    found = unsupported(answers.info(info))
    assert told in found
    assert bool(found) == bool(told)


class Machine:
    """A machine with a configuration of its engine, and a unit that starts it."""

    node = A

    def __init__(
        self, folder: Path, config: str = "", command: str = "/usr/sbin/dockerd -H fd://", others: str = ""
    ) -> None:
        self.config, self.bin = folder / "daemon.json", folder / "bin"
        if config:
            self.config.write_text(config)
        self.bin.mkdir()
        started = f"{{ path=/usr/sbin/dockerd ; argv[]={command} ; ignore_errors=no ; }}"
        (self.bin / "systemctl").write_text(f"#!/bin/sh\ncat <<'END'\nExecStart={started}\n{others}\nEND\n")
        (self.bin / "systemctl").chmod(0o755)

    def run(self, argv: Sequence[str], **_: Any) -> Output:
        here = [part.replace("/etc/docker/daemon.json", str(self.config)) for part in argv]
        done = subprocess.run(here, capture_output=True, env={"PATH": f"{self.bin}:{os.environ['PATH']}"})
        return Output(done.stdout, done.stderr.decode(), done.returncode)


@pytest.mark.parametrize(
    ("config", "command", "root"),
    [
        ("", "/usr/sbin/dockerd -H fd://", DATA_ROOT),
        ("{broken", "/usr/sbin/dockerd", DATA_ROOT),
        (json.dumps({"data-root": "/srv/docker"}), "/usr/sbin/dockerd", "/srv/docker"),
        (json.dumps({"graph": "/srv/old"}), "/usr/sbin/dockerd", "/srv/old"),
        ("{}", "/usr/sbin/dockerd --data-root=/srv/flag -H fd://", "/srv/flag"),
        ("{}", "/usr/sbin/dockerd --data-root /srv/flag", "/srv/flag"),
        ("{}", "/usr/bin/dockerd -g /srv/short -H fd://", "/srv/short"),
    ],
)
def test_the_folder_of_an_engines_data_is_found_while_it_is_down(
    tmp_path: Path, config: str, command: str, root: str
) -> None:
    machine = Machine(tmp_path, config, command)
    assert data_root.of(cast("Shell", machine)) == root


DEBIAN = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"
VARIABLES = [
    ('DOCKER_OPTS="--data-root=/srv/docker --dns 192.0.2.1"', DEBIAN, "/srv/docker"),
    ("# DOCKER_OPTS=--data-root=/no\nDOCKER_OPTS=--dns 192.0.2.1 \\\n  --data-root /srv/docker", DEBIAN, "/srv/docker"),
    ("DOCKER_OPTS='-g \"/srv/my docker\"'", DEBIAN, "/srv/my docker"),
    ("ROOT=/srv/docker", "/usr/bin/dockerd --data-root=${ROOT}/data $NOTHING", "/srv/docker/data"),
    ("ROOT=/srv/docker", "/usr/bin/dockerd --data-root ${OF_UNIT}", "/srv/of unit"),
    ("", DEBIAN, DATA_ROOT),
    ("DOCKER_OPTS='unclosed", DEBIAN, DATA_ROOT),
]


@pytest.mark.parametrize(("variables", "command", "root"), VARIABLES)
def test_the_variables_of_its_unit_are_followed(tmp_path: Path, variables: str, command: str, root: str) -> None:
    file = tmp_path / "docker"
    file.write_text(f"{variables}\n")
    others = (
        f'Environment="OF_UNIT=/srv/of unit" ROOT=/srv/less\nEnvironmentFiles={file} (ignore_errors=yes)\n'
        "EnvironmentFiles=/nowhere/docker (ignore_errors=yes)"
    )
    assert data_root.of(cast("Shell", Machine(tmp_path, "", command, others))) == root


@pytest.mark.parametrize("flag", ["--config-file={}", "--config-file {}", "$OPTS"])
def test_the_configuration_that_its_unit_names_is_read(tmp_path: Path, flag: str) -> None:
    file, variables = tmp_path / "other.json", tmp_path / "variables"
    file.write_text(json.dumps({"data-root": "/srv/docker"}))
    variables.write_text(f"OPTS=--config-file={file}\n")
    command = f"/usr/bin/dockerd {flag.format(file)}"
    machine = Machine(tmp_path, '{"data-root": "/srv/no"}', command, f"EnvironmentFiles={variables} (ignore_errors=no)")
    assert data_root.of(cast("Shell", machine)) == "/srv/docker"


def test_a_folder_is_found_without_systemd(tmp_path: Path) -> None:
    machine = Machine(tmp_path, '{"data-root": "/srv/docker"}')
    (machine.bin / "systemctl").write_text("#!/nothing/like/a/shell\n")
    assert data_root.of(cast("Shell", machine)) == "/srv/docker"


def test_a_folder_that_is_no_absolute_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(Garbled, match=r"docker(?s:.*)daemon.json(?s:.*)code: answer-garbled"):
        data_root.of(cast("Shell", Machine(tmp_path, json.dumps({"data-root": "docker"}))))


def test_a_survey_reads_the_log_of_a_stopped_engine_in_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "srv/swarm/raft/wal-v3-encrypted"
    log.mkdir(parents=True)
    (log / "0.wal").touch()
    machine = Machine(tmp_path, json.dumps({"data-root": str(tmp_path / "srv")}))

    def down(*_: Any, **__: Any) -> None:
        raise EngineError("connecting", "it does not run", remedy="", node=A.name)

    monkeypatch.setattr("recovery.node.engine.Engine", down)
    monkeypatch.setattr(nodes.damage, "examined", lambda shell, seen, root, free: replace(seen, detail=root))
    found = nodes.ask(cast("Shell", machine))
    assert (found.reach, found.raft, found.detail) == (Reach.NO_ENGINE, True, str(tmp_path / "srv"))
