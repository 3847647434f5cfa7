"""Unlock keys of an autolocked swarm, kept in S3 apart from the copies and encrypted to the operators' age recipients.

Keys are ``PREFIX/CLUSTER/unlock-keys/FINGERPRINT.age``. None is ever removed: each copy needs
the key of its own time. Reading them takes an operator's identity, which lies on no node and not in S3.
"""

from collections.abc import Iterator

from recovery import sealing
from recovery.errors import NoUnlockKey, SettingError
from recovery.keyfile import ESCROW, SUFFIX, UnlockKey, opens
from recovery.sealing import Identities
from recovery.settings import Settings
from recovery.site import Site
from recovery.store import Store


class Escrow:
    """The unlock keys of the settings' cluster."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self._escrow = settings.escrow
        self._store = store or Store(settings.backup.sites)
        cluster = f"{settings.backup.prefix}/{settings.cluster}/"
        self._cluster, self._prefix = cluster, cluster + ESCROW
        self._known: dict[str, UnlockKey] = {}
        self._identities: Identities | None = None

    def keep(self, key: UnlockKey) -> None:
        """Have the key at every site, locked for as long as a copy of now. Raises: SettingError where no recipient is named; StoreError."""
        name = self._cluster + key.escrowed

        def have(site: Site) -> None:
            if site.keys(name):
                site.prolong(name)
            else:
                site.keep(name, self._sealed(key))

        self._store.everywhere(have)

    def opening(self, pem: bytes, *, whose: str) -> UnlockKey:
        """The key that opens a locked key file.

        Raises: NoUnlockKey when none of them does; SettingError when the identity cannot be used; StoreError.
        """
        tried = 0
        for tried, key in enumerate(self._keys(), 1):  # noqa: B007
            if opens(key, pem):
                return key
        raise NoUnlockKey(
            f"looking for the unlock key of {whose}",
            f"none of the {tried} keys in escrow opens it" if tried else "no unlock key is in escrow",
            remedy="give the key that you kept (docker swarm unlock-key) to: requorum escrow",
        )

    def _sealed(self, key: UnlockKey) -> bytes:
        if not self._escrow.recipients:
            raise SettingError(
                "escrow.recipients",
                "is not set, and the swarm is autolocked: a copy is of no use without the unlock key",
                remedy=f"{sealing.KEYGEN} here and FILE as requorum:escrow.identityFile",
            )
        return sealing.seal(key.text.encode(), self._escrow.recipients)

    def _keys(self) -> Iterator[UnlockKey]:
        for fingerprint in self._fingerprints():
            if fingerprint not in self._known:
                sealed = self._store.then.get(self._prefix + fingerprint + SUFFIX)
                self._known[fingerprint] = self._unseal(sealed, fingerprint)
            yield self._known[fingerprint]

    def _fingerprints(self) -> tuple[str, ...]:
        keys = self._store.then.keys(self._prefix)
        return tuple(key.removeprefix(self._prefix).removesuffix(SUFFIX) for key in keys if key.endswith(SUFFIX))

    def _unseal(self, sealed: bytes, fingerprint: str) -> UnlockKey:
        if self._identities is None:
            self._identities = Identities(self._escrow.identity_file, setting="escrow.identityFile")
        try:
            return UnlockKey(self._identities.unseal(sealed).decode())
        except ValueError as error:
            raise SettingError(
                "escrow.identityFile",
                f"it does not open the unlock key {fingerprint} ({error})",
                remedy="name the file with the identity of one of the recipients",
            ) from None
