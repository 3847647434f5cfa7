"""Reads records that somebody else wrote: JSON whose every field has the declared type, and nothing else.

A record is a frozen dataclass. What a node answers and what S3 holds is read here, so that no other code meets a value of
another type. Everything else is `Unfit`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")
MOST = 4 << 20
"""The most bytes of a record. No manifest, mark, lease, journal entry or report of Requorum has more."""
LARGEST = 1 << 63
"""No number in a record reaches it: what is shown of one that does may not be computed."""
NO_RECORD = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What reading JSON as something that it is not may raise."""


class Unfit(ValueError):
    """A text or a value is not the record that it should be."""


def read(kind: type[T], text: bytes | str) -> T:
    """The record in a JSON text. Raises: Unfit."""
    return typed(kind, parsed(text))


def parsed(text: bytes | str) -> Any:
    """What a JSON text holds. Raises: Unfit."""
    if len(text) > MOST:
        raise Unfit(f"it has more than {MOST >> 20} MiB")
    try:
        return json.loads(text)
    except NO_RECORD as error:
        raise Unfit(f"it is no JSON: {error}") from None


def typed(kind: type[T], value: Any, name: str = "it") -> T:
    """A value from JSON, converted to its declared type; ``name`` is how an error calls it. Raises: Unfit."""
    try:
        found: T = _typed(kind, value, name)
    except NO_RECORD as error:
        raise Unfit(str(error)) from None
    return found


def _typed(kind: Any, value: Any, name: str) -> Any:
    """The value as ``kind``, the declared type of the field ``name``. No other type is accepted. Raises: one of `NO_RECORD`."""
    if type(value) is str and (reader := _reader(kind)):
        return reader(value)
    if kind is Any:
        return value
    container, inner = get_origin(kind), get_args(kind)
    if container is UnionType:
        return None if value is None else _typed(inner[0], value, name)
    if container in (tuple, frozenset) and type(value) is list:
        if container is tuple and inner[1:] != (...,):
            return tuple(_typed(one, part, name) for one, part in zip(inner, value, strict=True))
        return container(_typed(inner[0], one, name) for one in value)
    if container is Mapping and type(value) is dict:
        return {_typed(inner[0], key, name): _typed(inner[1], one, name) for key, one in value.items()}
    if is_dataclass(kind) and isinstance(kind, type) and type(value) is dict:
        kinds = _kinds(kind)
        return kind(**{key: _typed(kinds[key], one, key) for key, one in value.items()})
    counts = {int: (int,), float: (int, float)}.get(kind, ())
    if (kind is bool and type(value) is bool) or (type(value) in counts and 0 <= value < LARGEST):
        return value
    raise TypeError(f"{name} is not of type {getattr(kind, '__name__', kind)}")


@cache
def _kinds(of: type) -> dict[str, Any]:
    """What the fields of a dataclass are declared to be."""
    return get_type_hints(of)


@cache
def _reader(kind: Any) -> Callable[[str], Any] | None:
    """What makes a field of that type from a string in JSON; None if its type is none of strings."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind
    return {str: _text, datetime: _time}.get(kind)


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("the time has no time zone")
    return found.astimezone(UTC)


def _text(text: str) -> str:
    text.encode()  # fails on half of a surrogate pair, which could not be shown either
    return text
