"""What is carried to a node for its agent: our package, and the pure Python packages that it needs, as they are installed here.

So the agent runs what was tested together, and a node needs no package index. What must be compiled comes from the
node's own distribution: python3-cryptography and python3-nacl.
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
"""Of files that are carried; anything compiled here is left out, and is not needed."""
DATA, SERVICE = "/data/", "s3/"
"""The AWS packages describe every service in a folder of its own; one is needed."""


@cache
def library() -> Mapping[str, bytes]:
    """Every file of it by its path below the folder that Python looks in."""
    root = Path(__file__).parent.parent
    files = (file for room in ROOMS for file in (root / room).rglob("*.py"))
    ours = {f"recovery/{file.relative_to(root).as_posix()}": file.read_bytes() for file in (*root.glob("*.py"), *files)}
    return {**ours, **{path: file.read_bytes() for name in PACKAGES for path, file in _files(name)}}


def packed(files: Mapping[str, bytes]) -> bytes:
    """A tar file of them, compressed; readable by root alone."""
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w:gz", compresslevel=6) as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o600
            tar.addfile(entry, io.BytesIO(content))
    return packing.getvalue()


def digest(files: Mapping[str, bytes]) -> str:
    """What tells one set of files from another."""
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
