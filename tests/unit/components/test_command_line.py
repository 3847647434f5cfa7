"""A flag counts as typed when a person gave it to the `pulumi` that runs the program: by real processes on real terminals."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.command_line import Deletion, deletion_by, gives_consent, stack_file_by

PROGRAM = (
    f'"{sys.executable}" -c "from components.command_line import consent_is_typed as typed; print(typed())" > "$SAID"\n'
)
"""What a shell that is called `pulumi` runs, as Pulumi runs a program."""
TYPED = ("up", "--config", "recover=true")


@pytest.mark.parametrize(
    "line",
    [
        "up --config recover=true",
        "up -c recover=true",
        "up -crecover=true",
        "up -c=recover=true",
        "up --config=recover=true",
        "up -yc recover=true",
        "up --config requorum:recover=true",
        "up --config requorum:config:recover=true",
        "up --config recover=TRUE",
        "up --yes --skip-preview --stack lab --config copy=2026-01-31T12:00:00Z --config recover=true --cwd /srv",
        "--config-file Pulumi.lab.yaml --config recover=true up",
        "update --config recover=true",
        "preview --config recover=true",
        "pre --diff --config recover=true",
    ],
)
def test_an_update_or_preview_is_given_consent_by_its_own_arguments(line: str) -> None:
    assert gives_consent(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "up",
        "up recover=true",
        "up --message recover=true",
        "up --config-file recover=true",
        "up --config-path recover=true",
        "up --conf recover=true",
        "up --config recover=false",
        "up --config recover=r3f9a2c13f9a2c10",
        "up --config recover=trueish",
        "up --config other:recover=true",
        "up --config unrecover=true",
        "up --config",
        "up -- --config recover=true",
        "up --non-interactive --config recover=true",
        "watch --config recover=true",
        "refresh --run-program --config recover=true",
        "destroy --run-program --config recover=true",
        "config set recover true",
    ],
)
def test_other_arguments_give_none(line: str) -> None:
    assert not gives_consent(line.split())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("destroy", Deletion.WHOLE),
        ("destroy --yes --skip-preview --stack lab --config-file up", Deletion.WHOLE),
        ("down -y -s up", Deletion.WHOLE),
        ("-C preview dn", Deletion.WHOLE),
        ("destroy --remove --refresh --run-program", Deletion.WHOLE),
        ("destroy --target urn:a", Deletion.PART),
        ("destroy -t=urn:a --target-dependents", Deletion.PART),
        ("destroy --exclude urn:a", Deletion.PART),
        ("destroy --exclude-protected", Deletion.PART),
        ("up --replace urn:quorum", Deletion.CHANGE),
        ("up --stack destroy", Deletion.CHANGE),
        ("up -m destroy", Deletion.CHANGE),
        ("destroy up", Deletion.CHANGE),
        ("refresh", Deletion.CHANGE),
        ("", Deletion.CHANGE),
        ("destroy --target", Deletion.CHANGE),
    ],
)
def test_only_a_destroy_of_the_whole_stack_ends_a_swarm(line: str, why: Deletion) -> None:
    assert deletion_by(line.split()) is why


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("up --config-file /etc/prod.yaml --stack other", "/etc/prod.yaml"),
        ("refresh --config-file=prod.yaml", "sub/prod.yaml"),
        ("up -C sub --config-file prod.yaml", "sub/prod.yaml"),
        ("destroy --stack prod", "conf/Pulumi.prod.yaml"),
        ("destroy -s org/project/prod --cwd project/sub", "conf/Pulumi.prod.yaml"),
        ("up", None),
        ("up --stack", None),
    ],
)
def test_the_stack_file_is_the_one_that_the_command_names(
    line: str, file: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pulumi 3.259 in a folder below that of its project. With `--cwd`, its process is in that folder, as here."""
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    (tmp_path / "sub").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("{name: mine, stackConfigDir: conf}")
    assert stack_file_by(line.split(), tmp_path / "sub") == (tmp_path / file if file else None)


def test_a_stack_that_the_environment_names_has_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_STACK", "org/mine/prod")
    assert stack_file_by(["up"], tmp_path) is None, "no project"
    (tmp_path / "Pulumi.yml").write_text("name: mine")
    assert stack_file_by(["up"], tmp_path) == tmp_path / "Pulumi.prod.yml"


def process(folder: Path, *arguments: str, said: str, cwd: Path) -> str:
    """What a program prints that a process called `pulumi` runs in a folder."""
    shell_, script = shell(folder, "pulumi", f'"{sys.executable}" -c "{said}" > "$SAID"\n')
    environment = {**os.environ, "SAID": str(folder / "said"), "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    subprocess.run([shell_, script, *arguments], env=environment, check=True, timeout=60, cwd=cwd)
    return (folder / "said").read_text().strip()


def test_the_running_pulumi_s_project_and_stack_file_are_found(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "sub").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text("name: mine")
    said = "from components.command_line import project, stack_file; print(project().name, stack_file())"
    assert process(tmp_path, "up", "--stack", "prod", said=said, cwd=project / "sub") == (
        f"mine {project / 'Pulumi.prod.yaml'}"
    )


def shell(folder: Path, name: str, runs: str) -> tuple[str, str]:
    """A shell under a name of its own, and the script that it is to run."""
    (folder / name).mkdir(parents=True)
    (folder / name / "script").write_text(f"{runs}exit\n")
    return str(shutil.copy("/bin/bash", folder / name / name)), str(folder / name / "script")


def is_typed(folder: Path, *command: str, **changes: Any) -> bool:
    """What the program says when this command runs on a terminal, or with these ends of it elsewhere."""
    kept = {key: value for key, value in os.environ.items() if key != "CI"}
    environment = {**kept, "SAID": str(folder / "said"), **changes.pop("env", {})}
    ours, theirs = pty.openpty()
    try:
        ends = {**dict.fromkeys(("stdin", "stdout", "stderr"), theirs), **changes}
        subprocess.run(command, env=environment, check=True, timeout=60, **ends)
    finally:
        os.close(ours)
        os.close(theirs)
    return {"True\n": True, "False\n": False}[(folder / "said").read_text()]


def test_a_flag_that_a_person_types_counts(tmp_path: Path) -> None:
    pulumi = shell(tmp_path, "pulumi", PROGRAM)
    assert is_typed(tmp_path, *pulumi, *TYPED)
    assert is_typed(tmp_path, *shell(tmp_path, "make", " ".join((*pulumi, *TYPED, "\n")))), "also through a wrapper"
    assert not is_typed(tmp_path, *pulumi, "up")


@pytest.mark.parametrize("elsewhere", [("stdin",), ("stdout",), ("stdin", "stdout")], ids="-".join)
def test_where_pulumi_could_ask_nobody_nobody_typed(tmp_path: Path, elsewhere: tuple[str, ...]) -> None:
    ends = dict.fromkeys(elsewhere, subprocess.DEVNULL)
    assert not is_typed(tmp_path, *shell(tmp_path, "pulumi", PROGRAM), *TYPED, **ends)


def test_in_a_pipeline_nobody_typed_whatever_terminal_it_has(tmp_path: Path) -> None:
    assert not is_typed(tmp_path, *shell(tmp_path, "pulumi", PROGRAM), *TYPED, env={"CI": "true"})


def test_only_the_nearest_pulumi_counts(tmp_path: Path) -> None:
    assert not is_typed(tmp_path, *shell(tmp_path, "wrapper", PROGRAM), *TYPED), "another program's arguments"
    inner = shell(tmp_path, "pulumi", PROGRAM)
    outer = shell(tmp_path / "outside", "pulumi", " ".join((*inner, "up\n")))
    assert not is_typed(tmp_path, *outer, *TYPED)
