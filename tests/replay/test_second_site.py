"""Losses with the main S3 site out of reach, on the fake swarm: the second site is enough, and an empty one founds nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from recovery.cluster import Cluster
from recovery.errors import StoreSilent
from recovery.operations.assess import assess
from recovery.s3 import client
from recovery.s3.bucket import Bucket
from recovery.s3.client import RequestLimits
from recovery.settings import Second, Settings
from tests.fake.bucket import FakeS3
from tests.fake.cases import Case, Copies, Theatre, names, subsets
from tests.fake.wires import wired
from tests.replay.recovering import recover, require_recovered

GONE = "gone"


class Unreachable:
    """A client of a site that does not answer."""

    def __getattr__(self, _: str) -> Any:
        def fails(*_: object, **__: object) -> None:
            raise EndpointConnectionError(endpoint_url="https://main.example.org")

        return fails


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    with wired() as wires, pytest.MonkeyPatch.context() as patch:

        def at(bucket: Bucket, _: RequestLimits, **__: bool) -> Any:
            return Unreachable() if bucket.name == GONE else FakeS3(wires)

        patch.setattr(client, "client", at)
        yield Theatre(wires)


def without_main(settings: Settings) -> Settings:
    """The settings whose only site is the second one, and the main one is gone."""
    backup = settings.backup.model_copy(update={"bucket": GONE, "second": Second(bucket=settings.backup.bucket)})
    return settings.model_copy(update={"backup": backup})


def test_every_loss_is_recovered_from_the_second_site(theatre: Theatre) -> None:
    for case in [Case(3, lost) for lost in subsets(3)]:
        scene = theatre.stage(case)
        recover(without_main(scene.settings))
        require_recovered(theatre, case, scene)
        found = assess(Cluster(without_main(scene.settings)))
        assert [note for note in found.diagnosis.warnings if note.startswith("the main site is skipped")], case


def test_nothing_is_founded_while_the_site_that_may_hold_the_copies_is_gone(theatre: Theatre) -> None:
    scene = theatre.stage(Case(3, frozenset(names(3)), Copies.MISSING))
    theatre.wires.objects.clear()
    with pytest.raises(StoreSilent):
        recover(without_main(scene.settings))
    assert not theatre.wires.effects
