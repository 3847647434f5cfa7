"""Requests to the HTTP API of a forge, with limits in time, and errors in words."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from recovery.errors import ForgeError
from recovery.plain import line

CONNECT_SECONDS, READ_SECONDS = 5.0, 20.0
TRIES = 3
LONGEST_WAIT = 10
"""Seconds. A forge may ask to wait for an hour. The job of the swarm does not wait for a comment."""
SUCCESS = range(200, 300)
"""A redirect is none: a request that changes something is not sent to another address."""
PASSING = (429, 500, 502, 503, 504)
"""The answers after which the same request may succeed."""
PAGE = 100
MOST_PAGES = 20
SHOWN = 200
"""Characters of a forge's own explanation that an error shows."""
Json = dict[str, Any]
T = TypeVar("T")


class Api:
    """The API below one address. Requests that may be repeated are repeated if the forge is busy."""

    def __init__(self, url: str, headers: Mapping[str, str], *, pause: float = 1.0) -> None:
        self.url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers.update(headers)
        self._session.trust_env = True
        retry = Retry(
            total=TRIES - 1,
            backoff_factor=pause,
            status_forcelist=PASSING,
            allowed_methods=frozenset({"GET", "PUT", "PATCH", "DELETE"}),  # a second POST would be a second comment
            raise_on_status=False,
            raise_on_redirect=False,
            retry_after_max=LONGEST_WAIT,
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))

    def call(self, method: str, path: str, body: Json | None = None, **query: str | int) -> Any:
        """The forge's answer, as JSON; None if it is empty. Raises: ForgeError."""
        doing = self._doing(method, path)
        limits = (CONNECT_SECONDS, READ_SECONDS)
        try:
            answer = self._session.request(
                method, self.url + path, json=body, params=query, timeout=limits, allow_redirects=method == "GET"
            )
            if answer.status_code in SUCCESS:
                return answer.json() if answer.content else None
        except requests.exceptions.JSONDecodeError as error:
            raise _failed(doing, "it answered something else than JSON") from error
        except requests.RequestException as error:
            raise ForgeError(
                doing,
                f"it does not answer ({type(error).__name__})",
                remedy="run the job again when the forge answers",
                code="forge-silent",
            ) from error
        raise _refusal(doing, answer)

    def read(self, read: Callable[[Any], T], method: str, path: str, body: Json | None = None, **query: str | int) -> T:
        """What ``read`` makes of the forge's answer. Raises: ForgeError, also for an answer of another form."""
        answer = self.call(method, path, body, **query)
        try:
            return read(answer)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _failed(self._doing(method, path), "its answer has another form than the forge's API") from error

    def every(self, read: Callable[[Any], T], path: str, **query: str | int) -> list[T]:
        """What ``read`` makes of each item on all pages of a list. Raises: ForgeError."""
        found: list[T] = []
        for page in range(1, MOST_PAGES + 1):
            items = self.read(
                lambda items: _each(read, items), "GET", path, None, **query, per_page=PAGE, limit=PAGE, page=page
            )
            if not items:  # a forge may allow fewer items on a page than Requorum asks for
                break
            found += items
        return found

    def optional(self, read: Callable[[Any], T], path: str, **query: str | int) -> T | None:
        """What ``read`` makes of the answer to GET, or None if there is no such thing. Raises: ForgeError."""
        try:
            return self.read(read, "GET", path, None, **query)
        except ForgeError as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def permitted(self, read: Callable[[Any], T], path: str) -> T | None:
        """What ``read`` makes of the answer to GET, or None if the forge does not let this token ask. Raises: ForgeError."""
        try:
            return self.read(read, "GET", path)
        except ForgeError as error:
            if error.code == "forge-denied":
                return None
            raise

    def _doing(self, method: str, path: str) -> str:
        return f"asking {self.url} to {method} {path}"


def _each(read: Callable[[Any], T], items: Any) -> list[T]:
    if not isinstance(items, list):
        raise TypeError
    return [read(item) for item in items]


UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY = 401, 403, 404, 429


def _refusal(doing: str, answer: requests.Response) -> ForgeError:
    status, why = answer.status_code, f"it answered {answer.status_code}{_said(answer)}"
    if status == TOO_MANY or (status == FORBIDDEN and answer.headers.get("X-RateLimit-Remaining") == "0"):
        reset = answer.headers.get("X-RateLimit-Reset", "")
        until = f" until {datetime.fromtimestamp(int(reset), UTC):%H:%M:%S} UTC" if reset.isdigit() else ""
        return ForgeError(
            doing,
            f"{why}: its rate limit is used up{until}",
            remedy="run the job again after that time" if until else "run the job again later",
            code="forge-limited",
            status=status,
        )
    if status in (UNAUTHORIZED, FORBIDDEN, NOT_FOUND):
        remedy = "give the job the rights that docs/pipelines.md lists"
        return ForgeError(doing, why, remedy=remedy, code="forge-denied", status=status)
    if there := answer.headers.get("Location"):
        return ForgeError(
            doing,
            f"{why} and points to {line(there.partition('?')[0])[:SHOWN]}",
            remedy="let the job use the address that the forge points to",
            code="forge-failed",
            status=status,
        )
    return _failed(doing, why, status)


def _failed(doing: str, why: str, status: int = 0) -> ForgeError:
    return ForgeError(doing, why, remedy="run the job again", code="forge-failed", status=status)


def _said(answer: requests.Response) -> str:
    """The forge's own explanation, on one line."""
    try:
        document = answer.json()
    except requests.exceptions.JSONDecodeError:
        return ""
    said = (document.get("message") or document.get("error") or "") if isinstance(document, dict) else ""
    return f" ({' '.join(str(said).split())[:SHOWN]})" if said else ""
