"""The error for an answer of a node that no node of ours gives."""

from recovery.errors import Garbled


def garbled(node: str, doing: str, why: str) -> Garbled:
    """The error that names the node. Nothing of its answer is used."""
    return Garbled(
        doing,
        why,
        remedy=f"find out what runs on {node}. To continue without the node, take it out of the stack file",
        node=node,
        code="answer-garbled",
    )
