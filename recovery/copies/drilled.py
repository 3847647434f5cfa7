"""What drills found, as S3 holds it. A result that no operator signed counts for nothing."""

from collections.abc import Iterable

from recovery.copies.manifest import Proof, drilled
from recovery.node.signing import Kind, Operators


def newest(operators: Operators, key: str, contents: Iterable[bytes]) -> tuple[Proof | None, str]:
    """The newest proof among the contents of one result, one from each site; else why none of them counts."""
    read = [operators.read(Kind.DRILL, key, content) for content in contents]
    proofs = [proof for one in read if not one.fault and (proof := drilled(one.document))]
    newest_one = max(proofs, key=lambda proof: proof.at, default=None)
    return newest_one, "" if newest_one else next((one.fault for one in read), "")
