"""Runs the S3 server of the lab: versitygw on a folder. The nodes reach it too."""

import configparser
import http.client
import json
import os
import secrets
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from lab import network
from lab.daemon import ANSWER_SECONDS, Daemon
from lab.errors import LabError
from lab.instance import S3_PORT, Instance

REGION = "us-east-1"
"""The default region of versitygw."""
_HEALTH = "/health"


def binary() -> Path | None:
    """The path of versitygw, from the variable VERSITYGW or from PATH."""
    chosen = os.environ.get("VERSITYGW")
    if chosen:
        return Path(chosen) if os.access(chosen, os.X_OK) else None
    path = shutil.which("versitygw")
    return Path(path) if path else None


def is_running(instance: Instance) -> bool:
    """Whether this lab's server runs and answers."""
    return _daemon(instance).pid() is not None and _healthy(instance)


def start(instance: Instance) -> bool:
    """Start the server with its bucket, if it does not run. Returns whether it started the server.

    The server listens on an address of the lab's network, which must exist.
    """
    if is_running(instance):
        return False
    program = binary()
    if program is None:
        raise LabError(
            "starting the S3 server",
            "versitygw was not found",
            "Put it on PATH or give its path as VERSITYGW; `make` builds it",
        )
    stop(instance)
    _refuse_stranger(instance)
    objects, versions = instance.s3_root / "objects", instance.s3_root / "versions"
    # A folder at the top of the posix backend is a bucket.
    (objects / instance.bucket).mkdir(parents=True, exist_ok=True)
    versions.mkdir(exist_ok=True)
    _write_users(instance)
    access, secret = credentials(instance)
    _daemon(instance).start(
        [
            program,
            "--port",
            f"{instance.host_link}:{S3_PORT}",
            *(["--port", f"[{instance.host_link6}]:{S3_PORT}"] if network.has_ipv6(instance) else []),
            "--health",
            _HEALTH,
            "--quiet",
            "--region",
            REGION,
            "--iam-dir",
            _users(instance),
            "posix",
            "--versioning-dir",
            versions,
            objects,
        ],
        ready=lambda: _healthy(instance),
        environment={
            "ROOT_ACCESS_KEY": access,
            "ROOT_SECRET_KEY": secret,
            # versitygw prefers these names since v1.8. Those of a caller must not override them.
            "ROOT_ACCESS_KEY_ID": access,
            "ROOT_SECRET_ACCESS_KEY": secret,
        },
    )
    return True


def stop(instance: Instance) -> None:
    """Stop the server. Objects and credentials stay."""
    _daemon(instance).stop()


def credentials(instance: Instance) -> tuple[str, str]:
    """The operator's access key and secret key. The first call makes them and writes the credentials file."""
    return _kept(instance.credentials_file)


def nodes_credentials(instance: Instance) -> tuple[str, str]:
    """The nodes' access key and secret key. The nodes have only the rights that `grant` gives them."""
    return _kept(instance.nodes_credentials_file)


def grant(instance: Instance, policy: Mapping[str, Any]) -> None:
    """Give the nodes the rights of a policy for a user, and no others."""
    access, secret = credentials(instance)
    client = boto3.Session(access, secret, region_name=REGION).client(
        "s3", endpoint_url=instance.s3_endpoint, config=Config(s3={"addressing_style": "path"})
    )
    user, _ = nodes_credentials(instance)
    statements = [{**statement, "Principal": {"AWS": [user]}} for statement in policy["Statement"]]
    client.put_bucket_policy(Bucket=instance.bucket, Policy=json.dumps({**policy, "Statement": statements}))


def _users(instance: Instance) -> Path:
    return instance.s3_root / "users"


def _write_users(instance: Instance) -> None:
    """Add the nodes to the server's users. Its own command has their secret as an argument, which `ps` shows."""
    access, secret = nodes_credentials(instance)
    _users(instance).mkdir(mode=0o700, exist_ok=True)
    accounts = {access: {"access": access, "secret": secret, "role": "user"}}
    (_users(instance) / "users.json").write_text(json.dumps({"accessAccounts": accounts}))


def _kept(file: Path) -> tuple[str, str]:
    parsed = configparser.ConfigParser(interpolation=None)
    if not parsed.read(file):
        parsed["default"] = {
            "aws_access_key_id": f"lab{secrets.token_hex(8)}",
            "aws_secret_access_key": secrets.token_urlsafe(32),
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            parsed.write(out)
    profile = parsed["default"]
    return profile["aws_access_key_id"], profile["aws_secret_access_key"]


def _daemon(instance: Instance) -> Daemon:
    folder = instance.s3_root
    return Daemon("the S3 server", folder / "versitygw.pid", folder / "versitygw.log", str(folder / "objects"))


def _refuse_stranger(instance: Instance) -> None:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        if probe.connect_ex((str(instance.host_link), S3_PORT)) == 0:
            raise LabError(
                "starting the S3 server",
                f"something else listens on {instance.host_link}:{S3_PORT}",
                f"`ss -ltnp 'sport = {S3_PORT}'` shows what; end it",
            )


def _healthy(instance: Instance) -> bool:
    connection = http.client.HTTPConnection(str(instance.host_link), S3_PORT, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", _HEALTH)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
