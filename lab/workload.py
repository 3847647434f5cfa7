"""Makes a workload image of a few hundred KB for services in the nodes. It needs no registry."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

from lab import image, keys
from lab.errors import LabError
from lab.instance import Instance, cache_folder

REFERENCE = "requorum-workload:1"
_APPLETS = (
    "sh",
    "sleep",
    "cat",
    "date",
    "echo",
    "env",
    "hostname",
    "httpd",
    "ip",
    "ls",
    "nc",
    "nslookup",
    "ping",
    "sha256sum",
    "tail",
    "touch",
    "true",
    "wget",
)
_LOAD_TIMEOUT = 180.0


def archive(version: str = image.DEFAULT) -> Path:
    """Return the image in the form that ``docker load`` reads. Its bytes, and so its ID, are the same everywhere.

    The first call makes the image, with the static busybox of the node image of this engine.
    """
    wanted = cache_folder() / "workload" / f"{REFERENCE.replace(':', '-')}.tar"
    if not wanted.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        half = wanted.with_suffix(f".{os.getpid()}")
        half.write_bytes(_image(_root_folder(_busybox(image.archive(version)))))
        half.rename(wanted)
    return wanted


def load_workload(instance: Instance, address: str) -> None:
    """Load the image into the engine of the node at ``address`` over SSH. The function is repeatable."""
    with archive().open("rb") as source:
        done = subprocess.run(
            [*keys.ssh_command(instance, address), "docker", "load", "--quiet"],
            stdin=source,
            capture_output=True,
            text=True,
            timeout=_LOAD_TIMEOUT,
        )
    if done.returncode != 0:
        raise LabError(
            f"loading the workload image in the node at {address}",
            f"docker load ended with {done.returncode}: {done.stderr.strip()}",
            "Check that the node is ready: `python -m lab status`",
        )


def _busybox(source: Path) -> bytes:
    with tarfile.open(source) as rootfs:
        for member in rootfs:
            if member.isfile() and member.name.endswith("bin/busybox"):
                file = rootfs.extractfile(member)
                if file is not None:
                    return file.read()
    raise LabError(
        "making the workload image", f"{source} holds no busybox", "Remove that file: the next `up` builds it again"
    )


def _root_folder(busybox: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "var", "www"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        _add(tar, "bin/busybox", busybox, 0o755)
        for applet in _APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()


def _image(layer: bytes) -> bytes:
    """Return a docker-archive of one layer (moby's image specification v1.2)."""
    configuration = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "2147483647"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [REFERENCE], "Layers": ["layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, name, configuration)
        _add(tar, "layer.tar", layer)
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _architecture() -> str:
    dpkg = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    return dpkg.stdout.strip()
