"""`pulumi new` with this project as a template, by the real Pulumi: what it asks for, what it makes, and that the program runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from recovery.operations.init import OF_TEMPLATE

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.whole, pytest.mark.timeout(1200)]  # Pulumi installs the packages


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone, in which nobody has worked yet."""
    folder = tmp_path / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for name in listed.splitlines():
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    return folder


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """The environment of an operator with a state of their own, and the plugins of the toolchain."""
    pulumi = shutil.which("pulumi")
    assert pulumi
    home, state = tmp_path / "home", tmp_path / "state"
    home.mkdir()
    state.mkdir()
    (home / "plugins").symlink_to(Path(pulumi).parent.parent / "home" / "plugins")
    own = {
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    others = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    return {**others, **own}


def test_a_project_is_made_of_a_clone_and_its_settings_of_answers(
    clone: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    made = tmp_path / "made"

    def pulumi(*arguments: str) -> "subprocess.CompletedProcess[str]":
        argv = ["pulumi", "--non-interactive", *arguments]
        return subprocess.run(argv, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    done = pulumi(
        *("new", str(clone), "--dir", str(made), "--yes", "--stack", "shop"),
        *("--config", "requorum:subnet=10.20.0.0/16"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "recovery init" in done.stdout
    config = yaml.safe_load((made / "stacks" / "Pulumi.shop.yaml").read_text())["config"]
    assert config == {"requorum:cluster": "production", "requorum:subnet": "10.20.0.0/16"}
    assert {key.removeprefix("requorum:") for key in config} == OF_TEMPLATE
    project = yaml.safe_load((made / "Pulumi.yaml").read_text())
    assert (project["name"], "template" in project) == ("requorum", False)
    python = made / "bin" / "python"
    asked = subprocess.run(
        [python, "-m", "recovery", "--version"], cwd=made, capture_output=True, text=True, check=False
    )
    assert asked.returncode == 0, asked.stderr
    shown = pulumi("preview", "--cwd", str(made), "--stack", "shop")
    assert shown.returncode != 0
    assert "missing configuration values 'backup', 'hosts', 'managers' and 'ssh'" in shown.stdout + shown.stderr
