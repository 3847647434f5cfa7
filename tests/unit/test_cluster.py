"""One cluster of one command: its sites are opened once, and what is known of them is shared as far as it may be."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.errors import StoreSilent
from recovery.s3 import store
from recovery.s3.site import Listed, Site
from recovery.s3.store import Store
from tests.unit import factories as make

TWO = make.settings(backup={**make.RAW["backup"], "second": {"bucket": "other"}})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sites that were asked for a listing. The main one does not answer, and the second is empty."""
    names: list[str] = []

    def listed(site: Site, prefix: str) -> dict[str, Listed]:
        names.append(site.name)
        if site.name == "main":
            raise StoreSilent("listing", "it cannot be reached", remedy="start it")
        return {}

    monkeypatch.setattr(Site, "listed", listed)
    return names


def test_threads_open_its_sites_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    monkeypatch.setattr("recovery.cluster.Store", lambda *_, **named: made.append(named["hasty"]) or object())
    cluster = Cluster(TWO)
    with ThreadPoolExecutor(max_workers=8) as pool:
        stores = list(pool.map(lambda _: cluster.store, range(8)))
    assert len(set(map(id, stores))) == 1
    assert cluster.hasty is cluster.hasty is not stores[0]
    assert made == [False, True]


def test_a_site_that_did_not_answer_is_not_waited_for_again(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(TWO)
    cluster.hasty.keys("")
    cluster.store.keys("")
    assert asked == ["main", "second"] * 2, "an answer that was awaited for a moment only says little"
    asked.clear()
    for opened in (cluster.store, cluster.hasty, cluster.store.then, cluster.store.anew()):
        opened.keys("")
    assert asked == ["second"] * 4
    Cluster(TWO).store.keys("")
    assert asked[4:] == ["main", "second"], "another command finds out by itself"
    asked.clear()
    monkeypatch.setattr(store, "GONE_SECONDS", 0.0)
    cluster.store.keys("")
    assert asked == ["main", "second"]


def test_what_one_listing_found_is_not_said_of_another(asked: list[str]) -> None:
    opened = Cluster(TWO).store
    first, second = opened.anew(), opened.anew()
    first.keys("")
    assert first.fault
    assert len(first.notes) == 1
    assert (second.fault, second.notes) == (None, ())
    second.keys("")
    assert (opened.fault, opened.notes) == (None, ())


def test_a_catalog_does_not_take_a_site_that_was_skipped_for_an_empty_one(asked: list[str]) -> None:
    """Also not while another thread lists something else."""
    cluster = Cluster(TWO)
    for hasty in (False, True):
        with pytest.raises(StoreSilent):
            cluster.catalog(hasty=hasty)


def test_reading_as_of_a_time_shares_its_notes() -> None:
    then = Store(make.settings(backup={**make.RAW["backup"], "asOf": "2026-01-02T03:04:05Z"}).backup.sites)
    assert then.then is not then
    assert len(then.notes) == len(then.then.notes) == 1
    assert then.anew().notes == ()
    assert len(then.anew().then.notes) == 1
