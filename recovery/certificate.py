"""Whose a swarm node's certificate is."""

from cryptography import x509
from cryptography.x509.oid import NameOID


def identity(certificate: str) -> tuple[str, str]:
    """Node ID and cluster ID of a swarm node certificate in PEM; empty strings when there is none.

    Swarm writes them as common name and organization of the subject (swarmkit, ca/certificates.go).
    """
    try:
        subject = x509.load_pem_x509_certificate(certificate.encode()).subject
    except (ValueError, x509.InvalidVersion):
        return "", ""
    names = [subject.get_attributes_for_oid(oid) for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)]
    node_id, cluster_id = (str(found[0].value) if found else "" for found in names)
    return node_id, cluster_id
