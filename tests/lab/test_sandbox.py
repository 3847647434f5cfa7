"""What a copy's engine reaches of its node: as an attacker who wrote the copy's log, and has the engine do as he likes."""

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest

from lab import image, keys, nodes
from lab.instance import Instance
from recovery.node import program
from recovery.onnode.__main__ import BROKEN
from tests.lab.place import address

ADDRESS = address(1, 11)
ENGINE = "/usr/local/bin/dockerd"
"""Comes before the engine of the node on its PATH."""
HOSTILE = """#!/usr/bin/python3
import ctypes, json, os, socket, sys
SOCKETS = ("/run/docker.sock", "/run/containerd/containerd.sock", "/run/planted.sock", "/var/lib/planted.sock", "@planted")
FILES = ("/etc/shadow", "/etc/requorum/planted", "/etc/docker/planted", "/usr/lib/docker/plugins/planted.spec", "/root/planted",
         "/home/planted", "/var/lib/planted", "/opt/planted", "/tmp/planted")
WRITTEN = ("/usr/planted", "/etc/passwd", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/sys/fs/cgroup/planted")
def tried(what):
    try:
        what()
    except OSError:
        return False
    return True
def connect(name):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(name.replace("@", "\\0"))
def append(name):
    os.close(os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
def mount(*arguments):
    if ctypes.CDLL(None, use_errno=True).mount(*arguments):
        raise OSError(ctypes.get_errno())
reached = [name for name in SOCKETS if tried(lambda: connect(name))]
reached += [name for name in FILES if tried(lambda: os.close(os.open(name, os.O_RDONLY)))]
reached += [f"write {name}" for name in WRITTEN if tried(lambda: append(name))]
acts = {"mount": lambda: mount(b"none", b"/tmp", b"tmpfs", 0, None),
        "remount": lambda: mount(b"none", b"/usr", None, 32 | 4096, None),
        "device": lambda: os.mknod("/run/disk", 0o60600, os.makedev(8, 0)),
        "host name": lambda: socket.sethostname("planted")}
reached += [name for name, act in acts.items() if tried(act)]
devices = {name for name in os.listdir("/dev")} - {"null", "zero", "full", "random", "urandom"}
reached += [f"device {name}" for name in sorted(devices)]
reached += [f"process {pid}" for pid in os.listdir("/proc") if pid == "1" and open("/proc/1/comm").read() == "systemd\\n"]
print(json.dumps(reached), file=sys.stderr)
sys.exit(1)
"""
PLANT = """mkdir -p /etc/requorum /etc/docker /usr/lib/docker/plugins
for file in /etc/requorum /etc/docker /root /home /var/lib /opt /tmp; do : > $file/planted; done
: > /usr/lib/docker/plugins/planted.spec
systemd-run --quiet --unit=planted python3 -c '
import socket, time
held = []
for name in ("/run/planted.sock", "/var/lib/planted.sock", "\\0planted"):
    held.append(socket.socket(socket.AF_UNIX)); held[-1].bind(name); held[-1].listen()
time.sleep(3600)'
until [ -S /var/lib/planted.sock ]; do sleep 0.1; done
"""
PACK = "mkdir -p /var/tmp/c; cd /var/lib/docker && tar --sparse -cf - swarm | zstd -q > /var/tmp/c/copy"
On = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module", params=[image.DEFAULT, pytest.param("20.10", marks=pytest.mark.whole)])
def on(lab: Instance, request: pytest.FixtureRequest) -> Iterator[On]:
    """Runs a command on a node that has a swarm, a copy of it, and sockets and files of others."""
    image.ensure(lab, request.param)
    keys.ensure(lab, {"manager-a": ADDRESS})
    nodes.make(lab, {"manager-a": ADDRESS}, version=request.param)

    def run(*command: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        argv = ["docker", "-H", lab.docker_host, "exec", "-i", "manager-a", *command]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)

    for command in (f"docker swarm init --advertise-addr {ADDRESS}", PLANT, PACK):
        done = run("sh", "-c", command)
        assert done.returncode == 0, done.stderr
    yield run
    nodes.remove_all(lab)


def prove(on: On) -> "subprocess.CompletedProcess[str]":
    """The restore test of the copy, by the program that a node gets."""
    asked = json.dumps({"copy": "/var/tmp/c/copy", "address": ADDRESS, "unpacked": 180 << 20})
    put = subprocess.run(
        ["python3", "-c", "import base64,sys; print(base64.b64encode(sys.stdin.buffer.read()).decode())"],
        input=program.packed(),
        capture_output=True,
        check=True,
    )
    assert on("sh", "-c", "base64 -d > /var/tmp/p.pyz", stdin=put.stdout.decode()).returncode == 0
    return on("python3", "/var/tmp/p.pyz", "prove", asked)


def test_a_copy_is_proven_by_an_engine_that_sees_nothing_of_the_node(on: On) -> None:
    done = prove(on)
    assert done.returncode == 0, done.stderr
    cluster = on("docker", "info", "--format", "{{.Swarm.Cluster.ID}}").stdout.strip()
    assert json.loads(done.stdout)["cluster_id"] == cluster
    left = on("sh", "-c", "pgrep -a containerd | grep /exec; pgrep -a dockerd | grep =/data; mount | grep /mnt; true")
    assert not left.stdout


def test_a_hostile_engine_reaches_no_socket_file_device_or_right_of_the_node(on: On) -> None:
    on("sh", "-c", f"cat > {ENGINE} && chmod +x {ENGINE}", stdin=HOSTILE)
    try:
        on_node, in_sandbox = on(ENGINE), prove(on)
    finally:
        on("rm", ENGINE)
    outside = json.loads(on_node.stderr.splitlines()[-1])
    controls = {"/run/docker.sock", "@planted", "/root/planted", "write /usr/planted", "mount", "process 1"}
    assert controls <= set(outside)
    assert in_sandbox.returncode == BROKEN
    assert in_sandbox.stderr.strip() == "the sandbox's engine did not start: []"
