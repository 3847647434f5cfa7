"""The environment variables of the lab, for a shell and for programs."""

import os
import secrets
import shlex

from lab.instance import Instance
from lab.s3 import REGION

STACK = "lab"
"""The stack that commands in such a shell use."""


def variables(instance: Instance) -> dict[str, str]:
    """The lab's environment. It holds no secrets, only the paths of the files that hold them."""
    return {
        "REQUORUM_LAB": str(instance.octet),
        "REQUORUM_LAB_ROOT": str(instance.base),
        "LAB_ENGINE": instance.engine,
        "DOCKER_HOST": instance.docker_host,
        "AWS_SHARED_CREDENTIALS_FILE": str(instance.credentials_file),
        "AWS_ENDPOINT_URL_S3": instance.s3_endpoint,
        "AWS_DEFAULT_REGION": REGION,
        # By default, boto3 sends checksums that S3-compatible servers refuse (botocore#3352).
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "PULUMI_HOME": str(instance.pulumi_home),
        # Pulumi replaces a state file in one step, but truncates and rewrites its .attrs file. If a kill leaves the
        # .attrs file empty, Pulumi cannot read the state ("failed to load checkpoint: EOF"). So it has no metadata.
        "PULUMI_BACKEND_URL": f"file://{instance.pulumi_root}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(instance.passphrase_file),
        "PULUMI_STACK": STACK,
        # A missing plugin fails at once. A download would wait for a network that may not exist.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def exports(instance: Instance) -> str:
    """The lab's environment as lines for ``eval``."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables(instance).items())


def ensure_pulumi(instance: Instance) -> None:
    """Make the state folder and the passphrase of the stacks on this lab, if they do not exist."""
    instance.pulumi_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = instance.passphrase_file
    if not file.exists():
        half = file.with_suffix(".new")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(32))
        half.rename(file)
