"""What names a buildpack, and whose word counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifecycle.slug.appjson import BadAppJson
from lifecycle.slug.selection import BadBuildpackUrl, choose, parse_reference, parse_required

KNOWN = ("python", "nodejs")
SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "kind", "url", "ref", "name"),
    [
        ("https://h.example/heroku-buildpack-x.git", "git", "https://h.example/heroku-buildpack-x.git", "", "x"),
        ("https://h.example/o/x.git#v1/2", "git", "https://h.example/o/x.git", "v1/2", "x"),
        ("https://h.example/o/buildpack-go", "web", "https://h.example/o/buildpack-go", "", "go"),
        ("https://h.example/o/go#main", "web", "https://h.example/o/go", "main", "go"),
        ("h.example/o/go", "web", "https://h.example/o/go", "", "go"),
        ("http://h.example/a.tgz", "archive", "http://h.example/a.tgz", "", "a"),
        ("https://h.example/a.tar.gz?sig=x", "archive", "https://h.example/a.tar.gz?sig=x", "", "a"),
        ("https://h.example/a.tbz", "archive", "https://h.example/a.tbz", "", "a"),
        ("https://h.example/a.tar.bz", "archive", "https://h.example/a.tar.bz", "", "a"),
        ("https://h.example/a.tar", "archive", "https://h.example/a.tar", "", "a"),
        ("git@h.example:o/x.git#b", "git", "git@h.example:o/x.git", "b", "x"),
        ("git@h.example:x", "git", "git@h.example:x", "", "x"),
        ("git://h.example/o/x", "git", "git://h.example/o/x", "", "x"),
        ("ssh://git@h.example:22/o/x.git", "git", "ssh://git@h.example:22/o/x.git", "", "x"),
        ("file:///opt/packs/ruby", "local", "file:///opt/packs/ruby", "", "ruby"),
        ("/opt/ruby.tgz", "local", "/opt/ruby.tgz", "", "ruby"),
        ("./packs/ruby#v2", "local", "./packs/ruby", "v2", "ruby"),
        ("  https://h.example/a.tgz\n", "archive", "https://h.example/a.tgz", "", "a"),
        ("https://h.example/..%2f..%2fetc.git", "git", "https://h.example/..%2f..%2fetc.git", "", "etc"),
    ],
)  # fmt: skip
def test_reference(text: str, kind: str, url: str, ref: str, name: str) -> None:
    found = parse_reference(text, KNOWN)
    assert (found.kind, found.url, found.ref, found.name) == (kind, url, ref, name)


@pytest.mark.parametrize("text", ["python", "heroku/python", "urn:buildpack:heroku/python", "heroku/python@v2"])
def test_builders_own_buildpack_by_name(text: str) -> None:
    found = parse_reference(text, KNOWN)
    assert (found.kind, found.name, str(found)) == ("named", "python", "python")


@pytest.mark.parametrize(
    ("text", "kind"), [(f"https://h.example/a.tgz#{SHA}", "archive"), (f"https://h.example/a#{SHA}", "archive"),
                       (f"file:///a.tgz#{SHA}", "local")],
)  # fmt: skip
def test_checksum_pins_an_archive(text: str, kind: str) -> None:
    found = parse_reference(text)
    assert (found.kind, found.checksum, found.ref) == (kind, SHA, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ruby", "neither an address nor the name"),
        ("", "it is empty"),
        ("owner/repo", "the host is missing"),
        ("heroku/ruby", "the host is missing"),
        ("https://", "names no host"),
        ("https://h.example/", "names nothing on that host"),
        ("https://h.example:x/a.git", "Port"),
        ("ftp://h.example/a.tgz", "ftp:// is not one of"),
        ("file://relative", "absolute path"),
        ("https://h.example/a b.git", "it holds a space"),
        ("https://h.example/a.tgz#sha256:12", "64 hexadecimal digits"),
        ("https://h.example/a.tgz#main", "an archive has no branches"),
        (f"https://h.example/a.git#{SHA}", "pinned by its commit"),
    ],
)
def test_what_names_no_buildpack_is_refused_in_the_familys_words(text: str, why: str) -> None:
    with pytest.raises(BadBuildpackUrl, match=r"Invalid buildpack URL: ") as caught:
        parse_reference(text, KNOWN)
    assert why in str(caught.value)
    assert repr(text.partition("?")[0]) in str(caught.value)


def test_shorthand_is_answered_with_the_whole_address() -> None:
    with pytest.raises(BadBuildpackUrl) as caught:
        parse_reference("owner/repo")
    assert "https://HOST/owner/repo.git" in caught.value.fix


@pytest.mark.parametrize(
    "text",
    [
        "https://me:s3cret@h.example/a.git#v1",
        "https://h.example/a.tgz?signature=s3cret",
        "https://me:s3cret@h.example/",
        "https://me:s3cret@h.example/a.tgz?token=s3cret#sha256:1",
        "ftp://me:s3cret@h.example/a.tgz",
        "https://me:s3cret@h.example/a b.git",
    ],
)
def test_credentials_are_never_shown(text: str) -> None:
    try:
        found = parse_reference(text)
    except BadBuildpackUrl as error:
        assert "s3cret" not in f"{error} {error.fix} {error.details}"
    else:
        assert "s3cret" in found.url
        assert "s3cret" not in f"{found} {found!r} {found.name}"


# -- whose word counts -------------------------------------------------------------------------------------------

ALL = {
    "wanted": ["https://h.example/wanted.git"],
    "required": "git required https://h.example/required.git v1",
    "BUILDPACK_URL": "https://h.example/url.git",
    ".env": "PORT=1\nexport BUILDPACK_URL='https://h.example/dotenv.git#v1'\n",
    ".buildpacks": "https://h.example/file.git\n",
    "app.json": json.dumps({"buildpacks": [{"url": "https://h.example/json.git"}]}),
}


@pytest.mark.parametrize(
    ("first", "name", "why", "trusted"),
    [
        (0, "wanted", "the list given", True),
        (1, "required", "REQUIRED_BUILDPACKS", True),
        (2, "url", "BUILDPACK_URL", True),
        (3, "dotenv", "BUILDPACK_URL in .env", False),
        (4, "file", ".buildpacks", False),
        (5, "json", "app.json", False),
    ],
)
def test_first_that_says_anything_decides(tmp_path: Path, first: int, name: str, why: str, trusted: bool) -> None:
    given = dict(list(ALL.items())[first:])
    for file in (".env", ".buildpacks", "app.json"):
        if file in given:
            (tmp_path / file).write_text(str(given[file]))
    variables = {"BUILDPACK_URL": str(given.get("BUILDPACK_URL", " "))}
    found = choose(variables, tmp_path, given.get("wanted", ()), str(given.get("required", "")), KNOWN)
    assert [reference.name for reference in found.references] == [name]
    assert (found.mode, found.why, found.trusted) == ("single", why, trusted)


def test_nothing_said_is_the_builders_own_order(tmp_path: Path) -> None:
    (tmp_path / ".buildpacks").write_text("\n# only a comment\n\n")
    (tmp_path / "app.json").write_text('{"name": "x"}')
    found = choose({}, tmp_path)
    assert (found.mode, found.references) == ("default", ())


def test_several_lines_are_a_list_in_order(tmp_path: Path) -> None:
    (tmp_path / ".buildpacks").write_bytes(b"\xef\xbb\xbf# apt first\r\nhttps://h.example/apt.git#v2\r\n\r\n  python\n")
    found = choose({}, tmp_path, known=KNOWN)
    assert found.mode == "multi"
    assert [(item.name, item.ref, item.kind) for item in found.references] == [
        ("apt", "v2", "git"),
        ("python", "", "named"),
    ]


def test_tests_have_the_buildpacks_that_app_json_gives_them(tmp_path: Path) -> None:
    app_json = {"buildpacks": [{"url": "python"}], "environments": {"test": {"buildpacks": [{"url": "nodejs"}]}}}
    (tmp_path / "app.json").write_text(json.dumps(app_json))
    for environment, name in (("", "python"), ("test", "nodejs"), ("review", "python")):
        found = choose({}, tmp_path, known=KNOWN, environment=environment)
        assert ([item.name for item in found.references], found.why) == ([name], "app.json")


def test_link_that_leaves_the_app_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("https://h.example/x.git\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/.buildpacks").symlink_to("../secret")
    assert choose({}, tmp_path / "app").mode == "default"


def test_broken_app_json_is_an_error_only_when_it_would_decide(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text("{")
    assert choose({}, tmp_path, ["https://h.example/x.git"]).mode == "single"
    with pytest.raises(BadAppJson):
        choose({}, tmp_path)


# -- REQUIRED_BUILDPACKS -----------------------------------------------------------------------------------------


def test_required_buildpacks_of_every_type() -> None:
    text = (
        "git bk-apt https://h.example/apt.git v2;tgz bk-python https://h.example/dl?id=1 v285 ;"
        " tar bk-node file:///packs/node.tar v3;oci-embedded nodejs - v4;"
    )
    found, warnings = parse_required(text, KNOWN)
    assert [(item.name, item.kind, item.ref, item.version) for item in found] == [
        ("bk-apt", "git", "v2", "v2"),
        ("bk-python", "archive", "", "v285"),
        ("bk-node", "local", "", "v3"),
        ("nodejs", "named", "", "v4"),
    ]
    assert warnings == ()


def test_fields_without_a_value_are_written_as_two_quotes() -> None:
    """Source: BlueKing, BuildProcess.buildpacks_as_build_env."""
    text = 'git bk-apt https://h.example/apt.git "";tar bk-node https://h.example/node.tgz "";oci-embedded python "" ""'
    found, warnings = parse_required(text, KNOWN)
    assert [(item.name, item.kind, item.ref, item.version) for item in found] == [
        ("bk-apt", "git", "", ""),
        ("bk-node", "archive", "", ""),
        ("python", "named", "", ""),
    ]
    assert warnings == ()


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("git name https://h.example/a.git", "is not TYPE NAME URL VERSION"),
        ("oci-image name docker v1", "oci-image is not tar, tgz or git"),
        ("zip name https://h.example/a.zip v1", "zip is not tar, tgz or git"),
    ],
)
def test_item_that_is_none_is_left_out_with_a_warning(text: str, warning: str) -> None:
    found, warnings = parse_required(f"{text};git x https://h.example/x.git main")
    assert [item.name for item in found] == ["x"]
    assert len(warnings) == 1
    assert warning in warnings[0]


def test_required_buildpacks_that_are_all_left_out_let_the_next_decide(tmp_path: Path) -> None:
    found = choose({"BUILDPACK_URL": "https://h.example/url.git"}, tmp_path, required="nonsense")
    assert found.why == "BUILDPACK_URL"
    assert len(found.warnings) == 1


def test_warning_of_a_bad_item_shows_no_credentials() -> None:
    _, warnings = parse_required("git https://me:s3cret@h.example/a.git?t=s3cret v1")
    assert "s3cret" not in "".join(warnings)


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        (".buildpacks", "# of ours\n\npython\nruby\n", ".buildpacks:4"),
        (".buildpacks", "https://h.example/a.git # the first\n", ".buildpacks:1"),
        (".env", "BUILDPACK_URL=ruby\n", ".env, BUILDPACK_URL"),
        ("app.json", json.dumps({"buildpacks": [{"url": "ruby"}]}), "app.json, buildpacks"),
    ],
)
def test_what_names_no_buildpack_is_told_with_its_place(tmp_path: Path, file: str, text: str, where: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(BadBuildpackUrl) as caught:
        choose({}, tmp_path, known=KNOWN)
    assert caught.value.where == where
