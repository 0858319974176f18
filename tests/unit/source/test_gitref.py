"""Git addresses: what is one, what it says, and what is refused."""

from __future__ import annotations

import pytest
from cases import Case, load_cases

from lifecycle.source.gitref import GitRef, parse_git_ref
from lifecycle.source.remote_errors import BadGitRef


@pytest.mark.parametrize("case", load_cases("dockerfile/gitref"), ids=str)
def test_git_address(case: Case) -> None:
    given = case.sections

    def parse() -> GitRef | None:
        return parse_git_ref(given["text"], context="context" in given, pull_method=given.get("pull method", ""))

    if "error" in given:
        with pytest.raises(BadGitRef) as caught:
            parse()
        assert str(caught.value) == given["error"]
        assert given.get("fix", caught.value.fix) == caught.value.fix
    else:
        assert shown(parse()) == given["expect"]


def shown(found: GitRef | None) -> str:
    if found is None:
        return "none"
    flags = {True: "yes", False: "no", None: ""}
    fields = {
        "remote": found.remote,
        "ref": found.ref,
        "subdir": found.subdir,
        "checksum": found.checksum,
        "commit": found.commit,
        "keep-git": flags[found.keep_git],
        "submodules": flags[found.submodules],
        "userinfo": found.userinfo,
    }
    return "\n".join(f"{name} {value}" for name, value in fields.items() if value)


def test_credentials_are_not_shown() -> None:
    found = parse_git_ref("https://user:secret@git.example/bar.git#main:app")
    assert str(found) == "https://git.example/bar.git#main:app"
    assert "secret" not in repr(found)
