"""Puts the shipped workflows of a forge into a project."""

from pathlib import Path

from recovery.errors import Refused, local_fault

SHIPPED = Path(__file__).resolve().parents[2] / "pipelines"
PLACES = {"github": Path(".github/workflows"), "gitlab": Path(), "timer": Path("systemd"), "service": Path("systemd")}
"""Where each kind is put in a project."""


def install(kind: str, project: Path) -> list[Path]:
    """Copy the files of that kind into the project; the files that are new. Files that are the same stay.

    Raises: Refused, before anything is written, if a file is there with another content; LocalError.
    """
    target = project / PLACES[kind]
    pairs = [(file, target / file.name) for file in sorted((SHIPPED / kind).iterdir()) if file.is_file()]
    others = [there for file, there in pairs if there.exists() and there.read_bytes() != file.read_bytes()]
    if others:
        raise Refused(
            f"installing the workflows for {kind}",
            f"{others[0]} is there already, and differs from the file of this release",
            remedy=f"compare them: diff {others[0]} {SHIPPED / kind / others[0].name}. Remove yours to get the new one",
            code="file-exists",
        )
    try:
        return [_copied(file, there) for file, there in pairs if not there.exists()]
    except OSError as error:
        raise local_fault(error, target) from error


def _copied(file: Path, there: Path) -> Path:
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(file.read_bytes())
    return there
