"""What Requorum asks of a forge, whichever it is."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Note:
    """A comment, an issue or a request to merge, as the forge has it."""

    key: int
    """Its number in the API."""
    body: str
    title: str = ""
    open: bool = True
    url: str = ""
    author: str = ""
    """The account that wrote it."""
    bot: bool = False
    """Whether that is the account of an app."""


@dataclass(frozen=True)
class Target:
    """What a job is about: the number of the pull request that started it, and the branch that is deployed."""

    request: int | None
    main: str


class Forge(Protocol):
    """The calls of a forge's API that Requorum needs. All raise ForgeError."""

    name: str
    limit: int
    """Bytes of a text that the forge stores."""
    target: Target

    def wrote(self, note: Note) -> bool:
        """Whether the account of this job's token wrote it."""

    def comments(self, request: int) -> list[Note]:
        """The comments of a pull request, oldest first."""

    def add_comment(self, request: int, body: str) -> None:
        """Add a comment to a pull request."""

    def edit_comment(self, request: int, comment: int, body: str) -> None:
        """Replace the text of a comment of a pull request."""

    def issues(self) -> list[Note]:
        """The open issues."""

    def open_issue(self, title: str, body: str) -> Note:
        """Open an issue."""

    def edit_issue(self, issue: int, title: str, body: str) -> None:
        """Replace the title and the text of an issue."""

    def close_issue(self, issue: int, comment: str) -> None:
        """Add a last comment to an issue, and close it."""

    def requests(self, branch: str) -> list[Note]:
        """The open requests to merge a branch of this repository into the main branch."""

    def open_request(self, branch: str, title: str, body: str) -> Note:
        """Open a request to merge a branch into the main branch."""

    def edit_request(self, request: int, title: str, body: str) -> None:
        """Replace the title and the text of a request."""

    def close_request(self, request: int) -> None:
        """Close a request without merging it."""

    def read(self, branch: str, path: str) -> str | None:
        """The text of a file on a branch; None if the branch or the file does not exist."""

    def make_branch(self, branch: str) -> None:
        """Make a branch at the head of the main branch."""

    def drop_branch(self, branch: str) -> None:
        """Delete a branch, if it exists."""

    def write(self, branch: str, path: str, text: str, message: str) -> None:
        """Replace an existing file on a branch by one commit."""
