"""A CA outside the swarm signs for it: a new worker has its certificate from there, also after a total loss. In order."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import nodes
from tests.lab.cfssl import Authority
from tests.lab.here import fresh, requorum
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole

CERTIFICATE = "/var/lib/docker/swarm/certificates/swarm-node.crt"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("outside"))


@pytest.fixture(scope="module")
def url(swarm: Swarm, authority: Authority) -> Iterator[str]:
    """The swarm's CA becomes the one outside, as its owner has swarm do it. Yields where it listens."""
    for file in (authority.certificate, authority.key):
        subprocess.run(
            ["docker", "-H", swarm.lab.docker_host, "cp", str(file), f"manager-a:/root/{file.name}"], check=True
        )
    files = ("--ca-cert", "/root/ca.crt", "--ca-key", "/root/ca.key")
    swarm.on("manager-a", "docker", "swarm", "ca", "--rotate", "--quiet", *files)
    with authority.serving(swarm.lab.host_link) as found:
        yield found


def serial(swarm: Swarm, node: str) -> int:
    told = swarm.on(node, "openssl", "x509", "-noout", "-serial", "-in", CERTIFICATE)
    return int(told.removeprefix("serial="), 16)


def named(swarm: Swarm, manager: str = "manager-a") -> list[str]:
    """The URLs of the CAs outside, from docker."""
    spec = swarm.json(manager, "info")[0]["Swarm"]["Cluster"]["Spec"]
    return [one["URL"] for one in spec["CAConfig"].get("ExternalCAs") or []]


def update(swarm: Swarm) -> None:
    plan = json.loads(requorum(swarm.stack, "plan", "--json").text)["id"]
    with fresh(swarm.stack):
        swarm.stack.up("--skip-preview", *(("--config", f"recover={plan}") if plan else ()))
    swarm.await_standing(*MANAGERS, *WORKERS)


def require_signed_outside(swarm: Swarm, authority: Authority, worker: str) -> None:
    """A machine that is made anew joins with a certificate from outside."""
    before = len(authority.serials)
    nodes.lose(swarm.lab, [worker])
    update(swarm)
    assert serial(swarm, worker) in authority.serials[before:]


def test_a_new_worker_has_its_certificate_from_outside(swarm: Swarm, authority: Authority, url: str) -> None:
    values = swarm.stack.settings()
    ca = {"url": url, "certificateFile": str(Path(authority.certificate))}
    swarm.stack.write({**values, "swarm": {"externalCas": [ca]}})
    assert f"external CAs: none become {url}" in swarm.stack.preview().text
    swarm.stack.up("--skip-preview")
    swarm.stack.preview("--expect-no-changes")
    assert named(swarm) == [url]
    require_signed_outside(swarm, authority, "worker-1")


def test_its_certificate_is_not_made_anew_here(swarm: Swarm, url: str) -> None:
    refused = requorum(swarm.stack, "rotate", "ca", "--yes")
    assert "code: ca-external" in refused.errors
    assert url in refused.errors


def test_after_a_total_loss_the_swarm_asks_there_again(swarm: Swarm, authority: Authority, url: str) -> None:
    swarm.run_workload()
    assert requorum(swarm.stack, "backup").status == 0
    before = swarm.picture()
    nodes.lose(swarm.lab, MANAGERS)
    update(swarm)
    assert not before.differences(swarm.picture())
    assert named(swarm) == [url]
    require_signed_outside(swarm, authority, "worker-2")
