"""`requorum watch` as a service on the lab, a person with a key of her own, and whom the service notifies."""

import json
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil

from lab.stack import PROJECT, Result, Stack

END_SECONDS = 120
EVERY = 3


@dataclass
class Service:
    """One watcher, as systemd runs it: one process that is started, stopped and killed."""

    stack: Stack
    log: Path
    words: tuple[str, ...] = ("--heal",)
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    def start(self) -> None:
        command = [PROJECT / "bin/requorum", "watch", "-s", self.stack.name, "--config-file", self.stack.file]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*map(str, command), "--every", str(EVERY), "--at-most", "99", *self.words],
                cwd=PROJECT,
                env=self.stack.environment(),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Stop it as `systemctl stop` does; its exit status."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)

    def kill(self) -> None:
        """Kill it and all that it started, as a machine that loses its power does."""
        assert self.process
        whole = psutil.Process(self.process.pid)
        for process in (*whole.children(recursive=True), whole):
            process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        return self.log.read_text()

    def end(self) -> None:
        if self.process and self.process.poll() is None:
            self.kill()


@contextmanager
def hearing(file: Path) -> Iterator[list[str]]:
    """The titles of the notifications that a service takes. Its address is written to the file, as `requorum:notify` wants."""
    titles: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            titles.append(f"{document['title']}\n{document['message']}")
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    file.write_text(f"json://127.0.0.1:{server.server_port}/\n")
    file.chmod(0o600)
    try:
        yield titles
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Person:
    """An operator on another machine: a stack file and an SSH key of her own, and nothing else."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.key = folder / "ann"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self._stack = Stack(stack.instance, stack.name, folder / stack.file.name)
        self._of = stack

    @property
    def public(self) -> str:
        return self.key.with_suffix(".pub").read_text().strip()

    def consents(self, *words: str) -> Result:
        """Run `requorum consent`."""
        values = self._of.settings()
        backup = {key: value for key, value in values["backup"].items() if key != "identityFile"}
        self._stack.write({**values, "ssh": {**values["ssh"], "privateKeyFile": str(self.key)}, "backup": backup})
        return self._stack.requorum("consent", *words)
