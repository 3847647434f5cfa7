"""The files that a node's agent needs: this package, and the pure Python packages that it uses, as installed here.

So the agent runs the versions that were tested together, and a node needs no package index. Compiled packages come
from the node's own distribution: python3-cryptography and python3-nacl.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

PACKAGES = (
    "boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3",
    "docker", "requests", "idna", "certifi", "charset-normalizer", "prometheus-client",
)  # fmt: skip
ROOMS = ("agent", "copies", "node", "onnode", "s3", "swarm")
"""The rooms of our package that an agent imports. A change elsewhere reinstalls no agent."""
KINDS = (".py", ".json", ".pem", ".gz")
"""The kinds of files in the bundle. Files that were compiled here are left out; the agent does not need them."""
DATA, SERVICE = "/data/", "s3/"
"""The AWS packages describe each service in its own folder. The agent needs only one."""


@cache
def library() -> Mapping[str, bytes]:
    """The content of every Python file in the bundle, by its path below the folder on Python's path."""
    root = Path(__file__).parent.parent
    files = (file for room in ROOMS for file in (root / room).rglob("*.py"))
    ours = {f"recovery/{file.relative_to(root).as_posix()}": file.read_bytes() for file in (*root.glob("*.py"), *files)}
    return {**ours, **{path: file.read_bytes() for name in PACKAGES for path, file in _files(name)}}


def packed(files: Mapping[str, bytes]) -> bytes:
    """The files as a compressed tar file, readable only by root."""
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w:gz", compresslevel=6) as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    return packing.getvalue()


def digest(files: Mapping[str, bytes]) -> str:
    """A SHA-256 over the paths and contents of the files."""
    found = hashlib.sha256()
    for path, content in sorted(files.items()):
        found.update(f"{path}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def _files(name: str) -> Iterator[tuple[str, Path]]:
    for file in distribution(name).files or ():
        path = file.as_posix()
        described = path.partition(DATA)[2]
        if (
            file.suffix in KINDS
            and not path.startswith("..")
            and ("/" not in described or described.startswith(SERVICE))
        ):
            yield path, Path(str(file.locate()))
