"""Reads YAML, and says what is wrong with it without quoting it: its text may be a secret."""

import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

INT, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
RESOLVED = (
    ("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), "tTfF"),
    (INT, re.compile(r"[-+]?(0x_*[0-9a-fA-F][0-9a-fA-F_]*|0o_*[0-7][0-7_]*|0b_*[01][01_]*|[0-9][0-9_]*)"), "-+0123456789"),
    (FLOAT, re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), "-+.0123456789"),
)  # fmt: skip
"""What a value without quotes is, in this order, and its first characters: as the resolver of go-yaml 3 has it, which Pulumi uses.

YAML 1.1, and so PyYAML, also has the booleans yes, no, on and off, and numbers to the base 60, such as 12:30.
"""


class NotYaml(ValueError):
    """A text is not YAML. Says the problem, its line and its column, and nothing of the text."""


class PulumiLoader(yaml.SafeLoader):
    """Reads a file of Pulumi's as Pulumi does."""

    def number(self, node: yaml.ScalarNode) -> int | float:
        """A number, where a 0 at the front means base 8 if it can."""
        text = str(self.construct_scalar(node)).replace("_", "")
        sign, digits = (-1 if text.startswith("-") else 1), text.lstrip("+-")
        prefixed = {"0x": 16, "0o": 8, "0b": 2}.get(digits[:2])
        if prefixed:
            return sign * int(digits, prefixed)
        if re.fullmatch("0[0-7]+", digits):
            return sign * int(digits, 8)
        return sign * (int(digits) if digits.isdecimal() else float(digits))


PulumiLoader.yaml_implicit_resolvers = {
    first: [(tag, known) for tag, known in resolvers if tag not in {tag for tag, *_ in RESOLVED}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    if first != "="
}
for _tag, _known, _first in RESOLVED:
    PulumiLoader.add_implicit_resolver(_tag, re.compile(f"^(?:{_known.pattern})$"), list(_first))
for _tag in (INT, FLOAT):
    PulumiLoader.add_constructor(_tag, PulumiLoader.number)


def load(text: str, loader: type[yaml.SafeLoader] = PulumiLoader) -> Any:
    """What a text says. Raises: NotYaml."""
    try:
        return yaml.load(text, loader)  # noqa: S506  # a safe loader
    except yaml.YAMLError as error:
        raise NotYaml(_problem(error)) from None
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):  # PyYAML does not check all
        raise NotYaml("a value is not of its type, such as a date without such a day") from None


def _problem(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return "it has characters that YAML does not allow"
    problem = error.problem or "it ends too early"
    if isinstance(error, ComposerError | ConstructorError) or "tag handle" in problem:  # they quote a name
        problem = re.split("['\"]", problem)[0].strip()
    mark = error.problem_mark
    return f"{problem} (line {mark.line + 1}, column {mark.column + 1})" if mark else problem
