"""Builds the node image: Debian with systemd, sshd and a Docker engine. The cache keeps the image."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docker.errors import ImageNotFound

from lab import command, packages
from lab.engine_client import connect
from lab.instance import Instance, cache_folder


@dataclass(frozen=True)
class Source:
    """The Debian suites of an image: that of all packages, and that of the engine's packages if it differs."""

    root: str
    engine: str = ""


DEFAULT = "28"
ENGINES = {"28": Source("trixie", "forky"), "26.1": Source("trixie"), "20.10": Source("bookworm")}
"""The images, by the release of their engine. A root newer than trixie may not boot with cgroup v1 (systemd 258)."""
RECIPE = Path(__file__).parent / "node_image"
_LABEL = "requorum.recipe"
_BUILD_TIMEOUT = 1800.0
_COMMAND = (
    # Documentation and translations are half of the files, and no one reads them in a node.
    "mmdebstrap",
    "--quiet",
    "--mode=root",
    "--variant=essential",
    "--format=tar",
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
)
_PREFERENCES = """Package: *
Pin: release n={suite}
Pin-Priority: 100

Package: docker.io docker-cli containerd runc docker-buildx tini libsubid*
Pin: release n={suite}
Pin-Priority: 900
"""
"""apt takes only the engine from the other suite, if the root's suite has the rest (apt_preferences(5))."""


def reference(version: str = DEFAULT) -> str:
    """The name of the image in the engine, for callers that make a node."""
    return f"requorum-node:{version}"


def recipe_hash(version: str = DEFAULT) -> str:
    """The digest of all our input to the image. It does not include package versions."""
    digest = hashlib.sha256(repr((ENGINES[version], _COMMAND, _PREFERENCES)).encode())
    for file in sorted(RECIPE.rglob("*")):
        if file.is_file():
            executable = os.access(file, os.X_OK)
            digest.update(repr((str(file.relative_to(RECIPE)), executable)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def archive(version: str = DEFAULT) -> Path:
    """Return the image's root folder as a tar file. If the cache does not hold the file, build it.

    If two processes need the same image, the second waits for the first.
    """
    folder = cache_folder() / "node-image"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / f"{recipe_hash(version)}.tar"
    if wanted.exists():
        return wanted
    with _locked(folder / f"{wanted.stem}.lock"):
        if not wanted.exists():
            _build(ENGINES[version], wanted)
    return wanted


def is_imported(instance: Instance, version: str = DEFAULT) -> bool:
    """Whether the engine holds the image of the present recipe."""
    with connect(instance, "looking for the node image") as client:
        try:
            image = client.images.get(reference(version))
        except ImageNotFound:
            return False
        return bool(image.labels.get(_LABEL) == recipe_hash(version))


def ensure(instance: Instance, version: str = DEFAULT) -> bool:
    """Import the image into the engine, if it is missing. Returns whether it was missing."""
    if is_imported(instance, version):
        return False
    source = archive(version)
    name, _, tag = reference(version).partition(":")
    with connect(instance, f"importing the node image {source}") as client:
        client.api.import_image_from_file(
            str(source),
            repository=name,
            tag=tag,
            changes=['CMD ["/sbin/init"]', f"LABEL {_LABEL}={recipe_hash(version)}"],
        )
    return True


def _build(source: Source, wanted: Path) -> None:
    includes = [RECIPE / "packages", RECIPE / f"packages.{source.root}"]
    suites = [suite for suite in (source.root, source.engine) if suite]
    names = [name for file in includes if file.exists() for name in file.read_text().split()]
    with tempfile.TemporaryDirectory(prefix="requorum-image-") as scratch:
        sources = Path(scratch, "debian.sources")
        sources.write_text("\n".join(map(packages.sources, suites)))
        preferences = Path(scratch, "preferences")
        preferences.write_text(_PREFERENCES.format(suite=source.engine) if source.engine else "")
        # The file is next to the final one, so that the rename is atomic.
        unfinished = wanted.with_suffix(f".{os.getpid()}")
        try:
            command.run(
                [
                    *_COMMAND,
                    *(f"--aptopt={line}" for line in packages.apt_options()),
                    f"--include={','.join(names)}",
                    f"--setup-hook=upload {preferences} /etc/apt/preferences.d/engine",
                    f"--customize-hook={RECIPE / 'customise'}",
                    source.root,
                    unfinished,
                    sources,
                ],
                doing=f"building the node image of {' and '.join(suites)}",
                advice="Check that `apt-get update` and `mmdebstrap` work on this machine",
                timeout=_BUILD_TIMEOUT,
            )
            unfinished.rename(wanted)
        finally:
            unfinished.unlink(missing_ok=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
