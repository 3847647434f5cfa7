"""The configuration of an agent: its manager, and where its copies go."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from recovery.s3.bucket import Bucket
from recovery.s3.keys import Keys
from recovery.swarm.address import Address

FOLDER = Path("/etc/requorum/agent")
FILE = FOLDER / "config.json"
CREDENTIALS = FOLDER / "credentials"
"""The node's own S3 credentials, an AWS shared credentials file. Without it, boto3 uses other sources on the node."""
CUSTOMER_KEY = FOLDER / "customer.key"
STATE = Path("/var/lib/requorum/agent")
METRICS_FILE = "requorum_agent.prom"
"""The file with the agent's metrics, in the folder of a Prometheus node exporter."""


@dataclass(frozen=True)
class Config:
    """One agent's settings. It also serves as the `Machine` of the agent's manager."""

    cluster: str
    name: str
    address: Address
    buckets: tuple[Bucket, ...]
    recipients: tuple[str, ...]
    """The age recipients of copies."""
    escrow: tuple[str, ...] = ()
    """The age recipients of unlock keys."""
    metrics: Path | None = None
    """The folder from which a node exporter reads metrics (``--collector.textfile.directory``)."""
    spool_copies: int = 50
    spool_bytes: int = 1 << 30

    @property
    def keys(self) -> Keys:
        """The keys of the cluster's objects in S3."""
        return Keys(self.buckets[0].prefix, self.cluster)

    @property
    def places(self) -> dict[str, str]:
        """The places of copies, by the name of the site (`recovery.s3.site.Site.name`)."""
        return {
            name: f"{bucket.endpoint or 's3'}/{bucket.name}/{Keys(bucket.prefix, self.cluster).root}"
            for name, bucket in zip(("main", "second"), self.buckets, strict=False)
        }

    def to_json(self) -> bytes:
        """The configuration file of the node."""
        return json.dumps(asdict(self), default=str, indent=1, sort_keys=True).encode()


def from_json(text: bytes) -> Config:
    """The config that `Config.to_json` wrote."""
    values = json.loads(text)
    return Config(
        **{
            **values,
            "address": ip_address(values["address"]),
            "buckets": tuple(_bucket(bucket) for bucket in values["buckets"]),
            "recipients": tuple(values["recipients"]),
            "escrow": tuple(values["escrow"]),
            "metrics": Path(values["metrics"]) if values["metrics"] else None,
        }
    )


def _bucket(stored: Mapping[str, Any]) -> Bucket:
    key_file, as_of = stored["key_file"], stored["as_of"]
    return Bucket(
        **{
            **stored,
            "key_file": Path(key_file) if key_file else None,
            "as_of": datetime.fromisoformat(as_of) if as_of else None,
        }
    )
