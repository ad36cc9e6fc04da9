"""User A gets at nothing of user B's: generated for every route, with B's own IDs and with bodies that name B."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.support.api import Api
from tests.support.belongings import ANNA, BERTA, RAY, SECRETS, Belongings, belongings_of, requests

from chatctl.stores.sql.serving.ray import digest


@pytest.fixture(scope="module")
def berta(api: Api) -> httpx.Client:
    return api.client(BERTA)


@pytest.fixture(scope="module")
def belongings(berta: httpx.Client) -> Belongings:
    return belongings_of(berta)


def state(berta: httpx.Client, has: Belongings) -> Any:
    """All that Berta sees of hers."""
    paths = [
        f"/chat/chats/{has.mentor_chat}", "/chat/chats/stats", "/chat/chats", "/mentor/messages",
        f"/api/users/{BERTA}/chats", f"/api/chats/{has.numbered_chat}",
        f"/api/v1/agents/tasks/{has.task}", "/storage-stats",
    ]  # fmt: skip
    found = {path: berta.get(path).json() for path in paths}
    found["/storage-stats"].pop("oldest_conversation_age_days")
    conversation = berta.get(f"/conversations/{has.session}").json()
    conversation.pop("last_accessed_at")
    return {**found, "conversation": conversation}


def test_no_route_lets_a_user_at_anothers_things(api: Api, berta: httpx.Client, belongings: Belongings) -> None:
    anna = api.client(ANNA)
    document = anna.get("/openapi.json").json()
    before = state(berta, belongings)
    tried = requests(document, belongings, tuple(belongings.guessable))
    assert len(tried) > 200
    for method, path, options in tried:
        answer = anna.request(method, path, **options)
        assert answer.status_code < 500, (method, path, answer.text)
        assert SECRETS[0] not in answer.text, (method, path)
        assert BERTA not in answer.text.replace("bertas-project", ""), (method, path, answer.text)
    assert state(berta, belongings) == before


def test_the_same_requests_of_berta_herself_do_get_at_them(
    api: Api, berta: httpx.Client, belongings: Belongings
) -> None:
    """The control: it is not the requests that are wrong."""
    document = berta.get("/openapi.json").json()
    reads = [item for item in requests(document, belongings) if item[0] == "get"]
    answers = [berta.request(method, path, **options) for method, path, options in reads]
    assert all(answer.status_code == 200 for answer in answers)
    assert sum(SECRETS[0] in json.dumps(answer.json()) for answer in answers) >= 8


def test_a_chat_of_rays_is_its_first_writers(api: Api, berta: httpx.Client, belongings: Belongings) -> None:
    body = {"message": "let me in", **RAY}
    answer = api.client(ANNA).post("/api/vscode_user_message", json={**body, "user_id": ANNA})
    assert (answer.status_code, answer.json()) == (403, {"error": "The chat belongs to another user."})
    named = api.client(ANNA).post("/api/vscode_user_message", json={**body, "user_id": BERTA})
    assert (named.status_code, named.json()) == (403, {"error": "The user is not the token's."})


def test_an_id_with_a_colon_is_no_way_into_another_chat(api: Api) -> None:
    first = {"message": "one", "project_id": "a:b", "chat_id": "c", "user_id": BERTA}
    second = {"message": "two", "project_id": "a", "chat_id": "b:c", "user_id": ANNA}
    assert api.client(BERTA).post("/api/vscode_user_message", json=first).status_code == 200
    answer = api.client(ANNA).post("/api/vscode_user_message", json=second)
    assert answer.status_code == 200
    assert "one" not in answer.text


def test_guests_read_and_nothing_more(api: Api, berta: httpx.Client) -> None:
    chat = berta.post("/api/chats", json={}).json()["chat"]["chat_id"]
    guest, stranger = api.client("gast"), api.client("stranger")
    assert guest.get(f"/api/chats/{chat}").status_code == 404
    assert berta.put(f"/api/chats/{chat}/allowed-users", json={"allowed_users": ["gast"]}).status_code == 200
    assert guest.get(f"/api/chats/{chat}").status_code == 200
    assert stranger.get(f"/api/chats/{chat}").status_code == 404
    assert guest.patch(f"/api/chats/{chat}", json={"chat_name": "mine"}).status_code == 404
    assert guest.delete(f"/api/chats/{chat}").status_code == 404
    assert guest.put(f"/api/chats/{chat}/allowed-users", json={"allowed_users": []}).status_code == 404
    assert berta.put(f"/api/chats/{chat}/allowed-users", json={"allowed_users": []}).json()["allowed_users"] == []
    assert guest.get(f"/api/chats/{chat}").status_code == 404


def test_only_admins_purge_everybody(api: Api) -> None:
    assert api.client(ANNA).post("/purge").status_code == 403
    assert api.client(ANNA).post("/purge", params={"accountId": BERTA}).status_code == 403
    assert api.client(ANNA).post("/purge", params={"accountId": ANNA}).status_code == 200
    assert api.client("root", "admin").post("/purge").json() == {"deleted": 0, "errors": 0}


def test_a_session_named_like_a_chat_of_rays_gets_nothing_of_it(api: Api) -> None:
    anna, berta = api.client(ANNA), api.client(BERTA)
    chat = {"project_id": "bertas-project-00000002", "chat_id": "chat-00000b0c"}
    row = digest(*chat.values())
    refused = anna.post("/query", json={"query": "mine", "session_id": row}).status_code
    body = {"message": SECRETS[0], "user_id": BERTA, **chat}
    assert berta.post("/api/vscode_user_message", json=body).status_code == 200
    assert SECRETS[0] not in anna.get(f"/conversations/{row}").text
    assert anna.get(f"/conversations/{row}").status_code == 404
    assert anna.delete(f"/conversations/{row}").status_code == 404
    assert refused == 403


def test_what_berta_sends_herself_is_done(api: Api, berta: httpx.Client, belongings: Belongings) -> None:
    """The control of the writes, at the end since it leaves nothing of hers: no request is refused for its form."""
    document = berta.get("/openapi.json").json()
    order = ["post", "put", "patch", "delete"]
    named = [item for item in requests(document, belongings)[::2] if item[0] in order]
    for method, path, options in sorted(named, key=lambda item: order.index(item[0])):
        answer = berta.request(method, path, **options)
        assert answer.is_success, (method, path, answer.text)
    assert len(named) > 12
