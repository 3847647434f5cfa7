"""The page of every metric with its labels, made of what collects them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from prometheus_client.core import Metric

from manual.text import cell, sentence, table
from recovery.agent.metrics import AgentCollector
from recovery.agent.state import State
from recovery.cli.show.metrics import Watched

HEAD = """# Metrics

`python -m manual` writes this page from the code. [Monitoring](../monitoring.md) explains how to collect them. Times are Unix time stamps.
"""


def page() -> str:
    """The page."""
    lines = [HEAD, "## Of the cluster", "", "`requorum metrics` prints these.", "", *_table(of_cluster())]
    lines += ["", "## Of an agent", "", "Each manager's agent writes these, if `requorum:agent.metricsFolder` is set."]
    return "\n".join([*lines, "", *_table(of_agent())]) + "\n"


def of_cluster() -> Iterable[Metric]:
    """Every metric of `requorum metrics`, of a cluster without nodes."""
    nothing: Any = SimpleNamespace(
        cluster="",
        diagnosis=SimpleNamespace(kind=None),
        taken=datetime.now(UTC),
        exit_code_anywhere=0,
        nodes=(),
        ca=None,
    )
    return Watched(nothing, [], [], {}, {}, sites=1).collect()


def of_agent() -> Iterable[Metric]:
    """Every metric of an agent."""
    nobody: Any = SimpleNamespace(cluster="", name="", places=())
    return AgentCollector(nobody, State(), ()).collect()


def name(metric: Metric) -> str:
    """The name as Prometheus has it."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def _table(metrics: Iterable[Metric]) -> list[str]:
    rows = sorted((f"`{name(one)}`", one.type, _labels(one), sentence(cell(one.documentation))) for one in metrics)
    return table(("metric", "type", "labels", "meaning"), rows)


def _labels(metric: Any) -> str:
    return ", ".join(f"`{label}`" for label in metric._labelnames)
