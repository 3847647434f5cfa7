"""A service of the settings as pulumi-docker wants it. Every option is given, so that a refresh finds what the settings say,
but for those that the stack file leaves out of the service by `null`."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pulumi

from components.settings import WORKLOAD, hidden
from recovery.settings.workload import Amount, Mount, Mounted, Published, Restart, Rollback, Service, Update

Made = Mapping[str, tuple[pulumi.Input[str], pulumi.Input[str]]]
"""The ID and the name of secrets or configs, by their names in the settings."""
NANO = 1_000_000_000


def labels(of: Mapping[str, str]) -> list[dict[str, str]] | None:
    """Labels as pulumi-docker wants them."""
    return [{"label": key, "value": value} for key, value in sorted(of.items())] or None


def digest(service: Service) -> str:
    """Tells one definition of a service from another."""
    return sha256(json.dumps(service.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def given(service: Service, networks: Mapping[str, pulumi.Input[str]], secrets: Made, configs: Made) -> dict[str, Any]:
    """The arguments of the resource, without its name."""
    return {
        "labels": labels(service.labels),
        "mode": {"global": True} if service.mode == "global" else {"replicated": {"replicas": service.count}},
        "task_spec": {
            "container_spec": _container(service, secrets, configs),
            "networks_advanced": [{"id": networks[name]} for name in service.networks] or None,
            "placement": {
                "constraints": list(service.constraints) or None,
                "prefs": [f"spread={one}" for one in service.spread] or None,
                "max_replicas": service.max_replicas_per_node or None,
            },
            "resources": {"limits": _amount(service.limits), "reservation": _amount(service.reservations)},
            "restart_policy": _restart(service.restart),
        },
        "update_config": _rolling(service.update),
        "rollback_config": _rolling(service.rollback),
        "endpoint_spec": {
            "mode": service.endpoint_mode,
            "ports": [_port(port) for port in service.ports] or None,
        },
    }


def _container(service: Service, secrets: Made, configs: Made) -> dict[str, Any]:
    check = service.healthcheck
    return {
        "image": service.image,
        "commands": list(service.command) or None,
        "args": list(service.args) or None,
        "env": hidden(WORKLOAD, dict(service.env)) if service.env else None,
        "user": service.user or None,
        "dir": service.dir or None,
        "hostname": service.hostname or None,
        "read_only": service.read_only or None,
        "init": service.init,
        "labels": labels(service.container_labels),
        "mounts": [_mount(one) for one in service.mounts] or None,
        "secrets": [_mounted("secret", one, secrets, one.name) for one in service.mounted("secrets")] or None,
        "configs": [_mounted("config", one, configs, f"/{one.name}") for one in service.mounted("configs")] or None,
        "healthcheck": {
            "tests": list(check.test),
            "interval": check.interval,
            "timeout": check.timeout,
            "start_period": check.start_period,
            "retries": check.retries,
        }
        if check
        else None,
        "stop_signal": service.stop_signal or None,
        "stop_grace_period": service.stop_grace_period,
    }


def _mounted(kind: str, one: Mounted, made: Made, target: str) -> dict[str, Any]:
    identity, name = made[one.name]
    return {
        f"{kind}_id": identity,
        f"{kind}_name": name,
        "file_name": one.target or target,
        "file_uid": one.uid,
        "file_gid": one.gid,
        "file_mode": int(one.mode, 8),
    }


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "type": mount.type,
        "source": mount.source or None,
        "target": mount.target,
        "read_only": mount.read_only or None,
    }


def _port(port: Published) -> dict[str, Any]:
    return {
        "target_port": port.target,
        "published_port": port.published,
        "protocol": port.protocol,
        "publish_mode": port.mode,
    }


def _amount(amount: Amount | None) -> dict[str, Any] | None:
    if amount is None:
        return None
    if amount == Amount():
        return {"nano_cpus": 0, "memory_bytes": 0}
    cpus = round(amount.cpus * NANO) if amount.cpus else None
    return {"nano_cpus": cpus, "memory_bytes": amount.memory}


def _restart(how: Restart | None) -> dict[str, Any] | None:
    if how is None:
        return None
    return {
        "condition": how.condition,
        "delay": how.delay,
        "max_attempts": how.max_attempts,
        "window": how.window,
    }


def _rolling(how: Update | Rollback | None) -> dict[str, Any] | None:
    if how is None:
        return None
    return {
        "parallelism": how.parallelism,
        "delay": how.delay,
        "failure_action": how.failure_action,
        "monitor": how.monitor,
        "max_failure_ratio": str(how.max_failure_ratio),
        "order": how.order,
    }
