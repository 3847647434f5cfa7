"""What a request may change in a stack file that is previewed beside the keys of the nodes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from recovery.pipeline.requested import beyond
from recovery.settings import Settings
from recovery.settings.base import Frozen
from recovery.settings.machines import CheckedBy

CONFIG = {
    "requorum:cluster": "lab",
    "requorum:hosts": {"driver": "existing"},
    "requorum:ssh": {"knownHostsFile": ".requorum/known-hosts"},
    "requorum:managers": [{"name": "a", "address": "10.0.0.1"}, {"name": "b", "address": "10.0.0.2"}],
    "requorum:backup": {
        "bucket": "copies",
        "endpoint": "https://s3",
        "identityFile": "identity",
        "retention": {"last": 3},
    },
}


def text(config: object, **more: object) -> str:
    return yaml.safe_dump({"config": config, **more})


MAIN = text(CONFIG, encryptionsalt="v1:a")
FREE = [
    {},
    {"requorum:managers": [*CONFIG["requorum:managers"], {"name": "c", "address": "10.0.0.3", "zone": "c"}]},  # type: ignore[misc]
    {"requorum:managers": CONFIG["requorum:managers"][::-1]},  # type: ignore[index]
    {"requorum:swarm": {"taskHistoryLimit": 9}},
    {"requorum:backup": {**CONFIG["requorum:backup"], "retention": {"last": 9}}},  # type: ignore[dict-item]
    {"requorum:recover": "r0123456789abcdef"},
]
HELD = [
    ({"requorum:hosts": {"driver": "existing", "presence": ["sh"]}}, "requorum:hosts"),
    ({"requorum:hosts": '{"driver": "existing", "fence": ["sh"]}'}, "requorum:hosts"),
    ({"requorum:ssh": {"configFile": "request/config"}}, "requorum:ssh"),
    ({"requorum:backup": {**CONFIG["requorum:backup"], "endpoint": "https://other"}}, "requorum:backup.endpoint"),  # type: ignore[dict-item]
    ({"requorum:backup": '{"bucket": "copies", "identityFile": "x"}'}, "requorum:backup.endpoint"),
    ({"requorum:backup": {**CONFIG["requorum:backup"], "second": {"keyFile": "x"}}}, "requorum:backup.second.keyFile"),  # type: ignore[dict-item]
    ({"requorum:notify": {"urlsFile": "x"}}, "requorum:notify.urlsFile"),
    ({"requorum:reportPage": "/etc/cron.d/x"}, "requorum:reportPage"),
    (
        {"requorum:managers": [{"name": "a", "address": "10.0.0.1", "ssh": {"privateKeyFile": "x"}}]},
        "requorum:managers[a].ssh.privateKeyFile",
    ),
    ({"requorum:workload": {"stacks": {"x": "/home/ci/.aws/credentials"}}}, "requorum:workload.stacks"),
    ({"requorum:workload": {"secrets": {"x": {"file": "/etc/shadow"}}}}, "requorum:workload.secrets.x.file"),
    ({"requorum:workload": {"configs": {"x": {"file": "/etc/shadow"}}}}, "requorum:workload.configs.x.file"),
    ({"requorum:notify": '{"urlsFile":\t"/etc/shadow"}'}, "requorum:notify.urlsFile"),
    ({"requorum:config:hosts": {"driver": "existing", "presence": ["sh"]}}, "requorum:config:hosts"),
    ({"docker:host": "ssh://-oProxyCommand=x"}, "docker:host"),
]


def paths(model: type[Frozen], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys that lead to each file that the settings name; `x` for the key of a map."""
    for field in model.model_fields.values():
        yield from _paths((field.annotation, *field.metadata), (*above, str(field.alias)))


def _paths(of: Any, at: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(of, type) and issubclass(of, Path):
        yield at
    elif isinstance(of, type) and issubclass(of, Frozen):
        yield from paths(of, at)
    elif isinstance(of, CheckedBy):
        yield from paths(of.model, at)
    else:
        inner = of if isinstance(of, tuple) else (*get_args(of), *getattr(of, "__metadata__", ()))
        for one in inner:
            yield from _paths(one, (*at, "x") if "Mapping" in str(of) and not isinstance(of, tuple) else at)


FILES = sorted(set(paths(Settings)))


@pytest.mark.parametrize("at", FILES, ids=".".join)
def test_no_setting_that_names_a_file_is_free(at: tuple[str, ...]) -> None:
    first, *rest = at
    value: Any = "/home/ci/.aws/credentials"
    for key in reversed(rest):
        value = {key: value}
    assert beyond(MAIN, text({**CONFIG, f"requorum:{first}": value}, encryptionsalt="v1:a"))


def test_the_settings_that_name_files_are_found() -> None:
    assert {("workload", "stacks", "x"), ("workload", "secrets", "x", "file"), ("ssh", "knownHostsFile")} <= set(FILES)


@pytest.mark.parametrize("change", FREE)
def test_what_names_no_command_file_or_server_is_free(change: dict[str, object]) -> None:
    assert beyond(MAIN, text({**CONFIG, **change}, encryptionsalt="v1:a")) == ()


@pytest.mark.parametrize(("change", "key"), HELD, ids=[key for _, key in HELD])
def test_what_names_one_is_not(change: dict[str, object], key: str) -> None:
    assert key in beyond(MAIN, text({**CONFIG, **change}, encryptionsalt="v1:a"))


@pytest.mark.parametrize("key", ["requorum:hosts", "requorum:ssh", "requorum:backup"])
def test_to_leave_one_out_is_a_change_too(key: str) -> None:
    assert beyond(MAIN, text({name: value for name, value in CONFIG.items() if name != key}, encryptionsalt="v1:a"))


def test_what_stands_beside_the_settings_is_held_too() -> None:
    assert beyond(MAIN, text(CONFIG, encryptionsalt="v1:b")) == ("encryptionsalt",)
    assert beyond(MAIN, text(CONFIG, encryptionsalt="v1:a", secretsprovider="hashivault://x")) == ("secretsprovider",)


DEEP = text({**CONFIG, "requorum:data": "[" * 100_000 + "]" * 100_000})


@pytest.mark.parametrize(
    "other", ["", "a: [", "- a", "config: 1", DEEP], ids=["empty", "cut off", "a list", "no config", "deep"]
)
def test_what_is_no_stack_file_is_an_error(other: str) -> None:
    with pytest.raises(ValueError, match="it"):
        beyond(MAIN, other)
