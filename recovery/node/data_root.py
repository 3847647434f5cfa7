"""Finds the folder of a Docker engine's data, also while the engine does not run."""

from recovery.errors import Garbled
from recovery.node.shell import DATA_ROOT, SHOWN, Shell

FIND = rf"""
import glob, json, re, shlex, subprocess

PROPERTIES = ("ExecStart", "Environment", "EnvironmentFiles")

def split(text):
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()

def unit():
    argv = ["systemctl", "show", *("--property=" + name for name in PROPERTIES), "docker.service"]
    try:
        shown = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False).stdout
    except OSError:
        shown = ""
    pairs = [line.partition("=")[::2] for line in shown.splitlines()]
    return ([value for name, value in pairs if name == key] for key in PROPERTIES)

def of_file(path):
    try:
        with open(path, errors="replace") as file:
            lines = file.read().replace("\\\n", "").splitlines()
    except OSError:
        return
    for line in map(str.strip, lines):
        name, is_set, value = line.partition("=")
        if is_set and line[0] not in "#;":
            yield name.strip(), " ".join(split(value))

def expanded(word, known):
    if whole := re.fullmatch(r"\$(\w+)", word):
        return split(known.get(whole[1], ""))
    return [re.sub(r"\$\{{(\w+)\}}", lambda name: known.get(name[1], ""), word)]

def flag(words, *names):
    found = ""
    for word, following in zip(words, [*words[1:], ""]):
        name, has_value, value = word.partition("=")
        if name in names:
            found = value if has_value else following
    return found

commands, variables, files = unit()
known = dict(word.partition("=")[::2] for text in variables for word in split(text))
for text in files:
    for path in sorted(glob.glob(re.sub(r" \(ignore_errors=\w+\)$", "", text))):
        known.update(of_file(path))
started = [argv[1] for text in commands if (argv := re.search(r"argv\[\]=(.*?) ;", text))]
words = [part for text in started for word in split(text) for part in expanded(word, known)]
try:
    with open(flag(words, "--config-file") or "/etc/docker/daemon.json") as file:
        configured = json.load(file)
    told = configured.get("data-root") or configured.get("graph")
except (OSError, ValueError, AttributeError):
    told = ""
print(told or flag(words, "--data-root", "--graph", "-g") or {DATA_ROOT!r})
"""
"""Prints the folder: as the engine's configuration says, else as the flag of its unit says (dockerd(8)).

Variables in the unit's command are those of the unit and of its files (systemd.exec(5), Environment and EnvironmentFile), and a word
of its own is split (systemd.service(5), command lines). Runs with Python 3.10 and later.
"""
COMMAND = ("python3", "-I", "-S", "-c", FIND)


def of(shell: Shell) -> str:
    """The folder of the data of the node's engine, by its configuration. An engine that runs tells it itself.

    Raises: CommandFailed, Silent, Garbled.
    """
    told = shell.run(COMMAND, seconds=20).stdout.decode(errors="replace").strip()
    if not told.startswith("/"):
        raise Garbled(
            "looking for the folder of its Docker engine's data",
            f"the configuration names no absolute path: {told[:SHOWN]!r}",
            remedy="on the node, correct data-root in /etc/docker/daemon.json, or in the file that its unit names",
            node=shell.node.name,
            code="answer-garbled",
        )
    return told
