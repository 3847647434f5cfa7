"""Uploads a copy and its manifest, the manifest last."""

from dataclasses import replace
from pathlib import Path

from recovery.copies.copy import Copy, of
from recovery.copies.manifest import Manifest
from recovery.s3.site import Site
from recovery.s3.store import Store


def store(to: Store, prefix: str, manifest: Manifest, sealed: Path) -> Copy:
    """Store a copy at every site: the sealed archive first, its manifest last. ``prefix`` is ``PREFIX/CLUSTER/``.

    If the second site fails, the copy is still valid. Its `sites` lack that site, and the store's notes say why.
    Raises: StoreError.
    """
    copy = of(manifest, prefix)
    return replace(copy, sites=to.everywhere(lambda site: write(site, copy, manifest, sealed)))


def write(site: Site, copy: Copy, manifest: Manifest, sealed: Path) -> None:
    """Store a copy at one site: the sealed archive first, its manifest last. Raises: StoreError."""
    site.upload(sealed, copy.key)
    site.keep(copy.manifest_key, manifest.to_json())
