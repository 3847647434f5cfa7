"""The load of a node: what the script prints on a real machine, and what is no answer."""

import subprocess

import pytest

from recovery.errors import Garbled
from recovery.survey.load import ASK, KB, ContainerLoad, NodeLoad, parsed
from recovery.swarm.client import IN_SHELL

ANSWER = """0.42 0.50 0.61 2/345 6789
4
8123456 kB
612345 kB
/dev/sda1           102400 51200 40960      56% /
1.50% 2.25% web.1.abc
12.00% 10.00% db.1.def
-- -- gone.1.ghi
"""


def test_an_answer_is_read_and_the_busiest_container_comes_first() -> None:
    assert parsed(ANSWER, "manager-a") == NodeLoad(
        0.42,
        4,
        8123456 * KB,
        612345 * KB,
        102400 * KB,
        40960 * KB,
        (
            ContainerLoad("db.1.def", 12.0, 10.0),
            ContainerLoad("web.1.abc", 1.5, 2.25),
            ContainerLoad("gone.1.ghi", 0, 0),
        ),
    )


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "hello\n",
        ANSWER.replace("kB", "GB"),
        ANSWER + "<script>\n",
        ANSWER.replace("0.42", "inf"),
        ANSWER.replace("56%", ""),
    ],
)
def test_what_is_no_answer_is_none(answer: str) -> None:
    with pytest.raises(Garbled):
        parsed(answer, "manager-a")


def test_this_machine_answers_the_script() -> None:
    script = ASK.replace(f"timeout 10 {IN_SHELL} info", "false").replace(f"timeout 10 {IN_SHELL} stats", "true")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    found = parsed(done.stdout, "here")
    assert 0 < found.free_memory <= found.memory
    assert 0 <= found.free_disk <= found.disk
    assert found.processors
