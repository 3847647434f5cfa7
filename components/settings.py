"""The stack's settings, as Pulumi gives them to a program and to a dynamic provider."""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import ConfigureRequest
from pulumi.runtime.config import CONFIG, is_config_secret

from recovery.errors import SettingError
from recovery.operations import agents
from recovery.settings import PROJECT, Settings, from_strings

CONSENT = "recover"
KEYS = tuple(str(field.alias) for field in Settings.model_fields.values())


def from_program() -> Settings:
    """The settings of the running program's stack. Raises: SettingError, also for a key that does not exist or a file for agents."""
    prefix = f"{PROJECT}:"
    for key in CONFIG.get():
        if key.startswith(prefix) and (name := key.removeprefix(prefix)) not in KEYS:
            raise SettingError(
                name, "is not a known key", remedy=f"use one of {', '.join(KEYS)}", code="setting-unknown-key"
            )
    config = pulumi.Config(PROJECT)
    settings = from_strings(_given({key: config.get(key) for key in KEYS}))
    agents.check(settings)
    return settings


def provider(opts: pulumi.ResourceOptions) -> pulumi.ProviderResource:
    """The provider of Requorum's own resources. It gets all settings except consent, which the default provider would get too.

    If a provider's settings changed since the refresh, Pulumi starts it again, which takes a second while the swarm is down.
    A secret setting stays secret in the state.
    """
    config = pulumi.Config(PROJECT)
    given: dict[str, pulumi.Input[str]] = {
        f"{PROJECT}:{key}": pulumi.Output.secret(value) if is_config_secret(f"{PROJECT}:{key}") else value
        for key, value in _given({key: config.get(key) for key in KEYS if key != CONSENT}).items()
    }
    return pulumi.ProviderResource("pulumi-python", "swarm", given, opts)


def from_provider(request: ConfigureRequest) -> Settings:
    """The settings of the stack that a dynamic provider works for, without consent. Raises: SettingError."""
    return from_strings(_given({key: request.config.get(f"{PROJECT}:{key}") for key in KEYS}))


def _given(values: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value is not None}
