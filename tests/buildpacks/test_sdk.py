"""The SDK that the buildpacks share."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest
from pylife_sdk.network_failures import UNREACHED, refusal
from pylife_sdk.requirements import read_requirements
from pylife_sdk.sbom import Component, cyclonedx, spdx
from pylife_sdk.toml import dumps
from pylife_sdk.tree import tree_digest


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"a": 1, "b": True, "c": "x", "list": ["p", "q"], "empty": []},
        {"quoted key": 'say "hi"\\ \n\t\x00 é', "metadata": {"key": {"requirements.txt": "x", "a": "1"}}},
        {"processes": [{"type": "web", "command": ["bash", "-c", "echo $PORT"]}, {"type": "b", "command": []}]},
        {"requires": [{"name": "python", "metadata": {"build": True}}, {"name": "django"}], "top": 1},
    ],
)
def test_toml_reads_back_as_it_was(document: dict[str, object]) -> None:
    assert tomllib.loads(dumps(document)) == document


def test_requirements_are_read_with_all_they_pull_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    for name in ("deep", "lib", "wheels"):
        (tmp_path / name).mkdir()
    (tmp_path / "wheels/some-1.0-py3-none-any.whl").touch()
    (tmp_path / "requirements.txt").write_text(
        "\ufeff# all\n"
        "-r deep/base.txt\n--constraint=pins.txt\n-e .[dev]\n./lib # local\n"
        'Django[argon2] >= 5 ; python_version > "3" # comment\nzope.interface\nA_B.c==1.*,!=1.3\n'
        "long==1 \\\n  --hash=sha256:aa \\\n  --hash=sha256:bb\n"
        "git+https://${TOKEN}@example.com/x.git#egg=From_Git\nnamed @ https://example.com/named.whl\n"
        "--index-url https://example.com/simple\n"
    )
    (tmp_path / "deep/base.txt").write_text("-r ../requirements.txt\nmore\nwheels/some-1.0-py3-none-any.whl\n")
    (tmp_path / "pins.txt").write_text("pinned<2\n")
    read = read_requirements(str(tmp_path / "requirements.txt"))
    assert [os.path.relpath(path, tmp_path) for path in read.files] == ["requirements.txt", "deep/base.txt", "pins.txt"]
    assert read.names == {"django", "zope-interface", "a-b-c", "long", "from-git", "named", "more"}
    local = [os.path.relpath(path, tmp_path) for path in read.local]
    assert read.hashed
    assert local == ["wheels/some-1.0-py3-none-any.whl", ".", "lib"]


def test_sbom_has_no_clock_and_no_chance() -> None:
    components = [Component("b", "2", "pkg:pypi/b@2"), Component("a", "1", "pkg:pypi/a@1", "MIT")]
    for document in (cyclonedx, spdx):
        assert document("x", components) == document("x", list(reversed(components)))
    assert [entry["name"] for entry in json.loads(cyclonedx("x", components))["components"]] == ["a", "b"]


def test_tree_digest_sees_content_mode_and_links_but_no_times(tmp_path: Path) -> None:
    file, link = tmp_path / "f", tmp_path / "l"
    file.write_text("1")
    seen = {tree_digest(str(tmp_path))}
    os.utime(file, (1, 1))
    assert tree_digest(str(tmp_path)) in seen
    file.write_text("2")
    seen.add(tree_digest(str(tmp_path)))
    file.chmod(0o755)
    seen.add(tree_digest(str(tmp_path)))
    link.symlink_to("f")
    seen.add(tree_digest(str(tmp_path)))
    link.unlink()
    link.symlink_to("nowhere")
    seen.add(tree_digest(str(tmp_path)))
    assert len(seen) == 5
    os.mkfifo(tmp_path / "pipe")
    assert tree_digest(str(tmp_path)) in seen


def test_a_full_disk_is_said_as_any_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pylife_sdk.context import Build, run_build

    for name in ("CNB_LAYERS_DIR", "CNB_PLATFORM_DIR", "CNB_BP_PLAN_PATH"):
        monkeypatch.setenv(name, str(tmp_path))

    def fill(build: Build) -> None:
        with open("/dev/full", "w") as file:
            file.write("x")

    assert run_build(fill) == 1
    assert "[build.disk-full]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "of_the_network"),
    [
        ("npm error code ENOTFOUND", True),
        ("{ errno: 'ECONNREFUSED', code: 'ECONNREFUSED' }", True),
        ("ModuleNotFoundError: No module named 'flask'", False),
        ("[Help 1] LifecyclePhaseNotFoundException", False),
        ("  cause: HTTP status server error (503 Service Unavailable) for url (https://x/)", True),
        ("checking for getaddrinfo... yes", False),
        ("Compiling line 503 of server.c", False),
    ],
)
def test_a_name_that_only_holds_the_word_is_no_failure_of_the_network(line: str, of_the_network: bool) -> None:
    assert bool(UNREACHED.search(line)) is of_the_network


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("401 Client Error: Unauthorized for url: https://x/simple/uv/", "401"),
        ("HTTP Error 403: Nobody but members", "403"),
        ("npm error code E401", "401"),
        ("status code: 407, reason phrase: Proxy Authentication Required", "407"),
        ("This request requires an authentication token", "401"),
        ("404 Client Error: Not Found for url: https://x/simple/uv/", ""),
        ("downloaded 403 packages", ""),
    ],
)
def test_a_refusal_is_told_with_its_status(line: str, status: str) -> None:
    assert refusal(line) == status
