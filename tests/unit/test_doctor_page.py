"""The page of the doctor has a row for every finding, whole, and in the order of priority."""

import re
from pathlib import Path

from recovery.planning.findings.finding import Kind

PAGE = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text()
ROWS = [line.strip("|").split(" | ") for line in PAGE.splitlines() if re.match(r"\| `[a-z-]+@", line)]


def test_every_finding_has_a_row_in_the_order_of_priority() -> None:
    assert [row[0].strip(" `").partition("@")[0] for row in ROWS] == list(Kind)


def test_every_row_says_what_is_wrong_what_repairs_it_what_that_does_and_how_it_is_tested() -> None:
    assert all(len(row) == 5 and all(cell.strip() for cell in row) for row in ROWS)
    assert all(set(row[4].strip().split(", ")) <= {"lab", "units", "fake swarm", "recorded outputs"} for row in ROWS)
