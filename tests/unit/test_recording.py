"""The recording of the README: what a terminal shows becomes a picture that plays by itself."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.text import Text

from lab.demo import TITLE, of_pulumi, of_requorum
from lab.recording import HOLD, LONGEST, READING, ROWS, TYPED, Line, Recording, moments, picture

DEMO = Path(__file__).parents[2] / "docs/demo.svg"
SVG = "{http://www.w3.org/2000/svg}"
LINES = [Line(0, Text("$ requorum status"), True), *(Line(60 + n, Text(f"<line {n}>")) for n in range(ROWS + 3))]


def texts(svg: str) -> list[str]:
    return ["".join(found.itertext()) for found in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_what_takes_long_is_short_in_the_picture_and_a_reader_has_time() -> None:
    at = moments([*LINES, Line(100, Text("$ again"), True), Line(900, Text("end"))])
    assert at[:3] == pytest.approx([TYPED, 2 * TYPED, 2 * TYPED + LONGEST])
    assert at[-2] - at[-3] == pytest.approx(READING)
    assert at == sorted(at)


def test_a_picture_has_every_line_as_text_and_scrolls_to_the_last() -> None:
    made = picture(LINES, "a <title>")
    assert texts(made) == [line.text.plain for line in LINES]
    assert (
        made.count("translateY(-72px)") == 3
    )  # four lines more than rows: the last frame, the end, and without motion
    assert "a &lt;title&gt;" in made


def test_colours_of_the_terminal_are_kept() -> None:
    text = Text.from_ansi("\x1b[31mred\x1b[0m \x1b[1mbold\x1b[0m \x1b[2mdim\x1b[0m")
    made = picture([Line(0, text)], "t")
    assert [f'<tspan class="{name}">' in made for name in ("red", "b", "d")] == [True, True, True]


def test_a_command_runs_in_a_terminal_and_what_is_erased_is_not_shown(tmp_path: Path) -> None:
    made = Recording({}, str(tmp_path))
    program = r"test -t 1 && printf 'wait 1 s\r\033[2Kdone\033[0m\nhide me\n'"
    made.run(["sh", "-c", program], lambda line: "" if "hide" in line else line)
    assert [line.text.plain for line in made.lines][1:] == ["done"]
    assert made.lines[0].typed


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("    pulumi:pulumi:Stack requorum-lab running requorum: proving the cluster", "requorum: proving the cluster"),
        (" +  docker:index:Volume 10.77.1.11-volume creating (0s)", ""),
        ("@ updating....", ""),
        ("    requorum: proving the cluster", ""),
        ("    + 9 created", "+ 9 created"),
        ("    17 changes. 19 unchanged", "17 changes. 19 unchanged"),
        ("Duration: 1m39s", "Duration: 1m39s"),
    ],
)
def test_of_pulumi_the_picture_has_what_requorum_says_and_the_count(line: str, shown: str) -> None:
    assert of_pulumi(line) == shown


def test_a_count_of_seconds_is_no_line() -> None:
    assert of_requorum("asking the nodes and S3 4 s") == ""
    assert of_requorum("manager-a  a") == "manager-a  a"


def test_the_picture_of_the_readme_is_a_recovery_in_less_than_a_minute() -> None:
    svg = DEMO.read_text()
    said = texts(svg)
    assert f"<title>{TITLE}</title>" in svg
    assert [line.split()[1] for line in said if line.startswith("$")] == [
        "requorum", "lab/lose", "requorum", "requorum", "pulumi", "requorum",
    ]  # fmt: skip
    assert any(line.startswith("requorum: quorum back on") for line in said)
    assert sum(line.endswith(": healthy") for line in said) == 2
    (seconds,) = set(map(float, re.findall(r"([\d.]+)s step-end", svg)))
    assert HOLD < seconds < 60
    assert len(svg) < 40_000
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")
