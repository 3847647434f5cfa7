"""The reference: it is what the code says, and it has every command, option, key, code, metric and alert."""

import re
from pathlib import Path
from typing import Any

import pytest

from manual import alerts, metrics, reference, settings, site
from manual.text import cell
from recovery.cli.commands import COMMANDS
from recovery.cli.tree import loaded
from recovery.settings import Settings, parse
from tests.unit import factories as make
from tests.unit.cli.test_dashboard import exported

PAGES = reference.pages()
OPTIONS, SETTINGS, METRICS, ALERTS = (
    (reference.DOCS / "reference" / f"{name}.md").read_text() for name in ("options", "settings", "metrics", "alerts")
)
ROW = re.compile(r"^\| `?([^`|]+?)`? \|", re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_what_the_code_makes(page: Any) -> None:
    assert page.read_text() == PAGES[page], "python -m manual"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_has_its_options(path: str) -> None:
    section = OPTIONS.split(f"\n## requorum {path}\n")[1].split("\n## ")[0]
    for one in loaded(path).params:
        if one.param_type_name == "option":
            assert one.hidden or all(option in section for option in one.opts)
        else:
            assert one.name.upper() in section


def test_every_key_of_the_settings_has_a_meaning_and_an_example() -> None:
    keys = {one.key for one in settings.settings()}
    assert settings.WORDS["meanings"].keys() == keys, "manual/settings.toml"
    assert settings.WORDS["examples"].keys() <= keys
    assert set(ROW.findall(SETTINGS)) - {"key", "---"} == keys
    assert [key for key in keys if settings.example(key) is None] == []


def test_every_key_that_pydantic_knows_is_on_the_page() -> None:
    schema = Settings.model_json_schema(by_alias=True)
    known = {key for model in (schema, *schema["$defs"].values()) for key in model.get("properties", ())}
    shown = {part.removesuffix("[]") for key in ROW.findall(SETTINGS) for part in key.split(".")}
    assert known - shown == set()


@pytest.mark.parametrize("key", settings.WORDS["examples"])
def test_an_example_is_taken(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.pem").write_bytes(make.certificate("node", "cluster"))
    raw = make.raw()
    raw["hosts"] = {"driver": "docker", "image": "i", "endpoint": "ssh://h", **raw.get("hosts", {})}
    given: Any = raw
    *path, last = re.sub(r"\[\]", "", key).split(".")
    for part in path:
        if part == "managers":
            given["managers"] = [dict(one) for one in given["managers"]]
            given = given["managers"][0]
        else:
            given[part] = dict(given.get(part) or {})
            given = given[part]
    given[last] = settings.WORDS["examples"][key]
    if key.startswith("swarm.externalCas[]"):
        raw["swarm"]["externalCas"] = [{"url": "https://ca.example.org/sign", **raw["swarm"]["externalCas"]}]
    if key == "backup.encryption.keyFile":
        given["mode"] = "customer"
    if key.startswith("backup.second"):
        given["bucket"] = "another"
    if key == "managers[].dataPathAddress":
        raw["subnet"] = f"{raw['subnet']}, 10.20.0.0/16"
    if key.startswith("ssh.jump[]"):
        raw["ssh"]["jump"] = [{"host": "bastion", **raw["ssh"]["jump"]}]
    assert parse(raw)


def test_every_metric_has_a_line(tmp_path: Any) -> None:
    there = {metrics.name(one) for one in exported(tmp_path)}
    assert {name for name in ROW.findall(METRICS) if name.startswith("requorum")} == there


def test_every_alert_has_a_line() -> None:
    there = {rule["alert"] for rule in alerts.rules(reference.DOCS / "alerts.yml")}
    assert len(there) > 10
    assert set(ROW.findall(ALERTS)) - {"alert", "---"} == there


def test_every_decision_is_listed() -> None:
    listed = set(re.findall(r"\]\((\d[^)]+)\)", (reference.DOCS / "decisions/README.md").read_text()))
    assert listed == {page.name for page in (reference.DOCS / "decisions").glob("[0-9]*.md")}


def test_the_site_names_every_page_once() -> None:
    listed = site.listed()
    assert len(set(listed)) == len(listed)
    assert set(listed) == {str(page.relative_to(site.ROOT)) for page in site.pages()}, "manual/zensical.toml"


def test_markup_in_a_text_of_the_code_is_text() -> None:
    assert cell("a <b> | ``c|d`` *e* --wide\n f") == r"a \<b> \| `c\|d` \*e\* `--wide` f"
