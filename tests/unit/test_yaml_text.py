"""YAML as Pulumi reads it, and its errors."""

import pytest

from recovery.yaml_text import NotYaml, load


@pytest.mark.parametrize(
    ("written", "read"),
    [
        *((text, text) for text in ("12:30", "1:2:3", "190:20:30.15", "yes", "No", "on", "off", "y", "0x", "=", "1.2.3")),
        *((text, True) for text in ("true", "True", "TRUE")),
        ("false", False), ("null", None), ("~", None), ("", None), ("'yes'", "yes"), ('"0444"', "0444"), ("!!str 5", "5"),
        ("1", 1), ("-3", -3), ("+12", 12), ("01", 1), ("09", 9), ("0777", 511), ("-0777", -511), ("0o17", 15), ("0x1f", 31), ("0b11", 3),
        ("1_000", 1000), ("1.5", 1.5), ("28.10", 28.1), ("08.5", 8.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("12E-1", 1.2),
    ],
)  # fmt: skip
def test_a_value_without_quotes_is_what_pulumi_takes_it_for(written: str, read: object) -> None:
    """As Pulumi 3.259 gave these values to a program."""
    found = load(f"a: {written}")["a"]
    assert found == read
    assert isinstance(found, bool) is isinstance(read, bool)


def test_a_map_can_be_merged() -> None:
    assert load("a: &a {b: 1}\nc: {<<: *a}") == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize(
    "text", ["a: [", "a: 2026-13-45", "a: !!int x", "a: !!timestamp x", "a: !!bool x", "\0", "a: \t- b"]
)
def test_what_is_not_yaml_is_one_error(text: str) -> None:
    with pytest.raises(NotYaml):
        load(text)
