"""Unlock keys of an autolocked swarm, kept in S3 apart from the copies and encrypted to the operators' age recipients.

Keys are ``PREFIX/CLUSTER/unlock-keys/FINGERPRINT-RECIPIENTS.age``. None is ever removed: each copy needs
the key of its own time. Once the recipients changed, a key that is still in use is kept for the new ones too.
Reading them takes an operator's identity, which lies on no node and not in S3.
"""

from functools import cached_property
from pathlib import Path

from recovery.copies import contents
from recovery.copies.manifest import Manifest
from recovery.errors import NoUnlockKey, SettingError
from recovery.s3 import sealing
from recovery.s3.keys import UNLOCK_KEY
from recovery.s3.sealing import Identities
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.swarm.key_file import UnlockKey, opens


class Escrow:
    """The unlock keys of the settings' cluster, read as of requorum:backup.asOf; with ``now``, as they lie there."""

    def __init__(self, settings: Settings, store: Store | None = None, *, now: bool = False) -> None:
        self._escrow = settings.escrow
        self._store = store or Store(settings.backup.sites)
        self._read = self._store if now else self._store.then
        self._folder = settings.keys.unlock_keys
        self._known: dict[str, UnlockKey] = {}

    def keep(self, key: UnlockKey) -> None:
        """Have the key at every site, locked for as long as a copy of now.

        What lies there already is opened, where an identity of one of the recipients is at hand, and written anew where it is
        not the key. Raises: SettingError where no recipient is named, or the identity cannot be used; StoreError.
        """
        name = self._folder + key.escrowed(self._escrow.recipients)

        def have(site: Site) -> None:
            if self._is(key, site.look(name)):
                site.prolong(name)
            else:
                site.keep(name, self._sealed(key))

        self._store.everywhere(have)

    def check(self, archive: Path, manifest: Manifest, *, whose: str) -> None:
        """Where an identity is at hand, open the key that a copy needs. Raises: DamagedCopy; as `opening`."""
        if manifest.autolock and sealing.at_hand(self._escrow.identity_file):
            self.opening(contents.key_file(archive, source=whose), whose=whose)

    def opening(self, pem: bytes, *, whose: str) -> UnlockKey:
        """The key that opens a locked key file.

        Raises: NoUnlockKey when none of them does; SettingError when the identity cannot be used, or does not open all
        of them and the others do not; StoreError.
        """
        tried, unread = set[str](), dict[str, ValueError]()
        for name in self._names():
            try:
                key = self._key(name)
            except ValueError as error:
                unread[name.split("-")[0]] = error
                continue
            if opens(key, pem):
                return key
            tried.add(key.fingerprint)
        for fingerprint in unread.keys() - tried:
            raise SettingError(
                "escrow.identityFile",
                f"it does not open the unlock key {fingerprint}, which {whose} may need ({unread[fingerprint]})",
                remedy="name the file with the identity of one of the recipients at that time; it may hold several",
            )
        raise NoUnlockKey(
            f"looking for the unlock key of {whose}",
            f"none of the {len(tried)} keys in escrow opens it" if tried else "no unlock key is in escrow",
            remedy="give the key that you kept (docker swarm unlock-key) to: requorum escrow",
        )

    def _is(self, key: UnlockKey, found: tuple[bytes, str] | None) -> bool:
        """Whether what was found under its name is the key, as far as that can be told here."""
        sealed = found[0] if found else b""
        if not (
            sealing.at_hand(self._escrow.identity_file)
            and self._opening.recipients.intersection(self._escrow.recipients)
        ):
            return sealed.startswith(sealing.BEGINS)
        try:
            return self._opening.unseal(sealed).decode() == key.text
        except ValueError:
            return False

    def _sealed(self, key: UnlockKey) -> bytes:
        if not self._escrow.recipients:
            raise SettingError(
                "escrow.recipients",
                "is not set, and the swarm is autolocked: a copy is of no use without the unlock key",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:escrow.identityFile",
            )
        return sealing.seal(key.text.encode(), self._escrow.recipients)

    def _names(self) -> tuple[str, ...]:
        keys = self._read.keys(self._folder)
        return tuple(
            key.removeprefix(self._folder).removesuffix(UNLOCK_KEY) for key in keys if key.endswith(UNLOCK_KEY)
        )

    def _key(self, name: str) -> UnlockKey:
        """Raises: ValueError when it is sealed to others, or none; SettingError, StoreError."""
        if name not in self._known:
            sealed = self._read.get(self._folder + name + UNLOCK_KEY)
            self._known[name] = UnlockKey(self._opening.unseal(sealed).decode())
        return self._known[name]

    @cached_property
    def _opening(self) -> Identities:
        return Identities(self._escrow.identity_file, setting="escrow.identityFile")
