"""The Grafana dashboard for the metrics of `requorum metrics` and of agents. `python -m recovery.cli.show.dashboard` prints it
(docs/dashboard.json). Pure.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recovery.cli.show.contract import DEGRADED, ERROR, FINE, LOST, UNSEEN

SCHEMA = 39
"""The version of Grafana's model of a dashboard. Grafana 10 and later read it."""
OURS = '{cluster=~"$cluster"}'
WIDTH = 24
GREEN, YELLOW, RED, PURPLE = "green", "yellow", "red", "purple"
HOUR, DAY = 3600, 86400
Steps = Sequence[tuple[float | None, str]]
"""From which value on a colour applies."""
STATES: Mapping[int, tuple[str, str]] = {
    FINE: ("fine", GREEN),
    ERROR: ("unknown", YELLOW),
    DEGRADED: ("degraded", YELLOW),
    LOST: ("QUORUM LOST", RED),
    UNSEEN: ("not seen", PURPLE),
}
YES_NO: Mapping[int, tuple[str, str]] = {0: ("no", RED), 1: ("yes", GREEN)}
AGE: Steps = ((None, GREEN), (2 * HOUR, YELLOW), (26 * HOUR, RED))
DRILL: Steps = ((None, GREEN), (7 * DAY, YELLOW), (8 * DAY, RED))
NONE_IS_WELL: Steps = ((None, GREEN), (1, RED))


@dataclass(frozen=True)
class Panel:
    """One panel: what it asks, and how it shows the answer."""

    title: str
    expr: str
    legend: str = "{{manager}}"
    kind: str = "stat"
    unit: str = "none"
    about: str = ""
    width: int = 6
    height: int = 5
    steps: Steps = ((None, GREEN),)
    words: Mapping[int, tuple[str, str]] | None = None


def _age(metric: str) -> str:
    return f"time() - {metric}{OURS}"


ROWS: Mapping[str, Sequence[Panel]] = {
    "The swarm": (
        Panel("State", f"requorum_status{OURS}", "{{cluster}}", words=STATES, about="Exit status of requorum status."),
        Panel("Diagnosis", f"requorum_diagnosis{OURS} == 1", "{{diagnosis}}", about="Run requorum doctor for what to do."),
        Panel("S3 answers", f"requorum_s3_up{OURS}", "{{cluster}}", words=YES_NO),
        Panel("Last look", _age("requorum_looked_timestamp_seconds"), "{{cluster}}", unit="s", steps=((None, GREEN), (900, RED))),
        Panel("In maintenance", f"requorum_node_maintenance{OURS}", "{{node}}", width=12, steps=((None, YELLOW),)),
        Panel("Maintenance ends in", f"requorum_node_maintenance_until_timestamp_seconds{OURS} - time()", "{{node}}", unit="s", width=12, steps=((None, RED), (0, GREEN))),
        Panel("Certificates end in", f"requorum_node_certificate_ends_timestamp_seconds{OURS} - time()", "{{node}}", unit="s", width=8, steps=((None, RED), (14 * DAY, GREEN))),
        Panel("Certificates were made", f"time() - requorum_node_certificate_begins_timestamp_seconds{OURS}", "{{node}}", unit="s", width=8),
        Panel("The CA ends in", f"requorum_ca_ends_timestamp_seconds{OURS} - time()", "{{cluster}}", unit="s", width=8, steps=((None, RED), (90 * DAY, GREEN))),
        Panel("State over time", f"requorum_status{OURS}", "{{cluster}}", "state-timeline", words=STATES, width=24),
    ),
    "Copies of managers": (
        Panel("Age of the newest proven copy", _age("requorum_last_proven_copy_timestamp_seconds"), unit="s", steps=AGE, width=8,
              about="What a recovery would lose if all managers were lost now."),
        Panel("Age of the last drill", _age("requorum_last_drill_timestamp_seconds"), unit="s", steps=DRILL, width=8),
        Panel("The last drill succeeded", f"requorum_last_drill_proven{OURS}", words=YES_NO, width=8),
        Panel("Age of the newest copy, over time", _age("requorum_last_copy_timestamp_seconds"), kind="timeseries", unit="s", width=12, height=8),
        Panel("Size of the newest copy", f"requorum_last_copy_bytes{OURS}", kind="timeseries", unit="bytes", width=12, height=8),
        Panel("Copies since the newest proven one", f"requorum_copies{OURS}", "{{manager}} {{verdict}}", "timeseries", width=8, height=8),
        Panel("Sites that lack the newest proven copy", f"requorum_last_proven_copy_missing_sites{OURS}", width=8, height=8, steps=NONE_IS_WELL),
        Panel("How long the last proof took", f"requorum_last_proof_seconds{OURS}", kind="timeseries", unit="s", width=8, height=8),
        Panel("Age of the last proof", _age("requorum_last_proof_timestamp_seconds"), unit="s", width=24, steps=AGE),
    ),
    "Data of services": (
        Panel("Age of the newest data copy", _age("requorum_last_data_copy_timestamp_seconds"), "{{data}}", unit="s", steps=AGE, width=12),
        Panel("Data copies", f"requorum_data_copies{OURS}", "{{data}}", steps=((None, RED), (1, GREEN)), width=12),
    ),
    "Agents": (
        Panel("An agent has a fault", f"requorum_agent_failing{OURS}", steps=NONE_IS_WELL),
        Panel("Failed rounds in a day", f"increase(requorum_agent_failures_total{OURS}[1d])", steps=NONE_IS_WELL),
        Panel("Age of the last attempt", _age("requorum_agent_last_attempt_timestamp_seconds"), unit="s", steps=AGE),
        Panel("Age of the last failure", _age("requorum_agent_last_failure_timestamp_seconds"), unit="s"),
        Panel("Age of the last copy", _age("requorum_agent_last_copy_timestamp_seconds"), unit="s", steps=AGE, width=8),
        Panel("Age of the last proven copy", _age("requorum_agent_last_proven_timestamp_seconds"), unit="s", steps=AGE, width=8),
        Panel("Age of what S3 last stored", _age("requorum_agent_last_stored_timestamp_seconds"), unit="s", steps=AGE, width=8),
        Panel("Oldest copy that waits for S3", f"time() - (requorum_agent_spool_oldest_timestamp_seconds{OURS} > 0)", unit="s", steps=((None, YELLOW), (1800, RED)), width=8),
        Panel("Copies that a site lacks", f"requorum_agent_lacking_copies{OURS}", "{{manager}} {{site}}", steps=NONE_IS_WELL, width=8),
        Panel("Copies in the spool", f"requorum_agent_spool_copies{OURS}", kind="timeseries", width=8),
        Panel("Size of the spool", f"requorum_agent_spool_bytes{OURS}", kind="timeseries", unit="bytes", width=8),
        Panel("How long a copy takes", f"requorum_agent_copy_seconds{OURS}", kind="timeseries", unit="s", width=8),
        Panel("Size of an agent's copy", f"requorum_agent_copy_bytes{OURS}", kind="timeseries", unit="bytes", width=8),
    ),
}  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, listed in ROWS.items():
        panels.append(
            {"type": "row", "title": title, "id": len(panels) + 1, "gridPos": _at(0, y, WIDTH, 1), "panels": []}
        )
        x, y, high = 0, y + 1, 0
        for panel in listed:
            if x + panel.width > WIDTH:
                x, y, high = 0, y + high, 0
            panels.append(_panel(panel, len(panels) + 1, _at(x, y, panel.width, panel.height)))
            x, high = x + panel.width, max(high, panel.height)
        y += high
    return {
        "uid": "requorum",
        "title": "Requorum",
        "description": "Swarms, the copies of their managers, and the agents that take them.",
        "tags": ["docker-swarm", "requorum"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_source(), _clusters()]},
        "annotations": {"list": []},
        "panels": panels,
    }


def _at(x: int, y: int, w: int, h: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": w, "h": h}


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    steps = [{"value": value, "color": colour} for value, colour in panel.steps]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [_words(panel.words)] if panel.words else [],
    }
    options: dict[str, Any] = {}
    if panel.kind == "stat":
        name = {"textMode": "value_and_name"} if panel.title != "Diagnosis" else {"textMode": "name"}
        options = {
            **name,
            "colorMode": "value",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        }
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "id": number,
        "gridPos": dict(place),
        "datasource": source,
        "targets": [{"refId": "A", "expr": panel.expr, "legendFormat": panel.legend, "datasource": source}],
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
    }


def _words(words: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
    """The word for each value, beside its colour."""
    options = {
        str(value): {"text": word, "color": colour, "index": place}
        for place, (value, (word, colour)) in enumerate(words.items())
    }
    return {"type": "value", "options": options}


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _clusters() -> dict[str, Any]:
    return {
        "name": "cluster",
        "label": "Cluster",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${source}"},
        "query": {"query": "label_values(requorum_status, cluster)", "refId": "clusters"},
        "includeAll": True,
        "multi": True,
        "refresh": 2,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


if __name__ == "__main__":
    print(json.dumps(dashboard(), indent=2))
