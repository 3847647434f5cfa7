"""What the operator is shown: for eyes, or as JSON.

JSON is a contract: `VERSION` changes when a key goes or changes its meaning (docs/json.md).
"""

from recovery.display.cluster import NodeStatus, Status, as_json, as_tree, status
from recovery.display.contract import DEGRADED, ERROR, FINE, LOST, USAGE, VERSION, span
from recovery.display.copies import copies_json, copies_table, kept_json, prune_json, prune_table, verified_json
from recovery.display.doctor import doctor_code, doctor_json, doctor_lines
from recovery.display.drills import drills_json, drills_table
from recovery.display.plan import plan_json

__all__ = [
    "DEGRADED",
    "ERROR",
    "FINE",
    "LOST",
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
    "kept_json",
    "plan_json",
    "prune_json",
    "prune_table",
    "span",
    "status",
    "verified_json",
]
