"""Stores the results of cases, one line of JSON each. An interrupted run can continue from them."""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.oracle import Case, Copies, Ending
from tests.chaos.trial import Result


def append(file: Path, result: Result) -> None:
    """Append one line in one write, because several runs may share a file. Progress is kept only with a fault."""
    result = result if result.faults else replace(result, said=[])
    line = {"name": result.case.name, "date": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(result)}
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")


def read(file: Path) -> dict[str, Result]:
    """The last result of each case, by its name. Ignores an incomplete last line."""
    return {result.case.name: result for result in map(_result, lines(file))}


def dates(file: Path) -> list[str]:
    """The days of the results."""
    return sorted({line["date"][:10] for line in lines(file)})


def faults(file: Path) -> list[tuple[str, str]]:
    """The name and text of every fault, also of cases that ended well in a later run."""
    return [(line["name"], line["faults"][0].splitlines()[0]) for line in lines(file) if line["faults"]]


def lines(file: Path) -> list[dict[str, Any]]:
    """The complete lines of a file."""
    texts = file.read_text().splitlines() if file.exists() else []
    return [json.loads(text) for text in texts if text.endswith("}")]


def left(cases: Iterable[Case], found: dict[str, Result]) -> list[Case]:
    """The cases that have no result yet, or one with faults."""
    return [case for case in cases if case.name not in found or found[case.name].faults]


def _result(line: dict[str, Any]) -> Result:
    values = {key: value for key, value in line.items() if key not in ("name", "date")}
    case = values.pop("case")
    ending = values.pop("ending")
    return Result(
        case=Case(
            tuple(case["managers"]), tuple(case["lost"]), Copies(case["copies"]), case["autolock"], case["engine"]
        ),
        ending=Ending(ending) if ending else None,
        engines=tuple(values.pop("engines")),
        **values,
    )
