"""Engines whose managers Requorum cannot copy and restore, told by what they say of themselves."""

from collections.abc import Mapping
from typing import Any

INSTALL_ENGINE = (
    "on the node, install Docker Engine as a package of the distribution, running as root: apt-get install docker.io"
)
SNAP = "/var/snap/"


def unsupported(info: Mapping[str, Any]) -> str:
    """What kind of engine it is, in words; empty for one that is supported. ``info`` is the answer of ``GET /info``."""
    options = " ".join(map(str, info.get("SecurityOptions") or ()))
    if (
        "BuildahVersion" in info
    ):  # podman's answer to docker's clients (containers/podman, pkg/api/handlers/compat: info.go)
        return "podman, which knows no swarm"
    if "name=rootless" in options:
        return "a rootless Docker engine"
    if "name=userns" in options:
        return "a Docker engine with userns-remap"
    if str(info.get("DockerRootDir") or "").startswith(SNAP):
        return "Docker as a snap package, whose files a snap may replace"
    return ""
