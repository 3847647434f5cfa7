"""Takes a copy on its node: packs it while the engine runs or is stopped, compresses it, reads it back, and seals it.

The copy is in a separate folder below `FOLDER`. The caller removes this folder. The next copy removes folders that have
existed for an hour. A received copy, for a drill, is not sealed. It is in memory, and systemd removes it in any case.
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
"""systemd's states of an engine that does not run."""
RESERVE_BYTES = 64 << 20
"""Space to leave on the disk: the next segment of the running engine's log has this size (etcd: SegmentSizeBytes)."""
STOPPED_SECONDS = 120
"""After this time, systemd starts an engine that was stopped for a copy, in case this process is gone."""
RECEIVED = Path("/run")
"""The folder of received archives, in memory."""
RECEIVED_SECONDS = 900
"""After this time, systemd removes a received archive. A drill needs less (twice `recovery.node.program.SECONDS`)."""
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
"""``*.tmp`` is the preallocated next segment of the write-ahead log. It holds only zeros."""
RECORD = 10240
"""Bytes that tar writes at once. If a write fails, tar says how many bytes it wrote, but not why no more."""
CHANGED = 1
"""tar's exit status if a file changed while tar read it, as a running engine's files do."""
TRIES, PAUSE = 3, 0.2
"""How often to pack while swarmkit replaces the node's certificate, and the seconds in between. The files are small."""
NEXT = ".swarm-node.crt"
"""The next certificate. swarmkit writes it, replaces the key, then renames it (ca/keyreadwriter.go: Write).

If the engine is killed in between, the file stays until the engine starts.
"""
LOCKED = b"ENCRYPTED PRIVATE KEY"
"""Part of a key file that needs the unlock key (see `recovery.swarm.key_file`)."""


def take(root: str, how: str) -> dict[str, Any]:
    """Copy the swarm directory below ``root``. ``how`` is `HOT`, `COLD`, `DAMAGED` or `REPAIRED`. Returns the copy's folder
    and facts.

    The result holds the key file only if it is locked. Otherwise the key file is a secret. After an error, no files
    remain and the engine runs. Raises: Unfit, OSError, CalledProcessError.
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
        packed = _compressed(folder)
        content = read(packed, damaged=how == DAMAGED)
        (folder / KEY).write_bytes(content.key)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return {
        "folder": str(folder),
        "files": [[entry.path, entry.size, entry.sha256] for entry in content.files],
        "certificate": content.certificate.decode(errors="replace"),
        "locked_key": content.key.decode(errors="replace") if LOCKED in content.key else None,
        "ca": content.ca.decode(errors="replace"),
        "ca_sha256": hashlib.sha256(content.ca).hexdigest(),
        "position": [content.position.term, content.position.index, content.position.commit],
        "raw_bytes": disk,
        "stopped_seconds": round(stopped, 3),
        **repaired,
        **measured(packed),
    }


def _allocated(directory: Path) -> int:
    """Bytes that a directory uses on the disk. Files that are removed meanwhile do not count."""
    size = 0
    for folder, folders, files in os.walk(directory):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                size += Path(folder, name).lstat().st_blocks * 512
    return size


def _require_space(folder: Path, needed: int) -> None:
    """Raises: OSError if packing could fill the disk, which the running engine may use too."""
    if (free := shutil.disk_usage(folder).free) < needed:
        why = f"{os.strerror(errno.ENOSPC)}: {free >> 20} MiB are free, and {needed >> 20} MiB are needed for a copy"
        raise OSError(errno.ENOSPC, why, str(folder))


def _pack(root: str, folder: Path) -> None:
    """Pack the swarm directory without compression, because a stopped engine waits for it. Raises: OSError."""
    done = subprocess.run([*PACK, str(folder / PACKED), "swarm"], cwd=root, capture_output=True)
    if done.returncode not in (0, CHANGED):
        if shutil.disk_usage(folder).free < RECORD:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        message = done.stderr.decode(errors="replace").strip().splitlines()[:1] or [f"exit status {done.returncode}"]
        raise OSError(message[0])


def _pack_still(root: str, folder: Path) -> None:
    """Pack the swarm directory while the engine runs. If keys or certificates changed meanwhile, pack again.

    A copy is useless if its key and certificate do not belong together, or if its key file lacks a data key of its log.
    Raises: OSError.
    """
    for tries in reversed(range(TRIES)):
        before = _certificates(root)
        _pack(root, folder)
        if not tries or (before == _certificates(root) and NEXT not in before):
            return
        time.sleep(PAUSE)


def _certificates(root: str) -> dict[str, tuple[int, int]]:
    """The files of the node's certificates: inode and time by name. If swarmkit replaces a file, its inode changes."""
    files = {}
    for path in Path(root, archive.KEY).parent.glob("*"):
        with suppress(FileNotFoundError):
            state = path.lstat()
            files[path.name] = state.st_ino, state.st_mtime_ns
    return files


def _compressed(folder: Path) -> Path:
    target = folder / ARCHIVE
    subprocess.run(["zstd", "-q", "-3", "--rm", str(folder / PACKED), "-o", str(target)], check=True)
    return target


def _require_stopped() -> None:
    """Raises: Unfit if the engine runs again, because it may have written to the packed files."""
    unit = subprocess.run(["systemctl", "is-active", "docker.service"], capture_output=True, text=True)
    if unit.stdout.strip() not in STOPPED:
        raise archive.Unfit(
            f"the engine was started again before all was packed, which must take less than {STOPPED_SECONDS} s"
        )


@contextmanager
def _engine_stopped() -> Iterator[Callable[[], float]]:
    """Stop Docker for the duration of the context. Afterwards, the yielded function returns for how many seconds.

    systemd starts Docker again after `STOPPED_SECONDS`, even if this process is killed.
    """
    begun = ended = time.monotonic()
    guard = [
        "systemd-run",
        "--quiet",
        f"--unit={GUARD}",
        f"--on-active={STOPPED_SECONDS}s",
        "--timer-property=AccuracySec=1s",  # the default is a minute
        "--collect",  # otherwise a failed unit prevents the next one
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
    """Write an archive from S3 to a separate folder in memory, for at most `RECEIVED_SECONDS`. Returns the folder.

    Raises: OSError, also if not all of the archive arrives; CalledProcessError.
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
    """Read the content of an archive on this node; its log may be ``damaged``. Raises: Unfit, also if the archive is torn."""
    with subprocess.Popen(["zstd", "-q", "-dc", str(path)], stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout
        try:
            content = archive.read(unpacking.stdout, damaged=damaged)
        except (EOFError, TarError) as error:
            raise archive.Unfit(f"it is torn ({error})") from None
    if unpacking.returncode:
        raise archive.Unfit("it is torn (zstd)")
    return content


def seal(folder: Path, recipients: Sequence[str], manifest: Mapping[str, Any], opened: bytes) -> dict[str, Any]:
    """Encrypt the copy in ``folder`` to age recipients, and sign its ``manifest`` with the node's key.

    ``opened`` is the opened key file, if the key file of the copy needs the unlock key. Without it, the manifest is not
    signed, nor that of a safety copy whose key file is torn. Removes archive and key file. Returns the sealed file, its size and digest, and the signature in base64.
    Raises: OSError, CalledProcessError.
    """
    sealed = folder / SEALED
    options = [word for recipient in recipients for word in ("-r", recipient)]
    subprocess.run(["age", "-e", *options, "-o", str(sealed), str(folder / ARCHIVE)], check=True)
    (folder / ARCHIVE).unlink()
    measures = measured(sealed)
    key = opened or (folder / KEY).read_bytes()
    (folder / KEY).unlink()
    (folder / STATEMENT).write_bytes(statement({**manifest, **measures}))
    try:
        signature = None if LOCKED in key else base64.b64encode(sign(folder / STATEMENT, key)).decode()
    except subprocess.CalledProcessError:
        if manifest["kind"] != "safety":
            raise
        signature = None
    return {"file": str(sealed), "signature": signature, **measures}


def statement(manifest: Mapping[str, Any]) -> bytes:
    """The bytes that a manager signs: the stored manifest without its signature, with sorted keys and no spaces."""
    signed = {key: value for key, value in manifest.items() if key != "signature"}
    return json.dumps(signed, sort_keys=True, separators=(",", ":")).encode()


def sign(file: Path, key: bytes) -> bytes:
    """Sign a file with the key of a swarm node. Leaves out the key's headers, which hold the raft log's data keys."""
    bare = b"\n".join(line for line in key.splitlines() if line and b": " not in line) + b"\n"
    argv = ["openssl", "dgst", "-sha256", "-sign", "/dev/stdin", str(file)]
    return subprocess.run(argv, input=bare, stdout=subprocess.PIPE, check=True).stdout


def measured(path: Path) -> dict[str, Any]:
    """Measure the size in bytes and the SHA-256 of a file."""
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
        with suppress(FileNotFoundError):  # another copy ended and removed it
            if now - entry.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(entry.path, ignore_errors=True)
