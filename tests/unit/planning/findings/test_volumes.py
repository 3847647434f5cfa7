"""Volumes that do not mount or are full: one guarded action each, and none without a copy of the data."""

from dataclasses import replace
from typing import Any

import pytest

from recovery.planning.findings import volumes
from recovery.swarm.evidence import Disk, Failure, ServiceSeen, SwarmSeen
from recovery.swarm.model import NodeReport, Reach
from tests.unit import factories as make
from tests.unit.planning.findings.looks import HEALTHY, look, named, only

ERROR = (
    "error while mounting volume '/var/lib/docker/volumes/rows/_data': failed to mount local volume: mount "
    "/dev/loop7:/var/lib/docker/volumes/rows/_data, data: noatime: invalid argument"
)


def service(error: str = ERROR, **given: Any) -> SwarmSeen:
    failures = tuple(Failure(f"t{n}", error, 5.0 * n, "id-worker-1") for n in range(1, 5))
    return SwarmSeen((replace(ServiceSeen("1", "db", 1, failures=failures), **given),))


def test_a_file_system_that_does_not_mount_is_repaired_while_the_service_has_no_task() -> None:
    found = only(look("manager-a", swarm=service()))
    assert found.name == "volume-broken@db:rows"
    assert found.trouble == "the file system of volume rows of service db does not mount on worker-1: invalid argument"
    stop, repair, start = found.proposals[0].runs
    assert (stop.node, stop.text) == ("manager-a", "docker service scale db=0")
    assert (repair.node, repair.argv[3:]) == ("worker-1", ("repair", "/dev/loop7", "rows", ""))
    assert (start.node, start.text) == ("manager-a", "docker service scale --detach db=1")
    assert found.proposals[1].runs[1].argv[-1] == "-L"


@pytest.mark.parametrize(
    "error",
    [
        ERROR.replace("invalid argument", "no such file or directory"),
        ERROR.replace("/dev/loop7", "/dev/loop7;reboot"),
        ERROR.replace("/dev/loop7", "/etc/shadow"),
    ],
    ids=["another error", "a command", "no device"],
)
def test_another_error_is_a_loop_and_nothing_is_repaired(error: str) -> None:
    assert named(look("manager-a", swarm=service(error))) == ["restart-loop@db"]


def test_a_service_on_a_node_that_nobody_names_is_left_to_a_person() -> None:
    failures = (Failure("t", ERROR, 5.0, "id-of-nobody"),)
    assert only(look("manager-a", swarm=service(failures=failures))).fix is None
    assert only(look("manager-a", swarm=service(replicas=0))).fix is None


@pytest.mark.parametrize(
    ("runs_on", "names"),
    [
        ((), ["volume-broken@db:rows"]),
        (("id-worker-2",), ["volume-broken@db:rows"]),
        (("id-worker-1",), ["restart-loop@db"]),
    ],
    ids=["nowhere", "elsewhere", "there"],
)
def test_a_volume_that_mounts_again_is_not_broken_because_of_old_tasks(
    runs_on: tuple[str, ...], names: list[str]
) -> None:
    assert named(look("manager-a", swarm=service(runs_on=runs_on))) == names


def test_a_service_is_not_stopped_for_a_repair_on_a_node_whose_engine_is_down() -> None:
    """The service would stay at 0: the command that starts it again comes after the repair."""
    down = NodeReport(HEALTHY.of("worker-1").node, Reach.NO_ENGINE, node_id="id-worker-1")
    survey = make.survey([down if one.node == down.node else one for one in HEALTHY.reports])
    found = only(look("manager-a", swarm=service()), survey=survey)
    assert found.name == "volume-broken@db:rows"
    assert not any(one.runs for one in found.proposals)


def full(**options: str) -> Disk:
    return Disk("/var/lib/docker/volumes/rows/_data", 8 << 20, 1 << 10, volume="rows", options=options)


DATA = make.settings(data={"orders": {"service": "db", "volume": "rows"}})
RUNS = SwarmSeen((ServiceSeen("1", "db", 1, runs_on=("id-worker-1",)),))
MOVED = SwarmSeen((ServiceSeen("1", "db", 1, runs_on=("id-worker-2",)),))


def test_a_full_volume_is_copied_made_again_and_given_its_data_back() -> None:
    found = only(look("manager-a", swarm=RUNS), look("worker-1", disks=(full(size="10G"),)), of=DATA)
    assert found.name == "volume-full@worker-1:rows"
    assert [(run.node, run.text) for run in found.proposals[0].runs if "sh" not in run.argv] == [
        ("", "requorum data take orders"),
        ("manager-a", "docker service scale db=0"),
        ("worker-1", "docker volume create --opt size=20G rows"),
        ("manager-a", "docker service scale db=1"),
        ("", "requorum data restore orders"),
    ]


def test_a_full_volume_of_memory_is_made_larger_and_said_to_be_empty() -> None:
    memory = full(type="tmpfs", device="tmpfs", o="size=8m,uid=5")
    found = only(look("manager-a", swarm=RUNS), look("worker-1", disks=(memory,)), of=DATA)
    assert "it is empty afterwards" in found.proposals[0].effect
    assert [(run.node, run.text) for run in found.proposals[0].runs if "sh" not in run.argv] == [
        ("manager-a", "docker service scale db=0"),
        ("worker-1", "docker volume create --opt device=tmpfs --opt o=size=16m,uid=5 --opt type=tmpfs rows"),
        ("manager-a", "docker service scale db=1"),
    ]


@pytest.mark.parametrize(
    ("swarm", "disk", "of"),
    [
        (RUNS, full(size="8m"), make.settings()),
        (RUNS, full(o="size=8m", type="nfs", device=":/rows"), DATA),
        (RUNS, full(size="8m", device="$(reboot)"), DATA),
        (SwarmSeen((ServiceSeen("1", "db", 2, runs_on=("id-worker-1",)),)), full(size="8m"), DATA),
        (SwarmSeen(), full(size="8m"), DATA),
        (MOVED, full(size="8m"), DATA),
    ],
    ids=["no data is named", "no size", "no option", "two tasks", "no service", "the service runs on another node"],
)
def test_a_volume_that_cannot_be_made_again_from_a_copy_is_left_to_a_person(swarm: Any, disk: Disk, of: Any) -> None:
    found = only(look("manager-a", swarm=swarm), look("worker-1", disks=(disk,)), of=of)
    assert found.fix is None
    assert "requorum data take" in found.proposals[0].command


def test_without_an_identity_here_no_volume_is_removed() -> None:
    looks = look("manager-a", swarm=RUNS), look("worker-1", disks=(full(size="8m"),))
    assert only(*looks, of=DATA).fix
    assert only(*looks, of=DATA, known=()).fix is None


@pytest.mark.parametrize(("size", "larger"), [("10G", "20G"), ("512MiB", "1024MiB"), ("lots", "")])
def test_a_quota_of_the_engine_is_made_larger(size: str, larger: str) -> None:
    found = only(look("manager-a", swarm=RUNS), look("worker-1", disks=(full(size=size),)), of=DATA)
    runs = [run.text for run in found.proposals[0].runs]
    assert (f"docker volume create --opt size={larger} rows" in runs) is bool(larger)


def test_no_script_removes_a_volume_that_runs() -> None:
    assert "--force" not in volumes.REMOVE
    assert "status=running" not in volumes.REMOVE
