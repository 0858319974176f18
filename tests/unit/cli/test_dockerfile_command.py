"""``pylife dockerfile``: each pass as a user meets it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from lifecycle.cli import run

DOCKERFILE = """\
# VERSION the base's release
ARG VERSION=1
# build compiles
FROM busybox:${VERSION} AS build
WORKDIR src
RUN --mount=type=secret,id=token --mount=type=cache,target=/c make
FROM scratch
COPY --from=build /src/app $TARGTE
"""


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYLIFE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    path = tmp_path / "Dockerfile"
    path.write_text(DOCKERFILE)
    return path


def out(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> str:
    assert run(["dockerfile", *map(str, arguments)]) == code
    return capsys.readouterr().out


def out_json(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    return json.loads(out(capsys, *arguments, code=code))


def test_ast_prints_one_instruction_a_line(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = out(capsys, "ast", dockerfile).splitlines()
    assert lines[0] == '(arg "VERSION=1")'
    assert lines[-1] == '(copy ["--from=build"] "/src/app" "$TARGTE")'
    assert len(lines) == 6


def test_file_may_be_stdin(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"FROM scratch AS A\n")))
    assert out(capsys, "ast", "-") == '(from "scratch" "AS" "A")\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"FROM scratch AS A\n")))
    assert "StageNameCasing" in out(capsys, "check", "-")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["hello-${NAME:-you}"], "hello-you\n"),
        (["--env", "NAME=a=b", "hello-$NAME"], "hello-a=b\n"),
        (["--escape", "`", "`$x'$y'"], "$x$y\n"),
        (["--words", "--env", "P=80 81", "$P '8 2'"], "80\n81\n8 2\n"),
        (["$nothing"], "\n"),
        (["--words", "$nothing"], ""),
    ],
)
def test_expand_prints_the_word(arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert out(capsys, "expand", *arguments) == expected


def test_bad_substitution_is_exit_code_1_with_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dockerfile", "expand", "${a"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "dockerfile.bad-substitution" in captured.err


def test_check_shows_rule_detail_place_and_line(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = out(capsys, "check", dockerfile)
    assert "warning: WorkdirRelativePath: Relative workdir" in shown
    assert f"  {dockerfile}:8:1\n  8 | COPY --from=build /src/app $TARGTE" in shown
    assert not (dockerfile.parent / "home").exists(), "a look must make no store"


def test_check_as_json_has_rule_line_and_detail(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    findings = out_json(capsys, "check", "--json", dockerfile)
    assert [(finding["rule"], finding["line"]) for finding in findings] == [
        ("WorkdirRelativePath", 5),
        ("UndefinedVar", 8),
    ]
    assert findings[1]["detail"] == "Usage of undefined variable '$TARGTE'"
    assert findings[1]["level"] == "warning"
    assert findings[1]["file"] == str(dockerfile)


def test_check_of_a_target_leaves_the_rest_out(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    findings = out_json(capsys, "check", "--json", "--target", "BUILD", dockerfile)
    assert [finding["rule"] for finding in findings] == ["WorkdirRelativePath"]


def test_check_of_a_clean_file_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM scratch\nCOPY a /\n")
    assert out(capsys, "check", path) == ""
    assert out_json(capsys, "check", "--json", path) == []


def test_check_fails_when_the_file_asks_for_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("# check=error=true\nFROM scratch AS A\n")
    assert run(["dockerfile", "check", str(path)]) == 1
    captured = capsys.readouterr()
    assert "error: StageNameCasing" in captured.out
    assert "dockerfile.checks-failed" in captured.err
    assert out_json(capsys, "check", "--json", path, code=1)[0]["level"] == "error"


def test_check_takes_build_arguments(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skipping = "BUILDKIT_DOCKERFILE_CHECK=skip=all"
    assert out_json(capsys, "check", "--json", "--build-arg", skipping, dockerfile) == []


def test_check_reads_the_ignore_file_of_the_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context, path = tmp_path / "context", tmp_path / "docker" / "Dockerfile"
    context.mkdir()
    path.parent.mkdir()
    path.write_text("FROM scratch\nCOPY a.log /\n")
    (context / ".dockerignore").write_text("*.log\n")
    assert out_json(capsys, "check", "--json", path) == []
    findings = out_json(capsys, "check", "--json", "--context", context, path)
    assert [finding["rule"] for finding in findings] == ["CopyIgnoredFile"]


def test_broken_file_is_an_error_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM scratch\nCPOY a /\n")
    assert run(["dockerfile", "check", str(path)]) == 1
    shown = capsys.readouterr().err
    assert f"{path}:2:1" in shown
    assert "COPY" in shown


def test_outline_lists_arguments_secrets_and_caches(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert out(capsys, "outline", "--target", "build", dockerfile).splitlines() == [
        "target build: compiles",
        "",
        "ARGUMENT  VALUE  DESCRIPTION",
        "VERSION   1      the base's release",
        "",
        "SECRET  REQUIRED",
        "token   no",
        "",
        "CACHE  TARGET  SHARING",
        "/c     /c      shared",
    ]
    data = out_json(capsys, "outline", "--json", "--build-arg", "VERSION=2", dockerfile)
    assert data["target"] is None
    assert data["args"] == [{"name": "VERSION", "value": "2", "description": "the base's release", "line": 2}]
    assert data["secrets"] == [{"id": "token", "required": False, "line": 6}]


def test_targets_lists_the_stages(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert out(capsys, "targets", dockerfile).splitlines() == [
        "TARGET       BASE                DESCRIPTION",
        "build        busybox:${VERSION}  compiles",
        "1 (default)  scratch",
    ]
    data = out_json(capsys, "targets", "--json", dockerfile)
    assert [(item["name"], item["default"]) for item in data] == [("build", False), (None, True)]


def test_unknown_target_names_the_near_one(dockerfile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dockerfile", "outline", "--target", "biuld", str(dockerfile)]) == 1
    assert "build" in capsys.readouterr().err


def test_missing_file_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dockerfile", "ast", str(tmp_path / "nothing")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_page_of_a_check_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "UndefinedVar"]) == 0
    assert capsys.readouterr().out.startswith("# Variable that nothing has set")
