"""Runs a Pulumi stack on a lab: writes its stack file, and runs Pulumi commands as an operator does."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import environment, image, keys
from lab.errors import LabError
from lab.instance import Instance

PROJECT = Path(__file__).resolve().parent.parent
ZONES = 3
HEADER = """# Stack of lab {octet}, made by `make up`; yours to change. The annotated
# production example is stacks/Pulumi.production.example.yaml.
"""


@dataclass(frozen=True)
class Result:
    """The output of a command, its exit status and its duration. The text includes Pulumi's errors."""

    text: str
    status: int
    seconds: float
    errors: str = ""


def settings(
    instance: Instance, *, managers: int = 3, workers: int = 2, version: str = image.DEFAULT
) -> dict[str, Any]:
    """The configuration of a cluster on a lab. Addresses are 10.OCTET.ZONE.NODE. Nodes use the zones in turn.

    Workers are named by number: without a name, they would be named by their address.
    """

    def addresses(count: int, first: int) -> list[dict[str, str]]:
        return [{"address": f"10.{instance.octet}.{index % ZONES + 1}.{first + index}"} for index in range(count)]

    named = [
        {"name": f"worker-{number}", **node}
        for number, node in enumerate(addresses(workers, 21 if managers < 10 else 101), 1)
    ]
    sealed = {"recipients": [keys.recipient(instance)], "identityFile": str(instance.age_identity)}
    return {
        "cluster": "lab",
        "subnet": str(instance.subnet),
        "zones": ["a", "b", "c"],
        "managers": addresses(managers, 11),
        "workers": named,
        "hosts": {
            "driver": "docker",
            "endpoint": instance.docker_host,
            "image": image.reference(version),
            "network": "lab",
            "identities": str(instance.identity("node").parent),
        },
        "ssh": {"privateKeyFile": str(instance.operator_key), "knownHostsFile": str(instance.known_hosts)},
        "backup": {"bucket": instance.bucket, "endpoint": instance.s3_endpoint, **sealed},
        "escrow": sealed,
    }


def with_agents(instance: Instance, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with an agent on each manager. The nodes have a separate key for S3 (`s3.grant`).

    Copies after each change are many, so the configuration has retention rules too.
    """
    agent = {"credentialsFile": str(instance.nodes_credentials_file)}
    return {**values, "backup": {**values["backup"], "retention": {"last": 10}}, "agent": agent}


class Stack:
    """One stack with its name and file. Commands raise LabError, unless ``check`` is false."""

    project = PROJECT
    """Where the program is that Pulumi runs, and the command line."""

    def __init__(self, instance: Instance, name: str = "lab", file: Path | None = None) -> None:
        # A background job ignores SIGINT. Pulumi's plugins would too, and Pulumi would wait 5 s for them each time.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.instance = instance
        self.name = name
        self.file = file or self.project / "stacks" / f"Pulumi.{name}.yaml"

    def write(self, values: Mapping[str, Any]) -> None:
        """Write the stack file. Keep the salt of the passphrase, which Pulumi wrote there."""
        kept = yaml.safe_load(self.file.read_text()) or {} if self.file.exists() else {}
        kept["config"] = {f"requorum:{key}": value for key, value in values.items()}
        text = yaml.safe_dump(kept, sort_keys=False, allow_unicode=True)
        self.file.write_text(HEADER.format(octet=self.instance.octet) + text)

    def settings(self) -> dict[str, Any]:
        """The configuration in the stack file, in the form that `write` accepts."""
        config: dict[str, Any] = yaml.safe_load(self.file.read_text())["config"]
        return {key.removeprefix("requorum:"): value for key, value in config.items()}

    def select(self) -> None:
        """Make the stack if it is missing, and select it.

        Pulumi writes the salt of a new stack's passphrase next to the project. This method moves it to the stack file.
        """
        default = self.project / "stacks" / f"Pulumi.{self.name}.yaml"
        self.pulumi("stack", "select", "--create", self.name)
        if self.file != default and default.exists():
            salt = yaml.safe_load(default.read_text()) or {}
            self.file.write_text(yaml.safe_dump({**salt, **yaml.safe_load(self.file.read_text())}, sort_keys=False))
            default.unlink()

    def up(self, *arguments: str, check: bool = True) -> Result:
        """Run ``pulumi up --yes``."""
        return self.pulumi("up", "--yes", *arguments, config_file=True, check=check)

    def recover(self, *arguments: str, check: bool = True) -> Result:
        """Run ``pulumi up --yes`` with consent to the plan that `requorum plan` shows now."""
        plan = json.loads(self.requorum("plan", "--json").text)
        return self.up("--skip-preview", "--config", f"recover={plan['id']}", *arguments, check=check)

    def preview(self, *arguments: str, check: bool = True) -> Result:
        """Run ``pulumi preview``."""
        return self.pulumi("preview", *arguments, config_file=True, check=check)

    def refresh(self, *arguments: str, check: bool = True) -> Result:
        """Run ``pulumi refresh --yes``."""
        return self.pulumi("refresh", "--yes", *arguments, config_file=True, check=check)

    def destroy(self, *arguments: str, check: bool = True) -> Result:
        """Run ``pulumi destroy --yes``."""
        return self.pulumi("destroy", "--yes", *arguments, config_file=True, check=check)

    def urn(self, name: str) -> str:
        """The URN of the resource of that name."""
        state = json.loads(self.pulumi("stack", "export").text)
        urns = (str(resource["urn"]) for resource in state["deployment"]["resources"])
        return next(urn for urn in urns if urn.endswith(f"::{name}"))

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs."""
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json").text)
        return found

    def pulumi(
        self,
        *arguments: str,
        config_file: bool = False,
        check: bool = True,
        show: bool = False,
        timeout: float = 540,
    ) -> Result:
        """Run the Pulumi command line on this stack. With ``show``, its output goes to the terminal."""
        command = ["pulumi", *arguments, "--cwd", str(self.project)]
        if not show:
            command.append("--non-interactive")
        if arguments[:2] != ("stack", "select"):
            command += ["--stack", self.name]
        if config_file:
            command += ["--config-file", str(self.file)]
        result = self._run(command, timeout, together=True, show=show)
        if check and result.status != 0:
            doing = f"running pulumi {' '.join(arguments)}"
            raise LabError(doing, f"exit status {result.status}:\n{result.text}", "Read what it says above")
        return result

    def requorum(self, *arguments: str) -> Result:
        """Run the `requorum` command line on this stack."""
        command = [str(self.project / "bin/requorum"), *arguments, "--config-file", str(self.file)]
        return self._run(command, 300)

    def _run(self, command: Sequence[str], timeout: float, *, together: bool = False, show: bool = False) -> Result:
        begun = time.monotonic()
        try:
            done = subprocess.run(
                command,
                stdout=None if show else subprocess.PIPE,
                stderr=None if show else subprocess.STDOUT if together else subprocess.PIPE,
                text=True,
                env=self.environment(),
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            output = b"".join((error.stdout or b"", error.stderr or b"")).decode(errors="replace")
            why = f"no end within {timeout:.0f} s; it said:\n{output}"
            raise LabError(f"running {' '.join(command)}", why, "Read what it says above") from error
        return Result(done.stdout or "", done.returncode, time.monotonic() - begun, done.stderr or "")

    def environment(self) -> dict[str, str]:
        """The environment of the commands."""
        return {**os.environ, **environment.variables(self.instance)}
