"""Stores what came of edits, one line of JSON each: all on the fake swarm, and some on a lab."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.edits.files import State
from tests.edits.trial import Result

FILE = Path(__file__).resolve().parent.parent.parent / "docs" / "edits.jsonl"
FAKE, LAB = "fake", "lab"


def read(file: Path, where: str) -> list[Result]:
    """The last result of each case that ran there."""
    found: dict[tuple[str, str], Result] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        values = json.loads(line)
        if values.pop("where") == where:
            values.pop("date")
            found[values["edit"], values["state"]] = Result(**{**values, "state": State(values["state"])})
    return list(found.values())


def replace(file: Path, where: str, results: Iterable[Result]) -> None:
    """Store these results instead of the earlier ones of the same cases there."""
    new = {(one.edit, str(one.state)): _line(where, one) for one in results}
    lines = file.read_text().splitlines() if file.exists() else []
    kept = [line for line in lines if not _is_one(json.loads(line), where, new)]
    file.write_text("".join(f"{line}\n" for line in (*kept, *new.values())))


def _line(where: str, one: Result) -> str:
    return json.dumps({"where": where, "date": f"{datetime.now(UTC):%Y-%m-%d}", **asdict(one)})


def _is_one(line: dict[str, str], where: str, cases: Iterable[tuple[str, str]]) -> bool:
    return line["where"] == where and (line["edit"], line["state"]) in set(cases)
