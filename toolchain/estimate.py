"""Estimates the progress of Go builds, from `go list` before them and from `go build -v` meanwhile."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from progress import State

LISTED = "{{.Stale}}\t{{.ImportPath}}\t{{.Dir}}{{range .GoFiles}}\t{{.}}{{end}}"
"""The format of `go list -deps`. A stale package is one that the cache lacks."""
LINKED = 0.02
"""The time to link a program, as a share of the time to compile its source: 1.4 s of 137 s (versitygw, on one core)."""
FETCHED = "go: downloading "
"""The prefix of a line that reports the download of a module."""


@dataclass(frozen=True)
class Work:
    """A Go package to compile, with the folder of its source, which differs by version.

    Without a folder, a program to link.
    """

    name: str
    folder: str = ""


Sizes = Mapping[Work, float]
"""The bytes of source of each piece of work, as a measure of its time."""


def ahead(program: str, listed: str, size: Callable[[Path], int] = lambda file: file.stat().st_size) -> Sizes:
    """The work of a program's build, from the listing of its packages."""
    missing: dict[Work, float] = {}
    source = 0
    for line in listed.splitlines():
        stale, name, folder, *files = line.split("\t")
        bytes_ = sum(size(Path(folder, file)) for file in files)
        source += bytes_
        if stale == "true":
            missing[Work(name, folder)] = bytes_
    return {**missing, Work(program): LINKED * source}


def state(
    programs: Collection[str], work: Mapping[str, Sizes], logs: Mapping[str, str], built: Collection[str]
) -> State:
    """Return the progress of builds, from the work and the logs by program. The total is 0 until all work is known.

    Go compiles a package that several programs need only once.
    """
    sizes: dict[Work, float] = {}
    done: dict[Work, float] = {}
    for program, of in work.items():
        packages_in_log = set(logs.get(program, "").splitlines())
        sizes |= of
        done |= {
            one: size for one, size in of.items() if program in built or (one.folder and one.name in packages_in_log)
        }
    compiled, packages = (sum(bool(one.folder) for one in some) for some in (done, sizes))
    if len(work) < len(programs):
        fetched = sum(line.startswith(FETCHED) for log in logs.values() for line in log.splitlines())
        return State(f"fetching Go modules: {fetched} so far, and {compiled:,} packages compiled")
    text = f"{compiled:,} of {packages:,} packages compiled, {len(built)} of {len(programs)} programs linked"
    return State(text, sum(done.values()), sum(sizes.values()))
