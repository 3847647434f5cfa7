"""Replaces a node's swarm directory by a copy, or only by its certificates.

The engine keeps running and is in no swarm. The node checks the archive's digest, unpacks its files next to the
directory, and compares their digests with the manifest. Only then it renames the new directory into place. An interrupted
restore leaves the node as it was, and can be run again.
"""

import hashlib
from pathlib import Path

from recovery.copies import contents
from recovery.copies.manifest import Manifest
from recovery.copies.snapshot import Staged
from recovery.errors import CommandFailed, EngineError, ProofFailed
from recovery.node import data_root
from recovery.node.engine import RESTART, Engine
from recovery.node.shell import DATA_ROOT
from recovery.node.ssh import Shell
from recovery.onnode.archive import KEY, OPENED, PLACED, REPAIRED
from recovery.onnode.copying import ARCHIVE
from recovery.swarm.key_file import UnlockKey, unlock
from recovery.swarm.model import LocalState

WHOLE = "swarm"
CERTIFICATES = "swarm/certificates"
SECONDS = 300
RESTART_SECONDS = 90.0
"""The engine waits 20 s for a quorum before it reports that it has started."""
MOUNT = "is a mount point"
OWN = (
    f'if mountpoint -q "$1/swarm"; then echo "$1/swarm {MOUNT}, and no directory that can be renamed" >&2; exit 1; fi; '
)
"""Ends before the first effect where the swarm directory is a file system of its own (mountpoint(1))."""
RECEIVE = (
    f'{OWN}set -e; rm -rf "$1/swarm.requorum"; mkdir -m 700 "$1/swarm.requorum"; cd "$1/swarm.requorum"; '
    'cat > copy; echo "$2  copy" | sha256sum --quiet --strict -c - >&2'
)
FETCH = (
    f'{OWN}set -e; rm -rf "$1/swarm.requorum"; mkdir -m 700 "$1/swarm.requorum"; cd "$1/swarm.requorum"; '
    'cp "$3" copy; echo "$2  copy" | sha256sum --quiet --strict -c - >&2'
)
"""As `RECEIVE`, of an archive that is on the node."""
ENGINE_STATE = "swarm/docker-state.json"
"""The file in which the engine records that it is in a swarm. Requorum does not restore it. If the machine restarted before the
forced new cluster, its engine would start by itself with the old log, as one of the old managers."""
UNPACK = (
    f'set -e -o pipefail; cd "$1/swarm.requorum"; zstd -q -dc copy | tar --sparse --exclude={ENGINE_STATE} -xpf - "$2"'
)
OPEN = 'cat > "$1/swarm.requorum/$2"'
DIGESTS = "-print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum > found"
SWAP = (
    f'set -e; cd "$1/swarm.requorum"; find "$2" ! -type d {DIGESTS}; '
    f'cmp - found >&2; [ -z "$3" ] || echo "$3" > swarm/{PLACED}; [ -z "$4" ] || : > swarm/{OPENED}; cd "$1"; '
    'if [ -e swarm ] && ! rmdir swarm 2>/dev/null; then mv swarm "swarm.before-$(date +%s)"; fi; '
    "mv swarm.requorum/swarm swarm; rm -rf swarm.requorum"
)
"""An earlier swarm directory is kept under another name, unless it is empty."""
NOTE = f'cat > "$1/swarm.requorum/swarm/{REPAIRED}"'
EXCHANGE = (
    'set -e; cd "$1/swarm.requorum"; '
    f'find "$2" ! -type d ! -name {REPAIRED} {DIGESTS}; '
    f'cmp - found >&2; [ -z "$3" ] || : > swarm/{OPENED}; cd "$1"; sync -f swarm.requorum; '
    'python3 -c "$4" swarm.requorum/swarm swarm 2>/dev/null || '
    "{ mv swarm swarm.requorum/damaged; mv swarm.requorum/swarm swarm; mv swarm.requorum/damaged swarm.requorum/swarm; }; "
    'mv swarm.requorum/swarm "swarm.before-$(date +%s)"; rm -rf swarm.requorum'
)
"""The damaged directory is kept under another name."""
AT_ONCE = (
    "import ctypes, os, sys; one, other = map(os.fsencode, sys.argv[1:]); "
    "sys.exit(ctypes.CDLL(None).renameat2(-100, one, -100, other, 2) != 0)"
)
"""Exchanges two directories in one moment (renameat2: AT_FDCWD, RENAME_EXCHANGE), where the file system can do that."""
SET_ASIDE = 'set -e; cd "$1"; mv swarm "swarm.before-$(date +%s)"; mkdir -m 700 swarm'
FORCED = f'rm -f "$1/swarm/{REPAIRED}"'
PROVEN = f'rm -f "$1/swarm/{PLACED}"'
DISCARD = 'rm -rf "$1/swarm.requorum"'


def place(
    shell: Shell, engine: Engine, archive: Path, manifest: Manifest, part: str, *, key: UnlockKey | None, mark: str = ""
) -> None:
    """Put ``part`` of the copy (`WHOLE` or `CERTIFICATES`) in place on the node. ``mark`` names the copy until it is proven.

    ``key`` is the unlock key of an autolocked swarm. With ``key``, the node gets an opened key file, and a `WHOLE` copy has
    a marker for it until `lock.lock_again`.

    Raises: EngineError if the engine is in a swarm; ProofFailed if not every file arrived as the manifest lists it. Then
    nothing has changed on the node.
    """
    info = engine.info()
    if info["Swarm"].get("LocalNodeState") != LocalState.INACTIVE:
        raise EngineError(
            f"restoring {part}",
            "its engine is in a swarm, so Requorum does not replace its files",
            remedy="find out which swarm it is in: requorum status",
            node=shell.node.name,
            code="plan-outdated",
        )
    root = info.get("DockerRootDir") or DATA_ROOT
    key_file = unlock(contents.key_file(archive, source=f"{manifest.manager}'s copy"), key) if key else b""
    try:
        shell.run(["sh", "-c", RECEIVE, "receive", root, manifest.archive_sha256], stdin=archive, seconds=SECONDS)
        shell.run(["bash", "-c", UNPACK, "unpack", root, part], seconds=SECONDS)
        if key_file:
            shell.run(["sh", "-c", OPEN, "open", root, KEY], stdin=key_file)
        marker = OPENED if key_file and part == WHOLE else ""
        argv = ["sh", "-c", SWAP, "swap", root, part, mark, marker]
        shell.run(argv, stdin=_digests(manifest, part, key_file), seconds=SECONDS)
    except CommandFailed as error:
        shell.run(["sh", "-c", DISCARD, "discard", root], check=False)
        raise ProofFailed(
            f"putting {part} of {manifest.manager}'s copy in place",
            f"not every file arrived, so Requorum changed nothing ({error.why})",
            remedy=_remedy(error),
            node=shell.node.name,
            code="restore-incomplete",
        ) from None


def exchange(shell: Shell, copy: Staged, opened: bytes, *, damage: str) -> None:
    """Put a copy with a repaired log, which is on the node, in the place of the damaged directory, and keep that.

    The engine has the damaged log, and runs or not. ``opened`` is the opened key file if the copy's is locked. ``damage``
    is noted until `forced`. Raises: ProofFailed when not every file arrived; then nothing has changed on the node.
    """
    manifest, root = copy.manifest, data_root.of(shell)
    archive = str(copy.folder / ARCHIVE)
    try:
        shell.run(["sh", "-c", FETCH, "fetch", root, manifest.archive_sha256, archive], seconds=SECONDS)
        shell.run(["bash", "-c", UNPACK, "unpack", root, WHOLE], seconds=SECONDS)
        if opened:
            shell.run(["sh", "-c", OPEN, "open", root, KEY], stdin=opened)
        shell.run(["sh", "-c", NOTE, "note", root], stdin=f"{' '.join(damage.split())}\n".encode())
        mark = OPENED if opened else ""
        argv = ["sh", "-c", EXCHANGE, "exchange", root, WHOLE, mark, AT_ONCE]
        shell.run(argv, stdin=_digests(manifest, WHOLE, opened), seconds=SECONDS)
    except CommandFailed as error:
        shell.run(["sh", "-c", DISCARD, "discard", root], check=False)
        raise ProofFailed(
            "putting the repaired log in place",
            f"not every file arrived; nothing was changed ({error.why})",
            remedy=_remedy(error),
            node=shell.node.name,
            code="restore-incomplete",
        ) from None


def _digests(manifest: Manifest, part: str, opened: bytes) -> bytes:
    """The digest of each file of ``part`` as ``sha256sum`` prints them, in the order of their paths.

    ``opened`` is the opened key file, if it takes the place of the copy's.
    """
    files = {entry.path: entry.sha256 for entry in manifest.files if entry.path.startswith(part + "/")}
    files.pop(ENGINE_STATE, None)
    if opened:
        files[KEY] = hashlib.sha256(opened).hexdigest()
    return b"".join(f"{digest}  {path}\n".encode() for path, digest in sorted(files.items()))


def forced(shell: Shell, engine: Engine) -> None:
    """Remove the note of a repaired log, because a new cluster was forced from it."""
    shell.run(["sh", "-c", FORCED, "forced", engine.info().get("DockerRootDir") or DATA_ROOT])


def set_aside_halted(shell: Shell) -> None:
    """Rename the swarm directory of an engine that does not start on its log, and start the engine. Raises: CommandFailed."""
    shell.run(["sh", "-c", f"{SET_ASIDE}; set +e; {RESTART}", "aside", data_root.of(shell)], seconds=RESTART_SECONDS)


def set_aside(shell: Shell, engine: Engine) -> None:
    """Rename the swarm directory of an engine that is in no swarm, so that its content stays on the disk."""
    shell.run(["sh", "-c", SET_ASIDE, "aside", engine.info().get("DockerRootDir") or DATA_ROOT])


def proven(shell: Shell, engine: Engine) -> None:
    """Remove the mark of an unproven restore, because the restored swarm is proven."""
    shell.run(["sh", "-c", PROVEN, "proven", engine.info().get("DockerRootDir") or DATA_ROOT])


def _remedy(error: CommandFailed) -> str:
    """What to do about files that did not arrive."""
    if MOUNT in error.why:
        return "stop the engine on the node, copy the directory to the disk below it, unmount it, then run the same command again"
    return "check the node's disk space, then run the same command again"
