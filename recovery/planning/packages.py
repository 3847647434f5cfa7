"""The packages of a node, as each package manager calls them, and the script that installs those that a node lacks. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from shlex import quote

MODULES = ("cryptography", "nacl")
"""The Python modules that an agent needs."""


@dataclass(frozen=True)
class PackageManager:
    """How one package manager installs packages, and calls those whose name differs from their tool's or module's."""

    program: str
    install: str
    engine: str
    """Starts the Docker engine after its package was installed, and at each boot."""
    tools: Mapping[str, str]
    modules: Mapping[str, str]

    def package_of(self, tool: str) -> str:
        """The package of a tool."""
        return self.tools.get(tool, tool)


SYSTEMD = "systemctl enable --quiet --now docker"
MANAGERS = (
    PackageManager(
        "apt-get",
        "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq || true; apt-get install -qq -y",
        SYSTEMD,
        {
            "docker": "docker.io",
            "ip": "iproute2",
            "iptables-restore": "iptables",
            "sha256sum": "coreutils",
            "systemd-run": "systemd",
            "unshare": "util-linux",
        },
        {"cryptography": "python3-cryptography", "nacl": "python3-nacl"},
    ),
    PackageManager(
        "dnf",
        "dnf install -q -y",
        SYSTEMD,
        {
            "docker": "moby-engine",
            "ip": "iproute",
            "iptables-restore": "iptables-nft",
            "sha256sum": "coreutils",
            "systemd-run": "systemd",
            "unshare": "util-linux",
        },
        {"cryptography": "python3-cryptography", "nacl": "python3-pynacl"},
    ),
    PackageManager(
        "apk",
        "apk add -q",
        "rc-update -q add docker default; rc-service -q docker start",
        {
            "ip": "iproute2",
            "iptables-restore": "iptables",
            "sha256sum": "coreutils",
            "systemd-run": "systemd",
            "unshare": "util-linux-misc",
        },
        {"cryptography": "py3-cryptography", "nacl": "py3-pynacl"},
    ),
)
"""In the order in which they are looked for. Packages of Debian 13, Fedora 43 and Alpine 3.22."""
APT, *_ = MANAGERS


def apt_packages(tools: Iterable[str]) -> tuple[str, ...]:
    """The Debian packages of these tools, sorted."""
    return tuple(sorted({APT.package_of(tool) for tool in tools}))


def script(tools: Iterable[str], modules: Iterable[str]) -> str:
    """Installs what a machine lacks of these tools and Python modules. It does nothing on a machine that lacks nothing."""
    tools, modules = tuple(tools), tuple(modules)
    names = "".join(f"  {quote(f'{m.program} {tool}')}) echo {name};;\n" for m, tool, name in _named(tools, modules))
    runs = "".join(f"  {m.program}) {m.install} $packages >/dev/null;;\n" for m in MANAGERS)
    engines = "".join(f"    {m.program}) {m.engine};;\n" for m in MANAGERS)
    programs = " ".join(m.program for m in MANAGERS)
    return f"""missing=
for tool in {" ".join(tools)}; do command -v "$tool" >/dev/null || missing="$missing $tool"; done
for module in {" ".join(modules)}; do python3 -c "import $module" 2>/dev/null || missing="$missing module-$module"; done
package() {{
  case "$1 $2" in
{names}  *) echo "$2";;
  esac
}}
if [ -n "$missing" ]; then
  manager=
  for one in {programs}; do if command -v "$one" >/dev/null; then manager=$one; break; fi; done
  [ -n "$manager" ] || {{ echo "$(hostname) has none of {programs}. Install what is missing by hand:$missing" >&2; exit 1; }}
  packages=
  for one in $missing; do packages="$packages $(package "$manager" "$one")"; done
  case $manager in
{runs}  esac
  case " $missing " in *' docker '*)
    case $manager in
{engines}    esac;;
  esac
fi
"""


def _named(tools: Iterable[str], modules: Iterable[str]) -> Iterable[tuple[PackageManager, str, str]]:
    """Each package whose name differs, by its manager and by what is missing."""
    for manager in MANAGERS:
        yield from ((manager, tool, manager.tools[tool]) for tool in tools if tool in manager.tools)
        yield from ((manager, f"module-{module}", manager.modules[module]) for module in modules)
