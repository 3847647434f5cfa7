"""The node image: Debian with systemd, sshd and a Docker engine, built once and kept."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docker.errors import ImageNotFound

from lab import command, packages
from lab.engine_client import connect
from lab.instance import Instance, cache_folder

DEFAULT_SUITE = "bookworm"
"""bookworm brings engine 20.10, trixie 26.1."""
RECIPE = Path(__file__).parent / "node_image"
_LABEL = "requorum.recipe"
_BUILD_TIMEOUT = 1800.0
_COMMAND = (
    # Documentation and translations are half of the files and read by nobody in a node.
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


def reference(suite: str = DEFAULT_SUITE) -> str:
    """Name of the image in the engine, for whoever makes a node."""
    return f"requorum-node:{suite}"


def recipe_hash(suite: str = DEFAULT_SUITE) -> str:
    """Digest of everything of ours that shapes the image; package versions are not in it."""
    digest = hashlib.sha256(repr((suite, _COMMAND)).encode())
    for file in sorted(RECIPE.rglob("*")):
        if file.is_file():
            executable = os.access(file, os.X_OK)
            digest.update(repr((str(file.relative_to(RECIPE)), executable)).encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def archive(suite: str = DEFAULT_SUITE) -> Path:
    """The image's root folder as a tar file, built now when the cache does not hold it.

    Two processes that want the same one build it once: the second waits.
    """
    folder = cache_folder() / "node-image"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / f"{recipe_hash(suite)}.tar"
    if wanted.exists():
        return wanted
    with _locked(folder / f"{wanted.stem}.lock"):
        if not wanted.exists():
            _build(suite, wanted)
    return wanted


def is_imported(instance: Instance, suite: str = DEFAULT_SUITE) -> bool:
    """Whether the engine holds the image of this very recipe."""
    with connect(instance, "looking for the node image") as client:
        try:
            image = client.images.get(reference(suite))
        except ImageNotFound:
            return False
        return bool(image.labels.get(_LABEL) == recipe_hash(suite))


def ensure(instance: Instance, suite: str = DEFAULT_SUITE) -> bool:
    """Have the image in the engine; False when it was there already."""
    if is_imported(instance, suite):
        return False
    source = archive(suite)
    name, _, tag = reference(suite).partition(":")
    with connect(instance, f"importing the node image {source}") as client:
        client.api.import_image_from_file(
            str(source),
            repository=name,
            tag=tag,
            changes=['CMD ["/sbin/init"]', f"LABEL {_LABEL}={recipe_hash(suite)}"],
        )
    return True


def _build(suite: str, wanted: Path) -> None:
    includes = [RECIPE / "packages", RECIPE / f"packages.{suite}"]
    names = [name for file in includes if file.exists() for name in file.read_text().split()]
    with tempfile.TemporaryDirectory(prefix="requorum-image-") as scratch:
        sources = Path(scratch, "debian.sources")
        sources.write_text(packages.sources(suite))
        # Beside the wanted file, so that the rename is atomic.
        unfinished = wanted.with_suffix(f".{os.getpid()}")
        try:
            command.run(
                [
                    *_COMMAND,
                    *(f"--aptopt={line}" for line in packages.apt_options()),
                    f"--include={','.join(names)}",
                    f"--customize-hook={RECIPE / 'customise'}",
                    suite,
                    unfinished,
                    sources,
                ],
                doing=f"building the node image of {suite}",
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
