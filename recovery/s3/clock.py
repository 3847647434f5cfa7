"""How far the clock of an S3 server differs from ours."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any


def skew(answer: Mapping[str, Any], now: datetime) -> timedelta:
    """How far ``now`` is ahead of the time in a server's answer; zero if the answer has no readable time."""
    said = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return now - parsedate_to_datetime(said)
    except (ValueError, TypeError):
        return timedelta(0)
