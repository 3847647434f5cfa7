"""A person at a terminal of 80 columns, who knows one rule: run the command in the last `next:` line."""

import os
import re
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from lab import nodes
from lab.stack import Stack
from recovery.settings import load

FIRST = "requorum status"
MOST = 3
"""The most commands from the first look to a proven swarm."""
SECONDS = 400
ANSWERS = {b"Do you want to perform this": b"yes\r", b"[y/N]": b"y\r"}
"""What the person answers, by the question."""
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TREE = "├└─│ "
COMMAND = re.compile(r"(?:.*?: )??((?:pulumi|requorum|docker) .*?)(?: \(|, |\. |; |$)")
WAIT = re.compile(r"wait (\d+) s")
ENDS = ("code:", "error:")


@dataclass
class Person:
    """What the person ran, and what the terminal showed at last."""

    stack: Stack
    folder: Path
    ran: list[str] = field(default_factory=list)
    text: str = ""

    def walk(self) -> None:
        """Follow the `next:` lines until the swarm is proven, or healthy with nothing to do."""
        by_hand, command = "", FIRST
        while command:
            assert len(self.ran) < MOST, f"after {self.ran}:\n{self.text}"
            status = self.run(command)
            if "the report is saved" in self.text:
                assert status == 0, self.text
                break
            by_hand, command = advised(next_line(self.text))
            self.act(by_hand)
        else:
            assert "healthy" in self.text, self.text
        print(f"{len(self.ran)} commands: {'; '.join(self.ran)}")

    def act(self, by_hand: str) -> None:
        """Do what the line asks for before its command: run a command and wait, or put up the machines that it names."""
        if command := COMMAND.match(by_hand):
            self.run(command[1])
        if pause := WAIT.search(by_hand):
            time.sleep(float(pause[1]))
        named = [
            node for node in load(self.stack.file).nodes if re.search(rf"\b{re.escape(str(node.address))}\b", by_hand)
        ]
        if named:
            nodes.make(self.stack.instance, {node.name: str(node.address) for node in named})

    def run(self, command: str) -> int:
        """Run a command on a terminal, and answer what it asks; its exit status."""
        self.ran.append(command)
        with subprocess.Popen(
            ["script", "--quiet", "--return", "--command", f"stty rows 24 cols 80; {command}", "/dev/null"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment(),
        ) as process:
            try:
                self.text = ANSI.sub("", _answered(process).decode(errors="replace")).replace("\r", "")
            finally:
                if process.poll() is None:
                    for member in (*psutil.Process(process.pid).children(recursive=True), process):
                        with suppress(psutil.NoSuchProcess):
                            member.kill()
            return process.wait(SECONDS)

    def _environment(self) -> dict[str, str]:
        """No pipeline, and commands that need no options: the person works in the folder of one stack."""
        commands = self.folder / "bin"
        commands.mkdir(exist_ok=True)
        of_pulumi = f"--cwd {self.stack.project} --stack {self.stack.name} --config-file {self.stack.file}"
        for name, real, options in (
            ("pulumi", shutil.which("pulumi"), of_pulumi),
            ("requorum", self.stack.project / "bin/requorum", f"--config-file {self.stack.file}"),
        ):
            (commands / name).write_text(f'#!/bin/sh\nexec {real} "$@" {options}\n')
            (commands / name).chmod(0o755)
        known = {key: value for key, value in self.stack.environment().items() if key != "CI"}
        return {**known, "TERM": "xterm", "PATH": f"{commands}:{known['PATH']}"}


def _answered(process: "subprocess.Popen[bytes]") -> bytes:
    """Everything that a process shows, with the questions answered as they come."""
    assert process.stdin
    assert process.stdout
    shown, seen = b"", 0
    while part := os.read(process.stdout.fileno(), 65536):
        shown += part
        for question, answer in ANSWERS.items():
            if question in shown[seen:]:
                seen = len(shown)
                process.stdin.write(answer)
                process.stdin.flush()
    return shown


def next_line(text: str) -> str:
    """The last `next:` line, with the lines that a narrow terminal made of its rest; empty if there is none."""
    begin = text.rfind("next: ")
    lines = text[begin + len("next: ") :].splitlines() if begin >= 0 else []
    told = []
    for line in lines:
        bare = line.strip(TREE)
        if not bare or bare.startswith(ENDS):
            break
        told.append(bare)
    return " ".join(told)


def advised(line: str) -> tuple[str, str]:
    """What a `next:` line asks for first, and its command; empty if it has none."""
    by_hand, _, rest = re.sub(r"[Tt]hen: ", "then: ", line).rpartition("then: ")
    found = COMMAND.match(rest)
    return by_hand, found[1] if found else ""
