"""The stack's settings, as Pulumi gives them to a program and to a dynamic provider."""

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pulumi
from pulumi.dynamic import ConfigureRequest
from pulumi.runtime.config import CONFIG, is_config_secret

from components.command_line import project, stack_file
from recovery.cluster import Cluster
from recovery.errors import SettingError
from recovery.operations import agents, stacks
from recovery.settings import PROJECT, Settings, decoded, from_strings, parse, read
from recovery.settings.choices import PLAN_ID
from recovery.settings.project import Project

T = TypeVar("T")
CONSENT, WORKLOAD = "recover", "workload"
KEYS = tuple(str(field.alias) for field in Settings.model_fields.values())
OF_PROVIDERS = tuple(key for key in KEYS if key not in (CONSENT, WORKLOAD))
"""What Requorum's own resources are given: neither consent, nor what runs on the swarm, which may hold secrets."""


def from_program() -> Settings:
    """The settings of the running program's stack. Raises: SettingError, also for a key that does not exist or a file for agents or the workload."""
    prefix = f"{PROJECT}:"
    others = [key.removeprefix(prefix) for key in CONFIG.get() if key.startswith(prefix)]
    config = pulumi.Config(PROJECT)
    given = {key: config.get(key) for key in dict.fromkeys((*KEYS, *others))}
    given[CONSENT] = given[CONSENT] or _typed_id()
    settings = from_strings(_given(given))
    agents.check(settings)
    stacks.check(settings)
    return settings


def _typed_id() -> str | None:
    """The plan's ID in `--config recover=ID`, which Pulumi takes for a key of the program's own project. Nothing else there is ours."""
    given = pulumi.Config().get(CONSENT) or ""
    return given if PLAN_ID.fullmatch(given) else None


def provider(opts: pulumi.ResourceOptions) -> pulumi.ProviderResource:
    """The provider of Requorum's own resources. It gets the settings `OF_PROVIDERS`.

    If a provider's settings changed since the refresh, Pulumi starts it again, which takes a second while the swarm is down.
    A secret setting stays secret in the state.
    """
    config = pulumi.Config(PROJECT)
    given: dict[str, pulumi.Input[str]] = {
        f"{PROJECT}:{key}": hidden(key, value)
        for key, value in _given({key: config.get(key) for key in OF_PROVIDERS}).items()
    }
    return pulumi.ProviderResource("pulumi-python", "swarm", given, opts)


def is_secret(key: str) -> bool:
    """Whether a key of the settings is secret in the program's configuration: all of it, or a value within it."""
    return is_config_secret(f"{PROJECT}:{key}")


def hidden(key: str, value: T) -> pulumi.Input[T]:
    """A value from that key, which the state holds encrypted if the key is secret."""
    return pulumi.Output.secret(value) if is_secret(key) else value


def from_provider(request: ConfigureRequest) -> Cluster:
    """The cluster that a dynamic provider works on, under its settings without consent. Raises: SettingError.

    All providers of a process share it, and with it the leases: the agents pause from a new quorum to its proof. A refresh
    or a destroy gives a provider the settings of the last update. What the stack file says now comes first: a key may have
    moved since, and on another machine it has another path.
    """
    kept = decoded(_given({key: request.config.get(f"{PROJECT}:{key}") for key in OF_PROVIDERS}))
    today = _today(kept.get("cluster"))
    values = {key: kept.get(key) if _is_secret(value) else value for key, value in (today or kept).items()}
    return _cluster(json.dumps(values, sort_keys=True, default=str))


def running(cluster: str) -> Settings:
    """The settings of a cluster in the stack file of the running `pulumi`. Raises: SettingError."""
    if not (values := _today(cluster)):
        raise SettingError(
            "cluster",
            f"no stack file here has the cluster {cluster}, or several have it",
            remedy="run the command in the folder of the project, with --stack",
            code="no-such-name",
        )
    return parse(values)


@cache
def _cluster(values: str) -> Cluster:
    return Cluster(parse(json.loads(values)))


def _today(cluster: str | None) -> dict[str, Any]:
    """What the stack file of the running `pulumi`, and its project's, say of `OF_PROVIDERS`; nothing if it cannot be read or is another cluster's."""
    of = project()
    try:
        file = stack_file() or _only_file(of, cluster)
        values = _values(of, file) if file else {}
    except SettingError:
        return {}
    known = {key: value for key, value in values.items() if key in OF_PROVIDERS}
    return known if values.get("cluster") == cluster else {}


def _values(of: Project | None, file: Path) -> dict[str, Any]:
    """The settings of a stack, of which its project's file may give some. Raises: SettingError."""
    return {**of.settings, **read(file, of.name)} if of else read(file)


def _only_file(of: Project | None, cluster: str | None) -> Path | None:
    """The one stack file of the project that has this cluster; None if there are several. `pulumi stack select` names none."""
    found = []
    for file in of.stack_files() if of else ():
        with suppress(SettingError):
            if _values(of, file).get("cluster") == cluster and ".example." not in file.name:
                found.append(file)
    return found[0] if len(found) == 1 else None


def _is_secret(value: Any) -> bool:
    """Whether a value of a stack file is encrypted, or holds one that is."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_is_secret, value.values()))
    return isinstance(value, list) and any(map(_is_secret, value))


def _given(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value is not None}
