"""Starts and stops the Docker engine that runs the nodes. The lab can also use an existing engine."""

import http.client
import json
import shutil
import socket
from pathlib import Path

from lab import cgroups, network
from lab.daemon import ANSWER_SECONDS, Daemon
from lab.errors import LabError
from lab.instance import Instance

_DOCKERD = "/usr/sbin/dockerd"
_OWN_PID = "dockerd-own.pid"
_CONTAINERD_CONFIG = """\
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-run"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{folder}/containerd.sock"
"""


def dockerd() -> str | None:
    """The path of dockerd, even if it is not on PATH."""
    return _DOCKERD if Path(_DOCKERD).exists() else shutil.which("dockerd")


def ping(path: Path) -> bool:
    """Whether a Docker engine answers on the Unix socket at ``path``."""
    connection = http.client.HTTPConnection("localhost")
    try:
        with socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(ANSWER_SECONDS)
            connection.sock.connect(str(path))
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def is_running(instance: Instance) -> bool:
    """Whether the engine answers. If the lab starts its own engine, the process must also have the lab's marker."""
    if instance.owns_engine and (_dockerd(instance).pid() is None or not network.is_up(instance)):
        return False
    return ping(instance.socket)


def start(instance: Instance) -> bool:
    """Start the engine and its network, if they do not run. Returns whether it started them.

    Raises: LabError if an existing engine does not answer, or the lab's own engine does not start.
    """
    if not instance.owns_engine:
        return _use_ordinary(instance)
    if is_running(instance):
        return False
    binary = dockerd()
    if binary is None:
        raise LabError(
            "starting the lab's engine", "there is no dockerd here", "`apt-get install docker.io`, or set LAB_ENGINE"
        )
    stop(instance)
    network.start(instance)
    folder = instance.engine_root
    folder.mkdir(parents=True, exist_ok=True)
    # dockerd trusts a pid file as soon as any process has its number.
    (folder / _OWN_PID).unlink(missing_ok=True)
    _containerd_config(folder).write_text(_CONTAINERD_CONFIG.format(folder=folder))
    _config(folder).write_text(json.dumps(_settings(instance), indent=2))
    inside = network.enter(instance)
    containerd_socket = folder / "containerd.sock"
    _containerd(instance).start(
        [*inside, "containerd", "--config", _containerd_config(folder)],
        ready=lambda: _accepts(containerd_socket),
    )
    _dockerd(instance).start([*inside, binary, "--config-file", _config(folder)], ready=lambda: ping(instance.socket))
    return True


def stop(instance: Instance, patience: float = 60.0) -> None:
    """Stop the lab's own engine with all nodes, and remove its network.

    An existing engine keeps running. Then only the link is removed.
    """
    if instance.owns_engine:
        _dockerd(instance).stop(patience)
        _containerd(instance).stop()
    network.remove(instance)
    if instance.owns_engine:
        cgroups.remove(instance)


def _use_ordinary(instance: Instance) -> bool:
    if not ping(instance.socket):
        raise LabError(
            "using an ordinary engine",
            f"LAB_ENGINE={instance.engine} does not answer",
            "Start that engine, or unset LAB_ENGINE for one of the lab's own",
        )
    if network.is_up(instance):
        return False
    network.start(instance)
    return True


def _settings(instance: Instance) -> dict[str, object]:
    folder = instance.engine_root
    return {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / _OWN_PID),
        "hosts": [instance.docker_host],
        # Without this address, dockerd uses the machine's containerd if one runs.
        "containerd": str(folder / "containerd.sock"),
        # The systemd driver would give the groups other names and another parent.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": cgroups.parent(instance),
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "userland-proxy": False,
        "shutdown-timeout": 5,
    }


def _config(folder: Path) -> Path:
    return folder / "daemon.json"


def _containerd_config(folder: Path) -> Path:
    return folder / "containerd.toml"


def _dockerd(instance: Instance) -> Daemon:
    folder = instance.engine_root
    return Daemon("the lab's dockerd", folder / "dockerd.pid", folder / "dockerd.log", str(_config(folder)))


def _containerd(instance: Instance) -> Daemon:
    folder = instance.engine_root
    return Daemon(
        "the lab's containerd", folder / "containerd.pid", folder / "containerd.log", str(_containerd_config(folder))
    )


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
