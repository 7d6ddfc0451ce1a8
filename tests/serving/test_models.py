import socket

import pytest
from adapter_server import adapter_server
from scripted_server import Page, scripted_server

from ddxgraph.common.errors import ServerError
from ddxgraph.serving.address import without_password
from ddxgraph.serving.api import ServerApi
from ddxgraph.serving.models import ServedModel, served_models

HASH = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def listed(base_url, key=None, timeout_s=20.0):
    return served_models(ServerApi(base_url, key, "THE_KEY", timeout_s))


def listing(content, status=200):
    """What is made of a server's answer to /models."""
    with scripted_server(pages={"/v1/models": Page(status, content)}) as served:
        return listed(served.base_url)


def test_an_adapter_is_told_from_its_base_and_has_its_window():
    with adapter_server(adapters={"journey": f"/store/{HASH}", "other": "/adapters/other"}) as server:
        base, stored, other = listed(server.base_url)
    assert base == ServedModel("smol", "vllm", 8_192, None, "/models/smol")
    assert stored == ServedModel("journey", "vllm", 8_192, "smol", f"/store/{HASH}")
    assert (base.stored_sha256, stored.stored_sha256, other.stored_sha256) == (None, HASH, None)


def test_a_base_model_whose_folder_is_named_like_a_hash_is_no_stored_adapter():
    assert ServedModel("smol", "vllm", None, None, f"/models/{HASH}").stored_sha256 is None


@pytest.mark.parametrize(
    ("entry", "window"),
    [
        ({"max_model_len": 4_096}, 4_096),
        ({"meta": {"n_ctx": 2_048}}, 2_048),
        ({"max_model_len": None, "meta": {"n_ctx": 2_048}}, 2_048),
        ({"max_model_len": "large"}, None),
        ({"max_model_len": {}}, None),
        ({"max_model_len": -1}, None),
        ({"max_model_len": 0}, None),
        ({"meta": "none"}, None),
        ({"parent": "not-listed"}, None),
        ({}, None),
    ],
)
def test_the_window_is_what_the_server_says_if_it_says_one(entry, window):
    (model,) = listing({"data": [{"id": "m", **entry}]})
    assert model.context_tokens == window


@pytest.mark.parametrize("value", [1, [], {}, "", None])
def test_a_parent_and_a_path_that_are_no_text_are_none(value):
    (model,) = listing({"data": [{"id": "m", "parent": value, "root": value}]})
    assert (model.base, model.path) == (None, None)


@pytest.mark.parametrize(
    "content", [{}, {"data": None}, {"data": [1]}, {"data": [{"id": 1}]}, "<html></html>"]
)
def test_what_is_no_model_list_is_a_sentence(content):
    with pytest.raises(ServerError, match="answers, but not with a model list"):
        listing(content)


@pytest.mark.parametrize(
    ("status", "content", "said"),
    [
        (401, {"error": "Unauthorized"}, "refuses the API key; set THE_KEY"),
        (403, {"error": {"message": "not for you"}}, "refuses the API key; set THE_KEY"),
        (404, {"detail": "Not Found"}, "has no model list below it; the address usually ends in /v1"),
        (500, {"error": {"message": "out of memory"}}, "answers with HTTP status 500: out of memory"),
        (500, {"message": "out of memory"}, "answers with HTTP status 500: out of memory"),
        (502, "<html>Bad Gateway</html>", "answers with HTTP status 502: see the server's log"),
        (418, {"error": None}, "answers with HTTP status 418: see the server's log"),
        (418, [1], "answers with HTTP status 418: see the server's log"),
    ],
)
def test_a_refusal_is_a_sentence_with_its_status(status, content, said):
    with pytest.raises(ServerError, match=said) as refused:
        listing(content, status)
    assert refused.value.status == status


def test_a_server_that_is_gone_is_a_sentence_without_a_status():
    with scripted_server() as gone:
        pass
    with pytest.raises(ServerError, match="no server answers at") as refused:
        listed(gone.base_url)
    assert refused.value.status is None


def test_a_server_that_says_nothing_is_a_sentence():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(ServerError, match="does not answer within 0 s"),
    ):
        listed(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", timeout_s=0.1)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:secret@host:1/v1", "http://host:1/v1"),
        ("http://token@host/v1", "http://host/v1"),
        ("http://host:1/v1", "http://host:1/v1"),
    ],
)
def test_a_password_in_the_address_is_not_shown(url, shown):
    assert without_password(url) == shown
    assert "secret" not in ServerApi(url, None, "THE_KEY").key_refused
