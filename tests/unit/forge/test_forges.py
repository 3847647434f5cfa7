"""Each forge by its own API, against a real HTTP server: one comment, one issue and one open request, whatever comes between."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from recovery.errors import ForgeError
from recovery.forge import api, publish
from recovery.forge.detect import find
from recovery.forge.forge import Forge
from recovery.forge.github import Gitea, GitHub
from recovery.forge.gitlab import GitLab
from recovery.forge.publish import Change
from tests.fake.forge import FakeForge, serving

MARK = "<!-- requorum:preview:lab -->"
PATH = "stacks/Pulumi.lab.yaml"
CHANGE = Change("requorum/recover-lab", PATH, "new", "Recover", "why")


def environment(kind: str, server: FakeForge, event: str = "") -> Mapping[str, str]:
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_API_URL": server.url,
        "GITHUB_REPOSITORY": "acme/swarm",
        "GITHUB_EVENT_PATH": event,
        "GITHUB_TOKEN": server.token,
    }
    gitlab = {
        "GITLAB_CI": "true",
        "CI_API_V4_URL": server.url,
        "CI_PROJECT_ID": "acme/swarm",
        "CI_DEFAULT_BRANCH": "main",
        "CI_MERGE_REQUEST_IID": "7",
        "REQUORUM_FORGE_TOKEN": server.token,
    }
    return {"github": github, "gitea": github | {"GITEA_ACTIONS": "true"}, "gitlab": gitlab}[kind]


@pytest.fixture
def server() -> Iterator[FakeForge]:
    with serving(FakeForge()) as made:
        made.files["main"][PATH] = "old"
        yield made


@pytest.fixture(params=["github", "gitea", "gitlab"])
def forge(request: Any, server: FakeForge) -> Forge:
    found = find(environment(request.param, server))
    assert found is not None
    assert type(found) is {"github": GitHub, "gitea": Gitea, "gitlab": GitLab}[request.param]
    return found


def test_one_comment_is_posted_and_then_edited(server: FakeForge, forge: Forge) -> None:
    for text in ("by a person", "by another", "by a third"):
        server.comment(7, text)
    publish.comment(forge, 7, MARK, f"{MARK}\nfirst")
    publish.comment(forge, 7, MARK, f"{MARK}\nsecond")
    publish.comment(forge, 8, MARK, f"{MARK}\nelsewhere")
    ours = [one["body"] for one in server.comments.values() if one["body"].startswith(MARK)]
    assert ours == [f"{MARK}\nsecond", f"{MARK}\nelsewhere"]


def test_what_is_the_same_is_not_written_again(server: FakeForge, forge: Forge) -> None:
    for _ in range(2):
        publish.comment(forge, 7, MARK, f"{MARK}\ntext")
        publish.issue(forge, MARK, "title", f"{MARK}\ntext")
        publish.request(forge, CHANGE)
    changes = [call for call in server.calls if not call.startswith("GET")]
    assert len(changes) == len(set(changes))


def test_one_issue_is_opened_edited_and_closed_and_a_later_loss_gets_another(server: FakeForge, forge: Forge) -> None:
    server.open("of a person", "text")
    publish.issue(forge, MARK, "lost", f"{MARK}\n1")
    edited = publish.issue(forge, MARK, "still lost", f"{MARK}\n2")
    assert [(one["title"], one["body"]) for one in server.issues()][1:] == [("still lost", f"{MARK}\n2")]
    assert edited.url
    assert publish.close_issue(forge, MARK, "it is back")
    assert not publish.close_issue(forge, MARK, "it is back")
    assert [one["title"] for one in server.issues()] == ["of a person"]
    assert [one["body"] for one in server.comments.values()] == ["it is back"]
    publish.issue(forge, MARK, "lost again", f"{MARK}\n3")
    assert len(server.issues(open_only=False)) == 3


@pytest.mark.parametrize("account", ["requorum[bot]", "robot"])
def test_what_another_wrote_is_not_ours_whatever_it_says(server: FakeForge, forge: Forge, account: str) -> None:
    server.account = account
    for _ in range(2):
        server.comment(7, f"{MARK}\nof a person")
        server.open("of a person", f"{MARK}\nof a person")
        publish.comment(forge, 7, MARK, f"{MARK}\nours")
        publish.issue(forge, MARK, "ours", f"{MARK}\nours")
    theirs = f"{MARK}\nof a person"
    assert [one["body"] for one in server.comments.values()] == [theirs, f"{MARK}\nours", theirs]
    assert [one["title"] for one in server.issues()] == ["of a person", "ours", "of a person"]
    assert publish.close_issue(forge, MARK, "it is back")
    assert not publish.close_issue(forge, MARK, "it is back")
    assert [one["title"] for one in server.issues()] == ["of a person"] * 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_where_the_forge_does_not_tell_the_account_an_issue_is_still_one(
    server: FakeForge, forge: Forge, status: int
) -> None:
    server.fault = lambda _, path: (status, {}) if path == "/user" else None
    for text in ("1", "2"):
        publish.issue(forge, MARK, "lost", f"{MARK}\n{text}")
        publish.comment(forge, 7, MARK, f"{MARK}\n{text}")
    assert [one["body"] for one in (*server.issues(), *server.comments.values())] == [f"{MARK}\n2"] * 2


@pytest.mark.parametrize(("status", "headers"), [(500, {}), (403, {"X-RateLimit-Remaining": "0"})])
def test_a_forge_that_cannot_tell_the_account_now_gets_no_second_issue(
    server: FakeForge, forge: Forge, status: int, headers: dict[str, str]
) -> None:
    server.account = "robot"
    publish.issue(forge, MARK, "lost", f"{MARK}\n1")
    server.fault = lambda _, path: (status, headers | {"Retry-After": "0"}) if path == "/user" else None
    with pytest.raises(ForgeError):
        publish.issue(forge, MARK, "lost", f"{MARK}\n2")
    assert [one["body"] for one in server.issues()] == [f"{MARK}\n1"]


def test_a_request_is_no_issue(server: FakeForge, forge: Forge) -> None:
    forge.make_branch("topic")
    forge.open_request("topic", "a request", MARK)
    assert forge.issues() == []
    publish.issue(forge, MARK, "lost", MARK)
    assert [one.title for one in forge.issues()] == ["lost"]


NEWER = Change(CHANGE.branch, PATH, "newer", "Recover by another plan", "why")


def test_a_request_is_opened_edited_and_withdrawn(server: FakeForge, forge: Forge) -> None:
    publish.request(forge, CHANGE)
    publish.request(forge, replace(CHANGE, title="Recover soon", body="why"))
    assert [(one["title"], one["body"]) for one in server.requests(open_only=False)] == [("Recover soon", "why")]
    assert server.files[CHANGE.branch][PATH] == "new"
    assert server.files["main"][PATH] == "old"
    assert publish.withdraw(forge, CHANGE.branch)
    assert not publish.withdraw(forge, CHANGE.branch)
    assert (server.requests(), list(server.files)) == ([], ["main"])


def test_another_change_is_another_request(server: FakeForge, forge: Forge) -> None:
    """Who approved the first one did not read the second."""
    first = publish.request(forge, CHANGE)
    second = publish.request(forge, NEWER)
    assert first.key != second.key
    assert [one["title"] for one in server.requests()] == [NEWER.title]
    assert len(server.requests(open_only=False)) == 2
    assert server.files[NEWER.branch][PATH] == "newer"


@pytest.mark.parametrize("failing", range(1, 9))
def test_no_request_is_open_whose_change_is_not_the_one_it_shows(server: FakeForge, forge: Forge, failing: int) -> None:
    """Whichever call that changes something fails as the next request takes the place of the first."""
    publish.request(forge, CHANGE)
    calls = iter(range(1, 100))
    server.fault = lambda method, _: (422, {}) if method != "GET" and next(calls) == failing else None
    with suppress(ForgeError):
        publish.request(forge, NEWER)
    shown = {CHANGE.title: CHANGE.text, NEWER.title: NEWER.text}
    for one in server.requests():
        assert server.files[CHANGE.branch][PATH] == shown[one["title"]]
    server.fault = lambda *_: None
    publish.request(forge, NEWER)
    assert [one["title"] for one in server.requests()] == [NEWER.title]
    assert server.files[NEWER.branch][PATH] == "newer"


def test_what_an_earlier_request_left_on_the_branch_is_not_merged_with_the_next(
    server: FakeForge, forge: Forge
) -> None:
    server.files[CHANGE.branch] = {PATH: "old", "other": "left over"}
    publish.request(forge, CHANGE)
    assert server.files[CHANGE.branch] == {PATH: "new"}


def test_a_file_that_is_not_there_has_no_text(forge: Forge) -> None:
    assert forge.read("main", "stacks/none.yaml") is None
    assert forge.read("none", PATH) is None


FAULTS = [
    (403, {}, "forge-denied"),
    (404, {}, "forge-denied"),
    (422, {}, "forge-failed"),
    (500, {}, "forge-failed"),
    (429, {"Retry-After": "3600"}, "forge-limited"),
    (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1767323045"}, "forge-limited"),
]


@pytest.mark.parametrize(("status", "headers", "code"), FAULTS)
def test_a_refusal_has_its_code(
    server: FakeForge, forge: Forge, status: int, headers: dict[str, str], code: str
) -> None:
    server.fault = lambda *_: (status, headers)
    with pytest.raises(ForgeError) as error:
        forge.open_issue("title", "body")
    assert (error.value.code, error.value.status) == (code, status)
    assert server.token not in str(error.value)


CHANGES: list[Callable[[Forge], Any]] = [
    lambda forge: forge.add_comment(7, "text"),
    lambda forge: forge.edit_comment(7, 1000, "text"),
    lambda forge: forge.open_issue("title", "text"),
    lambda forge: forge.edit_issue(1, "title", "text"),
    lambda forge: forge.close_issue(1, "why"),
    lambda forge: forge.open_request("branch", "title", "text"),
    lambda forge: forge.drop_branch("branch"),
]


@pytest.mark.parametrize("status", [302, 308])
@pytest.mark.parametrize("change", CHANGES)
def test_a_redirect_of_a_change_is_no_success(
    server: FakeForge, forge: Forge, change: Callable[[Forge], Any], status: int
) -> None:
    """As of a server that wants https, or of a repository that has another name now."""
    server.fault = lambda *_: (status, {"Location": "https://forge.example/api?key=hidden"})
    with pytest.raises(ForgeError) as error:
        change(forge)
    assert (error.value.code, error.value.status) == ("forge-failed", status)
    assert "points to https://forge.example/api\n" in str(error.value)


READS: list[Callable[[Forge], Any]] = [
    lambda forge: forge.comments(7),
    lambda forge: forge.issues(),
    lambda forge: forge.open_issue("title", "text"),
    lambda forge: forge.requests("branch"),
    lambda forge: forge.open_request("branch", "title", "text"),
    lambda forge: forge.read("main", PATH),
]


@pytest.mark.parametrize("answer", [None, {"message": "hello"}, [1], [{}], {"content": "no base64"}])
@pytest.mark.parametrize("read", READS)
def test_an_answer_of_another_form_is_an_error_of_the_forge(
    server: FakeForge, forge: Forge, read: Callable[[Forge], Any], answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "answer", lambda *_: answer)
    with pytest.raises(ForgeError) as error:
        read(forge)
    assert error.value.code == "forge-failed"


def test_a_busy_forge_is_asked_again_but_nothing_is_posted_twice(server: FakeForge, forge: Forge) -> None:
    busy = iter([True, True])
    server.fault = lambda method, _: (503, {"Retry-After": "0"}) if method == "GET" and next(busy, False) else None
    publish.issue(forge, MARK, "title", MARK)
    assert len(server.issues()) == 1
    server.fault = lambda method, _: (500, {}) if method == "POST" else None
    before = len(server.calls)
    with pytest.raises(ForgeError):
        forge.open_issue("title", "body")
    assert len(server.calls) == before + 1


def test_a_forge_that_asks_for_an_hour_is_not_waited_for(server: FakeForge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "LONGEST_WAIT", 0)
    server.fault = lambda *_: (429, {"Retry-After": "3600"})
    forge = find(environment("github", server))
    assert forge is not None
    with pytest.raises(ForgeError) as error:
        forge.issues()
    assert error.value.code == "forge-limited"
    assert len(server.calls) == api.TRIES


def test_a_slow_forge_and_one_that_is_down_are_silent(
    server: FakeForge, forge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "READ_SECONDS", 0.2)
    server.delay = 1.0
    with pytest.raises(ForgeError) as slow:
        forge.open_issue("title", "body")
    forge.api.url = "http://127.0.0.1:9"
    with pytest.raises(ForgeError) as down:
        forge.open_issue("title", "body")
    assert (slow.value.code, down.value.code) == ("forge-silent", "forge-silent")


def test_outside_a_forge_there_is_none() -> None:
    assert find({"GITHUB_TOKEN": "left in the shell of a person"}) is None


@pytest.mark.parametrize("kind", ["github", "gitea", "gitlab"])
@pytest.mark.parametrize("without", ["TOKEN", "URL"])
def test_a_job_that_lacks_something_says_so(kind: str, without: str, server: FakeForge) -> None:
    given = {
        key: value
        for key, value in environment(kind, server).items()
        if not key.endswith(("_TOKEN", "API_URL", "_V4_URL"))
    }
    if without == "URL":
        given["REQUORUM_FORGE_TOKEN"] = server.token
    with pytest.raises(ForgeError) as error:
        find(given)
    assert error.value.code == "forge-denied"


def test_the_event_names_the_pull_request_and_the_main_branch(server: FakeForge, tmp_path: Any) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"pull_request": {"number": 12}, "repository": {"default_branch": "trunk"}}')
    found = find(environment("github", server, str(event)))
    assert found is not None
    assert (found.target.request, found.target.main) == (12, "trunk")
