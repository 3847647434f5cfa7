"""Unlock keys in S3: readable by every recipient's identity, by nobody without, and never overwritten."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pyrage
import pytest
from syrupy.assertion import SnapshotAssertion

from recovery.copies import snapshot
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.copies.manifest import Manifest
from recovery.copies.taking import take_safety
from recovery.errors import DamagedKeyFile, NoUnlockKey, SettingError, StoreError
from recovery.node.ssh import Shell
from recovery.onnode.archive import KEY
from recovery.s3 import sealing
from recovery.s3.sealing import seal
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.settings import Settings
from recovery.swarm.key_file import UnlockKey
from tests.unit import factories as make
from tests.unit.copies.test_snapshot import CONTENT, archive
from tests.unit.swarm.test_key_file import key_file, unlock_key

Make = Callable[..., Settings]
OURS, PARTNERS = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()


@pytest.fixture
def of(tmp_path: Path) -> Make:
    def made(identity: Any = OURS, recipients: tuple[Any, ...] = (OURS, PARTNERS)) -> Settings:
        file = tmp_path / "identity"
        file.write_text(f"# a comment\n{identity}\n")
        names = [str(recipient.to_public()) for recipient in recipients]
        return make.settings(escrow={"recipients": names, "identityFile": str(file)})

    return made


@pytest.mark.parametrize("identity", [OURS, PARTNERS], ids=["ours", "a partner's"])
def test_each_recipient_can_read_a_kept_key(of: Make, bucket: Any, identity: Any) -> None:
    Escrow(of()).keep(unlock_key())
    assert Escrow(of(identity)).opening(key_file(unlock_key()), whose="it") == unlock_key()


TORN = [b"", key_file(unlock_key())[:200], key_file(unlock_key()).replace(b": ", b":", 1)]


@pytest.mark.parametrize("torn", TORN, ids=["empty", "cut", "garbled"])
def test_a_torn_key_file_is_told_with_its_manager(of: Make, bucket: Any, torn: bytes) -> None:
    Escrow(of()).keep(unlock_key())
    with pytest.raises(DamagedKeyFile, match=r"^manager-a: (?s:.*)docker swarm leave(?s:.*)code: key-file-unreadable$"):
        Escrow(of()).opening(torn, whose="manager-a")


@pytest.mark.parametrize("torn", TORN, ids=["empty", "cut", "garbled"])
def test_a_safety_copy_with_a_torn_key_file_is_stored_unsigned(
    of: Make, bucket: Any, monkeypatch: pytest.MonkeyPatch, torn: bytes
) -> None:
    def take_leaderless(_: Any, sealed: Path, opening: Callable[[bytes], bytes], **__: Any) -> Manifest:
        sealed.write_bytes(b"sealed")
        assert opening(torn) == b"", "nobody signs it"
        return replace(make.manifest(kind="safety"), signature=None)

    Escrow(of()).keep(unlock_key())
    monkeypatch.setattr(snapshot, "take_leaderless", take_leaderless)
    node = of().managers[0]
    copy, _ = take_safety(Store(of().backup.sites), of(), Shell(node, of().ssh))
    assert bucket.Object(copy.key).get()["Body"].read() == b"sealed"
    assert Catalog(of()).manifest(copy).signature is None


def test_what_lies_in_s3_does_not_show_the_key(of: Make, bucket: Any) -> None:
    Escrow(of()).keep(unlock_key())
    (kept,) = bucket.objects.all()
    assert kept.key.startswith(f"requorum/lab/unlock-keys/{unlock_key().fingerprint}-")
    content = kept.get()["Body"].read()
    assert unlock_key().text.encode() not in content
    assert unlock_key().secret not in content


def test_older_keys_stay_for_older_copies(of: Make, bucket: Any) -> None:
    old, new = unlock_key(b"o" * 32), unlock_key(b"n" * 32)
    for key in (old, new, old):
        Escrow(of()).keep(key)
    assert len(list(bucket.objects.all())) == 2
    assert Escrow(of()).opening(key_file(old), whose="it") == old


def test_a_key_in_use_is_kept_for_new_recipients_too(of: Make, bucket: Any) -> None:
    lost = pyrage.x25519.Identity.generate()
    old, new = unlock_key(b"o" * 32), unlock_key(b"n" * 32)
    for key in (old, new):
        Escrow(of(recipients=(lost,))).keep(key)
    before = {found.key: found.get()["Body"].read() for found in bucket.objects.all()}
    with pytest.raises(SettingError, match=r"code: wrong-identity$"):
        Escrow(of()).opening(key_file(new), whose="it")
    Escrow(of()).keep(new)
    for identity in (OURS, PARTNERS, lost):
        assert Escrow(of(identity)).opening(key_file(new), whose="it") == new
    assert Escrow(of(lost)).opening(key_file(old), whose="it") == old
    with pytest.raises(SettingError, match=f"{old.fingerprint}(?s:.*)code: wrong-identity$"):
        Escrow(of()).opening(key_file(old), whose="it")
    after = {found.key: found.get()["Body"].read() for found in bucket.objects.all()}
    assert after.items() > before.items(), "nothing was overwritten"
    assert len(after) == 3
    Escrow(of(recipients=(PARTNERS, OURS))).keep(new)
    assert len(list(bucket.objects.all())) == 3, "their order makes no difference"


def test_a_key_that_is_none_keeps_no_other_from_being_found(of: Make, bucket: Any) -> None:
    bucket.put_object(Key="requorum/lab/unlock-keys/0-0.age", Body=b"none")
    Escrow(of()).keep(unlock_key())
    assert Escrow(of()).opening(key_file(unlock_key()), whose="it") == unlock_key()
    with pytest.raises(SettingError, match=r"unlock key 0,(?s:.*)code: wrong-identity$"):
        Escrow(of()).opening(key_file(unlock_key(b"x" * 32)), whose="it")


def test_no_key_that_opens_it_is_said_with_what_to_run(of: Make, bucket: Any, snapshot: SnapshotAssertion) -> None:
    with pytest.raises(NoUnlockKey) as none:
        Escrow(of()).opening(key_file(unlock_key()), whose="manager-a")
    Escrow(of()).keep(unlock_key(b"x" * 32))
    with pytest.raises(NoUnlockKey) as another:
        Escrow(of()).opening(key_file(unlock_key()), whose="manager-a")
    assert [str(none.value), str(another.value)] == snapshot


def test_a_stranger_s_identity_opens_nothing(of: Make, bucket: Any) -> None:
    Escrow(of()).keep(unlock_key())
    with pytest.raises(SettingError, match=r"requorum:escrow\.identityFile"):
        Escrow(of(pyrage.x25519.Identity.generate())).opening(key_file(unlock_key()), whose="it")


def test_without_a_recipient_no_key_is_kept(bucket: Any) -> None:
    with pytest.raises(SettingError, match=r"code: no-escrow-recipients$"):
        Escrow(make.settings()).keep(unlock_key())
    assert not list(bucket.objects.all())


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("nothing", "no age identity")], ids=["missing", "not one"]
)
def test_an_identity_file_that_is_none_is_said(
    of: Make, bucket: Any, tmp_path: Path, content: str | None, said: str
) -> None:
    Escrow(of()).keep(unlock_key())
    broken = of()
    file = tmp_path / "identity"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(SettingError, match=said):
        Escrow(broken).opening(key_file(unlock_key()), whose="it")


def sealed_to(whom: Any, key: UnlockKey) -> bytes:
    return seal(key.text.encode(), [str(whom.to_public())])


SPOILT = {
    "empty": b"",
    "something else": b"<html>",
    "truncated": sealed_to(OURS, unlock_key())[:-1],
    "a stranger's": sealed_to(pyrage.x25519.Identity.generate(), unlock_key()),
    "another key": sealed_to(OURS, unlock_key(b"x" * 32)),
}


@pytest.mark.parametrize("spoilt", SPOILT.values(), ids=SPOILT.keys())
def test_what_lies_in_the_place_of_a_key_and_is_none_is_written_anew(of: Make, bucket: Any, spoilt: bytes) -> None:
    Escrow(of()).keep(unlock_key())
    (kept,) = bucket.objects.all()
    kept.put(Body=spoilt)
    Escrow(of()).keep(unlock_key())
    assert Escrow(of()).opening(key_file(unlock_key()), whose="it") == unlock_key()
    assert len(list(bucket.objects.all())) == 1


@pytest.mark.parametrize("at_hand", ["no identity", "none of a recipient"])
@pytest.mark.parametrize(("spoilt", "anew"), [(b"", True), (b"<html>", True), (SPOILT["a stranger's"], False)])
def test_where_no_key_can_be_opened_only_what_is_plainly_none_is_written_anew(
    of: Make, bucket: Any, tmp_path: Path, at_hand: str, spoilt: bytes, anew: bool
) -> None:
    Escrow(of()).keep(unlock_key())
    (kept,) = bucket.objects.all()
    kept.put(Body=spoilt)
    here = of(pyrage.x25519.Identity.generate())
    if at_hand == "no identity":
        (tmp_path / "identity").unlink()
    Escrow(here).keep(unlock_key())
    assert (kept.get()["Body"].read() != spoilt) is anew


def test_a_key_that_several_store_at_once_is_stored(of: Make, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sealings of one key differ in length, and each would be checked against its own."""
    settings, real = of(), sealing.seal
    lengths, looked, written, put = iter((0, 64)), Barrier(2), Barrier(2), Site._put

    def seal(content: bytes, recipients: Any) -> bytes:
        looked.wait(60)
        return real(content, recipients) + bytes(next(lengths))

    def both(site: Site, *given: Any, **named: Any) -> None:
        put(site, *given, **named)
        written.wait(60)

    monkeypatch.setattr(sealing, "seal", seal)
    monkeypatch.setattr(Escrow, "_is", lambda _, __, found: bool(found))
    monkeypatch.setattr(Site, "_put", both)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(Escrow(settings).keep, unlock_key()) for _ in range(2)]:
            done.result()


def test_a_key_that_the_server_stored_only_in_part_is_an_error(
    of: Make, bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, put = of(), Site._put
    (tmp_path / "identity").unlink()
    monkeypatch.setattr(Site, "_put", lambda site, key, content, **extra: put(site, key, content[:99], **extra))
    with pytest.raises(StoreError, match=r"code: s3-wrong-answer$"):
        Escrow(settings).keep(unlock_key())


def test_a_copy_is_checked_for_its_key_where_an_identity_is_at_hand(of: Make, bucket: Any, tmp_path: Path) -> None:
    path = archive(tmp_path / "copy", {**CONTENT, KEY: key_file(unlock_key())})
    plain, locked = make.manifest(), make.manifest(autolock=True)
    Escrow(of()).check(path, plain, whose="it")
    with pytest.raises(NoUnlockKey):
        Escrow(of()).check(path, locked, whose="it")
    Escrow(of()).keep(unlock_key())
    Escrow(of()).check(path, locked, whose="it")
    with pytest.raises(SettingError, match=r"requorum:escrow\.identityFile(?s:.*)code: wrong-identity$"):
        Escrow(of(pyrage.x25519.Identity.generate())).check(path, locked, whose="it")
    elsewhere = of()
    (tmp_path / "identity").unlink()
    Escrow(elsewhere).check(path, locked, whose="it")


def test_a_key_that_was_just_kept_is_looked_for_where_it_lies_now(of: Make, bucket: Any) -> None:
    bucket.Versioning().enable()
    then = of()
    then = then.model_copy(update={"backup": then.backup.model_copy(update={"as_of": make.NOW})})
    Escrow(then).keep(unlock_key())
    pem = key_file(unlock_key())
    assert Escrow(then, now=True).opening(pem, whose="it") == unlock_key()
    with pytest.raises(NoUnlockKey):
        Escrow(then).opening(pem, whose="it")
