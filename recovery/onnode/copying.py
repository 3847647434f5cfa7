"""A copy on the node: packed beside the running engine or while that is stopped, compressed, read back, and sealed before it leaves.

It lies in a folder of its own below `FOLDER`, which whoever asked for it removes; what was left behind for an
hour is removed by the next one. One from elsewhere is opened: it lies in memory, and is removed whoever is gone.
"""

import base64
import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tarfile import TarError
from typing import Any, BinaryIO

from recovery.onnode import archive, repair

FOLDER = Path("/var/lib/requorum/copies")
PACKED, ARCHIVE, SEALED = "copy.tar", "copy.tar.zst", "copy.tar.zst.age"
KEY, STATEMENT = "key", "statement"
STALE_SECONDS = 3600
HOT, COLD = "hot", "cold"
DAMAGED, REPAIRED = "damaged", "repaired"
"""Of a log that the engine cannot use: as it is, and cut behind its last good frame."""
UNITS = ("docker.socket", "docker.service")
GUARD = "requorum-engine-back"
STOPPED = ("inactive", "failed")
"""systemd's words for an engine that does not run."""
RESERVE_BYTES = 64 << 20
"""That are left on the disk beside a copy: the running engine's log makes its next segment of that size (etcd: SegmentSizeBytes)."""
STOPPED_SECONDS = 120
"""After which an engine that was stopped for a copy is started by systemd, should whoever stopped it be gone."""
RECEIVED = Path("/run")
"""Where archives from elsewhere lie: in memory."""
RECEIVED_SECONDS = 900
"""After which one is removed by systemd, should whoever sent it be gone: it is sent and proven in less (`recovery.node.program.SECONDS` each)."""
PACK = (
    "tar",
    "--format=gnu",
    "--sparse",
    "--exclude=*.tmp",
    f"--exclude=swarm/{archive.PLACED}",
    f"--exclude=swarm/{archive.OPENED}",
    f"--exclude=swarm/{archive.REPAIRED}",
    "-cf",
)
"""``*.tmp`` is the write-ahead log's preallocated next segment: all zeros, made anew on start."""
RECORD = 10240
"""Bytes that tar writes at once: it says how many of them were written, and not why no more were."""
CHANGED = 1
"""tar's exit status where a file changed as it was read, which is expected of a running engine."""
TRIES, PAUSE = 3, 0.2
"""Of packing while the node's certificate is replaced, and seconds between them: files of a few kilobytes are written and renamed."""
NEXT = ".swarm-node.crt"
"""The certificate that is about to come: it is written, then the key is replaced, then it takes its place (swarmkit,
ca/keyreadwriter.go: Write). An engine that was killed in between leaves it until it starts."""
LOCKED = b"ENCRYPTED PRIVATE KEY"
"""In a key file that needs the unlock key (see `recovery.swarm.key_file`)."""


def take(root: str, how: str) -> dict[str, Any]:
    """Copy the swarm directory below ``root``, ``how`` being `HOT`, `COLD`, `DAMAGED` or `REPAIRED`; what the copy is, and its
    folder.

    The key file is told only where it is locked: it is a secret otherwise. Raises: Unfit, OSError,
    CalledProcessError; nothing is left behind then, and no engine stopped.
    """
    folder = _folder()
    stopped, repaired = 0.0, dict[str, Any]()
    try:
        disk = _allocated(Path(root, "swarm"))
        _require_space(folder, disk + RESERVE_BYTES)
        if how == COLD:
            with _engine_stopped() as clock:
                _pack(root, folder)
                _require_stopped()
            stopped = clock()
        elif how == REPAIRED:
            repaired = repair.remade(root, folder / "tree")
            _pack(str(folder / "tree"), folder)
            shutil.rmtree(folder / "tree")
        else:
            _pack_still(root, folder)
        made = _compressed(folder)
        found = read(made, damaged=how == DAMAGED)
        (folder / KEY).write_bytes(found.key)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return {
        "folder": str(folder),
        "files": [[entry.path, entry.size, entry.sha256] for entry in found.files],
        "certificate": found.certificate.decode(errors="replace"),
        "locked_key": found.key.decode(errors="replace") if LOCKED in found.key else None,
        "ca_sha256": hashlib.sha256(found.ca).hexdigest(),
        "position": [found.position.term, found.position.index, found.position.commit],
        "raw_bytes": disk,
        "stopped_seconds": round(stopped, 3),
        **repaired,
        **measured(made),
    }


def _allocated(directory: Path) -> int:
    """Bytes that a directory takes on the disk; what is removed meanwhile takes none."""
    taken = 0
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                taken += Path(folder, name).lstat().st_blocks * 512
    return taken


def _require_space(folder: Path, needed: int) -> None:
    """Raises: OSError where packing could fill the disk, which may be the running engine's too."""
    if (free := shutil.disk_usage(folder).free) < needed:
        why = f"{os.strerror(errno.ENOSPC)}: {free >> 20} MiB are free, and {needed >> 20} MiB are needed for a copy"
        raise OSError(errno.ENOSPC, why, str(folder))


def _pack(root: str, folder: Path) -> None:
    """Pack the swarm directory, uncompressed: an engine is stopped for no more than that. Raises: OSError."""
    done = subprocess.run([*PACK, str(folder / PACKED), "swarm"], cwd=root, capture_output=True)
    if done.returncode not in (0, CHANGED):
        if shutil.disk_usage(folder).free < RECORD:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        said = done.stderr.decode(errors="replace").strip().splitlines()[:1] or [f"exit status {done.returncode}"]
        raise OSError(said[0])


def _pack_still(root: str, folder: Path) -> None:
    """Pack the swarm directory beside the running engine, again where that replaced keys or certificates meanwhile.

    A key and a certificate that do not belong together are no copy, nor is a log with a data key that the key file of before
    lacks. Raises: OSError.
    """
    for left in reversed(range(TRIES)):
        before = _certificates(root)
        _pack(root, folder)
        if not left or (before == _certificates(root) and NEXT not in before):
            return
        time.sleep(PAUSE)


def _certificates(root: str) -> dict[str, tuple[int, int]]:
    """The files of the node's certificates by name; one that is replaced, as swarmkit does, is another."""
    found = {}
    for path in Path(root, archive.KEY).parent.glob("*"):
        with suppress(FileNotFoundError):
            state = path.lstat()
            found[path.name] = state.st_ino, state.st_mtime_ns
    return found


def _compressed(folder: Path) -> Path:
    made = folder / ARCHIVE
    subprocess.run(["zstd", "-q", "-3", "--rm", str(folder / PACKED), "-o", str(made)], check=True)
    return made


def _require_stopped() -> None:
    """Raises: Unfit where the engine runs again, and may have written what was being packed."""
    asked = subprocess.run(["systemctl", "is-active", "docker.service"], capture_output=True, text=True)
    if asked.stdout.strip() not in STOPPED:
        raise archive.Unfit(
            f"the engine was started again before all was packed, which must take less than {STOPPED_SECONDS} s"
        )


@contextmanager
def _engine_stopped() -> Iterator[Callable[[], float]]:
    """Docker stopped for as long as the context is; what is given tells for how many seconds, afterwards.

    systemd starts it again after `STOPPED_SECONDS` whatever becomes of this process.
    """
    begun = ended = time.monotonic()
    guard = [
        "systemd-run",
        "--quiet",
        f"--unit={GUARD}",
        f"--on-active={STOPPED_SECONDS}s",
        "--timer-property=AccuracySec=1s",  # a minute otherwise
        "--collect",  # one that failed would keep the next from being made
        "systemctl",
        "start",
        *UNITS,
    ]
    subprocess.run(["systemctl", "stop", "--quiet", f"{GUARD}.timer"], check=False, stderr=subprocess.DEVNULL)
    subprocess.run(guard, check=True)
    try:
        begun = time.monotonic()
        subprocess.run(["systemctl", "stop", *UNITS], check=True, stderr=subprocess.DEVNULL)
        yield lambda: ended - begun
    finally:
        subprocess.run(["systemctl", "reset-failed", "docker.service"], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["systemctl", "start", *UNITS], check=True, stderr=subprocess.DEVNULL)
        ended = time.monotonic()
        subprocess.run(["systemctl", "stop", f"{GUARD}.timer"], check=False, stderr=subprocess.DEVNULL)


def receive(content: BinaryIO, sha256: str) -> dict[str, Any]:
    """Lay an archive from elsewhere into a folder of its own, in memory, for no longer than `RECEIVED_SECONDS`.

    Raises: OSError, also when not all of it arrives; CalledProcessError.
    """
    folder = Path(tempfile.mkdtemp(prefix="requorum-copy-", dir=RECEIVED))
    after = f"--on-active={RECEIVED_SECONDS}s"
    removal = ["systemd-run", "--quiet", "--collect", after, "rm", "-rf", str(folder)]
    try:
        subprocess.run(removal, stdin=subprocess.DEVNULL, check=True)
        with (folder / ARCHIVE).open("wb") as file:
            shutil.copyfileobj(content, file)
        if measured(folder / ARCHIVE)["sha256"] != sha256:
            raise OSError("not all of it arrived")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return {"folder": str(folder)}


def read(path: Path, *, damaged: bool = False) -> archive.Content:
    """The content of an archive on this node; its log may be ``damaged``. Raises: Unfit, also when it is torn."""
    with subprocess.Popen(["zstd", "-q", "-dc", str(path)], stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout
        try:
            found = archive.read(unpacking.stdout, damaged=damaged)
        except (EOFError, TarError) as error:
            raise archive.Unfit(f"it is torn ({error})") from None
    if unpacking.returncode:
        raise archive.Unfit("it is torn (zstd)")
    return found


def seal(folder: Path, recipients: Sequence[str], manifest: Mapping[str, Any], opened: bytes) -> dict[str, Any]:
    """Encrypt the copy in ``folder`` to age recipients, and sign its ``manifest`` with the node's key; the plain ones are removed.

    ``opened`` is the key file opened, where the copy's own needs the unlock key; where that is not at hand, nothing is signed.
    What is told is the file, its size and digest, and the signature in base64. Raises: OSError, CalledProcessError.
    """
    sealed = folder / SEALED
    named = [word for recipient in recipients for word in ("-r", recipient)]
    subprocess.run(["age", "-e", *named, "-o", str(sealed), str(folder / ARCHIVE)], check=True)
    (folder / ARCHIVE).unlink()
    made = measured(sealed)
    key = opened or (folder / KEY).read_bytes()
    (folder / KEY).unlink()
    (folder / STATEMENT).write_bytes(statement({**manifest, **made}))
    signature = None if LOCKED in key else base64.b64encode(sign(folder / STATEMENT, key)).decode()
    return {"file": str(sealed), "signature": signature, **made}


def statement(manifest: Mapping[str, Any]) -> bytes:
    """What is signed: a manifest as it is stored, without the signature, its keys in order and nothing between them."""
    signed = {key: value for key, value in manifest.items() if key != "signature"}
    return json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()


def sign(file: Path, key: bytes) -> bytes:
    """The signature of a swarm node's key under a file. The key's headers, which carry the raft log's data keys, are left out."""
    bare = b"\n".join(line for line in key.splitlines() if line and b": " not in line) + b"\n"
    argv = ["openssl", "dgst", "-sha256", "-sign", "/dev/stdin", str(file)]
    return subprocess.run(argv, input=bare, stdout=subprocess.PIPE, check=True).stdout


def measured(path: Path) -> dict[str, Any]:
    """Size in bytes and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(archive.BLOCK):
            digest.update(block)
    return {"size": path.stat().st_size, "sha256": digest.hexdigest()}


def _folder() -> Path:
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    _tidy(time.time())
    return Path(tempfile.mkdtemp(dir=FOLDER))


def _tidy(now: float) -> None:
    for entry in os.scandir(FOLDER):
        with suppress(FileNotFoundError):  # it is another one's, and ended
            if now - entry.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(entry.path, ignore_errors=True)
