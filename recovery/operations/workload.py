"""The files that the workload of the stack file names, on the operator's machine."""

from pathlib import Path

from recovery.errors import SettingError
from recovery.settings.workload import Content


def content(key: str, file: Path) -> bytes:
    """The content of a file that the setting ``key`` names. Raises: SettingError."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingError(
            key, f"{file}: {error.strerror}", remedy="name a readable file", code="unreadable-file"
        ) from None


def stored(key: str, of: Content) -> bytes:
    """What a secret or config holds. Raises: SettingError."""
    return content(f"{key}.file", of.file) if of.file else str(of.value).encode()
