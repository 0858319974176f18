from __future__ import annotations

import pytest

from lifecycle.oci import BadDigest, BadReference, Digest, Reference, chain_id

HEX = "a" * 64
SHA = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest", "explicit"),
    [
        ("demo", "docker.io", "library/demo", None, None, False),
        ("demo:1.0", "docker.io", "library/demo", "1.0", None, False),
        ("team/demo", "docker.io", "team/demo", None, None, False),
        ("docker.io/demo", "docker.io", "library/demo", None, None, True),
        ("index.docker.io/team/demo", "docker.io", "team/demo", None, None, True),
        ("localhost/demo", "localhost", "demo", None, None, True),
        ("localhost:5000/app", "localhost:5000", "app", None, None, True),
        ("localhost:5000/app:v1", "localhost:5000", "app", "v1", None, True),
        ("registry:5000/app", "registry:5000", "app", None, None, True),
        ("[::1]:5000/app:v1", "[::1]:5000", "app", "v1", None, True),
        ("[2001:db8::1]/a/b", "[2001:db8::1]", "a/b", None, None, True),
        ("reg.example/a/b/c/d:x", "reg.example", "a/b/c/d", "x", None, True),
        ("REG.Example/app", "REG.Example", "app", None, None, True),
        ("Reg/app", "Reg", "app", None, None, True),
        (f"demo@{SHA}", "docker.io", "library/demo", None, SHA, False),
        (f"reg.example/app:1@{SHA}", "reg.example", "app", "1", SHA, True),
        (f"reg.example:443/app@sha512:{'b' * 128}", "reg.example:443", "app", None, f"sha512:{'b' * 128}", True),
        ("a_b", "docker.io", "library/a_b", None, None, False),
        ("a__b", "docker.io", "library/a__b", None, None, False),
        ("a---b", "docker.io", "library/a---b", None, None, False),
        ("a.b/c", "a.b", "c", None, None, True),
        ("demo:" + "t" * 128, "docker.io", "library/demo", "t" * 128, None, False),
        ("demo:_x.-", "docker.io", "library/demo", "_x.-", None, False),
    ],
)
def test_name_is_taken_apart(
    text: str, registry: str, repository: str, tag: str | None, digest: str | None, explicit: bool
) -> None:
    ref = Reference.parse(text)
    assert (ref.registry, ref.repository, ref.tag) == (registry, repository, tag)
    assert (str(ref.digest) if ref.digest else None) == digest
    assert ref.explicit is explicit
    assert Reference.parse(str(ref)).name == ref.name


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":tag",
        "demo:",
        "Demo",
        "team/Demo",
        "localhost:5000/App",
        "demo:tag:tag",
        "demo:-x",
        "demo:.x",
        "demo:" + "t" * 129,
        "demo:ta g",
        "demo:täg",
        "a//b",
        "/a",
        "a/",
        "-a",
        "a-",
        "a..b",
        "a___b",
        "a._b",
        "demo@",
        "demo@sha256:abc",
        f"demo@sha256:{'A' * 64}",
        f"demo@md5:{'a' * 32}",
        f"demo@{SHA}@{SHA}",
        "-reg.example/app",
        "reg-.example/app",
        "reg..example/app",
        "reg.example:port/app",
        "reg.example:/app",
        "[::1/app",
        "[::g]:5000/app",
        "::1/app",
        "http://reg.example/app",
        "demo\n",
        "demo ",
        "a/b\x00c",
    ],
)
def test_text_outside_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(BadReference) as caught:
        Reference.parse(text)
    assert caught.value.exit_code == 2


def test_name_may_have_255_characters_and_no_more() -> None:
    longest = "reg.example/" + "a" * (255 - len("reg.example/"))
    assert Reference.parse(longest + ":tag").name == longest
    with pytest.raises(BadReference, match="too long"):
        Reference.parse(longest + "a")


def test_limit_counts_what_is_added_to_a_bare_name() -> None:
    prefix = len("docker.io/library/")
    assert len(Reference.parse("a" * (255 - prefix)).name) == 255
    with pytest.raises(BadReference, match="too long"):
        Reference.parse("a" * (256 - prefix))


def test_upper_case_repository_says_so() -> None:
    with pytest.raises(BadReference, match="lower case"):
        Reference.parse("localhost:5000/MyApp")


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("demo", "demo"),
        ("docker.io/library/demo:1", "demo:1"),
        ("docker.io/team/demo", "team/demo"),
        ("localhost:5000/demo:1", "localhost:5000/demo:1"),
        (f"demo:1@{SHA}", f"demo:1@{SHA}"),
    ],
)
def test_familiar_form_leaves_out_what_people_leave_out(text: str, familiar: str) -> None:
    assert Reference.parse(text).familiar == familiar


def test_registry_is_asked_for_digest_before_tag_before_latest() -> None:
    assert Reference.parse(f"a:1@{SHA}").identifier == SHA
    assert Reference.parse("a:1").identifier == "1"
    assert Reference.parse("a").identifier == "latest"


def test_changing_tag_or_digest_drops_the_other() -> None:
    ref = Reference.parse(f"reg.example/a:1@{SHA}")
    assert str(ref.with_tag("2")) == "reg.example/a:2"
    assert str(ref.with_digest(Digest.parse(SHA))) == f"reg.example/a@{SHA}"
    assert str(Reference.parse("reg.example/a").with_default_tag()) == "reg.example/a:latest"
    assert ref.with_default_tag() == ref


@pytest.mark.parametrize(
    "text", [None, 7, "", "sha256", f"sha256:{'a' * 63}", f"sha256:{'G' * 64}", f"sha1:{'a' * 40}"]
)
def test_malformed_digest_is_refused(text: object) -> None:
    with pytest.raises(BadDigest):
        Digest.parse(text)


def test_chain_id_follows_the_specification() -> None:
    a, b, c = (Digest.of(name) for name in (b"a", b"b", b"c"))
    assert chain_id([a]) == a
    ab = Digest.of(f"{a} {b}".encode())
    assert chain_id([a, b]) == ab
    assert chain_id([a, b, c]) == Digest.of(f"{ab} {c}".encode())
    with pytest.raises(BadDigest):
        chain_id([])
