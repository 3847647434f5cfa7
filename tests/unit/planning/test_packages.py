"""What a node lacks, as each package manager calls it, and the script that installs it."""

import subprocess
from pathlib import Path

import pytest

from recovery.planning.packages import APT, MANAGERS, MODULES, PackageManager, apt_packages, script
from recovery.planning.preparation import PACKAGES
from recovery.swarm.on_node import TOOLS

WHOLE = {
    "apt-get": "age bash docker.io iproute2 iptables openssl python3 coreutils systemd tar util-linux zstd "
    "python3-cryptography python3-nacl",
    "dnf": "age bash moby-engine iproute iptables-nft openssl python3 coreutils systemd tar util-linux zstd "
    "python3-cryptography python3-pynacl",
    "apk": "age bash docker iproute2 iptables openssl python3 coreutils systemd tar util-linux-misc zstd "
    "py3-cryptography py3-pynacl",
}
ENGINE = {"apt-get": "systemctl enable", "dnf": "systemctl enable", "apk": "rc-service -q docker start"}


def ran(folder: Path, manager: str, *there: str) -> tuple[int, list[str], str]:
    """The exit status, the calls and the errors of the script on a machine with a package manager and these tools."""
    calls = folder / "calls"
    calls.touch()
    for name in (*([manager] if manager else ()), "systemctl", "rc-update", "rc-service", "hostname", *there):
        if name == "python3":
            continue
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {calls}\n')
        (folder / name).chmod(0o755)
    if "python3" in there:
        (folder / "python3").write_text("#!/bin/sh\nexit 0\n")
        (folder / "python3").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=script(TOOLS, MODULES),
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, calls.read_text().splitlines(), done.stderr


@pytest.mark.parametrize("manager", MANAGERS, ids=lambda manager: manager.program)
def test_each_manager_is_asked_for_all_that_is_missing_under_its_names(manager: PackageManager, tmp_path: Path) -> None:
    status, calls, errors = ran(tmp_path, manager.program)
    assert status == 0, errors
    (installed,) = (line for line in calls if "install" in line or (" add " in line and line.startswith("apk")))
    assert installed.endswith(f" {WHOLE[manager.program]}")
    assert any(ENGINE[manager.program] in line for line in calls)


@pytest.mark.parametrize("manager", MANAGERS, ids=lambda manager: manager.program)
def test_only_what_is_missing_is_installed_and_an_engine_that_is_there_is_left_alone(
    manager: PackageManager, tmp_path: Path
) -> None:
    status, calls, errors = ran(tmp_path, manager.program, *(tool for tool in TOOLS if tool not in ("age", "ip")))
    assert status == 0, errors
    (installed,) = (line for line in calls if line.startswith(manager.program) and "update" not in line)
    assert installed.endswith(f" age {manager.package_of('ip')}")
    assert not any("docker" in line for line in calls)


def test_a_machine_that_lacks_nothing_is_left_alone(tmp_path: Path) -> None:
    assert ran(tmp_path, "apt-get", *TOOLS) == (0, [], "")


def test_a_machine_without_a_manager_that_is_known_says_what_is_missing(tmp_path: Path) -> None:
    status, _, errors = ran(tmp_path, "", *(tool for tool in TOOLS if tool != "zstd"))
    assert status == 1
    assert "none of apt-get dnf apk" in errors
    assert errors.rstrip().endswith("by hand: zstd")


def test_debian_s_names_are_those_of_the_documents() -> None:
    ours = set(PACKAGES.split()) | {"bash", "coreutils", "systemd", "util-linux"}
    assert set(apt_packages(TOOLS)) == ours
    assert APT.program == "apt-get"


def test_every_manager_names_every_module() -> None:
    assert all(manager.modules.keys() == set(MODULES) for manager in MANAGERS)
