"""What `rclone serve s3` lacks is found out and said, and nothing rests on it; what it has serves as a second site."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recovery.cli.show.s3 import exit_code
from recovery.copies.catalog import Catalog
from recovery.copies.escrow import Escrow
from recovery.errors import StoreError
from recovery.s3.capability import ProbeResult
from recovery.s3.line import PART
from recovery.settings import Settings
from recovery.swarm.key_file import UnlockKey
from tests.probing import probed
from tests.s3.conftest import program
from tests.s3.servers import Rclone, Server, Versitygw
from tests.unit import factories as make

LOCK = {"mode": "governance", "days": 1}
MANIFEST = make.manifest()
KEY = UnlockKey("SWMKEY-1-wBHuRZZ0gWzOlm8jSYGxPGh5dQVTTbGLxkbTLzWZhqg")

Of = Callable[..., Settings]

pytestmark = pytest.mark.parametrize("server", [Rclone], indirect=True)


def test_what_the_server_offers_is_found_out_and_nothing_stays(of: Of, server: Server) -> None:
    (found,) = probed(of())
    assert {offer.what: offer.answer for offer in found.offers} == {
        "reachable": ProbeResult.YES,
        "versioning": ProbeResult.NO,
        "object lock": ProbeResult.NO,
        "conditional writes": ProbeResult.IGNORED,
        "encryption (s3)": ProbeResult.IGNORED,
        "multipart uploads": ProbeResult.YES,
        "checksums": ProbeResult.IGNORED,
        "removal": ProbeResult.YES,
    }
    assert exit_code(found) == 3, "two operators are not kept apart as well as elsewhere"
    assert server.keys("plain") == []


def test_what_the_settings_ask_for_in_vain_is_named(of: Of) -> None:
    settings = of(lock=LOCK, encryption={"mode": "kms"}, checksums=True, asOf="2026-01-01T00:00:00Z")
    (found,) = probed(settings)
    lacking = {offer.needed for offer in found.offers if offer.needed and offer.answer is not ProbeResult.YES}
    assert lacking == {
        "backup.lock",
        "backup.encryption",
        "backup.checksums",
        "backup.asOf",
        "the lease of two operators",
    }


@pytest.mark.parametrize("size", [1000, PART + 1], ids=["in one", "in parts"])
@pytest.mark.parametrize("encryption", [{"mode": "s3"}, {"mode": "kms", "kmsKeyId": "alias/copies"}], ids=["s3", "kms"])
def test_encryption_that_is_merely_handed_back_is_an_error(
    of: Of, server: Server, sealed: Path, encryption: dict[str, str], size: int
) -> None:
    sealed.write_bytes(os.urandom(size))
    with pytest.raises(StoreError, match=r"requorum:backup\.encryption.*\n.*requorum s3.*\n.*code: s3-not-supported"):
        Catalog(of(encryption=encryption)).add(MANIFEST, sealed)
    (key,) = server.keys("plain")
    assert "ServerSideEncryption" in server.s3.head_object(Bucket="plain", Key=key), "it says so"
    assert Catalog(of()).copies == ()


def test_a_lock_is_refused_before_the_first_copy(of: Of, server: Server, sealed: Path) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.lock(?s:.*)code: s3-not-supported"):
        Catalog(of(lock=LOCK)).add(MANIFEST, sealed)
    assert server.keys("plain") == []


def test_a_lock_that_is_asked_for_later_spoils_no_unlock_key(of: Of, server: Server) -> None:
    def stored() -> bytes:
        (key,) = server.keys("plain")
        content: bytes = server.s3.get_object(Bucket="plain", Key=key)["Body"].read()
        return content

    Escrow(of()).keep(KEY)
    before = stored()
    with pytest.raises(StoreError, match=r"requorum:backup\.lock(?s:.*)code: s3-not-supported"):
        Escrow(of(lock=LOCK)).keep(KEY)
    assert stored() == before


def test_reading_as_of_a_time_is_refused(of: Of) -> None:
    with pytest.raises(StoreError, match=r"requorum:backup\.asOf(?s:.*)code: s3-not-supported"):
        Catalog(of(asOf="2026-01-01T00:00:00Z"))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Server]:
    """A server of another kind."""
    with Versitygw(program(Versitygw), tmp_path / "lab") as running:
        yield running


def test_a_copy_outlives_its_site_at_another_provider(
    of: Of, server: Server, lab: Server, gone: str, sealed: Path, tmp_path: Path
) -> None:
    second = {"bucket": "plain", "endpoint": server.endpoint}
    both = of("locked", endpoint=lab.endpoint, second=second)
    copy = Catalog(both).add(MANIFEST, sealed)
    Escrow(both).keep(KEY)
    assert copy.sites == ("main", "second")
    assert server.keys("plain") == lab.keys("locked")
    catalog = Catalog(of("locked", endpoint=gone, second=second))
    assert catalog.manifest(catalog.copies[0]).node_id == MANIFEST.node_id
    catalog.store.download(copy.key, tmp_path / "read")
    assert (tmp_path / "read").read_bytes() == sealed.read_bytes()


def test_a_lock_that_one_site_lacks_is_told(of: Of, server: Server, lab: Server, sealed: Path) -> None:
    catalog = Catalog(
        of("locked", endpoint=lab.endpoint, lock=LOCK, second={"bucket": "plain", "endpoint": server.endpoint})
    )
    assert catalog.add(MANIFEST, sealed).sites == ("main",)
    assert server.keys("plain") == []
    [note] = catalog.store.notes
    assert "the second site is skipped: reading the Object Lock" in note
    assert "the bucket has no Object Lock" in note
