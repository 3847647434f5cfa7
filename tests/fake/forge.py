"""A forge as a real HTTP server on loopback: as much of the APIs of GitHub, Gitea and GitLab as Requorum uses.

It refuses what a forge refuses: a second request of a branch, a file that does not exist, a commit on an old version of it.
"""

import json
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = Any
OWNER, PERSON = "acme", "ann"


class NotThere(Exception):
    """404."""


class Wrong(Exception):
    """422."""


@dataclass
class FakeForge:
    """What the forge stores, and how it behaves."""

    token: str = "t0ken"
    account: str = "requorum[bot]"
    """The account of the token. On GitHub, an app has such a name, and is not told it."""
    files: dict[str, dict[str, str]] = field(default_factory=lambda: {"main": {}})
    """Texts by path, by branch."""
    items: dict[int, Json] = field(default_factory=dict)
    """Issues and requests, which share their numbers."""
    comments: dict[int, Json] = field(default_factory=dict)
    commits: list[tuple[str, str, str]] = field(default_factory=list)
    """Branch, path and message."""
    calls: list[str] = field(default_factory=list)
    fault: Callable[[str, str], tuple[int, dict[str, str]] | None] = lambda *_: None
    """The status and the headers with which a request is refused, by its method and path."""
    delay: float = 0.0
    page: int = 2
    """The most items on a page. It is small, so that every list has several pages."""
    url: str = ""
    lock: Any = field(default_factory=threading.RLock)

    def read(self, branch: str, path: str) -> str:
        try:
            return self.files[branch][path]
        except KeyError:
            raise NotThere from None

    def write(self, branch: str, path: str, text: str, message: str) -> None:
        self.read(branch, path)
        self.files[branch][path] = text
        self.commits.append((branch, path, message))

    def make_branch(self, branch: str) -> None:
        if branch in self.files:
            raise Wrong
        self.files[branch] = dict(self.files["main"])

    def drop_branch(self, branch: str) -> None:
        if self.files.pop(branch, None) is None:
            raise NotThere

    def open(self, title: str, body: str, branch: str = "", *, by: str = PERSON) -> Json:
        if branch and any(one["branch"] == branch and one["open"] for one in self.items.values()):
            raise Wrong
        number = len(self.items) + 1
        made = {"number": number, "title": title, "body": body, "branch": branch, "open": True, **author(by)}
        self.items[number] = made
        return made

    def comment(self, number: int, body: str, *, by: str = PERSON) -> Json:
        made = {"id": 1000 + len(self.comments), "on": number, "body": body, **author(by)}
        self.comments[made["id"]] = made
        return made

    def issues(self, *, open_only: bool = True) -> list[Json]:
        return [one for one in self.items.values() if not one["branch"] and (one["open"] or not open_only)]

    def requests(self, *, open_only: bool = True) -> list[Json]:
        return [one for one in self.items.values() if one["branch"] and (one["open"] or not open_only)]

    def answer(self, method: str, path: str, query: dict[str, str], body: Json) -> Json:
        for pattern, act in (*GITHUB, *GITLAB):
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return act(self, [unquote(part) for part in found.groups()], query, body)
        raise NotThere


def author(account: str) -> Json:
    """As GitHub and Gitea, and as GitLab show it."""
    kind = "Bot" if account.endswith("[bot]") else "User"
    return {"user": {"login": account, "type": kind}, "author": {"username": account}}


def sha(text: str) -> str:
    return sha1(text.encode()).hexdigest()


def shown(one: Json) -> Json:
    """An issue or a pull request as GitHub shows it."""
    url = f"https://forge.example/{one['number']}"
    head = {"ref": one["branch"], "repo": {"owner": {"login": OWNER}}}
    state = "open" if one["open"] else "closed"
    extra = {"pull_request": {"url": url}, "head": head} if one["branch"] else {}
    return {
        "number": one["number"],
        "title": one["title"],
        "body": one["body"],
        "state": state,
        "html_url": url,
        "user": one["user"],
        **extra,
    }


def merge_request(one: Json) -> Json:
    """An issue or a merge request as GitLab shows it."""
    url, same = f"https://forge.example/{one['number']}", {"source_project_id": 1, "target_project_id": 1}
    state = "opened" if one["open"] else "closed"
    return {
        "iid": one["number"],
        "title": one["title"],
        "description": one["body"],
        "state": state,
        "web_url": url,
        "author": one["author"],
        **same,
    }


def edit(one: Json, body: Json) -> Json:
    for key in ("title", "body"):
        one[key] = body.get(key, one[key])
    one["body"] = body.get("description", one["body"])
    one["open"] = one["open"] and "closed" not in body.values() and "close" not in body.values()
    return one


def contents(forge: FakeForge, part: list[str], query: dict[str, str], body: Json) -> Json:
    if body is None:
        text = forge.read(query["ref"], part[0])
        return {"content": b64encode(text.encode()).decode(), "sha": sha(text)}
    if body["sha"] != sha(forge.read(body["branch"], part[0])):
        raise Wrong
    forge.write(body["branch"], part[0], b64decode(body["content"]).decode(), body["message"])
    return {}


def lab_file(forge: FakeForge, part: list[str], query: dict[str, str], body: Json) -> Json:
    if body is None:
        return {"content": b64encode(forge.read(query["ref"], part[0]).encode()).decode()}
    forge.write(body["branch"], part[0], body["content"], body["commit_message"])
    return {}


def ref(forge: FakeForge, part: list[str], query: dict[str, str], body: Json) -> Json:
    if body["sha"] != sha("main"):
        raise Wrong
    forge.make_branch(body["ref"].removeprefix("refs/heads/"))
    return {}


def noted(forge: FakeForge, number: str, body: Json | None) -> Json:
    if body is None:
        return [one for one in forge.comments.values() if one["on"] == int(number)]
    return forge.comment(int(number), body["body"], by=forge.account)


def of_branch(forge: FakeForge, query: dict[str, str]) -> list[Json]:
    return [merge_request(one) for one in forge.requests() if one["branch"] == query["source_branch"]]


def of_type(one: Json, query: dict[str, str]) -> bool:
    """As GitHub: `type` is the name of an issue's type, which the organization makes. Requorum's issues have none."""
    return query.get("type", "none") in ("none", one.get("type"))


R, P = r"/repos/acme/swarm", r"/projects/acme%2Fswarm"
GITHUB: tuple[tuple[str, Callable[..., Json]], ...] = (
    ("GET /user", lambda f, p, q, b: {"login": f.account, "username": f.account}),
    (rf"(?:GET|POST) {R}/issues/(\d+)/comments", lambda f, p, q, b: noted(f, p[0], b)),
    (rf"PATCH {R}/issues/comments/(\d+)", lambda f, p, q, b: f.comments[int(p[0])].update(b)),
    (
        rf"GET {R}/issues",
        lambda f, p, q, b: [shown(one) for one in f.items.values() if one["open"] and of_type(one, q)],
    ),
    (rf"POST {R}/issues", lambda f, p, q, b: shown(f.open(b["title"], b["body"], by=f.account))),
    (rf"GET {R}/pulls", lambda f, p, q, b: [shown(one) for one in f.requests()]),
    (rf"POST {R}/pulls", lambda f, p, q, b: shown(f.open(b["title"], b["body"], b["head"], by=f.account))),
    (rf"PATCH {R}/(?:issues|pulls)/(\d+)", lambda f, p, q, b: shown(edit(f.items[int(p[0])], b))),
    (rf"GET {R}/git/ref/heads/main", lambda f, p, q, b: {"object": {"sha": sha("main")}}),
    (rf"POST {R}/git/refs", ref),
    (rf"DELETE {R}/(?:git/refs/heads|branches)/(.+)", lambda f, p, q, b: f.drop_branch(p[0])),
    (rf"POST {R}/branches", lambda f, p, q, b: f.make_branch(b["new_branch_name"])),
    (rf"(?:GET|PUT) {R}/contents/(.+)", contents),
)
GITLAB: tuple[tuple[str, Callable[..., Json]], ...] = (
    (rf"(?:GET|POST) {P}/(?:issues|merge_requests)/(\d+)/notes", lambda f, p, q, b: noted(f, p[0], b)),
    (rf"PUT {P}/merge_requests/\d+/notes/(\d+)", lambda f, p, q, b: f.comments[int(p[0])].update(b)),
    (rf"GET {P}/issues", lambda f, p, q, b: [merge_request(one) for one in f.issues()]),
    (rf"POST {P}/issues", lambda f, p, q, b: merge_request(f.open(b["title"], b["description"], by=f.account))),
    (rf"GET {P}/merge_requests", lambda f, p, q, b: of_branch(f, q)),
    (
        rf"POST {P}/merge_requests",
        lambda f, p, q, b: merge_request(f.open(b["title"], b["description"], b["source_branch"], by=f.account)),
    ),
    (rf"PUT {P}/(?:issues|merge_requests)/(\d+)", lambda f, p, q, b: merge_request(edit(f.items[int(p[0])], b))),
    (rf"POST {P}/repository/branches", lambda f, p, q, b: f.make_branch(b["branch"])),
    (rf"DELETE {P}/repository/branches/(.+)", lambda f, p, q, b: f.drop_branch(p[0])),
    (rf"(?:GET|PUT) {P}/repository/files/(.+)", lab_file),
)


@contextmanager
def serving(forge: FakeForge) -> Iterator[FakeForge]:
    """Serve the forge on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            sleep(forge.delay)
            with forge.lock:
                forge.calls.append(f"{self.command} {url.path}")
                self._send(*self._answer(url.path, query, body))

        def _answer(self, path: str, query: dict[str, str], body: Json) -> tuple[int, Json, dict[str, str]]:
            given = {self.headers.get("Authorization", "").split(" ")[-1], self.headers.get("PRIVATE-TOKEN")}
            if forge.token not in given:
                return 401, {"message": "Bad credentials"}, {}
            if refused := forge.fault(self.command, path):
                return refused[0], {"message": "as the test wants it"}, refused[1]
            if (
                path == "/user"
                and "Bearer" in self.headers.get("Authorization", "")
                and forge.account.endswith("[bot]")
            ):
                return 403, {"message": "Resource not accessible by integration"}, {}
            try:
                found = forge.answer(self.command, path, query, body)
            except NotThere:
                return 404, {"message": "Not Found"}, {}
            except Wrong:
                return 422, {"message": "Validation Failed"}, {}
            if isinstance(found, list) and "page" in query:
                first = (int(query["page"]) - 1) * forge.page
                found = found[first : first + forge.page]
            return 200, found, {}

        def _send(self, status: int, document: Json, headers: dict[str, str]) -> None:
            data = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    forge.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield forge
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
