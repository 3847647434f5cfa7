"""How far Go builds are, by what `go list` told before them and `go build -v` tells meanwhile."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from progress import State

LISTED = "{{.Stale}}\t{{.ImportPath}}\t{{.Dir}}{{range .GoFiles}}\t{{.}}{{end}}"
"""The format in which `go list -deps` has to tell of packages. Stale is what the cache lacks."""
LINKED = 0.02
"""To link a program takes as long as to compile this share of the source that is in it: 1.4 s of 137 s (versitygw), on one core of two."""
FETCHED = "go: downloading "
"""How a line begins by which Go tells that it fetches a module."""


@dataclass(frozen=True)
class Work:
    """A Go package to compile, in the folder of its source, which tells versions apart; or without one, a program to link."""

    name: str
    folder: str = ""


Sizes = Mapping[Work, float]
"""Work, each with the bytes of source that take as long."""


def ahead(program: str, listed: str, size: Callable[[Path], int] = lambda file: file.stat().st_size) -> Sizes:
    """What the build of a program has to do, by the listing of what it is made of."""
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
    """How far builds are whose work and logs are known by the programs' names; of how much, once that of every one is known.

    Packages that several programs need are compiled once.
    """
    sizes: dict[Work, float] = {}
    done: dict[Work, float] = {}
    for program, of in work.items():
        named = set(logs.get(program, "").splitlines())
        sizes |= of
        done |= {one: size for one, size in of.items() if program in built or (one.folder and one.name in named)}
    compiled, packages = (sum(bool(one.folder) for one in some) for some in (done, sizes))
    if len(work) < len(programs):
        fetched = sum(line.startswith(FETCHED) for log in logs.values() for line in log.splitlines())
        return State(f"fetching Go modules: {fetched} so far, and {compiled:,} packages compiled")
    text = f"{compiled:,} of {packages:,} packages compiled, {len(built)} of {len(programs)} programs linked"
    return State(text, sum(done.values()), sum(sizes.values()))
