"""The validity of certificates, and what is told of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from recovery.planning.warnings import rotated
from recovery.swarm import rotation
from recovery.swarm.certificate import validity
from recovery.swarm.found import SwarmFacts, Validity
from recovery.swarm.model import Survey
from tests.unit import factories as make

S = make.settings()
DAY = timedelta(days=1)


def certificate(begins: datetime, ends: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_the_validity_of_the_first_certificate() -> None:
    begins, ends = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    text = certificate(begins, ends) + certificate(begins, ends + DAY)
    assert validity(text) == Validity(begins, ends)


@pytest.mark.parametrize(
    "text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_text_without_a_certificate_has_none(text: str) -> None:
    assert validity(text) is None


def told(
    *, node: Validity | None = None, ca: Validity | None = None, facts: SwarmFacts | None = None
) -> tuple[str, ...]:
    """The warnings of a healthy swarm with these certificates."""
    seen = make.healthy(S)
    reports = [replace(seen.reports[0], certificate=node, ca=ca, swarm=facts), *seen.reports[1:]]
    return rotated(Survey(tuple(reports), make.NOW))


def of_node(left: float) -> Validity:
    """A certificate of 100 days that has so many days left."""
    return Validity(make.NOW - (100 - left) * DAY, make.NOW + left * DAY)


@pytest.mark.parametrize(("left", "count"), [(21, 0), (15.1, 0), (14.9, 1), (-1, 1)])
def test_a_certificate_that_the_swarm_does_not_renew_is_named_with_its_node(left: float, count: int) -> None:
    found = told(node=of_node(left))
    assert len(found) == count
    assert all(f"next: requorum {'restart manager-a' if left > 0 else 'doctor'}" in line for line in found)


@pytest.mark.parametrize(("left", "count"), [(91, 0), (89, 1)])
def test_a_ca_that_ends_soon_is_to_be_rotated(left: float, count: int) -> None:
    found = told(ca=Validity(make.NOW - 1000 * DAY, make.NOW + left * DAY))
    assert len(found) == count
    assert all("next: requorum rotate ca" in line for line in found)


def test_a_rotation_that_goes_on_or_is_not_finished_is_told() -> None:
    assert told(facts=SwarmFacts({})) == ()
    (line,) = told(facts=SwarmFacts({}, rotating=True))
    assert line.endswith("next: requorum rotate ca")
    (line,) = told(facts=SwarmFacts(rotation.noted({})))
    assert line.endswith("next: requorum rotate unlock-key")


def test_a_forced_rotation_counts_up_and_gives_no_certificate() -> None:
    spec = {"CAConfig": {"NodeCertExpiry": 7, "ForceRotate": 2, "SigningCACert": "PEM"}, "Name": "default"}
    assert rotation.forced(spec) == {"CAConfig": {"NodeCertExpiry": 7, "ForceRotate": 3}, "Name": "default"}
    assert rotation.without_note(rotation.noted(spec)) == {**spec, "Labels": {}}
