"""What a drill found of a copy, at whichever site that is written down."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.copy import Copy
from recovery.copies.manifest import Proof, Verdict
from recovery.errors import StoreSilent
from recovery.operations import drill, last_drills
from recovery.s3.site import Site
from recovery.s3.store import Store
from recovery.settings import Settings
from tests.unit import factories as make
from tests.unit.copies.candidates import DAY, NOW
from tests.unit.operations.pruning.stored import put


def drilled(of: Settings, copy: Copy, verdict: Verdict, at: datetime) -> list[str]:
    """A drill that finds that of the copy, and what it says."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drill, "stable_survey", lambda _: make.survey(()))
        patch.setattr(drill, "_where", lambda *_: make.manager(of.managers[0], of.nodes))
        patch.setattr(drill, "_restored", lambda *_: Proof(verdict, at))
        list(drill.drill(Cluster(of), Catalog(of), [copy], on=None, say=said.append))
    return said


def proof_of(of: Settings, copy: Copy) -> Proof | None:
    return Catalog(of).manifest(copy).proof


def test_the_newest_drill_over_the_sites_counts(two: Settings, bucket: Any, out: set[str], tmp_path: Path) -> None:
    copy = put(two, tmp_path, DAY)
    drilled(two, copy, Verdict.FAILED, NOW)
    for site in ("main", "second"):
        out.add(site)
        assert Catalog(two).manifest(copy).verdict is Verdict.FAILED, "either site tells"
        out.clear()
    out.add("main")
    assert "the main site is skipped: it cannot be reached" in drilled(two, copy, Verdict.PROVEN, NOW + DAY)
    out.clear()
    assert proof_of(two, copy) == Proof(Verdict.PROVEN, NOW + DAY), "of the second site alone"
    out.add("second")
    drilled(two, copy, Verdict.FAILED, NOW + 2 * DAY)
    out.clear()
    assert proof_of(two, copy) == Proof(Verdict.FAILED, NOW + 2 * DAY), "of the main site alone"


def test_a_drill_that_no_operator_signed_says_nothing(of: Settings, bucket: Any, tmp_path: Path) -> None:
    copy, bad = put(of, tmp_path, DAY), put(of, tmp_path, 2 * DAY, proven=False)
    for text in (b"{", b"", b'{"proof": null}'):
        for one_ in (copy, bad):
            bucket.put_object(Key=one_.drill_key, Body=text)
        listed = Catalog(of)
        assert [listed.manifest(one_).verdict for one_ in (copy, bad)] == [Verdict.PROVEN, Verdict.FAILED]
        assert [listed.drilled(one_) for one_ in (copy, bad)] == [None, None]
        assert sum("does not count" in note for note in listed.notes) == 2
    unsaid = drill.Drill(copy, "manager-b", Proof(Verdict.UNPROVEN, NOW), 1.0, 2.0)
    drill._keep(Cluster(of), Catalog(of).store, copy.drill_key, unsaid)
    assert Catalog(of).manifest(copy).verdict is Verdict.PROVEN, "what says nothing changes nothing"


def test_monitors_are_told_of_the_newest_drill_also_with_a_site_out(
    two: Settings, out: set[str], tmp_path: Path
) -> None:
    copy = put(two, tmp_path, DAY)
    drilled(two, copy, Verdict.PROVEN, NOW)
    out.add("main")
    assert last_drills.last(Cluster(two), Catalog(two)) == {"manager-a": Proof(Verdict.PROVEN, NOW)}
    drilled(two, copy, Verdict.FAILED, NOW + DAY)
    out.clear()
    assert last_drills.last(Cluster(two), Catalog(two)) == {"manager-a": Proof(Verdict.FAILED, NOW + DAY)}


def test_a_site_that_was_left_out_of_the_listing_is_not_waited_for_with_each_drill(
    two: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = put(two, tmp_path, DAY)
    drilled(two, copy, Verdict.PROVEN, NOW)
    asked: list[str] = []

    def silent(real: Callable[[Site, str], Any]) -> Callable[[Site, str], Any]:
        def ask(site: Site, key: str) -> Any:
            asked.append(site.name)
            if site.name == "second":
                raise StoreSilent("asking", "it cannot be reached", remedy="start it")
            return real(site, key)

        return ask

    for name in ("look", "listed"):
        monkeypatch.setattr(Site, name, silent(getattr(Site, name)))
    store = Store(two.backup.sites, hasty=True)
    assert Catalog(two, store).manifest(copy).proof == Proof(Verdict.PROVEN, NOW)
    assert asked == ["main", "second", "main", "main"]
    asked.clear()
    assert list(last_drills.last(Cluster(two), Catalog(two))) == ["manager-a"]
    assert asked == ["main", "second", "main", "main", "main"], "the newest manifest with its drill, and the drill"
