"""The command line of the lab: ``python -m lab VERB``."""

import argparse
import sys
from collections.abc import Callable, Sequence

from lab import environment, faults, image, keys, lifecycle, nodes, status
from lab.errors import LabError
from lab.instance import Instance

_NODE_VERBS: dict[str, tuple[str, Callable[[Instance, Sequence[str]], None]]] = {
    "lose": ("destroy containers and volumes of nodes", nodes.lose),
    "pause": ("freeze nodes, so that they are silent and alive", faults.pause),
    "unpause": ("continue paused nodes", faults.unpause),
    "halt": ("shut nodes down; their state stays", faults.stop),
    "kill": ("stop nodes at once, as a power loss does; their state stays", faults.kill),
    "cut": ("cut nodes off from this machine, but not from their peers", faults.cut_off),
    "isolate": ("disconnect nodes from the network", faults.isolate),
    "heal": ("undo cut and isolate", faults.heal),
    "boot": ("start nodes that were halted or killed", faults.start),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns 0 on success, 1 on failure, and 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    try:
        instance = Instance.from_environment()
        _run(instance, options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


def _run(instance: Instance, options: argparse.Namespace) -> None:
    verb: str = options.verb
    if verb in _NODE_VERBS:
        _NODE_VERBS[verb][1](instance, options.node)
    elif verb == "up":
        lifecycle.up(instance, _say, options.engine)
    elif verb == "stop":
        lifecycle.stop(instance, _say)
    elif verb == "down":
        lifecycle.down(instance, _say)
    elif verb == "status":
        print("\n".join(status.lines(instance)))
    elif verb == "env":
        print(environment.exports(instance), end="")
    elif verb == "keys":
        keys.ensure(instance, dict(options.node))
    elif verb == "make":
        nodes.make(instance, dict(options.node), version=options.engine)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab", description="The test laboratory. REQUORUM_LAB chooses which one."
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="start engine and S3 server, build the node image")
    verbs.add_parser("stop", help="stop everything, and keep the disks")
    verbs.add_parser("down", help="remove everything except the caches")
    verbs.add_parser("status", help="show what runs")
    verbs.add_parser("env", help="print export lines for a shell")
    keys_parser = verbs.add_parser("keys", help="make SSH keys of the operator and of nodes")
    make = verbs.add_parser("make", help="make node containers and wait until they are ready")
    for parser_of_nodes in (keys_parser, make):
        parser_of_nodes.add_argument("node", nargs="+", type=_name_and_address, metavar="NAME=ADDRESS")
    for parser_with_engine in (up, make):
        parser_with_engine.add_argument(
            "--engine", choices=tuple(image.ENGINES), default=image.DEFAULT, help="release of the nodes' engine"
        )
    for verb, (text, _) in _NODE_VERBS.items():
        verbs.add_parser(verb, help=text).add_argument("node", nargs="+", metavar="NODE")
    return parser


def _name_and_address(text: str) -> tuple[str, str]:
    name, separator, address = text.partition("=")
    if not separator or not address:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=ADDRESS")
    return name, address


def _say(text: str) -> None:
    print(f"lab: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
