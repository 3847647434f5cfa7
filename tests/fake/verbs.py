"""What a person adds to `pulumi up` and `pulumi destroy`, and what Pulumi does about it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


class Cancelled(Exception):
    """Somebody pressed Ctrl-C once: the operation under way has ended, and Pulumi begins no other one."""


class NotTargeted(Exception):
    """A resource would have to be created that the options leave out, and Pulumi refuses to go on."""


@dataclass(frozen=True)
class Options:
    """The options of one command. Resources are named as the program calls them."""

    refresh: bool = True
    """False for ``--refresh=false``: Pulumi asks no provider what became of its resources."""
    target: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    replace: frozenset[str] = frozenset()
    cancel_after: int | None = None
    """How many operations are begun before somebody presses Ctrl-C."""

    def covers(self, name: str) -> bool:
        """Whether Pulumi looks at a resource. It leaves others as the state has them."""
        return name not in self.exclude and (not self.target or name in self.target)

    def typed(self, verb: str) -> Callable[[Callable[[Any], Any], Any], Any]:
        """Lets the program and the providers find this command at the `pulumi` process above them, as a person types it."""
        some = {"target": self.target, "exclude": self.exclude, "replace": self.replace}
        given = [f"--{option}={name}" for option, names in some.items() for name in sorted(names)]
        arguments = ["pulumi", verb, *given, *([] if self.refresh else ["--refresh=false"])]
        process = SimpleNamespace(cmdline=lambda: arguments, cwd=lambda: "/nowhere", pid=os.getpid())
        return lambda read, _otherwise: read(process)


PLAIN = Options()
