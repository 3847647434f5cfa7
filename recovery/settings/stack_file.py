"""Writes settings into a stack file, in the way that a person would."""

from collections.abc import Mapping
from typing import Any

import yaml

from recovery.settings.base import EXAMPLE, PROJECT

HEAD = f"# Written by `requorum init`. {EXAMPLE} explains every setting.\n"
SHORT = 72
"""Characters of a map that is written on one line."""
MAP = "tag:yaml.org,2002:map"


class _Lines(dict[str, Any]):
    """A map that is written a line for each item, however short it is."""


class _Dumper(yaml.SafeDumper):
    """Writes a short map on one line, and a list on one line unless it is of maps."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        short = len(str(mapping)) <= SHORT and not isinstance(mapping, _Lines)
        return super().represent_mapping(tag, mapping, flow_style or short)

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        nested = any(isinstance(item, Mapping) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style or not nested)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless and flow)


_Dumper.add_representer(_Lines, lambda dumper, value: dumper.represent_mapping(MAP, value))


def as_text(
    values: Mapping[str, Any], others: Mapping[str, Any] | None = None, kept: Mapping[str, Any] | None = None
) -> str:
    """The text of a stack file with these settings, keys in camel case.

    ``others`` is configuration that is not ours. ``kept`` is beside the configuration, as the salt of Pulumi's passphrase.
    """
    config = _Lines({f"{PROJECT}:{key}": value for key, value in values.items()} | dict(others or {}))
    document = _Lines({"config": config, **(kept or {})})
    return HEAD + yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)
