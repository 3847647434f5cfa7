"""The timer's pull: only a signed commit that follows the last one is checked out, with the real git and SSH signatures."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PULL = Path(__file__).parents[2] / "pipelines/pull"


class Git:
    """A bare repository as the forge, a developer's clone, and the machine with the timer."""

    def __init__(self, folder: Path) -> None:
        self.forge, self.dev, self.machine = (folder / name for name in ("forge", "dev", "machine"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "dev@x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        (folder / "allowed").write_text(f"dev@x {(folder / 'key.pub').read_text()}")
        for name, value in {
            "gpg.format": "ssh",
            "user.signingkey": f"{key}.pub",
            "gpg.ssh.allowedSignersFile": str(folder / "allowed"),
        }.items():
            self.git(folder, "config", "--global", name, value)
        self.git(folder, "init", "-q", "--bare", "-b", "main", str(self.forge))
        self.git(folder, "init", "-q", "-b", "main", str(self.dev))
        self.git(self.dev, "remote", "add", "origin", str(self.forge))
        (self.dev / "pipelines").mkdir()
        shutil.copy(PULL, self.dev / "pipelines/pull")
        self.git(self.dev, "add", ".")
        self.commit("-S")
        self.git(folder, "clone", "-q", str(self.forge), str(self.machine))

    def git(self, folder: Path, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=folder, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout.strip()

    def commit(self, *options: str) -> str:
        self.git(self.dev, "commit", "-q", "--allow-empty", "-m", "a change", *options)
        self.git(self.dev, "push", "-q", "--force", "origin", "main")
        return self.git(self.dev, "rev-parse", "HEAD")

    def pull(self) -> str:
        subprocess.run([self.machine / "pipelines/pull"], env=self.environment, check=True)
        return self.git(self.machine, "rev-parse", "HEAD")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path)


def test_a_signed_commit_is_checked_out_and_an_unsigned_one_is_not(git: Git) -> None:
    signed = git.commit("-S")
    assert git.pull() == signed
    git.commit("--no-gpg-sign")
    assert git.pull() == signed
    later = git.commit("-S")
    assert git.pull() == later


def test_a_key_that_is_not_allowed_signs_nothing(git: Git, tmp_path: Path) -> None:
    before = git.pull()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    git.git(git.dev, "config", "user.signingkey", f"{tmp_path}/other.pub")
    git.commit("-S")
    assert git.pull() == before


def test_an_old_signed_commit_does_not_come_back(git: Git) -> None:
    first = git.pull()
    second = git.commit("-S")
    assert git.pull() == second
    git.git(git.dev, "reset", "-q", "--hard", first)
    git.git(git.dev, "push", "-q", "--force", "origin", "main")
    assert git.pull() == second


def test_a_forge_that_is_lost_changes_nothing(git: Git) -> None:
    before = git.pull()
    git.forge.rename(git.forge.with_name("gone"))
    assert git.pull() == before
