"""The annotated stack file: what is needed is in force, and everything else can be switched on, one paragraph at a time."""

import re
from pathlib import Path
from typing import Any

import pytest

from recovery.settings import EXAMPLE, Settings, load, parse, read

PROJECT = Path(__file__).parents[3]
TEXT = (PROJECT / EXAMPLE).read_text()
OPTIONAL = re.compile(r"^#(?=  )", re.M)
"""The mark of a setting that is switched off; a remark is behind one space or is indented."""
PARAGRAPHS = TEXT.split("\n\n")
OPTIONS = [number for number, paragraph in enumerate(PARAGRAPHS) if OPTIONAL.search(paragraph)]
NEEDED = {"cluster", "subnet", "managers", "hosts", "ssh", "backup"}
PER_RUN = {"recover", "copy"}
"""What an operator gives with one command."""
OF_DOCKER = {"image", "endpoint", "endpoints", "network"}
"""What only the lab's driver needs."""


def with_options(*numbers: int) -> str:
    """The stack file with the settings of these paragraphs switched on."""
    return "\n\n".join(
        OPTIONAL.sub("", paragraph) if number in numbers else paragraph for number, paragraph in enumerate(PARAGRAPHS)
    )


def values(text: str, folder: Path) -> dict[str, Any]:
    (file := folder / "Pulumi.example.yaml").write_text(text)
    return read(file)


def test_only_what_is_needed_is_in_force(tmp_path: Path) -> None:
    given = values(TEXT, tmp_path)
    assert set(given) == NEEDED
    for key in NEEDED:
        rest = {name: value for name, value in given.items() if name != key}
        with pytest.raises(Exception, match="is not set"):
            parse(rest)
    lines = [line for line in TEXT.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) <= 18


@pytest.mark.parametrize("number", OPTIONS)
def test_each_optional_paragraph_can_be_switched_on_alone(number: int, tmp_path: Path) -> None:
    given = values(with_options(number), tmp_path)
    assert given != values(TEXT, tmp_path)
    assert parse(given)


def test_all_optional_paragraphs_can_be_switched_on_together(tmp_path: Path) -> None:
    (file := tmp_path / "Pulumi.example.yaml").write_text(with_options(*OPTIONS))
    assert load(file).agent


def test_every_setting_is_shown() -> None:
    schema = Settings.model_json_schema(by_alias=True)
    models = [schema, *schema["$defs"].values()]
    keys = {key for model in models for key in model.get("properties", ())}
    shown = set(re.findall(r"\b([a-zA-Z0-9]+)\b", TEXT))
    assert keys - shown - PER_RUN - OF_DOCKER - {"role"} == set()
