"""Escrow: the unlock keys of an autolocked swarm, stored in S3 apart from the copies, sealed to age recipients.

An unlock key is stored as ``PREFIX/CLUSTER/unlock-keys/FINGERPRINT-RECIPIENTS.age``. Requorum never removes one: each
copy needs the key of its own time. If the recipients change, a key that is still in use is stored for the new ones too.
Reading a key needs an operator's identity, which is stored neither on a node nor in S3.
"""

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from recovery.copies import contents
from recovery.copies.manifest import Manifest
from recovery.copies.torn_key import require_key_file
from recovery.errors import NoUnlockKey, SettingError, StoreError
from recovery.s3 import sealing
from recovery.s3.keys import UNLOCK_KEY
from recovery.s3.sealing import Identities
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.swarm.key_file import UnlockKey, opens


class Escrow:
    """The unlock keys of the settings' cluster, read as of requorum:backup.asOf, or with ``now`` as they are now."""

    def __init__(self, settings: Settings, store: Store | None = None, *, now: bool = False) -> None:
        self._escrow = settings.escrow
        self._store = store or Store(settings.backup.sites)
        self._read = self._store if now else self._store.then
        self._folder = settings.keys.unlock_keys
        self._known: dict[str, UnlockKey] = {}

    def keep(self, key: UnlockKey) -> None:
        """Store the key at every site, with the same lock period as a copy that is taken now.

        If an identity of one of the recipients is available, an existing object is opened, and replaced if it is not
        this key. Several managers may store the same key at the same time. Raises: SettingError if no recipient is set, or the identity cannot be used; StoreError.
        """
        name = self._folder + key.escrowed(self._escrow.recipients)

        def have(site: Site) -> None:
            if self._is(key, site.look(name)):
                site.prolong(name)
                return
            sealed = self._sealed(key)
            try:
                site.keep(name, sealed)
            except StoreError:
                if not self._is_anothers(key, site.look(name), sealed):
                    raise

        self._store.everywhere(have)

    def _is_anothers(self, key: UnlockKey, found: tuple[bytes, str] | None, ours: bytes) -> bool:
        """Whether another process stored the key at the same time. Its sealing differs from ours, also in length."""
        return found is not None and not ours.startswith(found[0]) and self._is(key, found)

    def check(self, archive: Path, manifest: Manifest, *, whose: str) -> None:
        """If an identity is available, open the unlock key that a copy needs. Raises: DamagedCopy; as `opening`."""
        if manifest.autolock and sealing.at_hand(self._escrow.identity_file):
            self.opening(contents.key_file(archive, source=whose), whose=whose)

    def held(self, fingerprints: Collection[str]) -> dict[str, bool]:
        """Which of the keys with these fingerprints are in escrow, and whether an identity here opens each. Raises: StoreError."""
        found: dict[str, bool] = {}
        for name in self._names():
            fingerprint = name.split("-")[0]
            if fingerprint in fingerprints:
                found[fingerprint] = found.get(fingerprint, False) or self._holds(name, fingerprint)
        return found

    def opening(self, pem: bytes, *, whose: str) -> UnlockKey:
        """The unlock key that opens a locked key file.

        Raises: DamagedKeyFile if it is none; NoUnlockKey if no key does; SettingError if the identity cannot be used, or if it does not open all
        keys and none of the others is the right one; StoreError.
        """
        require_key_file(pem, node=whose)
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
                remedy="add the identity of a recipient of that time to the file",
                code="wrong-identity",
            )
        raise NoUnlockKey(
            f"looking for the unlock key of {whose}",
            f"none of the {len(tried)} keys in escrow opens it" if tried else "escrow has no unlock key",
            remedy="give the key that you kept (docker swarm unlock-key) to: requorum escrow",
            code="no-unlock-key",
        )

    def _is(self, key: UnlockKey, found: tuple[bytes, str] | None) -> bool:
        """Whether the object with the key's name is the key. Without an identity, any age file counts as the key."""
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
                "is not set, but the swarm is autolocked. A copy is useless without the unlock key",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:escrow.identityFile",
                code="no-escrow-recipients",
            )
        return sealing.seal(key.text.encode(), self._escrow.recipients)

    def _holds(self, name: str, fingerprint: str) -> bool:
        """Whether an identity here opens the object of that name, and it is the key. Raises: StoreError."""
        try:
            return self._key(name).fingerprint == fingerprint
        except (ValueError, SettingError):
            return False

    def _names(self) -> tuple[str, ...]:
        keys = self._read.keys(self._folder)
        return tuple(
            key.removeprefix(self._folder).removesuffix(UNLOCK_KEY) for key in keys if key.endswith(UNLOCK_KEY)
        )

    def _key(self, name: str) -> UnlockKey:
        """The key of that name. Raises: ValueError if the identities do not open it, or it is none; SettingError; StoreError."""
        if name not in self._known:
            sealed = self._read.get(self._folder + name + UNLOCK_KEY)
            self._known[name] = UnlockKey(self._opening.unseal(sealed).decode())
        return self._known[name]

    @cached_property
    def _opening(self) -> Identities:
        return Identities(self._escrow.identity_file, setting="escrow.identityFile")
