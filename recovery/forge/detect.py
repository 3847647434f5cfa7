"""Finds the forge that runs this job, from the variables that it sets."""

import json
from collections.abc import Mapping
from pathlib import Path

from recovery.errors import ForgeError
from recovery.forge.api import Api
from recovery.forge.forge import Forge, Target
from recovery.forge.github import Gitea, GitHub
from recovery.forge.gitlab import GitLab

TOKENS = ("REQUORUM_FORGE_TOKEN", "GITHUB_TOKEN", "GITLAB_TOKEN")
"""The variables that may have the token, the first that is set counts. No option takes it: arguments are visible to others."""
GITEA = ("GITEA_ACTIONS", "FORGEJO_ACTIONS")


def find(environment: Mapping[str, str]) -> Forge | None:
    """The forge that runs this job; None outside a forge.

    Raises: ForgeError if a forge runs the job, and the job has no token or lacks a variable.
    """
    on_gitlab = environment.get("GITLAB_CI") == "true"
    if not on_gitlab and environment.get("GITHUB_ACTIONS") != "true":
        return None
    token = next((environment[name] for name in TOKENS if environment.get(name)), "")
    if not token:
        raise ForgeError(
            "finding the forge",
            "this job has no token for it",
            remedy=f"give the job a token in {TOKENS[0]}, with the rights that docs/pipelines.md lists",
            code="forge-denied",
        )
    try:
        return _gitlab(environment, token) if on_gitlab else _github(environment, token)
    except KeyError as error:
        raise ForgeError(
            "finding the forge",
            f"the variable {error.args[0]} is not set",
            remedy="run requorum ci in a job of the forge",
            code="forge-denied",
        ) from error


def _gitlab(environment: Mapping[str, str], token: str) -> Forge:
    request = environment.get("REQUORUM_REQUEST") or environment.get("CI_MERGE_REQUEST_IID", "")
    target = Target(int(request) if request.isdigit() else None, environment["CI_DEFAULT_BRANCH"])
    api = Api(environment["CI_API_V4_URL"], {"PRIVATE-TOKEN": token})
    return GitLab(api, environment["CI_PROJECT_ID"], target)


def _github(environment: Mapping[str, str], token: str) -> Forge:
    gitea = any(environment.get(name) == "true" for name in GITEA)
    event = _event(environment)
    main = (event.get("repository") or {}).get("default_branch") or "main"
    number = (event.get("pull_request") or {}).get("number")
    headers = {"Authorization": f"{'token' if gitea else 'Bearer'} {token}", "Accept": "application/json"}
    if not gitea:
        headers |= {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    api = Api(environment["GITHUB_API_URL"], headers)
    target = Target(int(number) if number else None, main)
    return (Gitea if gitea else GitHub)(api, environment["GITHUB_REPOSITORY"], target)


def _event(environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What started the job; empty if the forge does not tell."""
    try:
        found = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text())
    except (KeyError, OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
