"""The page of every setting of the stack file: its type, default, example and meaning, made of the models that read it."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from manual.text import cell, table
from recovery.settings import EXAMPLE, Settings
from recovery.settings.machines import CheckedBy

ROOT = Path(__file__).resolve().parents[1]
HEAD = f"""# Settings

`python -m manual` writes this page from the code. The [annotated stack file](../../{EXAMPLE}) shows the settings together.
Write each key below `config:` of the stack file, with the prefix `requorum:`.
"""
WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
"""The meaning of each key, and an example where the annotated stack file shows none."""
SHARED = {"workers[].": "managers[].", "managers[].ssh.jump[].": "ssh.jump[]."}
"""Keys that mean what others mean. The page has them once."""


@dataclass(frozen=True)
class Setting:
    """One key of the stack file."""

    key: str
    kind: str
    default: str

    @property
    def top(self) -> str:
        """The key that the stack file has at its left."""
        return re.split(r"[.\[]", self.key)[0]


def page() -> str:
    """The page."""
    listed = list(settings())
    lines = [HEAD]
    for top in dict.fromkeys(one.top for one in listed):
        mine = [one for one in listed if one.top == top]
        lines += [
            "",
            f"## requorum:{top}",
            "",
            *table(("key", "type", "default", "example", "meaning"), map(_row, mine)),
        ]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def settings() -> Iterator[Setting]:
    """Every key, as the models read them, but those that mean what others mean."""
    return (one for one in _of(Settings, "") if not one.key.startswith(tuple(SHARED)))


def meaning(key: str) -> str:
    """What a key means. Raises: KeyError if manual/settings.toml lacks it."""
    return str(WORDS["meanings"][key])


def example(key: str) -> Any:
    """A value of a key. Raises: KeyError if nothing shows one."""
    if key in WORDS["examples"]:
        return WORDS["examples"][key]
    for value in _found(_shown(), key.split(".")):
        return value
    raise KeyError(key)


@cache
def _shown() -> Mapping[str, Any]:
    """The annotated stack file with every setting switched on."""
    text = re.sub(r"^#(?=  )", "", (ROOT / EXAMPLE).read_text(), flags=re.MULTILINE)
    return {key.partition(":")[2]: value for key, value in yaml.safe_load(text)["config"].items()}


def _found(value: Any, path: list[str]) -> Iterator[Any]:
    """The values at a path: `[]` is each of a list, `*` each of a map."""
    if not path:
        yield value
        return
    name, *rest = path
    if not isinstance(value, Mapping):
        return
    inner = (
        list(value.values())
        if name == "*"
        else [value[name.removesuffix("[]")]]
        if name.removesuffix("[]") in value
        else []
    )
    for one in inner:
        for item in one if name.endswith("[]") else [one]:
            yield from _found(item, rest)


def _row(one: Setting) -> tuple[str, ...]:
    shown = yaml.safe_dump(example(one.key), default_flow_style=True, width=1000, sort_keys=False)
    text = shown.removesuffix("\n").removesuffix("\n...").replace("|", r"\|")
    short = "" if one.kind.endswith("keys") else f"`{text}`"
    return f"`{one.key}`", one.kind, one.default, short, cell(meaning(one.key))


@dataclass(frozen=True)
class _Kind:
    """The type of a value in words, and the model of what is inside it."""

    words: str
    model: type[BaseModel] | None = None
    inside: str = ""
    """What stands between a key and those of the model."""


def _of(model: type[BaseModel], before: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        key = before + (field.alias or to_camel(name))
        kind = _kind(field.annotation, field.metadata)
        yield Setting(key, kind.words, _default(field, kind))
        if kind.model:
            yield from _of(kind.model, f"{key}{kind.inside}.")


def _kind(annotation: Any, metadata: Any = ()) -> _Kind:
    origin, given = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(given[0], given[1:])
    checked = next((one for one in metadata if isinstance(one, CheckedBy)), None)
    if checked:
        return _Kind("keys", checked.model)
    if origin in (Union, UnionType):
        kinds = [_kind(one, metadata) for one in given if one is not type(None)]
        inner = next((one for one in kinds if one.model), kinds[0])
        return _Kind(" or ".join(one.words for one in kinds), inner.model, inner.inside)
    if origin is tuple:
        inner = _kind(given[0])
        return _Kind(f"list of {inner.words}", inner.model, "[]")
    if origin is Mapping:
        inner = _kind(given[1])
        return _Kind(f"map of names to {inner.words}", inner.model, ".*")
    if origin is Literal:
        return _Kind(", ".join(f"`{one}`" for one in given))
    if issubclass(annotation, BaseModel):
        return _Kind("keys", annotation)
    return _Kind(TYPES[annotation.__name__] + _limits(metadata))


TYPES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "`true` or `false`",
    "Path": "path",
    "PurePosixPath": "path on the nodes",
    "Networks": "network, or several with commas",
    "IPv4Network": "network",
    "IPvAnyAddress": "address",
    "datetime": "time",
    "AwareDatetime": "time with a zone",
}
"""What people call a type."""


def _limits(metadata: Any) -> str:
    """The limits of a number."""
    limits = {
        name: getattr(one, name)
        for one in metadata
        for name in ("ge", "gt", "le")
        if getattr(one, name, None) is not None
    }
    words = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}"}
    return "".join(f", {words[name].format(value)}" for name, value in limits.items())


def _default(field: FieldInfo, kind: _Kind) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if kind.model or value in (None, "", (), {}):
        return ""
    shown = [str(one) for one in value] if isinstance(value, tuple) else value
    text = yaml.safe_dump(shown, default_flow_style=True, width=1000)
    return f"`{text.removesuffix(chr(10)).removesuffix(chr(10) + '...')}`"
