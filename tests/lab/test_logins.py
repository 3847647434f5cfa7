"""Machines as people have them. In order.

No root logs in anywhere, all are behind a jump host, every login prints, docker's contexts and DOCKER_HOST point elsewhere, and an
engine has its data in /srv.
"""

import json
from collections.abc import Iterable, Iterator

import pytest

from components.hosts.container import IDENTITY_PATH
from lab import cluster, keys, nodes
from lab.instance import Instance
from lab.stack import Stack, settings, with_agents
from tests.lab.here import requorum
from tests.lab.machines import ADDRESSES
from tests.lab.place import address
from tests.lab.swarm import MANAGERS, WORKERS, Picture, Swarm

pytestmark = pytest.mark.whole

BASTION = "bastion"
JUMP = address(1, 5)
ELSEWHERE = "/srv/docker"
KEYS = f"{IDENTITY_PATH}/authorized_keys"
OPS = f"""set -e
useradd --create-home --shell /bin/bash --password '*' ops
install -d -m 700 -o ops /home/ops/.ssh
install -m 600 -o ops {KEYS} /home/ops/.ssh/authorized_keys
echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops
printf 'PermitRootLogin no\\nAuthorizedKeysFile .ssh/authorized_keys\\nSetEnv DOCKER_HOST=tcp://127.0.0.1:9\\n' > /etc/ssh/sshd_config.d/00-ops.conf
systemctl restart ssh"""
"""Lets only `ops` in, who may use sudo. A variable of the login names no engine."""
BY_JUMP_HOST = f"iptables -I INPUT -p tcp --dport 22 ! -s {JUMP} -j DROP"
DATA_ROOT = f"""set -e
mkdir -p /etc/docker /var/lib/docker/srv {ELSEWHERE}
mount --bind /var/lib/docker/srv {ELSEWHERE}
[ -e /etc/docker/daemon.json ] || echo '{{}}' > /etc/docker/daemon.json
python3 - <<'END'
import json
path = "/etc/docker/daemon.json"
values = json.load(open(path))
json.dump({{**values, "data-root": "{ELSEWHERE}"}}, open(path, "w"))
END
systemctl restart docker"""
"""The folder is on the machine's volume, because no engine runs containers on the file system of a container."""
STRANGE = """set -e
for home in /root /home/ops; do
  HOME=$home docker context create elsewhere --docker host=tcp://127.0.0.1:9
  HOME=$home docker context use elsewhere
done
chown -R ops /home/ops/.docker
echo 'echo Welcome to $(hostname)' > /home/ops/.bashrc"""
"""Contexts that point elsewhere, and a login that prints."""
KNOWN: dict[str, Picture] = {}


def equip(machines: Swarm, names: Iterable[str]) -> None:
    """Make the machines such that nobody enters them as root or straight, and that what a login says misleads."""
    for name in names:
        if name == "manager-b":
            machines.on(name, "bash", "-c", DATA_ROOT)
        machines.on(name, "bash", "-c", OPS)
        if name != BASTION:
            machines.on(name, "bash", "-c", STRANGE)
            machines.on(name, "bash", "-c", BY_JUMP_HOST)


@pytest.fixture(scope="module")
def stack(lab: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(lab, "logins", tmp_path_factory.mktemp("logins") / "Pulumi.logins.yaml")
    values = with_agents(lab, settings(lab))
    nodes.make(lab, {BASTION: JUMP, **ADDRESSES})
    keys.ensure(lab, {BASTION: JUMP})
    ssh = {**values["ssh"], "user": "ops", "jump": [JUMP]}
    made.write(
        {**values, "ssh": ssh, "hosts": {"driver": "existing"}, "backup": {**values["backup"], "prefix": "logins"}}
    )
    cluster.prepare(lab, made)
    cluster.admit(lab, made)
    yield made
    nodes.remove_all(lab)


@pytest.fixture(scope="module")
def machines(stack: Stack) -> Swarm:
    found = Swarm(stack)
    found.load_workload()
    equip(found, (BASTION, *ADDRESSES))
    return found


def test_nobody_enters_as_root_or_straight(machines: Swarm) -> None:
    straight = {key: value for key, value in machines.stack.settings()["ssh"].items() if key != "jump"}
    lone = Stack(machines.lab, "logins", machines.stack.file.with_name("Pulumi.straight.yaml"))
    lone.write({**machines.stack.settings(), "ssh": straight})
    shown = json.loads(lone.requorum("status", "--json").text)
    assert {node["reach"] for node in shown["nodes"]} == {"silent"}
    lone.write({**machines.stack.settings(), "ssh": {**machines.stack.settings()["ssh"], "user": "root"}})
    shown = json.loads(lone.requorum("status", "--json").text)
    assert {node["reach"] for node in shown["nodes"]} == {"jump host failed"}, (
        "the jump host lets root in no more either"
    )


def test_it_is_built_and_copied(machines: Swarm) -> None:
    machines.stack.up("--skip-preview")
    machines.await_standing(*ADDRESSES, manager="manager-c")
    machines.create_workload()
    assert requorum(machines.stack, "copies", "take").status == 0
    agents = json.loads(requorum(machines.stack, "agents", "--json").text)
    assert [agent["fault"] for agent in agents["agents"]] == [""] * 3
    assert "unchanged" in machines.stack.up("--skip-preview", "--expect-no-changes").text
    KNOWN["before"] = machines.picture("manager-c")


def test_it_comes_back_from_a_total_loss(machines: Swarm) -> None:
    nodes.lose(machines.lab, MANAGERS)
    shown = json.loads(machines.stack.requorum("status", "--json").text)
    reach = {node["name"]: node["reach"] for node in shown["nodes"]}
    assert {reach[name] for name in MANAGERS} == {"silent"}, "what the jump host says of them counts"
    assert {reach[name] for name in WORKERS} == {"answers"}
    nodes.make(machines.lab, {name: ADDRESSES[name] for name in MANAGERS})
    equip(machines, MANAGERS)
    machines.stack.recover()
    machines.await_standing(*ADDRESSES, manager="manager-c")
    after = machines.picture("manager-c")
    assert after.cluster_id == KNOWN["before"].cluster_id
    assert after.objects == KNOWN["before"].objects
    assert after.containers["worker-1"] == KNOWN["before"].containers["worker-1"]
    machines.on("manager-b", "test", "-d", f"{ELSEWHERE}/swarm/raft")


def test_a_drill_and_the_end(machines: Swarm) -> None:
    drilled = requorum(machines.stack, "copies", "drill", "--json")
    assert drilled.status == 0, drilled.errors
    machines.stack.destroy()
    assert {machines.state(name) for name in MANAGERS} == {"inactive"}
