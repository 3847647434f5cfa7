"""What a compose file describes, what another version of it changes, and what cannot be deployed."""

from typing import Any

import pytest
import yaml

from recovery.errors import SettingError
from recovery.planning import compose

KEY = "workload.stacks.shop"
SHOP: dict[str, Any] = {
    "services": {
        "web": {"image": "web:1", "deploy": {"replicas": 2}, "env_file": ["web.env"], "secrets": ["db"]},
        "cache": {"image": "cache:1"},
    },
    "secrets": {"db": {"file": "./secrets/db"}, "old": {"external": True}},
}
CONTENTS = {"web.env": b"LEVEL=info", "secrets/db": b"s3cret"}


def document(**changes: Any) -> Any:
    return compose.parsed(KEY, yaml.safe_dump({**SHOP, **changes}))


def test_the_files_that_it_names_are_in_its_folder() -> None:
    assert compose.files(document(), KEY) == ("secrets/db", "web.env")


@pytest.mark.parametrize("file", ["/etc/passwd", "../up", "a/../../up"])
def test_a_file_elsewhere_is_refused(file: str) -> None:
    with pytest.raises(SettingError, match="outside its folder"):
        compose.files(document(secrets={"db": {"file": file}}), KEY)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("services: [", "is not valid YAML"),
        ("[]", "has no services"),
        ("services: {}", "has no services"),
        ("services: [web]", "has no services"),
        ("services: {web: {image: 'web:${TAG}'}}", "has variables"),
        ("services: {web: {image: 'web:$TAG'}}", "has variables"),
        ("services: {web: {command: 'echo $$$HOME'}}", "has variables"),
        ("services: {web: 1}", "services in its file has no names with keys"),
    ],
)
def test_what_cannot_be_deployed_is_refused(text: str, why: str) -> None:
    with pytest.raises(SettingError, match=why) as caught:
        compose.parsed(KEY, text)
    assert caught.value.code == "compose-invalid"


@pytest.mark.parametrize(
    "text",
    ["[copies]\nsecret = s3cret\n", "a: *s3cret", "a: !s3cret x", "a: !!int s3cret", "a: !!bool s3cret", "a: !s3cret!x y", "a: &s3cret 1\nb: &s3cret 2"],
)  # fmt: skip
def test_an_error_quotes_nothing_of_a_file_that_is_not_yaml(text: str) -> None:
    """In a pipeline, it goes into a comment, and the file may be another one than was meant."""
    with pytest.raises(SettingError, match="is not valid YAML") as caught:
        compose.parsed(KEY, text)
    assert "s3cret" not in str(caught.value)


def test_an_error_tells_the_line_and_the_column() -> None:
    with pytest.raises(SettingError, match=r"mapping values are not allowed here \(line 2, column 9\)"):
        compose.parsed(KEY, "services:\n  web: a: b")


@pytest.mark.parametrize("command", ["echo $$HOME", "test a$", "price 5$"])
def test_a_dollar_that_is_no_variable_stays(command: str) -> None:
    assert compose.parsed(KEY, yaml.safe_dump({"services": {"web": {"command": command}}}))


def test_another_version_changes_what_differs() -> None:
    before = compose.digests(document(), CONTENTS)
    services = {"web": {**SHOP["services"]["web"], "image": "web:2"}, "db": {"image": "db:1"}}
    after = compose.digests(
        document(services=services, secrets={"db": {"file": "./secrets/db"}}), {**CONTENTS, "web.env": b"LEVEL=debug"}
    )
    assert compose.changes("shop", before, after) == (
        "stack shop: + services.db",
        "stack shop: ~ services.web (env_file, image)",
        "stack shop: - secrets.old (stays in the swarm: docker removes only services)",
        "stack shop: - services.cache",
    )
    assert compose.changes("shop", before, before) == ()


def test_a_secret_with_another_content_needs_another_name() -> None:
    before = compose.digests(document(), CONTENTS)
    changed = {**CONTENTS, "secrets/db": b"other"}
    assert compose.unchangeable(before, compose.digests(document(), changed)) == ("secrets.db",)
    renamed = {**SHOP["secrets"], "db": {"file": "./secrets/db", "name": "db-2"}}
    assert compose.unchangeable(before, compose.digests(document(secrets=renamed), changed)) == ()


def test_a_secret_whose_file_moved_has_the_same_content() -> None:
    before = compose.digests(document(), CONTENTS)
    moved = compose.digests(document(secrets={"db": {"file": "./db"}}), {"web.env": b"LEVEL=info", "db": b"s3cret"})
    assert compose.unchangeable(before, moved) == ()
    assert compose.changes("shop", before, moved)[0] == "stack shop: ~ secrets.db (file)"


def test_the_state_of_an_earlier_release_is_no_other_content() -> None:
    """It has a digest of path and content alone."""
    now = compose.digests(document(), CONTENTS)
    before = {part: {key: one for key, one in keys.items() if key != compose.CONTENT} for part, keys in now.items()}
    assert compose.unchangeable(before, now) == ()
    assert compose.changes("shop", before, now) == ()
    other = compose.digests(document(), {**CONTENTS, "secrets/db": b"other"})
    assert compose.unchangeable(before, other) == ("secrets.db",)


def test_digests_tell_nothing_of_a_secret() -> None:
    assert "s3cret" not in str(compose.digests(document(), CONTENTS))
