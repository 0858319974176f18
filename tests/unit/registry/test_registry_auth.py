"""Being let in: Basic, tokens, scopes, renewal; and credentials that go nowhere else."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from registry_fixtures import layer_of, opener, push_image, some_bytes

from lifecycle.events import RecordingSink
from lifecycle.oci import Reference
from lifecycle.registry import Credentials, SingleKey
from lifecycle.registry.auth import Challenge, merge_scopes, parse_challenges
from lifecycle.registry.errors import BadAnswer, Denied, Unauthorized
from lifecycle.registry.gate import BasicGate, BearerGate
from lifecycle.testing.registry import FaultyRegistry, Reply, failure

USERS = {"ann": "s3cret:with-colon", "reader": "r"}


def key_for(server: FaultyRegistry, name: str = "ann", password: str = USERS["ann"]) -> SingleKey:
    return SingleKey(server.address, Credentials("a test", name, password))


def named(server: FaultyRegistry, text: str = "team/app:1") -> Reference:
    return Reference.parse(f"{server.address}/{text}")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        (["Basic"], [("basic", {})]),
        (['Basic realm="x"'], [("basic", {"realm": "x"})]),
        (
            ['Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"'],
            [("bearer", {"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push"})],
        ),
        (
            ['Bearer realm="https://a/t", Basic realm="say \\"hi\\", you"'],
            [("bearer", {"realm": "https://a/t"}), ("basic", {"realm": 'say "hi", you'})],
        ),
        (
            ['Negotiate abc==, bearer Realm=x , error="e"'],
            [("negotiate", {}), ("bearer", {"realm": "x", "error": "e"})],
        ),
        (['Basic realm="a"', 'Bearer realm="b"'], [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
        (['Basic realm="unclosed'], [("basic", {})]),
        (["=,,=", ",", 'Basic realm=""'], [("basic", {"realm": ""})]),
    ],
)
def test_challenges_are_parsed(headers: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    found = [(challenge.scheme, dict(challenge.parameters)) for challenge in parse_challenges(headers)]
    assert found[: len(expected)] == expected
    assert isinstance(parse_challenges(["Basic"])[0], Challenge)


def test_scopes_of_one_repository_are_merged() -> None:
    merged = merge_scopes(["repository:a:pull", "repository:a:push,pull", "repository:b:pull"])
    assert merged == {"repository:a:pull,push", "repository:b:pull"}


def test_basic_credentials_are_sent(make_client: Any) -> None:
    with FaultyRegistry(gate=BasicGate(USERS)) as server:
        push_image(make_client(key_for(server)), named(server), [b"one"])
        assert [seen.path for seen in server.seen if "authorization" not in seen.headers] == ["/v2/"]


def test_wrong_basic_credentials_say_whose_they_were(make_client: Any) -> None:
    with FaultyRegistry(gate=BasicGate(USERS)) as server:
        with pytest.raises(Unauthorized, match="credentials from a test were sent") as caught:
            make_client(key_for(server, "ann", "wrong-pass")).manifest(named(server))
        assert "wrong-pass" not in repr(caught.value.as_dict())
        assert "pylife login" in caught.value.fix
        assert len(server.requests(path="/manifests/")) == 2  # one renewal, no loop


def test_missing_credentials_are_told_without_asking_in_vain(make_client: Any) -> None:
    with FaultyRegistry(gate=BasicGate(USERS)) as server:
        with pytest.raises(Unauthorized, match="none were found"):
            make_client().manifest(named(server))
        assert [seen.path for seen in server.seen] == ["/v2/"]


def test_a_token_is_fetched_for_the_scope_and_used_again(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        push_image(make_client(key_for(server)), named(server), [b"one", b"two"])
        asked = [parse_qs(urlsplit(seen.path).query) for seen in server.requests(path="/token")]
        assert [query["scope"] for query in asked] == [
            ["repository:team/app:pull"],
            ["repository:team/app:pull,push"],
        ]
        assert asked[0]["service"] == ["pylife"]
        assert not [seen for seen in server.requests(path="/token") if not seen.headers.get("authorization")]


def test_a_mount_asks_for_both_repositories(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        client = make_client(key_for(server))
        client.push_blob(named(server, "base/run"), layer_of(b"x"), opener(b"x"))
        assert client.push_blob(named(server), layer_of(b"x"), opener(b"x"), named(server, "base/run")) == "mounted"
        scopes = parse_qs(urlsplit(server.requests(path="/token")[-1].path).query)["scope"]
        assert scopes == ["repository:base/run:pull", "repository:team/app:pull,push"]


def test_anonymous_pull_needs_no_credentials(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS, public=True)) as server:
        pushed = push_image(make_client(key_for(server)), named(server), [b"one"])
        assert make_client().manifest(named(server))[2] == pushed.digest


def test_who_may_only_read_cannot_push(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS, read_only=frozenset({"reader"}))) as server:
        client = make_client(key_for(server, "reader", "r"))
        assert not client.can_push(named(server))
        with pytest.raises(Unauthorized):
            client.check_push(named(server))
        assert make_client(key_for(server)).can_push(named(server))


def test_denied_is_not_unauthorized(make_client: Any, app: Reference, registry: FaultyRegistry) -> None:
    registry.fault(failure(403, "DENIED", "quota"), method="POST", times=None)
    with pytest.raises(Denied, match="DENIED: quota"):
        make_client().check_push(app)
    assert not make_client().can_push(app)


def test_a_revoked_token_is_renewed_once(make_client: Any) -> None:
    gate = BearerGate(USERS)
    with FaultyRegistry(gate=gate) as server:
        client = make_client(key_for(server))
        pushed = push_image(client, named(server), [b"one"])
        gate.revoke()
        assert client.head(named(server)) == pushed.descriptor
        gate.revoke()
        data = some_bytes(1_000_000)
        assert client.push_blob(named(server), layer_of(data), opener(data)) == "uploaded"


def test_a_token_that_expires_is_fetched_anew(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS, life=1.0)) as server:
        client = make_client(key_for(server))
        client.head(named(server))
        time.sleep(0.8)
        client.head(named(server))
        assert len(server.requests(path="/token")) == 2
        assert not [seen for seen in server.requests(path="/manifests/") if "authorization" not in seen.headers]


def test_endless_401_ends(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        challenge = {"WWW-Authenticate": f'Bearer realm="{server.url}/token",service="pylife"'}
        server.fault(failure(401, "UNAUTHORIZED", headers=challenge), path="/manifests/", times=None)
        with pytest.raises(Unauthorized):
            make_client(key_for(server)).manifest(named(server))
        assert len(server.requests(path="/manifests/")) == 2


def test_a_token_service_that_refuses_says_so(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        with pytest.raises(Unauthorized, match="refused the credentials from a test") as caught:
            make_client(key_for(server, "ann", "no")).manifest(named(server))
        assert caught.value.status == 401


def test_a_token_service_that_answers_nonsense_says_so(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        server.fault(Reply(200, {}, b"[]"), path="/token")
        with pytest.raises(BadAnswer, match="gave no token"):
            make_client(key_for(server)).manifest(named(server))


def test_a_token_service_that_stumbles_is_asked_again(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        server.fault(failure(503), path="/token", times=2)
        assert make_client(key_for(server)).head(named(server)) is None


def test_a_token_service_that_fails_is_not_asked_for_ever(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        server.fault(failure(503), path="/token", times=None)
        with pytest.raises(Exception, match="token service"):
            make_client(key_for(server)).head(named(server))
        assert len(server.requests(path="/token")) == 6


def test_an_identity_token_is_traded_by_post(make_client: Any) -> None:
    with FaultyRegistry(gate=BearerGate(USERS, identity_tokens=frozenset({"refresh-me"}))) as server:
        key = SingleKey(server.address, Credentials("a test", identity_token="refresh-me"))
        push_image(make_client(key), named(server), [b"one"])
        assert {seen.method for seen in server.requests(path="/token")} == {"POST"}


def test_a_registry_token_is_sent_as_it_is(make_client: Any) -> None:
    gate = BearerGate(USERS)
    with FaultyRegistry(gate=gate) as server:
        issued = gate.issue("scope=repository:team/app:pull", make_basic("ann", USERS["ann"]), None)
        assert issued is not None
        key = SingleKey(server.address, Credentials("a test", registry_token=str(issued["token"])))
        assert make_client(key).head(named(server)) is None
        assert not server.requests(path="/token")


def make_basic(name: str, password: str) -> str:
    return Credentials("", name, password).basic


def test_a_realm_in_plain_http_elsewhere_gets_no_credentials(make_client: Any, certificate: Any) -> None:
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    challenge = {"WWW-Authenticate": 'Bearer realm="http://tokens.example/t"'}
    with FaultyRegistry(tls=context) as server:
        server.fault(failure(401, headers=challenge), times=None)
        with pytest.raises(BadAnswer, match="plain HTTP"):
            make_client(key_for(server), ca_files=(certificate[0],)).manifest(named(server))


@pytest.mark.parametrize("status", [302, 303, 307, 308])
def test_a_redirect_to_another_host_takes_no_credentials(
    make_client: Any, registry: FaultyRegistry, status: int
) -> None:
    data = some_bytes(100_000)
    layer = layer_of(data)
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        client = make_client(key_for(server))
        client.push_blob(named(server), layer, opener(data))
        make_client().push_blob(named(registry, "storage"), layer, opener(data))
        target = f"{registry.url}/v2/storage/blobs/{layer.digest}?signature=abc"
        server.fault(Reply(status, {"Location": target}), method="GET", path="/blobs/")
        registry.seen.clear()
        assert client.read_blob(named(server), layer) == data
        assert registry.seen and all("authorization" not in seen.headers for seen in registry.seen)


def test_an_upload_to_another_host_takes_no_credentials(make_client: Any, registry: FaultyRegistry) -> None:
    data = some_bytes(100_000)
    with FaultyRegistry(gate=BasicGate(USERS)) as server:
        name = registry.shelf.begin("storage")
        location = f"{registry.url}/v2/storage/blobs/uploads/{name}"
        server.fault(Reply(202, {"Location": location}), method="POST")
        make_client(key_for(server)).push_blob(named(server), layer_of(data), opener(data))
        assert [seen.method for seen in registry.seen] == ["PUT"]
        assert "authorization" not in registry.seen[0].headers


def test_redirects_in_a_circle_end(make_client: Any, registry: FaultyRegistry, app: Reference) -> None:
    registry.fault(Reply(307, {"Location": "/v2/team/app/manifests/1"}), path="/manifests/", times=None)
    with pytest.raises(BadAnswer, match="redirects"):
        make_client().manifest(app)


def test_secrets_are_in_no_event_error_or_repr(make_client: Any, sink: RecordingSink) -> None:
    secret = USERS["ann"]
    with FaultyRegistry(gate=BearerGate(USERS)) as server:
        key = key_for(server)
        server.fault(failure(500), path="/", times=None)
        with pytest.raises(Exception) as caught:
            make_client(key).manifest(named(server))
        shown = repr(key) + repr(caught.value.as_dict()) + repr(sink.events) + str(caught.value)  # type: ignore[attr-defined]
        assert secret not in shown and "Basic" not in shown


def test_an_address_is_shown_without_its_secrets(make_client: Any, registry: FaultyRegistry, app: Reference) -> None:
    registry.fault(Reply(307, {"Location": "/v2/team/app/manifests/2?X-Amz-Signature=topsecret&n=5"}), path="/1$")
    with pytest.raises(Exception) as caught:
        make_client().manifest(app)
    assert "topsecret" not in str(caught.value) and "n=5" in str(caught.value)
