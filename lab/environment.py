"""What a shell needs to use the lab by hand, and what a program on it is given."""

import os
import secrets
import shlex

from lab.instance import Instance
from lab.s3 import REGION

STACK = "lab"
"""The stack that commands by hand are for."""


def variables(instance: Instance) -> dict[str, str]:
    """The lab's environment. No secret is in it, only the files that hold them."""
    return {
        "REQUORUM_LAB": str(instance.octet),
        "REQUORUM_LAB_ROOT": str(instance.base),
        "LAB_ENGINE": instance.engine,
        "DOCKER_HOST": instance.docker_host,
        "AWS_SHARED_CREDENTIALS_FILE": str(instance.credentials_file),
        "AWS_ENDPOINT_URL_S3": instance.s3_endpoint,
        "AWS_DEFAULT_REGION": REGION,
        # boto3 sends checksums by default that S3-compatible servers refuse (botocore#3352).
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        "PULUMI_HOME": str(instance.pulumi_home),
        # Without metadata: Pulumi replaces a state file in one step, but truncates and rewrites the .attrs beside it, and one
        # that a kill left empty makes the state unreadable ("failed to load checkpoint: EOF").
        "PULUMI_BACKEND_URL": f"file://{instance.pulumi_root}?metadata=skip",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(instance.passphrase_file),
        "PULUMI_STACK": STACK,
        # A plugin that is missing fails at once, where a download would wait for a network that may not be there.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def exports(instance: Instance) -> str:
    """The same as lines for ``eval``."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables(instance).items())


def ensure_pulumi(instance: Instance) -> None:
    """Make the state folder and the passphrase of the stacks on this lab; kept once made."""
    instance.pulumi_root.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = instance.passphrase_file
    if not file.exists():
        half = file.with_suffix(".new")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(32))
        half.rename(file)
