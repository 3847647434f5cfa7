"""The project of a folder, and its configuration, as Pulumi 3.259 finds and reads them."""

from pathlib import Path

import pytest

from recovery.settings import read
from recovery.settings.project import Project, project_of


def written(folder: Path, text: str, name: str = "Pulumi.yaml") -> Project:
    (folder / name).write_text(text)
    found = project_of(folder / "a" / "b")
    assert found
    return found


def test_a_project_is_found_above_its_folders(tmp_path: Path) -> None:
    found = written(tmp_path, "{name: mine, stackConfigDir: conf}")
    assert (found.name, found.stack_file("prod")) == ("mine", tmp_path / "conf" / "Pulumi.prod.yaml")
    assert project_of(tmp_path.parent) is None


def test_without_a_folder_of_their_own_stack_files_are_beside_it(tmp_path: Path) -> None:
    found = written(tmp_path, '{"name": "mine"}', "Pulumi.json")
    (tmp_path / "Pulumi.prod.json").touch()
    assert list(found.stack_files()) == [found.stack_file("prod")] == [tmp_path / "Pulumi.prod.json"]


@pytest.mark.parametrize("text", ["name: [", "- a", "5"])
def test_a_file_that_describes_no_project_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text(text)
    assert project_of(tmp_path) is None


CONFIG = """
config:
  requorum:subnet: 10.20.0.0/16
  requorum:config:zones: [a, b, c]
  requorum:agent: {value: {schedule: daily}}
  requorum:protect: yes
  cluster: {type: string, default: lab}
  swarm: {type: object}
"""


def test_a_project_gives_settings_to_its_stacks(tmp_path: Path) -> None:
    of_any = {
        "subnet": "10.20.0.0/16",
        "zones": ["a", "b", "c"],
        "agent": {"schedule": "daily"},
        "protect": "yes",
    }
    assert written(tmp_path, f"name: mine{CONFIG}").settings == of_any
    assert written(tmp_path, f"name: requorum{CONFIG}").settings == {**of_any, "cluster": "lab"}


def test_a_key_of_a_stack_file_without_a_namespace_is_its_project_s(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.prod.yaml"
    file.write_text("config: {requorum:cluster: lab, requorum:config:protect: true, subnet: 10.20.0.0/16}")
    assert read(file, "mine") == {"cluster": "lab", "protect": True}
    assert read(file, "requorum") == {"cluster": "lab", "protect": True, "subnet": "10.20.0.0/16"}
