"""``python -m tests.examples [NAME...]``: what `make examples` runs. Each driver of `examples/` is checked with the SDK of its cloud.

Each has an environment of its own in the cache, on top of this one: its SDK is large. The driver is checked with strict
types against the SDK, and tested with Pulumi's mocks.
"""

import fcntl
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from lab.instance import cache_folder

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
WITHOUT_SDK = ("api", "vagrant")
"""The examples that need no SDK."""


def environment(name: str) -> Path:
    """The Python of the example, whose environment is made the first time."""
    requirements = EXAMPLES / name / "requirements.txt"
    of = f"{sys.version}{Path(sys.prefix).resolve()}{requirements.read_text()}"
    folder = cache_folder() / "examples" / f"{name}-{sha256(of.encode()).hexdigest()[:16]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
            packages = subprocess.run(ask, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
            (Path(packages) / "requorum.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
            pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
            subprocess.run([*pip, "-r", requirements], check=True)
            (folder / ".ready").touch()
    return python


def check(name: str) -> int:
    """Check and test one example; the exit status of what failed first."""
    python = Path(sys.executable) if name in WITHOUT_SDK else environment(name)
    kept = ("--cache-dir", str(cache_folder() / "examples" / "mypy"))
    sources = sorted(str(file) for file in (EXAMPLES / name).glob("*.py") if file.name != "__main__.py")
    commands = []
    if sources:
        commands.append((python, "-m", "mypy", "--strict", *kept, *sources))
    commands.append((python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/examples", "-k", name))
    for command in commands:
        if status := subprocess.run(command, cwd=ROOT, check=False).returncode:
            return status
    return 0


def main(names: Sequence[str]) -> int:
    """Check the named examples, by default all; 1 if one failed."""
    every = sorted(folder.name for folder in EXAMPLES.iterdir() if (folder / "README.md").exists())
    failed = []
    for name in names or every:
        print(f"example {name}", flush=True)
        if check(name):
            failed.append(name)
    print(f"{len(names or every) - len(failed)} passed, {len(failed)} failed" + "".join(f" {name}" for name in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
