"""Checks the machine before the lab changes anything. Each refusal has a remedy."""

import json
import os
import shutil
from collections.abc import Callable
from ipaddress import IPv4Network
from pathlib import Path

from lab import command, engine, network, s3
from lab.errors import LabError
from lab.instance import Instance

_DOING = "checking this machine"
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_INOTIFY_WANTED = 1024
"""The limit that many nodes need. The default is 128, and about 19 nodes use it up: systemd needs several each."""


def check(instance: Instance) -> None:
    """Raise a LabError for the first problem that would make ``up`` fail later."""
    if os.geteuid() != 0:
        raise LabError(_DOING, "the lab needs root", "Run it as root, for instance with sudo")
    programs = {"ip": "iproute2", "ssh-keygen": "openssh-client", "mmdebstrap": "mmdebstrap"}
    if instance.owns_engine:
        programs |= {"nsenter": "util-linux", "sysctl": "procps", "containerd": "containerd"}
        if engine.dockerd() is None:
            raise LabError(
                _DOING,
                "there is no dockerd here",
                "`apt-get install docker.io`, or set LAB_ENGINE to an engine's socket",
            )
    elif not engine.ping(instance.socket):
        raise LabError(
            _DOING,
            f"no engine answers at LAB_ENGINE={instance.engine}",
            "Start it, or unset LAB_ENGINE for an engine of the lab's own",
        )
    for program, package in programs.items():
        if shutil.which(program) is None:
            raise LabError(_DOING, f"there is no {program} here", f"`apt-get install {package}`")
    if s3.binary() is None:
        raise LabError(
            _DOING,
            "there is no S3 server: versitygw was not found",
            "`make toolchain` builds it; or give its path as VERSITYGW",
        )
    if not network.is_up(instance):
        _check_addresses(instance)


def raise_inotify_limit(say: Callable[[str], None]) -> None:
    """Raise the kernel's limit of inotify instances, if it is too low for many nodes."""
    have = int(_INOTIFY.read_text())
    if have < _INOTIFY_WANTED:
        _INOTIFY.write_text(str(_INOTIFY_WANTED))
        say(f"raised fs.inotify.max_user_instances from {have} to {_INOTIFY_WANTED}")


def _check_addresses(instance: Instance) -> None:
    listed = command.run(["ip", "-j", "-4", "route", "show", "table", "main"], doing=_DOING, advice="Check `ip route`")
    link = IPv4Network(f"{instance.host_link}/30", strict=False)
    for route in json.loads(listed):
        if route["dst"] == "default" or route.get("dev") == network.device(instance):
            continue
        used = IPv4Network(route["dst"], strict=False)
        if not instance.owns_engine and used == instance.subnet and route.get("dev", "").startswith("br-"):
            continue  # This is the nodes' network, which an existing engine keeps on this machine.
        if used.overlaps(link) or used.overlaps(instance.subnet):
            raise LabError(
                _DOING,
                f"{used} ({route.get('dev', 'no device')}) overlaps the lab's addresses {instance.subnet} or {link}",
                "Choose another lab number with REQUORUM_LAB",
            )
