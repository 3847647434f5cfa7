"""The S3 credentials that agents get: the profiles that they need, and nothing else of the operator's file."""

from collections.abc import Sequence
from configparser import Error as ConfigParserError
from configparser import RawConfigParser
from io import StringIO
from pathlib import Path

from recovery.errors import SettingError
from recovery.s3.bucket import Bucket


def credentials(path: Path, buckets: Sequence[Bucket]) -> bytes:
    """The profiles that the sites need, with their source profiles, and nothing else of the operator's file.

    Raises: SettingError, which shows nothing of the file's content.
    """
    content, given, needed = read(path, "agent.credentialsFile"), RawConfigParser(strict=False), RawConfigParser()
    try:
        given.read_string(content.decode())
    except (ConfigParserError, UnicodeDecodeError):
        raise SettingError(
            "agent.credentialsFile",
            f"{path} is not an AWS shared credentials file",
            remedy="write a [default] profile with keys into the file",
            code="setting-invalid",
        ) from None
    for site in (bucket.profile or "default" for bucket in buckets):
        name: str | None = site
        while name is not None and name not in needed.sections():
            if name not in given.sections():
                lacks = f"profile [{site}]" if name == site else f"source_profile that profile [{site}] leads to"
                raise SettingError(
                    "agent.credentialsFile",
                    f"{path} has no {lacks}",
                    remedy="add the profile, with a key that only the nodes use",
                    code="setting-invalid",
                )
            needed[name] = dict(given.items(name))
            name = needed.get(name, "source_profile", fallback=None)
    text = StringIO()
    needed.write(text)
    return text.getvalue().encode()


def read(path: Path, setting: str) -> bytes:
    """A file that a setting names. Raises: SettingError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingError(
            setting, f"{path}: {error.strerror}", remedy="name a readable file", code="unreadable-file"
        ) from None
