"""Says why a Docker engine gave no answer, in words for an operator."""

from collections.abc import Iterator
from http.client import IncompleteRead

from requests.exceptions import Timeout

from recovery.errors import RequorumError


def why_silent(error: BaseException, seconds: float) -> str:
    """What an engine did instead of an answer, as the end of a sentence. ``seconds`` is the limit for an answer."""
    causes = list(_causes(error))
    if any(isinstance(one, Timeout | TimeoutError) for one in causes):
        return f"does not answer within {seconds:g} s"
    if any(isinstance(one, ConnectionResetError | BrokenPipeError) for one in causes):
        return "closed the connection"
    if any(isinstance(one, IncompleteRead) for one in causes):
        return "broke off its answer"
    reason = next((one.strerror for one in causes if isinstance(one, OSError) and one.strerror), "")
    return f"does not answer ({reason or error})"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what led to it. The libraries between repeat its message with the names of their classes.

    What led to an error of ours was told before.
    """
    while error and not isinstance(error, RequorumError):
        yield error
        error = error.__cause__ or error.__context__
