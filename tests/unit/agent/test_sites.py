"""A round with two sites, and with credentials that may not list."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from recovery.agent import metrics
from recovery.agent import run as agent_run
from recovery.agent.run import Run
from recovery.agent.state import AGAIN, DONE
from recovery.copies import storing
from recovery.errors import StoreError, StoreSilent
from recovery.s3.site import Site
from tests.unit.agent.world import CONFIG, World, of_copies


@pytest.fixture
def unlisted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """S3 as it answers those who may not list: that a missing object is none of their business."""
    real = Site._content

    def content(site: Site, key: str, version: dict[str, str]) -> tuple[bytes, str]:
        try:
            return real(site, key, version)
        except ClientError as error:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject") from error

    monkeypatch.setattr(Site, "_content", content)
    return world


def test_with_credentials_that_may_not_list_the_first_copy_is_stored_too(unlisted: World) -> None:
    assert unlisted.run() == DONE
    assert of_copies(unlisted.stored()) == ["manifest.json", "zst.age"]


def test_an_operator_who_is_refused_is_told_so(unlisted: World) -> None:
    with pytest.raises(StoreError, match="AccessDenied"):
        Site(replace(CONFIG.buckets[0], write_only=False)).look("missing")


class Sites:
    """A main and a second site; what is in `down` does not answer, what is in `refusing` answers that it will not."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.down: set[str] = set()
        self.refusing: set[str] = set()
        boto3.resource("s3", region_name="us-east-1").create_bucket(Bucket="others")
        world.config = replace(CONFIG, buckets=(*CONFIG.buckets, replace(CONFIG.buckets[0], name="others")))
        real = Site.doing

        @contextmanager
        def doing(site: Site, verb: str) -> Iterator[None]:
            if site.name in self.down:
                raise StoreSilent(verb, "it cannot be reached", remedy="wait")
            if site.name in self.refusing:
                raise StoreError(verb, "AccessDenied", remedy="allow it")
            with real(site, verb):
                yield

        world.patch.setattr(Site, "doing", doing)

    def copies(self, name: str) -> list[str]:
        found = boto3.resource("s3", region_name="us-east-1").Bucket("copies" if name == "main" else "others")
        return [entry.key for entry in found.objects.all() if "/manager-a/" in entry.key]

    def run(self) -> int:
        return self.world.run()


@pytest.fixture
def sites(world: World) -> Sites:
    return Sites(world)


@pytest.mark.parametrize(("broken", "other"), [("main", "second"), ("second", "main")])
@pytest.mark.parametrize("how", ["down", "refusing"])
def test_one_site_keeps_no_copy_from_the_other_and_gets_what_it_lacks(
    sites: Sites, broken: str, other: str, how: str
) -> None:
    getattr(sites, how).add(broken)
    for count in (1, 2):
        assert sites.run() == AGAIN
        assert len(sites.copies(other)) == 2 * count
        assert len(sites.world.waiting) == count
        sites.world.change()
    sites.world.version -= 1
    assert f"the {broken} site lacks 2 copies: " in sites.world.state.failure
    told = metrics.collected(sites.world.config, sites.world.state, sites.world.waiting)
    for name, count in ((broken, 2), (other, 0)):
        labels = {"cluster": "lab", "manager": "manager-a", "site": name}
        assert told.get_sample_value("requorum_agent_lacking_copies", labels) == count
    getattr(sites, how).clear()
    assert sites.run() == DONE
    assert len(sites.copies(broken)) == len(sites.copies(other)) == 4
    assert (sites.world.taken, sites.world.waiting, sites.world.state.failure) == (2, (), "")


def test_what_a_site_has_is_not_sent_there_again(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    sites.down.add("main")
    sites.run()
    sent: list[str] = []
    real = storing.write

    def write(site: Site, *given: Any) -> None:
        sent.append(site.name)
        real(site, *given)

    monkeypatch.setattr(agent_run, "write", write)
    sites.run()
    sites.down.clear()
    sites.run()
    assert sent == ["main"]


def test_a_site_that_is_no_longer_in_the_settings_is_not_waited_for(sites: Sites) -> None:
    sites.down.add("second")
    sites.run()
    sites.world.config = CONFIG
    assert sites.run() == DONE
    assert (sites.world.waiting, sites.world.state.failure) == ((), "")


def test_the_note_that_the_main_site_missed_is_read_from_the_other(sites: Sites, tmp_path: Path) -> None:
    assert sites.run() == DONE
    sites.down.add("main")
    sites.world.change()
    sites.run()
    sites.down.clear()
    assert sites.world.taken == 2
    assert Run(sites.world.config, tmp_path / "another").run() == DONE
    assert sites.world.taken == 2, "the newest copy holds the state of now"
