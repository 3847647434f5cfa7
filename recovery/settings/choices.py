"""What the operator chooses for a recovery: the consent to it, the copy that it starts from, and whom to trust."""

import re
from datetime import datetime
from typing import Annotated, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from pydantic import BeforeValidator

PLAN_ID = re.compile(r"r[0-9a-f]{7,16}")
"""A plan's ID has 16 digits. One of an earlier version has 7, and no plan has it any more."""
DIGEST = re.compile(r"[0-9a-f]{64}")
COPY_NAME = re.compile(r"swarm-.+-\d{8}T\d{12}Z")


def _consent(value: Any) -> bool | str:
    text = str(value).lower()
    if text in ("true", "false"):
        return text == "true"
    if PLAN_ID.fullmatch(text):
        return text
    raise ValueError("give true, or the ID of the plan that `pulumi preview` shows")


def _choice(value: Any) -> str | datetime | None:
    if value in (None, ""):
        return None
    text = str(value)
    if COPY_NAME.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            "give the name of a copy (requorum copies list), or a time such as 2026-01-31T12:00:00Z"
        ) from None
    if moment.tzinfo is None:
        raise ValueError("the time has no time zone: end it with Z or an offset such as +01:00")
    return moment


def _digests(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list | tuple) else [value] if value else []
    found = tuple(str(one).strip().lower() for one in given)
    if not all(DIGEST.fullmatch(one) for one in found):
        raise ValueError("give the SHA-256 of the CA certificate, 64 hexadecimal digits, or a list of them")
    return found


def _public_keys(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list | tuple) else [value] if value else []
    lines = tuple(" ".join(str(one).split()) for one in given)
    for line in lines:
        try:
            load_ssh_public_key(line.encode())
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError(
                "give public SSH keys as their .pub files have them, such as ssh-ed25519 AAAA…, or a list of them"
            ) from None
    return lines


CaDigests = Annotated[tuple[str, ...], BeforeValidator(_digests)]
PublicKeys = Annotated[tuple[str, ...], BeforeValidator(_public_keys)]
Consent = Annotated[bool | str, BeforeValidator(_consent)]
Choice = Annotated[str | datetime | None, BeforeValidator(_choice)]
