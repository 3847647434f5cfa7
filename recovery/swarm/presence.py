"""What a host driver knows about a machine."""

from enum import StrEnum


class Presence(StrEnum):
    """What the host driver knows about a machine without asking the machine."""

    PRESENT = "present"
    STOPPED = "stopped"
    GONE = "gone"
    UNKNOWN = "unknown"
    """The driver does not know the machine. Only the machine itself can answer."""
