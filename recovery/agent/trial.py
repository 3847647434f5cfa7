"""Tries an agent's credentials: writes and reads one of the agents' own notes at each site."""

from dataclasses import replace
from pathlib import Path
from time import time

from recovery.agent.config import CUSTOMER_KEY, Config
from recovery.errors import StoreError
from recovery.s3.site import Site
from recovery.s3.store import Store


def run(config: Config, folder: Path) -> None:
    """Try the credentials at every site. ``folder`` holds the files of the configuration. Raises: StoreError."""
    key_file = folder / CUSTOMER_KEY.name
    buckets = [replace(bucket, key_file=key_file if bucket.key_file else None) for bucket in config.buckets]
    key, content = config.keys.agents_trial, f"{config.name} {time():.3f}".encode()
    for site in Store(buckets).sites:
        site.put(key, content)
        _require_same(site, key, content)


def _require_same(site: Site, key: str, content: bytes) -> None:
    found = site.look(key)
    if found is None or found[0] != content:
        raise StoreError(
            f"reading {key} from {site.where}",
            "what was just written cannot be read",
            remedy="give the nodes' credentials the policy that `requorum policy` prints",
            code="s3-denied",
        )
