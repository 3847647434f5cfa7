"""Computes how many managers a quorum needs, and how many losses it tolerates."""


def quorum(managers: int) -> int:
    """How many of ``managers`` managers must answer, so that the swarm accepts a change."""
    return managers // 2 + 1


def tolerates(managers: int) -> int:
    """How many of ``managers`` managers can be lost while the quorum survives."""
    return managers - quorum(managers)
