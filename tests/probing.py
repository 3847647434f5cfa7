"""Asks the S3 servers of some settings what they offer."""

from recovery.s3.capability import Capabilities
from recovery.s3.probe import probe
from recovery.s3.store import Store
from recovery.settings import Settings


def probed(settings: Settings) -> tuple[Capabilities, ...]:
    """What each site of the settings offers."""
    return probe(Store(settings.backup.sites).sites, settings.keys.probe)
