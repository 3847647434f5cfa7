"""The policy pack under a real `pulumi preview`: its policies are shown, and a mandatory one stops the preview."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from policy.rules import RULES

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, os
import pulumi
from pulumi.dynamic import Resource, ResourceProvider

class Member(Resource, module="requorum", name="Member"):
    pass

config = {f"requorum:{key}": json.dumps(value) for key, value in json.loads(os.environ["SETTINGS"]).items()}
swarm = pulumi.ProviderResource("pulumi-python", "swarm", {"requorum:cluster": "lab", **config})
for number, zone in enumerate(os.environ["ZONES"]):
    props = {"name": f"m{number}", "role": "manager", "zone": zone, "availability": "drain"}
    Member(ResourceProvider(), f"m{number}", props, pulumi.ResourceOptions(provider=swarm))
"""
GOOD = {"backup": {"recipients": ["age1a", "age1b"], "lock": {"days": 7}}, "agent": {"schedule": "daily"}}


def made(*words: str) -> Path:
    """What a program of the toolchain makes."""
    asked = subprocess.run([ROOT / "toolchain" / words[0]], check=True, stdout=subprocess.PIPE, text=True)
    return Path(asked.stdout.strip())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the resources that the rules read, and the pack beside it."""
    (tmp_path / "Pulumi.yaml").write_text("name: requorum\nruntime: python\n")
    (tmp_path / "__main__.py").write_text(PROGRAM)
    (tmp_path / "state").mkdir()
    shutil.copytree(ROOT / "policy", tmp_path / "policy", ignore=shutil.ignore_patterns("venv", "__pycache__"))
    (tmp_path / "policy/venv").symlink_to(made("policy"))
    return tmp_path


def preview(project: Path, zones: str, settings: object, *words: str) -> tuple[int, str]:
    """Preview the project with the pack; the exit status and what is said."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join((str(project / "policy/venv/bin"), str(made("install")), os.environ["PATH"])),
        "PULUMI_BACKEND_URL": f"file://{project}/state",
        "PULUMI_CONFIG_PASSPHRASE": "of a test",
        "PULUMI_HOME": str(project / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "ZONES": zones,
        "SETTINGS": json.dumps(settings),
    }
    subprocess.run(["pulumi", "stack", "select", "--create", "lab"], cwd=project, env=environment, check=True)
    command = ["pulumi", "preview", "--non-interactive", "--stack", "lab", "--policy-pack", "policy/start", *words]
    said = subprocess.PIPE
    done = subprocess.run(command, cwd=project, env=environment, stdout=said, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def broken(said: str) -> set[tuple[str, str]]:
    """The level and the name of each policy that is broken, as Pulumi shows them."""
    lines = (line.split() for line in said.splitlines() if line.strip().startswith(("- [advisory]", "- [mandatory]")))
    return {(words[1].strip("[]"), words[2]) for words in lines}


def test_a_good_swarm_breaks_nothing(project: Path) -> None:
    status, said = preview(project, "abc", GOOD)
    assert (status, broken(said)) == (0, set()), said
    assert "requorum@v0.1.0" in said, "the pack was asked"


def test_a_bad_one_is_advised_and_with_a_setting_it_is_stopped(project: Path) -> None:
    bad = {"backup": {"recipients": ["age1a"]}}
    lacking = {rule.name for rule in RULES} - {"drained-managers"}
    status, said = preview(project, "ab", bad)
    assert (status, broken(said)) == (0, {("advisory", name) for name in lacking}), said
    (project / "mandatory.json").write_text('{"three-zones": "mandatory", "odd-managers": "disabled"}')
    status, said = preview(project, "ab", bad, "--policy-pack-config", "mandatory.json")
    assert status != 0
    assert ("mandatory", "three-zones") in broken(said)
    assert "odd-managers" not in {name for _, name in broken(said)}
