"""Asks the S3 servers of some settings what they offer."""

from recovery.s3.probe import Capabilities, probe
from recovery.s3.store import Store
from recovery.settings import Settings


def probed(settings: Settings) -> tuple[Capabilities, ...]:
    """What each site of the settings offers."""
    return probe(Store(settings.backup.sites).sites, settings.keys.probe)
