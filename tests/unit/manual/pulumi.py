"""What pages may type of Pulumi. `tests/pipelines/test_pulumi_options.py` compares it with the program."""

from collections.abc import Mapping

GLOBAL = frozenset({"--stack", "-s", "--non-interactive", "--cwd", "-C", "--help", "-h"})
OF_AN_UPDATE = frozenset(
    {"--config", "-c", "--config-file", "--refresh", "--target", "--replace", "--policy-pack", "--policy-pack-config"}
)
PULUMI: Mapping[str, frozenset[str]] = {
    "cancel": frozenset({"--yes"}),
    "config rm": frozenset({"--path"}),
    "config set": frozenset({"--path", "--secret"}),
    "destroy": frozenset({"--yes", "--target", "--refresh"}),
    "import": frozenset({"--parent", "--provider", "--generate-code", "--protect"}),
    "login": frozenset({"--local"}),
    "new": frozenset({"--dir", "--yes"}),
    "preview": OF_AN_UPDATE | {"--expect-no-changes", "--json", "--diff"},
    "stack": frozenset({"--show-urns"}),
    "stack change-secrets-provider": frozenset(),
    "stack export": frozenset({"--file"}),
    "stack init": frozenset({"--secrets-provider"}),
    "stack rename": frozenset(),
    "stack rm": frozenset({"--force", "--yes"}),
    "stack select": frozenset({"--create"}),
    "state delete": frozenset(),
    "state taint": frozenset(),
    "up": OF_AN_UPDATE | {"--yes", "-y", "--target-replace", "--skip-preview"},
    "version": frozenset(),
    "watch": frozenset(),
}
