"""The limits of a look at a machine, which the machine and whoever judges the look share."""

LOW_PART = 0.10
"""The part of a disk below which it is low: file systems slow down, and logs of a day fill what is left."""
ENOUGH_BYTES = 20 << 30
"""More free space than this is never low, however large the disk is."""
LARGE_LAYER_BYTES = 1 << 30
"""A container that writes more than this into its layer writes what belongs into a volume."""
VXLAN = {4: 50, 6: 70}
"""Bytes that VXLAN adds around a packet of an overlay network, by the version of the nodes' addresses."""
REFUSED = "Connection refused"
"""Why a port takes no connection where nobody listens, or where a rule of a firewall rejects it."""
GROWTH_PER_SECOND = 256 << 10
"""Bytes that a layer may grow: 20 GiB a day."""


def is_low(size: int, free: int) -> bool:
    """Whether a disk of that size has little left."""
    return free < ENOUGH_BYTES and free < size * LOW_PART


def lacks_inodes(inodes: int, free: int) -> bool:
    """Whether a file system can hold few more files. One without a fixed number has 0 (statvfs(3))."""
    return free < inodes * LOW_PART


def outgrows(size: int, grew: int, seconds: float) -> bool:
    """Whether a container's layer is too large, or grows too fast."""
    return size >= LARGE_LAYER_BYTES or grows(grew, seconds)


def grows(grew: int, seconds: float) -> bool:
    """Whether a container's layer grows too fast."""
    return grew >= GROWTH_PER_SECOND * max(seconds, 0.1)
