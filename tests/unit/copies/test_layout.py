"""The format of a cluster's objects in S3: an older program leaves what a newer one wrote alone."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from recovery.cluster import Cluster
from recovery.copies import layout
from recovery.copies.catalog import Catalog
from recovery.errors import Refused
from recovery.operations.assess import assess
from recovery.s3.keys import RELEASE
from tests.unit import factories as make

S = make.settings()
KEYS = S.keys


def test_the_format_is_declared_once(bucket: Any) -> None:
    store = Cluster(S).store
    layout.declare(store, KEYS)
    (made,) = bucket.objects.all()
    assert made.key == KEYS.format(1)
    bucket.put_object(Key=made.key, Body=b"as an earlier release of this format left it")
    layout.declare(store, KEYS)
    assert made.get()["Body"].read() == b"as an earlier release of this format left it"
    assert not Catalog(S).copies


@pytest.mark.parametrize(
    ("newer", "needed"),
    [
        ({"2": b'{"release": "0.9.1"}'}, r"install Requorum 0\.9\.1 or newer"),
        ({"2": b'{"release": "0.9.1"}', "3": b'{"release": "0.10.0"}'}, r"install Requorum 0\.10\.0 or newer"),
        ({"2": b"torn {"}, "install Requorum in its newest version"),
        ({"2": b'{"release": "; rm -rf /"}'}, "install Requorum in its newest version"),
        ({"no-number": b'{"release": "0.9.1"}'}, r"install Requorum 0\.9\.1 or newer"),
    ],
    ids=["newer", "two newer ones", "unreadable", "forged", "no number"],
)
def test_what_a_newer_program_wrote_is_left_alone(bucket: Any, newer: dict[str, bytes], needed: str) -> None:
    layout.declare(Cluster(S).store, KEYS)
    for number, content in newer.items():
        bucket.put_object(Key=f"{KEYS.formats}{number}", Body=content)
    with pytest.raises(Refused, match=rf"{needed}(?s:.*)code: newer-format"):
        assess(Cluster(S))


def test_the_release_is_the_project_s() -> None:
    assert tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"] == RELEASE
