"""How many managers a quorum needs, and how many losses it tolerates."""


def quorum(managers: int) -> int:
    """How many of ``managers`` must answer for the swarm to accept a change."""
    return managers // 2 + 1


def tolerates(managers: int) -> int:
    """How many of ``managers`` may be lost with the quorum kept."""
    return managers - quorum(managers)
