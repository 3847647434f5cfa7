"""A service's data on the real swarm: copied sealed, given back as it was, and no copy where its command fails. In order."""

import json
from typing import Any

import boto3
import pytest

from lab import nodes, workload
from lab.stack import Stack
from tests import listing
from tests.lab.here import requorum
from tests.lab.swarm import MANAGERS, WORKERS, Swarm

HOME = "worker-1"
MARKER = "hunter2-in-the-rows"
WRITES = f'[ -s /data/rows ] || for i in 1 2 3 4 5 6 7 8 9; do echo "row $i {MARKER}" >> /data/rows; done; exec sleep 1000000'
READ = ["cat", "/data/rows"]
WRITE_BACK = ["sh", "-c", "cat > /data/rows"]
DATA = {
    "rows": {"service": "rows", "backup": READ, "restore": WRITE_BACK},
    "files": {"service": "rows", "volume": "rows"},
    "broken": {"service": "rows", "backup": ["sh", "-c", "cat /data/rows; echo no more >&2; exit 3"], "restore": READ},
    "nowhere": {"service": "nothing-like-it", "volume": "rows"},
    "picky": {"service": "rows", "backup": READ, "restore": ["sh", "-c", "echo not that one >&2; exit 4"]},
}


class Rows:
    """The service, as docker on its node shows it."""

    def __init__(self, swarm: Swarm) -> None:
        self.swarm = swarm

    @property
    def container(self) -> str:
        (found,) = self.swarm.containers(HOME)
        return found

    def run(self, script: str, *, check: bool = True) -> str:
        return self.swarm.on(HOME, "docker", "exec", self.container, "sh", "-c", script, check=check)

    @property
    def content(self) -> str:
        return self.run("cat /data/rows")


@pytest.fixture(scope="module")
def rows(swarm: Swarm, stack: Stack) -> Rows:
    """A service whose command writes rows to a file in a named volume; and what it keeps, in the settings."""
    for node in nodes.existing(swarm.lab):
        if node.name in WORKERS:
            workload.load_workload(swarm.lab, node.address)
    create = ["docker", "service", "create", "--detach", "--no-resolve-image", "--name", "rows"]
    place = ["--constraint", f"node.hostname=={HOME}", "--mount", "type=volume,source=rows,target=/data"]
    swarm.on("manager-a", *create, *place, workload.REFERENCE, "sh", "-c", WRITES)
    swarm.until(lambda: len(swarm.containers(HOME)) == 1, "its task runs")
    service = Rows(swarm)
    swarm.until(lambda: service.run("cat /data/rows", check=False).count(MARKER) == 9, "it has written its rows")
    stack.write({**stack.settings(), "data": DATA})
    return service


def listed(stack: Stack) -> list[dict[str, Any]]:
    copies: list[dict[str, Any]] = json.loads(stack.requorum("data", "list", "--json").text)["copies"]
    return copies


def objects(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """All that lies in S3 below the stack's prefix."""
    for key, value in stack.environment().items():
        monkeypatch.setenv(key, value)
    lab = stack.instance
    s3 = boto3.client("s3", endpoint_url=lab.s3_endpoint, region_name="us-east-1")
    found = listing.keys(s3, lab.bucket, stack.settings()["backup"]["prefix"] + "/")
    return {key: s3.get_object(Bucket=lab.bucket, Key=key)["Body"].read() for key in found}


def marked(swarm: Swarm) -> str:
    """What of a copy or a restore still runs on the node, and what of it lies there."""
    return swarm.on(
        HOME,
        "sh",
        "-c",
        "grep -lz ^REQUORUM_DATA= /proc/[0-9]*/environ 2>/dev/null; grep -rl "
        f"{MARKER} /tmp /var/tmp /var/lib/requorum 2>/dev/null; true",
    )


def test_a_copy_is_sealed_before_it_leaves_the_node(rows: Rows, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    container, content = rows.container, rows.content
    done = stack.requorum("data", "backup", "rows", "files", "--json")
    assert done.status == 0, done.errors
    made = {copy["data"]: copy for copy in json.loads(done.text)["copies"]}
    assert (made["rows"]["service"], made["rows"]["node"], made["rows"]["command"]) == ("rows", HOME, READ)
    assert made["rows"]["plainSize"] == len(content) + 1, "with the last line's end"
    assert made["rows"]["clusterId"] == rows.swarm.cluster_id()
    stored = objects(stack, monkeypatch)
    archives = [stored[copy["key"]] for copy in made.values()]
    assert all(archive.startswith(b"age-encryption.org/v1\n") for archive in archives)
    assert not [key for key, found in stored.items() if MARKER.encode() in found]
    assert marked(rows.swarm) == ""
    assert (rows.container, rows.content) == (container, content), "it went on undisturbed"
    assert stack.requorum("data", "verify").status == 0


def test_the_managers_copies_are_another_matter(rows: Rows, stack: Stack) -> None:
    found = json.loads(requorum(stack, "backups", "--json").text)["copies"]
    assert {copy["manager"] for copy in found} == set(MANAGERS)
    assert {copy["data"] for copy in listed(stack)} == {"rows", "files"}


def test_what_was_destroyed_comes_back(rows: Rows, stack: Stack) -> None:
    container, content = rows.container, rows.content
    rows.run("echo ruin > /data/rows")
    assert rows.content == "ruin"
    done = stack.requorum("data", "restore", "rows", "--yes")
    assert done.status == 0, done.errors
    assert (rows.container, rows.content) == (container, content)
    assert marked(rows.swarm) == ""


@pytest.mark.whole
@pytest.mark.parametrize(
    ("name", "why"),
    [("broken", "exit status 3: no more"), ("nowhere", "code: no-such-service")],
)
def test_what_fails_leaves_no_copy(
    rows: Rows, stack: Stack, monkeypatch: pytest.MonkeyPatch, name: str, why: str
) -> None:
    before = set(objects(stack, monkeypatch))
    done = requorum(stack, "data", "backup", name)
    assert done.status == 1
    assert why in done.errors
    assert set(objects(stack, monkeypatch)) == before
    assert marked(rows.swarm) == ""
    both = requorum(stack, "data", "backup", name, "rows")
    assert both.status == 3, "the other is copied all the same"


@pytest.mark.whole
def test_a_restore_that_fails_says_so(rows: Rows, stack: Stack) -> None:
    content = rows.content
    assert requorum(stack, "data", "backup", "picky").status == 0
    done = requorum(stack, "data", "restore", "picky", "--yes")
    assert done.status == 1
    assert "exit status 4: not that one" in done.errors
    assert rows.content == content


@pytest.mark.whole
def test_a_volume_comes_back_as_it_was_under_a_new_task(rows: Rows, stack: Stack) -> None:
    container, content = rows.container, rows.content
    rows.run("echo ruin > /data/rows; echo stranger > /data/stranger")
    done = requorum(stack, "data", "restore", "files", "--yes")
    assert done.status == 0, done.errors
    rows.swarm.until(
        lambda: rows.swarm.containers(HOME) and container not in rows.swarm.containers(HOME), "swarm started its task"
    )
    assert (rows.content, rows.run("ls -A /data")) == (content, "rows")
    assert marked(rows.swarm) == ""
