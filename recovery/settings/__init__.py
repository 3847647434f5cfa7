"""The stack's settings, checked once at the edge and frozen.

The same keys come from Pulumi's configuration and, for the command line, straight from
the stack file. Anything wrong is a `SettingError` that names the key and the remedy.
"""

from recovery.settings.agent import Agent
from recovery.settings.base import EXAMPLE, EXAMPLES_RECIPIENT, PROJECT
from recovery.settings.choices import COPY_NAME, PLAN_ID
from recovery.settings.cluster import Settings
from recovery.settings.copies import Backup, Encryption, Escrow, Lock, Retention, RetentionRules, Second
from recovery.settings.engine import Engine
from recovery.settings.hosts import Hosts
from recovery.settings.notify import Notify
from recovery.settings.reading import decoded, from_strings, load, name_one, parse, read
from recovery.settings.services import Data
from recovery.swarm.machines import Availability, Node, Role, Ssh, SwarmOptions

__all__ = [
    "COPY_NAME",
    "EXAMPLE",
    "EXAMPLES_RECIPIENT",
    "PLAN_ID",
    "PROJECT",
    "Agent",
    "Availability",
    "Backup",
    "Data",
    "Encryption",
    "Engine",
    "Escrow",
    "Hosts",
    "Lock",
    "Node",
    "Notify",
    "Retention",
    "RetentionRules",
    "Role",
    "Second",
    "Settings",
    "Ssh",
    "SwarmOptions",
    "decoded",
    "from_strings",
    "load",
    "name_one",
    "parse",
    "read",
]
