"""A bare repository on a forge, as pipelines use it, and what the forge gives to their jobs."""

import configparser
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from lab import environment
from lab.stack import PROJECT, Stack
from tests.fake.forge import FakeForge
from tests.lab.runner import git


class Repository:
    """A bare repository on the forge, and a developer's clone of it."""

    def __init__(self, folder: Path, forge: FakeForge, stack: Stack) -> None:
        self.bare, self.dev, self.forge = folder / "bare", folder / "dev", forge
        self.stack = stack.name
        self.file = f"stacks/Pulumi.{stack.name}.yaml"
        git(folder, "clone", "-q", "--depth", "1", f"file://{PROJECT}", str(self.dev))
        shutil.rmtree(self.dev / ".git")
        git(self.dev, "init", "-q", "-b", "main")
        for kind in ("github", "gitlab"):
            subprocess.run([PROJECT / "bin/requorum", "ci", "init", kind, "--project", self.dev], check=True)
        (self.dev / ".gitlab-ci.yml").write_text("include: requorum.gitlab-ci.yml\n")
        (self.dev / self.file).write_text(stack.file.read_text())
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.bare))
        git(self.dev, "remote", "add", "origin", str(self.bare))
        self.push("main", "the first")

    def push(self, branch: str, why: str) -> None:
        git(self.dev, "add", "-A", "-f", ".")
        git(self.dev, "commit", "-q", "--allow-empty", "-m", why)
        git(self.dev, "push", "-q", "origin", f"HEAD:{branch}")
        if branch == "main":
            self.forge.files["main"] = {self.file: (self.dev / self.file).read_text()}

    @property
    def text(self) -> str:
        return (self.dev / self.file).read_text()

    def change(self, **settings: object) -> None:
        """Change settings of the stack file."""
        document = yaml.safe_load(self.text)
        document["config"] |= {f"requorum:{key}": value for key, value in settings.items()}
        (self.dev / self.file).write_text(yaml.safe_dump(document, sort_keys=False))

    def setting(self, name: str) -> Any:
        """A setting of the stack file; empty if it has none."""
        return yaml.safe_load(self.text)["config"].get(f"requorum:{name}") or {}

    def publish(self, branch: str) -> None:
        """Let GitLab's reference of merge request 7 lead to the branch."""
        git(self.dev, "push", "-q", "--force", "origin", "HEAD:refs/merge-requests/7/head", f"HEAD:{branch}")

    def merge(self, branch: str) -> None:
        """Merge a request of Requorum's, as a person does."""
        (self.dev / self.file).write_text(self.forge.files[branch][self.file])
        for request in self.forge.requests():
            request["open"] = request["open"] and request["branch"] != branch
        self.push("main", f"merge {branch}")


def variables(stack: Stack) -> dict[str, str]:
    """The variables of the repository."""
    given = environment.variables(stack.instance)
    return {"PULUMI_BACKEND_URL": given["PULUMI_BACKEND_URL"], "REQUORUM_STACK": stack.name}


def secrets(stack: Stack) -> dict[str, str]:
    """The secrets of the environments."""
    keys = configparser.ConfigParser()
    keys.read(stack.instance.credentials_file)
    return {
        "AWS_ACCESS_KEY_ID": keys["default"]["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": keys["default"]["aws_secret_access_key"],
        "PULUMI_PASSPHRASE": stack.instance.passphrase_file.read_text(),
    }


def outside(stack: Stack) -> dict[str, str]:
    """The environment of the runner's machine: neither the packages nor the tools of this checkout are on its PATH."""
    given = {key: value for key, value in stack.environment().items() if not key.startswith(("GIT_", "PULUMI_STACK"))}
    parts = given["PATH"].split(os.pathsep)
    return {**given, "PATH": os.pathsep.join(part for part in parts if not Path(part).is_relative_to(PROJECT))}
