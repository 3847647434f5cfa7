"""The output for operators: tables and trees, or JSON.

JSON is a contract: `VERSION` grows when a key is removed or changes its meaning (docs/json.md).
"""

from recovery.cli.show.cluster import NodeStatus, Status, as_json, as_tree, status
from recovery.cli.show.contract import (
    DEGRADED,
    ERROR,
    FINE,
    LOST,
    UNSEEN,
    USAGE,
    VERSION,
    error_json,
    failures_json,
    span,
)
from recovery.cli.show.copies import copies_json, copies_table, kept_json, prune_json, prune_table, verified_json
from recovery.cli.show.doctor import doctor_code, doctor_json, doctor_lines
from recovery.cli.show.drills import drills_json, drills_table
from recovery.cli.show.plan import plan_json

__all__ = [
    "DEGRADED",
    "ERROR",
    "FINE",
    "LOST",
    "UNSEEN",
    "USAGE",
    "VERSION",
    "NodeStatus",
    "Status",
    "as_json",
    "as_tree",
    "copies_json",
    "copies_table",
    "doctor_code",
    "doctor_json",
    "doctor_lines",
    "drills_json",
    "drills_table",
    "error_json",
    "failures_json",
    "kept_json",
    "plan_json",
    "prune_json",
    "prune_table",
    "span",
    "status",
    "verified_json",
]
