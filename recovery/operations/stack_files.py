"""The stack file that a job works with: never one that leads to another file, and never a consent that nobody gave this job."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recovery.copies.workspace import workspace
from recovery.errors import Refused, SettingError
from recovery.pipeline.consent_line import with_consent, without_consent
from recovery.pipeline.requested import beyond


def require_plain(file: Path) -> None:
    """Refuse a file that a link leads to.

    In a pull request, anyone may make a link to a secret of the runner. An error would then quote it in the comment.
    Raises: Refused.
    """
    path = Path(os.path.normpath(Path.cwd() / file))
    links = [part for part in (path, *path.parents) if part.is_symlink() and part.is_relative_to(Path.cwd())]
    if links:
        raise Refused(
            f"reading {file}",
            f"{links[-1]} is a symbolic link",
            remedy="commit the stack file itself",
            code="stack-file-link",
        )


def require_within(file: Path, ours: Path) -> None:
    """Refuse a request's stack file that names commands, keys, files or servers which the project's own does not name.

    Whoever may open a request could otherwise run commands beside the keys of the nodes. Raises: Refused, SettingError.
    """
    if file.resolve() == ours.resolve():
        return
    try:
        keys = beyond(text_of(ours), text_of(file))
    except ValueError as error:
        remedy = f"compare {file} with {ours}, and correct it"
        raise SettingError("(stack file)", f"{error}", remedy=remedy, code="unreadable-file") from None
    if keys:
        raise Refused(
            f"previewing {file}",
            f"it changes {', '.join(keys)}, which can run commands or read files on this machine",
            remedy="let an owner of the stack read the change, and preview it on a machine of that owner: pulumi preview",
            code="request-not-previewed",
        )


def text_of(file: Path) -> str:
    """The text of a stack file. Raises: Refused, SettingError."""
    require_plain(file)
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = f"{file}: {getattr(error, 'strerror', None) or 'it is no text'}"
        remedy = "name a stack file with --stack or --config-file"
        raise SettingError("(stack file)", why, remedy=remedy, code="unreadable-file") from None


@contextmanager
def consenting(file: Path, plan_id: str) -> Iterator[Path]:
    """A stack file like this one that consents to the plan; to none if ``plan_id`` is empty. The file itself stays.

    Raises: Refused, SettingError, LocalError.
    """
    before = text_of(file)
    after = changed(file, before, plan_id)
    if after == before:
        yield file
        return
    with workspace() as folder:
        other = folder / file.name
        other.write_text(after)
        yield other


def changed(file: Path, text: str, plan_id: str) -> str:
    """The text of the file with this consent. Raises: SettingError."""
    try:
        return with_consent(text, plan_id) if plan_id else without_consent(text)
    except ValueError as error:
        remedy = f"write `config:` in {file} with one setting a line"
        raise SettingError("recover", f"{file}: {error}", remedy=remedy, code="unreadable-file") from None


def in_repository(file: Path) -> str:
    """The path of a file within its git repository; the path as it is outside of one."""
    path = file.resolve()
    root = next((folder for folder in path.parents if (folder / ".git").exists()), None)
    return path.relative_to(root).as_posix() if root else file.as_posix()
