"""Reads the certificates of swarm nodes: their node, their issuer, and what their keys signed."""

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from recovery.swarm.found import Validity

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes


MANAGER = "swarm-manager"
"""Role of a manager: the organizational unit of its certificate (swarmkit, ca/config.go: ManagerRole)."""
WORKER = "swarm-worker"
"""Role of a worker, in the same place (WorkerRole)."""


def identity(certificate: str) -> tuple[str, str]:
    """Return node ID and cluster ID of a node certificate in PEM, or empty strings if the text is no certificate of a node.

    Swarm writes both IDs as common name and organization of the subject (swarmkit, ca/certificates.go).
    """
    try:
        subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    except (ValueError, x509.InvalidVersion):
        return "", ""
    names = [subject.get_attributes_for_oid(oid) for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)]
    node_id, cluster_id = (str(values[0].value) if values else "" for values in names)
    return (node_id, cluster_id) if (node_id + cluster_id).isprintable() else ("", "")


def role_of(certificate: str) -> str:
    """The role that a node certificate in PEM gives its node: ``manager`` or ``worker``. Empty if it gives neither."""
    try:
        subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    except (ValueError, x509.InvalidVersion):
        return ""
    units = [str(unit.value) for unit in subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]
    return {MANAGER: "manager", WORKER: "worker"}.get(units[0], "") if len(units) == 1 else ""


def validity(certificate: str) -> Validity | None:
    """From when until when the first certificate of a text in PEM is valid. None if the text has no certificate."""
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
    except (ValueError, x509.InvalidVersion):
        return None
    return Validity(found.not_valid_before_utc, found.not_valid_after_utc)


def has_signed(certificate: str, signature: bytes, statement: bytes) -> bool:
    """Whether the key of a node certificate in PEM made the signature (ECDSA over SHA-256, as on swarm nodes).

    Raises: ValueError if the text is no certificate of a swarm node.
    """
    key = _key(certificate.encode())
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("the certificate does not belong to a swarm node")
    try:
        key.verify(signature, statement, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def public_key(certificate: bytes) -> bytes:
    """The public key, in DER, of a certificate in PEM. Raises: ValueError if the text is no certificate."""
    return _key(certificate).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def is_managers(certificate: bytes, ca: bytes) -> bool:
    """Whether a CA issued a manager's certificate, directly or through the intermediates that follow it. All in PEM.

    Expiry does not matter: a copy may be older than the 90 days for which a node's certificate is valid.
    Raises: ValueError if a text is no certificate.
    """
    leaf, *between = _load(certificate)
    roots = _load(ca)
    units = leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    if [unit.value for unit in units] != [MANAGER]:
        return False
    for issuer in between:
        if any(_issued(root, leaf) for root in roots):
            return True
        if not (_may_issue(issuer) and _issued(issuer, leaf)):
            return False
        leaf = issuer
    return any(_issued(root, leaf) for root in roots)


def _load(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from None


def _key(pem: bytes) -> "CertificatePublicKeyTypes":
    try:
        return x509.load_pem_x509_certificate(pem).public_key()
    except (x509.InvalidVersion, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False
