"""GitLab."""

from base64 import b64decode
from functools import cached_property
from urllib.parse import quote

from recovery.errors import ForgeError
from recovery.forge.api import NOT_FOUND, Api, Json
from recovery.forge.forge import Note, Target

LIMIT = 1_000_000
"""The longest text of a note or a description on GitLab (docs.gitlab.com, application limits)."""


class GitLab:
    """One project on GitLab."""

    name = "GitLab"
    limit = LIMIT

    def __init__(self, api: Api, project: str, target: Target) -> None:
        self.api, self.target = api, target
        self._root = f"/projects/{quote(project, safe='')}"

    @cached_property
    def account(self) -> str | None:
        """The account of the token; None if the forge does not tell it."""
        return self.api.permitted(lambda found: str(found["username"]), "/user")

    def wrote(self, note: Note) -> bool:
        """Whether the token's account wrote it, or anyone if the token may not read its account."""
        return self.account in (None, note.author)

    def comments(self, request: int) -> list[Note]:
        """The notes of a merge request, oldest first."""
        path = f"{self._root}/merge_requests/{request}/notes"
        return self.api.every(_comment, path, sort="asc", order_by="created_at")

    def add_comment(self, request: int, body: str) -> None:
        """Add a note."""
        self.api.call("POST", f"{self._root}/merge_requests/{request}/notes", {"body": body})

    def edit_comment(self, request: int, comment: int, body: str) -> None:
        """Edit a note."""
        self.api.call("PUT", f"{self._root}/merge_requests/{request}/notes/{comment}", {"body": body})

    def issues(self) -> list[Note]:
        """The open issues."""
        return self.api.every(_note, f"{self._root}/issues", state="opened")

    def open_issue(self, title: str, body: str) -> Note:
        """Open an issue."""
        return self.api.read(_note, "POST", f"{self._root}/issues", {"title": title, "description": body})

    def edit_issue(self, issue: int, title: str, body: str) -> None:
        """Edit an issue."""
        self.api.call("PUT", f"{self._root}/issues/{issue}", {"title": title, "description": body})

    def close_issue(self, issue: int, comment: str) -> None:
        """Close an issue."""
        self.api.call("POST", f"{self._root}/issues/{issue}/notes", {"body": comment})
        self.api.call("PUT", f"{self._root}/issues/{issue}", {"state_event": "close"})

    def requests(self, branch: str) -> list[Note]:
        """The open merge requests of a branch."""
        query = {"state": "opened", "source_branch": branch, "target_branch": self.target.main}
        found = self.api.every(
            lambda one: _note(one) if one["source_project_id"] == one["target_project_id"] else None,
            f"{self._root}/merge_requests",
            **query,
        )
        return [one for one in found if one]

    def open_request(self, branch: str, title: str, body: str) -> Note:
        """Open a merge request."""
        asked = {"source_branch": branch, "target_branch": self.target.main, "title": title, "description": body}
        return self.api.read(_note, "POST", f"{self._root}/merge_requests", asked | {"remove_source_branch": True})

    def edit_request(self, request: int, title: str, body: str) -> None:
        """Edit a merge request."""
        self.api.call("PUT", f"{self._root}/merge_requests/{request}", {"title": title, "description": body})

    def close_request(self, request: int) -> None:
        """Close a merge request."""
        self.api.call("PUT", f"{self._root}/merge_requests/{request}", {"state_event": "close"})

    def read(self, branch: str, path: str) -> str | None:
        """The text of a file."""
        where = f"{self._root}/repository/files/{quote(path, safe='')}"
        return self.api.optional(lambda found: b64decode(found["content"]).decode(), where, ref=branch)

    def make_branch(self, branch: str) -> None:
        """Make a branch."""
        self.api.call("POST", f"{self._root}/repository/branches", {"branch": branch, "ref": self.target.main})

    def drop_branch(self, branch: str) -> None:
        """Delete a branch."""
        try:
            self.api.call("DELETE", f"{self._root}/repository/branches/{quote(branch, safe='')}")
        except ForgeError as error:
            if error.status != NOT_FOUND:
                raise

    def write(self, branch: str, path: str, text: str, message: str) -> None:
        """Replace a file."""
        asked = {"branch": branch, "content": text, "commit_message": message}
        self.api.call("PUT", f"{self._root}/repository/files/{quote(path, safe='')}", asked)


def _comment(found: Json) -> Note:
    return Note(int(found["id"]), found.get("body") or "", author=_author(found))


def _note(found: Json) -> Note:
    return Note(
        int(found["iid"]),
        found.get("description") or "",
        found.get("title") or "",
        found.get("state", "opened") == "opened",
        found.get("web_url") or "",
        _author(found),
    )


def _author(found: Json) -> str:
    return str((found.get("author") or {}).get("username", ""))
