"""Logins that print, dawdle, lack rights or are limited: never a loss, and no hindrance where they can be waited for.

The tests run in order, on machines that Pulumi did not make.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from components.hosts.container import IDENTITY_PATH
from lab import cluster, keys, nodes
from lab.instance import Instance
from lab.stack import Stack, settings
from tests.lab.conftest import Variant
from tests.lab.machines import ADDRESSES
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, Swarm

NOISE = "Welcome to db-1"
NOISY = (
    f"touch /root/.bashrc; {{ echo 'echo {NOISE}'; cat /root/.bashrc; }} > /root/noisy; mv /root/noisy /root/.bashrc"
)
QUIET = f"sed -i '/{NOISE}/d' /root/.bashrc"
LIMIT = (
    "-p tcp --dport 22 --syn -m hashlimit --hashlimit-name ssh --hashlimit-mode srcip --hashlimit-above 6/minute "
    "--hashlimit-burst 2 -j REJECT"
)
"""Two new connections at once, and one more every 10 s."""
LIMITED, UNLIMITED = f"iptables -I INPUT {LIMIT}", f"iptables -D INPUT {LIMIT}"
KEYS = f"{IDENTITY_PATH}/authorized_keys"
OTHER = address(200, 21)
"""The address at which managers see worker-1 behind its NAT."""
TO_MANAGERS = [f"POSTROUTING -d {ADDRESSES[name]} -j SNAT --to-source {OTHER}" for name in MANAGERS]
BEHIND_NAT = "; ".join(
    ("set -e", f"ip address add {OTHER}/32 dev eth0", *(f"iptables -t nat -I {rule}" for rule in TO_MANAGERS))
)
IN_FRONT = "; ".join((*(f"iptables -t nat -D {rule}" for rule in TO_MANAGERS), f"ip address del {OTHER}/32 dev eth0"))
SLOW_SECONDS = 6
"""sshd asks for the keys twice in a login: for the offer of a key, and for its signature."""
SLOW = f"""set -e
printf '#!/bin/sh\\nsleep {SLOW_SECONDS}\\ncat {KEYS}\\n' > /usr/sbin/slow-keys
chmod 755 /usr/sbin/slow-keys
printf 'AuthorizedKeysFile none\\nAuthorizedKeysCommand /usr/sbin/slow-keys\\nAuthorizedKeysCommandUser root\\n' \\
  > /etc/ssh/sshd_config.d/00-slow.conf
systemctl restart ssh"""
UNHURRIED = "rm /etc/ssh/sshd_config.d/00-slow.conf; systemctl restart ssh"
USER = f"""set -e
useradd --create-home --shell /bin/bash --password '*' deploy
mkdir /home/deploy/.ssh
cp {KEYS} /home/deploy/.ssh/
chown -R deploy: /home/deploy/.ssh
chmod 700 /home/deploy/.ssh
echo 'AuthorizedKeysFile {KEYS} .ssh/authorized_keys' > /etc/ssh/sshd_config.d/00-user.conf
systemctl restart ssh"""


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(lab, "access", tmp_path_factory.mktemp("access") / "Pulumi.access.yaml")
    values = settings(lab)
    made.write({**values, "hosts": {"driver": "existing"}, "backup": {**values["backup"], "prefix": "access"}})
    cluster.prepare(lab, made)
    nodes.make(lab, ADDRESSES)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def machines(stack: Stack) -> Swarm:
    stack.up("--skip-preview")
    found = Swarm(stack)
    found.await_standing(*ADDRESSES)
    return found


@contextmanager
def everywhere(machines: Swarm, names: Sequence[str], script: str, undo: str) -> Iterator[None]:
    """Run a script as root on these nodes, and another one on those that are there at the end."""
    for name in names:
        machines.on(name, "bash", "-c", script)
    try:
        yield
    finally:
        for name in names:
            machines.on(name, "bash", "-c", undo, check=False)


def said(instance: Instance, host: str, *command: str) -> str:
    """What a plain SSH client is told."""
    argv = [*keys.ssh_command(instance, host), *command]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def diagnosis(stack: Stack, *, status: int) -> str:
    """The diagnosis of `requorum status`, which exits with ``status``."""
    shown = stack.requorum("status", "--json")
    assert shown.status == status, shown.text + shown.errors
    found: str = json.loads(shown.text)["diagnosis"]
    return found


def test_a_login_that_prints_changes_nothing(machines: Swarm) -> None:
    with everywhere(machines, tuple(ADDRESSES), NOISY, QUIET):
        assert said(machines.lab, ADDRESSES["manager-a"], "echo", "answer") == f"{NOISE}\nanswer\n"
        assert diagnosis(machines.stack, status=0) == "healthy"
        copied = machines.stack.requorum("backup", "--json")
        assert copied.status == 0, copied.text + copied.errors
        assert [copy["proof"]["verdict"] for copy in json.loads(copied.text)["copies"]] == ["proven"] * 3
        for copy in json.loads(copied.text)["copies"]:
            assert machines.stack.requorum("verify", copy["name"]).status == 0
        nodes.lose(machines.lab, ["manager-c"])
        nodes.make(machines.lab, {"manager-c": ADDRESSES["manager-c"]})
        machines.on("manager-c", "bash", "-c", NOISY)
        machines.stack.up("--skip-preview")
        machines.await_standing(*ADDRESSES)


@pytest.mark.whole
def test_a_login_of_twelve_seconds_is_waited_for(machines: Swarm) -> None:
    with everywhere(machines, MANAGERS, SLOW, UNHURRIED):
        shown = machines.stack.requorum("status", "--json")
        assert json.loads(shown.text)["diagnosis"] == "healthy", shown.text + shown.errors
        assert shown.seconds > SLOW_SECONDS
        planned = machines.stack.requorum("plan")
        assert planned.status == 0, planned.text + planned.errors


@pytest.mark.whole
def test_a_slow_login_is_named_and_never_a_lost_quorum(machines: Swarm, variant: Variant) -> None:
    ssh = machines.stack.settings()["ssh"]
    with everywhere(machines, MANAGERS, SLOW, UNHURRIED):
        hasty = variant(ssh={**ssh, "loginSeconds": 4})
        assert diagnosis(hasty, status=5) == "not seen from here"
        refused = hasty.requorum("plan")
        assert refused.status == 1
        assert "code: slow-login" in refused.errors
        assert "fence" not in refused.text + refused.errors
        kept = hasty.requorum("fence", "manager-a", "--lost", "--yes")
        assert kept.status == 1
        assert "code: not-lost" in kept.errors


def test_a_user_without_rights_sees_no_loss(machines: Swarm, variant: Variant) -> None:
    for name in ADDRESSES:
        machines.on(name, "bash", "-c", USER)
    bare = variant(ssh={**machines.stack.settings()["ssh"], "user": "deploy"})
    assert diagnosis(bare, status=5) == "not seen from here"
    refused = bare.requorum("plan")
    assert refused.status == 1
    assert "code: missing-rights" in refused.errors
    assert "fence" not in refused.text + refused.errors
    assert "missing rights" in bare.requorum("doctor").text
    assert "code: missing-rights" in bare.requorum("backup").errors
    machines.on("manager-a", "usermod", "-aG", "docker", "deploy")
    assert diagnosis(bare, status=3) == "healthy", "one manager tells of a leader"
    assert "code: missing-rights" in bare.requorum("plan").errors


@pytest.mark.whole
def test_a_worker_that_managers_see_at_another_address_is_one_node(machines: Swarm) -> None:
    """Docker lists a worker at the address that it comes from. It joins, stays, and is itself after each update."""
    with everywhere(machines, ("worker-1",), BEHIND_NAT, IN_FRONT):
        machines.on("worker-1", "docker", "swarm", "leave")
        machines.on("manager-a", "docker", "node", "rm", "--force", "worker-1")
        machines.stack.up("--skip-preview")
        before = machines.json("manager-a", "node", "inspect", "worker-1")[0]
        assert before["Status"]["Addr"] == OTHER
        machines.await_standing(*ADDRESSES)
        assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text
        assert diagnosis(machines.stack, status=0) == "healthy"
        nodes.lose(machines.lab, ["manager-c"])
        nodes.make(machines.lab, {"manager-c": ADDRESSES["manager-c"]})
        machines.stack.up("--skip-preview")
        machines.await_standing(*ADDRESSES)
        assert machines.json("manager-a", "node", "inspect", "worker-1")[0]["ID"] == before["ID"]
    machines.on("worker-1", "systemctl", "restart", "docker")
    machines.until(
        lambda: machines.json("manager-a", "node", "inspect", "worker-1")[0]["Status"]["Addr"] != OTHER,
        "the worker is listed at its own address",
    )
    machines.await_standing(*ADDRESSES)
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text


def refused(machines: Swarm) -> dict[str, int]:
    """How many connections the limit has refused, by node."""
    listed = {name: machines.on(name, "iptables", "-nvxL", "INPUT").splitlines() for name in ADDRESSES}
    return {name: sum(int(line.split()[0]) for line in lines if "above" in line) for name, lines in listed.items()}


@pytest.mark.whole
def test_a_swarm_behind_a_limit_is_not_called_lost_and_a_plan_waits_for_it(machines: Swarm) -> None:
    with everywhere(machines, tuple(ADDRESSES), LIMITED, UNLIMITED):
        for _ in range(4):
            shown = machines.stack.requorum("status", "--json")
            assert json.loads(shown.text)["diagnosis"] in ("healthy", "not seen from here"), shown.text
        begun = refused(machines)
        planned = machines.stack.requorum("plan")
        assert planned.status == 0, planned.text + planned.errors
        print("refused before the plan, and by its end:", begun, refused(machines), f"{planned.seconds:.1f} s")


@pytest.mark.whole
def test_a_total_loss_is_recovered_behind_a_limit_of_new_connections(machines: Swarm) -> None:
    machines.run_workload()
    assert machines.stack.requorum("backup").status == 0
    before = machines.picture()
    nodes.lose(machines.lab, MANAGERS)
    nodes.make(machines.lab, {name: ADDRESSES[name] for name in MANAGERS})
    with everywhere(machines, tuple(ADDRESSES), LIMITED, UNLIMITED):
        machines.stack.up("--skip-preview", "--config", "recover=true")
        print("refused in the recovery:", refused(machines))
    assert not before.differences(machines.picture())
