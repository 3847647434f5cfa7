"""Stack files that Requorum writes are read as the same settings."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from recovery.settings import parse, read
from recovery.settings.stack_file import as_text
from tests.unit.factories import raw

SIXTEEN = {
    "cluster": "production",
    "subnet": "10.20.0.0/22",
    "managers": [{"address": f"10.20.{zone}.11"} for zone in (1, 2, 3)],
    "hosts": {"driver": "existing"},
    "ssh": {"privateKeyFile": "/home/ops/.ssh/id_ed25519", "knownHostsFile": "/home/ops/.config/requorum/production.known_hosts"},
    "backup": {
        "bucket": "example-swarm-copies",
        "recipients": ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"],
        "identityFile": "/home/ops/.config/requorum/production.identity",
    },
}  # fmt: skip
TEXT = """\
# Written by `requorum init`. stacks/Pulumi.production.example.yaml explains every setting.
config:
  requorum:cluster: production
  requorum:subnet: 10.20.0.0/22
  requorum:managers:
    - {address: 10.20.1.11}
    - {address: 10.20.2.11}
    - {address: 10.20.3.11}
  requorum:hosts: {driver: existing}
  requorum:ssh:
    privateKeyFile: /home/ops/.ssh/id_ed25519
    knownHostsFile: /home/ops/.config/requorum/production.known_hosts
  requorum:backup:
    bucket: example-swarm-copies
    recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
    identityFile: /home/ops/.config/requorum/production.identity
"""


def written(values: dict[str, Any], folder: Path, kept: dict[str, Any] | None = None) -> Path:
    (file := folder / "Pulumi.one.yaml").write_text(as_text(values, kept=kept))
    return file


def test_the_shortest_stack_file_has_sixteen_lines() -> None:
    assert as_text(SIXTEEN) == TEXT
    assert parse(SIXTEEN)
    assert len(TEXT.splitlines()) == 16


def test_what_pulumi_keeps_in_the_file_stays(tmp_path: Path) -> None:
    file = written(SIXTEEN, tmp_path, {"encryptionsalt": "v1:abc="})
    assert yaml.safe_load(file.read_text())["encryptionsalt"] == "v1:abc="
    assert read(file) == SIXTEEN


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    values = raw(agent={}, data={"db": {"service": "db", "backup": ["sh", "-c", "a: b # c"], "restore": ["x"]}})
    assert read(written(values, tmp_path)) == values


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=90)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z][A-Za-z]{0,9}", fullmatch=True), VALUES, max_size=4))
def test_any_value_comes_back(values: dict[str, Any]) -> None:
    config = yaml.safe_load(as_text(values))["config"] or {}
    assert config == {f"requorum:{key}": value for key, value in values.items()}
