"""Stores what came of edits, one line of JSON each: all on the fake swarm, and some on a lab."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent.parent / "docs" / "edits.jsonl"
FAKE, LAB = "fake", "lab"


@dataclass
class Result:
    """What came of an edit. Without faults, it ended as it must."""

    edit: str
    state: str
    refused: str = ""
    """The code of the refusal."""
    operations: list[str] = field(default_factory=list)
    """What was done to which resource."""
    steps: int = 0
    """The changes of machines and of the swarm."""
    faults: list[str] = field(default_factory=list)


def read(where: str, file: Path = FILE) -> list[Result]:
    """The last result of each case that ran there."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    there = [line for line in lines if line["where"] == where]
    results = [Result(**{key: one[key] for key in one if key not in ("where", "date")}) for one in there]
    return list({(one.edit, one.state): one for one in results}.values())


def replace(where: str, results: Iterable[Result], file: Path = FILE) -> None:
    """Store these results instead of the earlier ones of the same cases there."""
    new = {(one.edit, str(one.state)): _line(where, one) for one in results}
    lines = file.read_text().splitlines() if file.exists() else []
    kept = [line for line in lines if not _is_one(json.loads(line), where, new)]
    file.write_text("".join(f"{line}\n" for line in (*kept, *new.values())))


def _line(where: str, one: Result) -> str:
    return json.dumps({"where": where, "date": f"{datetime.now(UTC):%Y-%m-%d}", **asdict(one)})


def _is_one(line: dict[str, str], where: str, cases: Iterable[tuple[str, str]]) -> bool:
    return line["where"] == where and (line["edit"], line["state"]) in set(cases)
