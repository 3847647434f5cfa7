"""Asks the living nodes which CA is the swarm's, where copies are under several and the stack file names none."""

from contextlib import suppress

from recovery.cluster import Cluster
from recovery.copies.catalog import Catalog
from recovery.errors import HostError
from recovery.survey.nodes import survey


def trusted(cluster: Cluster, catalog: Catalog) -> Catalog:
    """The catalog, which knows the strange copies as far as a living node tells. Raises: StoreError, SettingError."""
    if not catalog.cas and catalog.several_cas:
        with suppress(HostError):  # then nobody tells, and the copies under each CA stand for themselves
            catalog.trust(survey(cluster).told_cas)
    return catalog
