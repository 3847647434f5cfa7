"""What `requorum doctor` finds: each is made on the lab, found, repaired by the command that it shows, and gone."""

import json
import shlex
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from lab import nodes, workload
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

pytestmark = pytest.mark.whole
CONTAINERS = "/var/lib/docker/containers"


@pytest.fixture(scope="module")
def house(swarm: Swarm) -> Swarm:
    """A cluster that is well, with the image of services on its workers."""
    swarm.await_standing(*MANAGERS, *WORKERS)
    swarm.load_workload()
    return swarm


def findings(house: Swarm) -> dict[str, dict[str, Any]]:
    """What the doctor finds, by name."""
    done = requorum(house.stack, "doctor", "--json")
    document = json.loads(done.text)
    print(json.dumps({"unseen": document["unseen"], "cases": [one["name"] for one in document["cases"]]}), done.seconds)
    return {one["name"]: one for one in document["cases"]}


def found(house: Swarm, name: str) -> dict[str, Any]:
    """The finding of that name, as soon as it is there."""
    kept: dict[str, Any] = {}

    def there() -> bool:
        kept.update(findings(house).get(name, {}))
        return bool(kept)

    house.until(there, f"{name} is found")
    return kept


def repaired(house: Swarm, name: str, *, shown: str, before: Callable[[], object] = lambda: None) -> None:
    """Carry out the repair, which shows its command first, and see the finding go."""
    before()
    done = requorum(house.stack, "doctor", "--fix", name, "--yes")
    assert done.status == 0, done.text + done.errors
    assert shown in done.text
    house.until(lambda: name not in findings(house), f"{name} is gone")


def test_a_house_that_is_well_has_no_finding(house: Swarm) -> None:
    told = findings(house)
    assert {name for name, one in told.items() if one["weight"] != "advice"} == set()


def test_one_node_is_shown_in_detail(house: Swarm) -> None:
    """As its machine and its engine tell it."""
    on = house.on
    on("worker-1", "docker", "run", "--detach", "--name", "shown", workload.REFERENCE, "sleep", "1000000")
    try:
        told = json.loads(requorum(house.stack, "status", "worker-1", "--json").text)
        load = told["load"]
        assert (told["name"], told["role"]) == ("worker-1", "worker")
        assert load["processors"] == int(on("worker-1", "nproc"))
        assert f"MemTotal: {load['memory'] // 1024} kB".split() in [
            line.split() for line in on("worker-1", "cat", "/proc/meminfo").splitlines()
        ]
        assert 0 < load["freeDisk"] < load["disk"]
        assert [one["name"] for one in load["containers"]] == ["shown"]
        assert "shown" in requorum(house.stack, "status", "worker-1").text
    finally:
        on("worker-1", "docker", "rm", "--force", "shown")


def test_a_full_disk_is_emptied_of_a_containers_log(house: Swarm) -> None:
    on, name = house.on, f"disk-low@worker-1:{CONTAINERS}"
    on("worker-1", "mount", "-t", "tmpfs", "-o", "size=64m", "none", CONTAINERS)
    line = "x" * 1000
    script = f"i=0; while [ $i -lt 59000 ]; do echo {line}; i=$((i+1)); done; exec sleep 1000000"
    on("worker-1", "docker", "run", "--detach", "--name", "chatty", workload.REFERENCE, "sh", "-c", script)
    try:
        told = found(house, name)
        assert "the log of a container: /var/lib/docker/containers/" in told["evidence"][0]
        assert "volume" not in told["proposals"][0]["command"]
        repaired(house, name, shown="truncate --size 0 /var/lib/docker/containers/")
        assert on("worker-1", "docker", "ps", "--format", "{{.Names}}", "--filter", "name=chatty") == "chatty"
    finally:
        on("worker-1", "docker", "rm", "--force", "chatty")
        on("worker-1", "umount", "--lazy", CONTAINERS)


def test_a_container_that_writes_is_told_with_its_service_and_its_files(house: Swarm) -> None:
    """The task writes until it is replaced once; a volume remembers."""
    script = (
        "[ -e /once/done ] && exec sleep 1000000; touch /once/done; i=0; while [ $i -lt 240 ]; do "
        "busybox dd if=/dev/zero bs=1M count=2 2>/dev/null >> /tmp/grown; sleep 1; i=$((i+1)); done; exec sleep 1000000"
    )
    create(house, "writer", script, "--mount", "type=volume,source=once,target=/once")
    name = "layer-grows@worker-2:writer"
    told = found(house, name)
    assert any(line.endswith(" /tmp/grown") for line in told["evidence"])
    assert "overlay2" in told["evidence"][0]
    repaired(house, name, shown="docker service update --force writer")
    house.on("manager-a", "docker", "service", "rm", "writer")


def test_a_failed_unit_is_started_once_its_cause_is_gone(house: Swarm) -> None:
    unit = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/cat /run/input\n"
    house.on("manager-b", "sh", "-c", f"printf '{unit}' > /run/systemd/system/report.service; systemctl daemon-reload")
    house.on("manager-b", "systemctl", "start", "report.service", check=False)
    name = "unit-failed@manager-b:report.service"
    told = found(house, name)
    assert any("/run/input: No such file or directory" in line for line in told["evidence"])
    cause = lambda: house.on("manager-b", "touch", "/run/input")  # noqa: E731
    repaired(house, name, shown="systemctl restart -- report.service", before=cause)
    assert house.on("manager-b", "systemctl", "is-active", "report.service") == "active"


def test_a_service_in_a_loop_is_given_back_what_it_was_before(house: Swarm) -> None:
    create(house, "report", "exec sleep 1000000")
    house.until(lambda: running(house, "report"), "its task runs")
    broken = ["--args", "sh -c 'echo no table named users >&2; exit 3'", "--restart-delay", "1s"]
    house.on("manager-a", "docker", "service", "update", "--detach", *broken, "report")
    told = found(house, "restart-loop@report")
    assert "task: non-zero exit (3)" in told["evidence"]
    assert "its log: no table named users" in told["evidence"]
    repaired(house, "restart-loop@report", shown="docker service rollback --detach report")
    house.until(lambda: running(house, "report"), "its task runs again")
    house.on("manager-a", "docker", "service", "rm", "report")


def test_a_service_that_no_node_gets_is_told_with_the_constraint(house: Swarm) -> None:
    create(house, "picky", "exec sleep 1000000", "--constraint", "node.labels.disk==ssd")
    told = found(house, "unplaced@picky")
    assert "no node that is Ready and active meets node.labels.disk==ssd" in told["trouble"]
    assert any("no suitable node" in line for line in told["evidence"])
    shown = "docker service update --detach --constraint-rm node.labels.disk==ssd picky"
    repaired(house, "unplaced@picky", shown=shown)
    house.until(lambda: running(house, "picky"), "its task runs")
    house.on("manager-a", "docker", "service", "rm", "picky")


@pytest.mark.parametrize(("port", "protocol"), [(4789, "udp"), (7946, "udp"), (7946, "tcp"), (2377, "tcp")])
def test_a_port_that_a_rule_closes_is_told_and_opened(house: Swarm, port: int, protocol: str) -> None:
    """Only new connections are closed: the swarm itself stays as it is.

    On a busy machine, not every two nodes listen for UDP at the same time, and the doctor then says nothing of them.
    """
    rule = ["-p", protocol, "--dport", str(port), "-m", "conntrack", "--ctstate", "NEW", "-j", "DROP"]
    house.on("manager-c", "iptables", "-w", "5", "-I", "INPUT", *rule)
    name = f"port-closed@manager-c:{port}/{protocol}"
    told = found(house, name)
    assert len([line for line in told["evidence"] if line.startswith("from ")]) in (
        (4,) if protocol == "tcp" else (1, 2, 3, 4)
    )
    repaired(house, name, shown="on manager-c: iptables -w 5 -D INPUT")
    assert "DROP" not in house.on("manager-c", "iptables", "-S", "INPUT")


def test_a_device_that_is_too_small_for_overlay_packets_is_made_large_enough(house: Swarm) -> None:
    house.on("worker-1", "ip", "link", "set", "dev", "eth0", "mtu", "1400")
    told = found(house, "mtu-small@worker-1:eth0")
    assert "its device eth0 takes 1400" in told["trouble"]
    repaired(house, "mtu-small@worker-1:eth0", shown="ip link set dev eth0 mtu 1500")


def test_rules_of_the_firewall_that_are_gone_are_put_back(house: Swarm) -> None:
    house.on("worker-2", "iptables", "-w", "5", "-F", "REQUORUM")
    found(house, "firewall-gone@worker-2")
    repaired(house, "firewall-gone@worker-2", shown="systemctl restart requorum-firewall.service")
    assert "DROP" in house.on("worker-2", "iptables", "-S", "REQUORUM")


def test_a_manager_that_runs_tasks_is_advised_against(house: Swarm) -> None:
    """One of the two tasks of a service that a worker could run too."""
    workload.load_workload(house.lab, next(n.address for n in nodes.existing(house.lab) if n.name == "manager-b"))
    house.on("manager-a", "docker", "node", "update", "--availability", "active", "manager-b")
    for node in ("manager-b", "worker-2"):
        house.on("manager-a", "docker", "node", "update", "--label-add", "seat=true", node)
    here = ["--constraint", "node.labels.seat==true", "--replicas", "2", "--replicas-max-per-node", "1"]
    words = ["--detach", "--no-resolve-image", "--name", "sits", *here, workload.REFERENCE, "sleep", "1000000"]
    house.on("manager-a", "docker", "service", "create", *words)
    house.until(lambda: len(house.containers("manager-b")) == 1, "its task runs")
    assert found(house, "manager-works@manager-b")["weight"] == "advice"
    repaired(house, "manager-works@manager-b", shown="docker node update --availability drain")
    house.on("manager-a", "docker", "service", "rm", "sits")


def test_a_service_that_waits_for_a_drained_node_gets_that_node_back(house: Swarm) -> None:
    assert requorum(house.stack, "drain", "worker-1", "--yes").status == 0
    create(house, "pinned", "exec sleep 1000000", node="worker-1")
    told = found(house, "unplaced@pinned")
    assert "only nodes that take no tasks meet its constraints: worker-1 is drain" in told["trouble"]
    assert [one["command"] for one in told["proposals"]] == ["requorum undrain worker-1"]
    repaired(house, "unplaced@pinned", shown="requorum undrain worker-1")
    house.until(lambda: running(house, "pinned"), "its task runs")
    house.on("manager-a", "docker", "service", "rm", "pinned")


def test_a_full_volume_is_made_larger(house: Swarm) -> None:
    """The volume lies in memory: the kernel here lets no container have another file system, and engines no quota."""
    options = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=8m"]
    house.on("worker-2", "docker", "volume", "create", *options, "orders")
    script = "busybox dd if=/dev/zero of=/data/rows bs=1k count=7900 2>/dev/null; exec sleep 1000000"
    create(house, "orders", script, "--mount", "type=volume,source=orders,target=/data")
    house.stack.write({**house.stack.settings(), "data": {"orders": {"service": "orders", "volume": "orders"}}})
    name = "volume-full@worker-2:orders"
    assert "option o=size=8m" in found(house, name)["evidence"]
    repaired(house, name, shown="docker volume create --opt device=tmpfs --opt o=size=16m --opt type=tmpfs orders")
    house.until(lambda: running(house, "orders"), "its task runs again")
    size = house.on("worker-2", "docker", "volume", "inspect", "--format", "{{.Options.o}}", "orders")
    assert size == "size=16m"
    done = requorum(house.stack, "data", "take", "orders")
    assert (done.status, "lies in memory (tmpfs)" in done.errors) == (1, True)
    house.on("manager-a", "docker", "service", "rm", "orders")


def test_a_disk_without_inodes_is_told(house: Swarm) -> None:
    house.on("worker-1", "sh", "-c", "mount -t tmpfs -o nr_inodes=100 none /srv && cd /srv && seq 95 | xargs touch")
    try:
        told = found(house, "disk-low@worker-1:/srv")
        assert "can hold few more files: 4 of 100 inodes are free" in told["trouble"]
        house.on("worker-1", "sh", "-c", "rm /srv/*")
        house.until(lambda: "disk-low@worker-1:/srv" not in findings(house), "it is gone")
    finally:
        house.on("worker-1", "umount", "/srv")


def test_a_bucket_is_told_until_it_keeps_what_is_overwritten(house: Swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command is one of AWS, which is not here: boto3 sends the same request."""
    for key, value in house.stack.environment().items():
        monkeypatch.setenv(key, value)
    told = findings(house)["bucket-unsafe@main-site"]
    words = shlex.split(told["proposals"][0]["command"])
    assert words[:3] == ["aws", "s3api", "put-bucket-versioning"]
    given = dict(zip(words[3::2], words[4::2], strict=True))
    s3 = boto3.client("s3", endpoint_url=given["--endpoint-url"])
    state = dict([given["--versioning-configuration"].split("=")])
    s3.put_bucket_versioning(Bucket=given["--bucket"], VersioningConfiguration=state)
    assert "bucket-unsafe@main-site" not in findings(house)


def running(house: Swarm, service: str) -> bool:
    """Whether its only task runs as the last specification says, and no update goes on."""
    tasks = house.on(
        "manager-a",
        "docker",
        "service",
        "ps",
        "--filter",
        "desired-state=running",
        "--format",
        "{{.CurrentState}}",
        service,
    )
    return tasks.startswith("Running") and "\n" not in tasks


def create(house: Swarm, name: str, script: str, *options: str, node: str = "worker-2") -> None:
    """A service of one task on one node."""
    where = ["--constraint", f"node.hostname=={node}"]
    words = ["--detach", "--no-resolve-image", "--name", name, *where, *options, workload.REFERENCE, "sh", "-c", script]
    house.on("manager-a", "docker", "service", "create", *words)
