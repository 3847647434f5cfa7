"""GitHub, and Gitea and Forgejo, which have nearly the same API."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cached_property
from typing import Any
from urllib.parse import quote

from recovery.errors import ForgeError
from recovery.forge.api import NOT_FOUND, Api, Json
from recovery.forge.forge import Note, Target

LIMIT = 65_536
"""The longest text of a comment, an issue or a pull request on GitHub (docs.github.com, REST API)."""


class GitHub:
    """One repository on GitHub."""

    name = "GitHub"
    limit = LIMIT

    def __init__(self, api: Api, repository: str, target: Target) -> None:
        self.api, self.target = api, target
        self._owner = repository.split("/")[0]
        self._root = f"/repos/{repository}"

    @cached_property
    def account(self) -> str | None:
        """The account of the token; None if the forge does not tell it."""
        return self.api.permitted(lambda found: str(found["login"]), "/user")

    def wrote(self, note: Note) -> bool:
        """Whether the token's account wrote it. GitHub names no account to an app, as Actions is: there, any app's counts."""
        return note.bot if self.account is None else note.author == self.account

    def comments(self, request: int) -> list[Note]:
        """The comments of a pull request."""
        return self.api.every(_comment, f"{self._root}/issues/{request}/comments")

    def add_comment(self, request: int, body: str) -> None:
        """Add a comment."""
        self.api.call("POST", f"{self._root}/issues/{request}/comments", {"body": body})

    def edit_comment(self, request: int, comment: int, body: str) -> None:  # noqa: ARG002 - GitLab needs the request
        """Edit a comment."""
        self.api.call("PATCH", f"{self._root}/issues/comments/{comment}", {"body": body})

    def issues(self) -> list[Note]:
        """The open issues. Pull requests are listed among them. (`type` has another meaning on GitHub than on Gitea.)"""
        found = self.api.every(
            lambda one: None if one.get("pull_request") else _note(one), f"{self._root}/issues", state="open"
        )
        return [one for one in found if one]

    def open_issue(self, title: str, body: str) -> Note:
        """Open an issue."""
        return self.api.read(_note, "POST", f"{self._root}/issues", {"title": title, "body": body})

    def edit_issue(self, issue: int, title: str, body: str) -> None:
        """Edit an issue."""
        self.api.call("PATCH", f"{self._root}/issues/{issue}", {"title": title, "body": body})

    def close_issue(self, issue: int, comment: str) -> None:
        """Close an issue."""
        self.add_comment(issue, comment)
        self.api.call("PATCH", f"{self._root}/issues/{issue}", {"state": "closed"})

    def requests(self, branch: str) -> list[Note]:
        """The open pull requests of a branch. Gitea knows no filter for the branch."""
        found = self.api.every(
            lambda one: _note(one) if _is_of(one, branch, self._owner) else None,
            f"{self._root}/pulls",
            state="open",
            base=self.target.main,
        )
        return [one for one in found if one]

    def open_request(self, branch: str, title: str, body: str) -> Note:
        """Open a pull request."""
        asked = {"title": title, "body": body, "head": branch, "base": self.target.main}
        return self.api.read(_note, "POST", f"{self._root}/pulls", asked)

    def edit_request(self, request: int, title: str, body: str) -> None:
        """Edit a pull request."""
        self.api.call("PATCH", f"{self._root}/pulls/{request}", {"title": title, "body": body})

    def close_request(self, request: int) -> None:
        """Close a pull request."""
        self.api.call("PATCH", f"{self._root}/pulls/{request}", {"state": "closed"})

    def read(self, branch: str, path: str) -> str | None:
        """The text of a file."""
        return self._file(lambda found: b64decode(found["content"]).decode(), branch, path)

    def make_branch(self, branch: str) -> None:
        """Make a branch."""
        main = f"{self._root}/git/ref/heads/{quote(self.target.main)}"
        head = self.api.read(lambda found: str(found["object"]["sha"]), "GET", main)
        made = {"ref": f"refs/heads/{branch}", "sha": head}
        self.api.call("POST", f"{self._root}/git/refs", made)

    def drop_branch(self, branch: str) -> None:
        """Delete a branch."""
        self._drop(f"{self._root}/git/refs/heads/{quote(branch)}")

    def write(self, branch: str, path: str, text: str, message: str) -> None:
        """Replace a file."""
        before = self._file(lambda found: str(found["sha"]), branch, path)
        content = b64encode(text.encode()).decode()
        asked = {"message": message, "content": content, "branch": branch, "sha": before or ""}
        self.api.call("PUT", f"{self._root}/contents/{quote(path)}", asked)

    def _file(self, read: Callable[[Any], str], branch: str, path: str) -> str | None:
        return self.api.optional(read, f"{self._root}/contents/{quote(path)}", ref=branch)

    def _drop(self, path: str) -> None:
        try:
            self.api.call("DELETE", path)
        except ForgeError as error:
            if error.status not in (NOT_FOUND, UNPROCESSABLE):  # GitHub says 422 of a branch that is not there
                raise


UNPROCESSABLE = 422


class Gitea(GitHub):
    """One repository on Gitea or Forgejo, which make branches in another way."""

    name = "Gitea"

    def wrote(self, note: Note) -> bool:
        """Whether the token's account wrote it, or anyone if the token may not read its account."""
        return self.account in (None, note.author)

    def make_branch(self, branch: str) -> None:
        """Make a branch."""
        asked = {"new_branch_name": branch, "old_branch_name": self.target.main}
        self.api.call("POST", f"{self._root}/branches", asked)

    def drop_branch(self, branch: str) -> None:
        """Delete a branch."""
        self._drop(f"{self._root}/branches/{quote(branch)}")


def _comment(found: Json) -> Note:
    return Note(int(found["id"]), found.get("body") or "", **_by(found))


def _note(found: Json) -> Note:
    return Note(
        int(found["number"]),
        found.get("body") or "",
        found.get("title") or "",
        found.get("state", "open") == "open",
        found.get("html_url") or "",
        **_by(found),
    )


def _by(found: Json) -> Json:
    user = found.get("user") or {}  # an account that was deleted is none
    return {"author": str(user.get("login", "")), "bot": user.get("type") == "Bot"}


def _is_of(found: Json, branch: str, owner: str) -> bool:
    """Whether a pull request is of this branch, and not of a branch of the same name in a fork."""
    head = found["head"]
    repository = head.get("repo") or {}
    return bool(head["ref"] == branch and (repository.get("owner") or {}).get("login", "").lower() == owner.lower())
