"""Copies whose manifests an earlier release wrote, without the certificate of the CA: they count, and a swarm comes back from them."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.copies.manifest import WITHOUT_CA, Manifest, Verdict
from recovery.onnode.copying import statement
from recovery.operations.assess import assess
from recovery.s3.keys import MANIFEST
from tests.fake.cases import Case, Scene, Theatre, names
from tests.replay.recovering import recover, require_recovered
from tests.unit.swarm.test_key_file import PRIVATE


def in_former_format(manifest: bytes) -> bytes:
    """The manifest as the earlier release wrote it, signed by its manager."""
    document = json.loads(manifest)
    del document["ca"]
    document["format"] = WITHOUT_CA
    signature = PRIVATE.sign(statement(document), ECDSA(SHA256()))
    document["signature"]["value"] = base64.b64encode(signature).decode()
    return json.dumps(document).encode()


def with_old_copies(theatre: Theatre, case: Case) -> Scene:
    scene = theatre.stage(case)
    objects = theatre.wires.objects
    manifests = [key for key in objects if key.endswith(MANIFEST)]
    objects.update({key: in_former_format(objects[key]) for key in manifests})
    assert len(manifests) >= 3
    return scene


@pytest.mark.parametrize("lost", [names(3), names(3)[:1]], ids=["all managers", "one manager"])
def test_the_swarm_comes_back_from_copies_of_the_former_format(theatre: Theatre, lost: tuple[str, ...]) -> None:
    case = Case(3, frozenset(lost))
    scene = with_old_copies(theatre, case)
    read = [manifest for _, manifest in Catalog(scene.settings).manifests()]
    assert {one.verdict for one in read if isinstance(one, Manifest)} == {Verdict.PROVEN}
    assert [one for one in read if not isinstance(one, Manifest)] == []
    plan = assess(Cluster(scene.settings)).plan
    assert bool(plan.copy) is (len(lost) == 3)
    recover(scene.settings)
    require_recovered(theatre, case, scene)


def test_a_strange_one_of_the_former_format_is_not_restored(theatre: Theatre) -> None:
    """Its manifest has only the claim to be under the swarm's CA, and its archive has the CA itself."""
    scene = with_old_copies(theatre, Case(3, frozenset(names(3))))
    objects = theatre.wires.objects
    before = assess(Cluster(scene.settings)).plan.copy
    newest = max(key for key in objects if key.endswith(MANIFEST) and f"/{before}" in key)
    document = json.loads(objects[newest])
    document["ca_sha256"] = "0" * 64
    document["signature"]["value"] = base64.b64encode(PRIVATE.sign(statement(document), ECDSA(SHA256()))).decode()
    objects[newest] = json.dumps(document).encode()
    after = assess(Cluster(scene.settings)).plan
    assert after.copy
    assert after.copy != before
