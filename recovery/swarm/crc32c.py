"""The checksum of etcd's files: CRC-32C (Castagnoli), which the standard library lacks."""

POLYNOMIAL = 0x82F63B78
"""In reversed bit order (RFC 3720, appendix B.4)."""
ONES = 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
    return value


TABLE = tuple(map(_entry, range(256)))


def crc32c(data: bytes, before: int = 0) -> int:
    """The checksum of ``data``, going on from the checksum ``before`` of what precedes it."""
    table, value = TABLE, before ^ ONES
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ ONES
