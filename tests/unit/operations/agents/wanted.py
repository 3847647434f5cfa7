"""Agents as they are wanted, and the time at which they are looked at."""

from typing import Any

from recovery.settings import Settings

NOW = 1_700_000_000.0


def with_agent(of: Settings, **changes: Any) -> Settings:
    assert of.agent
    return of.model_copy(update={"agent": of.agent.model_copy(update=changes)})
