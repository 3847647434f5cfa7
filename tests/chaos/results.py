"""The results of cases, a line of JSON each, appended as they come: a run that broke off goes on from there."""

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.chaos.oracle import Case, Copies, Ending
from tests.chaos.trial import Result


def append(file: Path, result: Result) -> None:
    """One line, in one write: several runs may share a file. What was said is kept where a fault has to be understood."""
    result = result if result.faults else replace(result, said=[])
    line = {"name": result.case.name, "date": datetime.now(UTC).isoformat(timespec="seconds"), **asdict(result)}
    with file.open("a") as out:
        out.write(json.dumps(line) + "\n")


def read(file: Path) -> dict[str, Result]:
    """The last result of each case, by its name. A last line that was cut off is left out."""
    return {result.case.name: result for result in map(_result, lines(file))}


def dates(file: Path) -> list[str]:
    """The days on which the results came."""
    return sorted({line["date"][:10] for line in lines(file)})


def faults(file: Path) -> list[tuple[str, str]]:
    """Every fault that ever came, also of cases that went well when they were run again: the case's name, and what it was."""
    return [(line["name"], line["faults"][0].splitlines()[0]) for line in lines(file) if line["faults"]]


def lines(file: Path) -> list[dict[str, Any]]:
    """The lines that are whole."""
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
