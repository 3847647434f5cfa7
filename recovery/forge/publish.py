"""One comment, one issue and one open request for each stack. A comment or an issue is made once, then edited, never a second.

A hidden marker in the text says what a comment or an issue is for, so that its title and text may change. Anyone may write that
marker, so only what the job's own account wrote counts. Only people who may push can open a request of a branch of the repository.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from recovery.forge.forge import Forge, Note


def comment(forge: Forge, request: int, marker: str, body: str) -> None:
    """Post the comment of this marker on a pull request, or edit the one that is there. Raises: ForgeError."""
    known = _ours(forge, forge.comments(request), marker)
    if known is None:
        forge.add_comment(request, body)
    elif known.body != body:
        forge.edit_comment(request, known.key, body)


def issue(forge: Forge, marker: str, title: str, body: str) -> Note:
    """Open the issue of this marker, or edit the one that is open. Raises: ForgeError."""
    known = _ours(forge, forge.issues(), marker)
    if known is None:
        return forge.open_issue(title, body)
    if (known.title, known.body) != (title, body):
        forge.edit_issue(known.key, title, body)
    return known


def close_issue(forge: Forge, marker: str, why: str) -> bool:
    """Close the issue of this marker, with a last comment; whether one was open. Raises: ForgeError."""
    known = _ours(forge, forge.issues(), marker)
    if known:
        forge.close_issue(known.key, why)
    return known is not None


def _ours(forge: Forge, notes: Iterable[Note], marker: str) -> Note | None:
    return next((one for one in notes if one.body.startswith(marker) and forge.wrote(one)), None)


@dataclass(frozen=True)
class Change:
    """One changed file that people are asked to merge."""

    branch: str
    path: str
    text: str
    title: str
    body: str


def request(forge: Forge, change: Change) -> Note:
    """Ask people to merge the change; the open request that does. Raises: ForgeError.

    A request has one change for its whole life. If the change is another one now, the old request is closed and the next one
    opened: people approved what they read, and the forge may fail between two calls.
    """
    known = next(iter(forge.requests(change.branch)), None)
    if known and forge.read(change.branch, change.path) == change.text:
        if (known.title, known.body) != (change.title, change.body):
            forge.edit_request(known.key, change.title, change.body)
        return known
    if not withdraw(forge, change.branch):
        forge.drop_branch(change.branch)  # what an earlier request left there would be merged with it
    forge.make_branch(change.branch)
    if forge.read(change.branch, change.path) != change.text:
        forge.write(change.branch, change.path, change.text, change.title)
    return forge.open_request(change.branch, change.title, change.body)


def withdraw(forge: Forge, branch: str) -> bool:
    """Close the open request of the branch, and delete the branch; whether one was open. Raises: ForgeError."""
    known = forge.requests(branch)
    for one in known:
        forge.close_request(one.key)
    if known:
        forge.drop_branch(branch)
    return bool(known)
