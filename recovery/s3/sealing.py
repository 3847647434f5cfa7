"""age, through pyrage: what is kept in S3 is sealed to the operators' recipients, and opened with one of their identities."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pyrage

from recovery.errors import SettingError

KEYGEN = "make an age identity on a machine that is no node (age-keygen -o FILE), and give its public key"


BEGINS = b"age-encryption.org/v1\n"
"""How whatever age has sealed begins (age-encryption.org/v1)."""


class Unreadable(ValueError):
    """A sealed object that the available identities do not open, or that was altered."""


def require_recipient(text: str) -> str:
    """The text, where it is an X25519 recipient. Raises: ValueError."""
    try:
        pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise ValueError("an age recipient starts with age1; age-keygen prints it as the public key") from None
    return text


def seal(content: bytes, recipients: Sequence[str]) -> bytes:
    """The content, sealed so that each of the recipients can open it."""
    return bytes(pyrage.encrypt(content, [pyrage.x25519.Recipient.from_str(recipient) for recipient in recipients]))


def new_identity() -> tuple[str, str]:
    """The text of a new age identity file, a secret, and its recipient. The text is in the form that age-keygen writes."""
    made = pyrage.x25519.Identity.generate()
    recipient = str(made.to_public())
    return f"# public key: {recipient}\n{made}\n", recipient


def at_hand(file: Path | None) -> bool:
    """Whether an age identity file is named and can be read here. Taking copies needs no identity."""
    return file is not None and os.access(file, os.R_OK)


class Identities:
    """The identities of an age identity file: secrets. ``setting`` names the file in error messages.

    Raises: SettingError when no file is named, or the file holds no identity.
    """

    def __init__(self, file: Path | None, *, setting: str) -> None:
        self.setting = setting
        self._all = _read(file, setting)

    @property
    def recipients(self) -> frozenset[str]:
        """Their public keys."""
        return frozenset(str(identity.to_public()) for identity in self._all)

    def unseal(self, content: bytes) -> bytes:
        """The content of a sealed object. Raises: Unreadable."""
        try:
            return bytes(pyrage.decrypt(content, self._all))
        except pyrage.DecryptError as error:
            raise self._unreadable(error) from None

    def unseal_file(self, sealed: Path, plain: Path) -> None:
        """Open a sealed file into the file ``plain``, which may hold a part after an error. Raises: Unreadable; OSError."""
        try:
            with sealed.open("rb") as source, plain.open("wb") as target:
                pyrage.decrypt_io(source, target, self._all)
        except pyrage.DecryptError as error:
            raise self._unreadable(error) from None
        except OSError as error:
            if error.errno:
                raise
            raise self._unreadable(
                error
            ) from None  # of what follows the header, pyrage says so by an OSError of its own

    def _unreadable(self, error: Exception) -> Unreadable:
        return Unreadable(f"the identities of requorum:{self.setting} do not open it, or it was altered ({error})")

    def unseal_stream(self, sealed: IO[bytes], plain: Any) -> None:
        """Open a sealed stream into ``plain``, a writer, block by block. Raises: Unreadable; what ``plain`` raises."""
        try:
            pyrage.decrypt_io(sealed, plain, self._all)
        except pyrage.DecryptError as error:
            raise Unreadable(f"the identities of requorum:{self.setting} do not open it ({error})") from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise Unreadable("it was cut off or altered") from None  # what age itself finds has no number


def _read(file: Path | None, setting: str) -> list[pyrage.x25519.Identity]:
    if file is None:
        raise SettingError(
            setting,
            "is not set, and Requorum needs an age identity to open what is sealed",
            remedy=f"name the age identity file that belongs to one of requorum:{setting.split('.')[0]}.recipients",
            code="setting-missing",
        )
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except OSError as error:
        raise SettingError(
            setting, f"{file}: {error.strerror}", remedy="name a readable file", code="unreadable-file"
        ) from None
    except (pyrage.IdentityError, UnicodeDecodeError):
        found = []
    if not found:
        raise SettingError(
            setting,
            f"{file} holds no age identity",
            remedy="name a file that age-keygen made",
            code="unreadable-file",
        )
    return found
