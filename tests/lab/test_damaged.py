"""Damaged raft logs, and a full disk, on real engines. The tests run in order."""

import json
from collections.abc import Iterator

import pytest

from lab import cluster, damage, image, nodes
from lab.instance import Instance
from lab.stack import Stack, settings
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

BEFORE: dict[str, Picture] = {}
ENGINES = [
    image.DEFAULT,
    pytest.param("26.1", marks=pytest.mark.whole),
    pytest.param("20.10", marks=pytest.mark.whole),
]


@pytest.fixture(scope="module", params=ENGINES)
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A cluster of nodes with one engine, each with copies of its own."""
    version = request.param
    name = f"damaged-{version.replace('.', '-')}"
    image.ensure(lab, version)
    values = settings(lab, version=version)
    made = Stack(lab, name, tmp_path_factory.mktemp(name) / f"Pulumi.{name}.yaml")
    made.write({**values, "backup": {**values["backup"], "prefix": name}})
    cluster.prepare(lab, made)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module", autouse=True)
def _working(swarm: Swarm) -> None:
    """The cluster runs something, and S3 has a copy from before."""
    swarm.run_workload()
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert requorum(swarm.stack, "backup").status == 0
    BEFORE["all"] = swarm.picture()
    return


def told(swarm: Swarm, *arguments: str) -> str:
    shown = requorum(swarm.stack, *arguments)
    return shown.text + shown.errors


def state(swarm: Swarm, name: str) -> str:
    return swarm.on(name, "docker", "info", "--format", "{{.Swarm.LocalNodeState}}", check=False)


def require_back(swarm: Swarm) -> None:
    """The same swarm, nodes and objects, and the workers' containers untouched."""
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert not BEFORE["all"].differences(swarm.picture("manager-b"))


def safety_copies(swarm: Swarm) -> list[str]:
    copies = json.loads(requorum(swarm.stack, "backups", "--json").text)["copies"]
    return [copy["manager"] for copy in copies if copy["kind"] == "safety"]


def test_one_flipped_byte_early_with_the_quorum_alive(swarm: Swarm) -> None:
    """The engine says `error`; status, doctor and plan name the way out, and a plain `pulumi up` takes it."""
    damage.harm(swarm.lab, "manager-c", damage.FLIPPED_EARLY)
    assert state(swarm, "manager-c") == "error"
    swarm.until(lambda: "The raft log is damaged on manager-c" in told(swarm, "status"), "the damage is told")
    assert "manager-c: its raft log is damaged (a wrong checksum)" in told(swarm, "doctor")
    assert "give up its damaged log and leave the swarm" in told(swarm, "plan")
    swarm.stack.up("--skip-preview")
    require_back(swarm)
    assert safety_copies(swarm) == ["manager-c"]


@pytest.mark.whole
@pytest.mark.parametrize(
    "kind",
    [
        damage.FLIPPED_MIDDLE,
        damage.FLIPPED_LATE,
        damage.TORN,
        damage.TOO_LONG,
        damage.TRUNCATED,
        damage.NO_SNAPSHOT,
    ],
)
def test_any_damage_to_one_of_three_is_healed_by_a_plain_update(swarm: Swarm, kind: str) -> None:
    """Or by the engine itself. The manager keeps its node ID, and nothing is lost."""
    damage.harm(swarm.lab, "manager-c", kind)
    swarm.stack.up("--skip-preview")
    require_back(swarm)


@pytest.mark.whole
def test_a_log_of_which_nothing_is_left_with_the_quorum_alive(swarm: Swarm) -> None:
    """The engine does not even start."""
    damage.harm(swarm.lab, "manager-c", damage.EMPTIED)
    assert "it holds no entry" in told(swarm, "doctor")
    swarm.on("manager-a", "mkdir", "/var/lib/docker/swarm.before-1")
    done = swarm.stack.up("--skip-preview")
    require_back(swarm)
    for name in ("manager-a", "manager-c"):
        assert f"{name}: removed swarm.before-*" in done.text
        assert not swarm.on(name, "sh", "-c", "ls -d /var/lib/docker/swarm.before-* 2>/dev/null || true").split()


@pytest.mark.whole
def test_the_quorum_is_lost_by_two_damaged_logs_and_the_sound_one_is_forced(swarm: Swarm) -> None:
    damage.harm(swarm.lab, "manager-a", damage.TORN)
    damage.harm(swarm.lab, "manager-b", damage.FLIPPED_LATE)
    swarm.until(lambda: requorum(swarm.stack, "status").status == 4, "nobody leads")
    plan = json.loads(requorum(swarm.stack, "plan", "--json").text)
    assert (plan["survivor"], plan["cut"]) == ("manager-c", None)
    swarm.stack.recover()
    require_back(swarm)


@pytest.mark.whole
def test_every_log_is_damaged_and_the_best_is_repaired_by_the_plans_id(swarm: Swarm) -> None:
    for name in ("before", "last"):
        swarm.on("manager-a", "sh", "-c", f"echo {name} | docker config create {name} -")
    BEFORE["all"] = swarm.picture()
    damage.harm(swarm.lab, "manager-a", damage.EMPTIED)
    damage.harm(swarm.lab, "manager-b", damage.FLIPPED_EARLY)
    damage.harm(swarm.lab, "manager-c", damage.TORN)
    assert requorum(swarm.stack, "status").status == 4
    shown = told(swarm, "plan")
    assert "the raft log of manager-c is damaged" in shown, shown
    assert "put a repaired log in place that ends at entry" in shown
    assert "tried in a sandbox on its manager, and the swarm came up" in shown
    assert "the repaired log knows more" in shown
    refused = swarm.stack.up("--skip-preview", "--config", "recover=true", check=False)
    assert refused.status != 0
    assert "Only the plan's ID consents to that" in refused.text
    swarm.stack.recover()
    swarm.await_standing(*MANAGERS, *WORKERS)
    now = swarm.picture("manager-b")
    assert "before" in now.objects["configs"].values(), "only the last entries may be lost"
    last = {key for key, name in BEFORE["all"].objects["configs"].items() if name == "last"}
    had, has = (
        {**found.objects, "configs": {key: value for key, value in found.objects["configs"].items() if key not in last}}
        for found in (BEFORE["all"], now)
    )
    assert had == has
    assert (now.cluster_id, now.nodes, now.containers) == (
        BEFORE["all"].cluster_id,
        BEFORE["all"].nodes,
        BEFORE["all"].containers,
    )
    BEFORE["all"] = now


@pytest.mark.whole
def test_autolocked_logs_are_repaired_with_the_key_in_escrow_and_locked_again(swarm: Swarm) -> None:
    """Engines that start locked say nothing of their logs. The checksums need no key, the sandbox does."""
    swarm.stack.write({**swarm.stack.settings(), "swarm": {"autolock": True}})
    swarm.stack.up("--skip-preview")
    require_back(swarm)
    damage.harm(swarm.lab, "manager-a", damage.EMPTIED)
    damage.harm(swarm.lab, "manager-b", damage.TORN)
    damage.harm(swarm.lab, "manager-c", damage.FLIPPED_LATE)
    assert [state(swarm, name) for name in MANAGERS] == ["locked"] * 3
    plan = json.loads(requorum(swarm.stack, "plan", "--json").text)
    assert plan["diagnosis"] == "quorum lost"
    assert plan["cut"]
    swarm.stack.recover()
    swarm.await_standing(*MANAGERS, *WORKERS)
    assert swarm.picture("manager-b").containers == BEFORE["all"].containers
    assert swarm.picture("manager-b").nodes == BEFORE["all"].nodes
    for name in MANAGERS:
        head = swarm.on(name, "head", "-1", "/var/lib/docker/swarm/certificates/swarm-node.key")
        assert head == "-----BEGIN ENCRYPTED PRIVATE KEY-----", name
    BEFORE["all"] = swarm.picture()
    values = swarm.stack.settings()
    swarm.stack.write({**values, "swarm": {"autolock": False}})
    swarm.stack.up("--skip-preview")
    require_back(swarm)


@pytest.mark.whole
def test_the_update_after_changes_nothing(swarm: Swarm) -> None:
    assert "unchanged" in swarm.stack.up("--skip-preview", "--expect-no-changes").text


@pytest.mark.whole
def test_a_disk_that_fills_up_under_load_stops_one_manager_and_is_told(swarm: Swarm) -> None:
    damage.make_small(swarm.lab, "manager-c", 145)
    require_back(swarm)
    damage.write_until_full(swarm.lab, "manager-a", most=250)
    swarm.until(lambda: "manager-c: its disk is full" in told(swarm, "doctor"), "the cause is told")
    damage.make_space(swarm.lab, "manager-c")
    assert requorum(swarm.stack, "restart", "manager-c", "--yes").status == 0
    swarm.on("manager-a", "sh", "-c", "docker config ls --format '{{.Name}}' | grep ^load- | xargs docker config rm")
    swarm.stack.up("--skip-preview")
    require_back(swarm)


@pytest.mark.whole
def test_a_full_disk_is_told_as_the_cause_and_the_engine_comes_back_with_space(swarm: Swarm) -> None:
    damage.fill(swarm.lab, "manager-c")
    swarm.until(lambda: "manager-c: its disk is full" in told(swarm, "doctor"), "the cause is told")
    refused = swarm.stack.up("--skip-preview", check=False)
    assert refused.status != 0
    assert "code: disk-full" in refused.text
    damage.make_space(swarm.lab, "manager-c")
    assert "it has space again" in told(swarm, "doctor")
    assert requorum(swarm.stack, "restart", "manager-c", "--yes").status == 0
    require_back(swarm)
