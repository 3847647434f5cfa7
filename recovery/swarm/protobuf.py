"""Reads and writes the part of the protobuf wire format that swarm's files use: varints and length-delimited fields."""

from collections.abc import Iterator

BITS = 64
"""The most bits of a varint (protobuf's encoding)."""


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message with their numbers: varints as numbers, length-delimited fields as bytes.

    Raises: ValueError for another wire type, a field without a number or one that is cut off, and a number that is too long.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        value, at = _varint(message, at)
        if not tag >> 3:
            raise ValueError("a field has no number")
        if tag & 7 == 0:
            yield tag >> 3, value
        elif tag & 7 == 2:
            if at + value > len(message):
                raise ValueError("the message ends within a field")
            yield tag >> 3, message[at : at + value]
            at += value
        else:
            raise ValueError(f"wire type {tag & 7} is not supported")


def encode(number: int, value: int | bytes) -> bytes:
    """Encode one field: a number as a varint, bytes as a length-delimited field."""
    if isinstance(value, int):
        return _to_varint(number << 3) + _to_varint(value)
    return _to_varint(number << 3 | 2) + _to_varint(len(value)) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("the message ends within a number")
        if shift >= BITS:
            raise ValueError(f"a number has more than {BITS} bits")
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _to_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
