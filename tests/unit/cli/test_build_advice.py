"""What ``pylife build`` says where a Dockerfile may have been meant, and of words of other builders."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.app.dockerfile.platforms import parse_platforms
from lifecycle.cli.commands.build import _with_dockerfile
from lifecycle.cli.foreign import arguments
from lifecycle.errors import UsageError
from lifecycle.oci import BadPlatform
from lifecycle.phases.detect import NothingDetected


@pytest.mark.parametrize("name", ["Dockerfile", "Containerfile"])
def test_an_app_for_no_buildpack_names_its_dockerfile(tmp_path: Path, name: str) -> None:
    error = NothingDetected("No group fits", [])
    assert _with_dockerfile(error, str(tmp_path)) == error.fix
    (tmp_path / name).touch()
    assert f"--dockerfile {tmp_path / name}" in _with_dockerfile(error, str(tmp_path))


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["--pull", "."], ["--pull=always", "."]),
        (["--pull=never", "."], ["--pull=never", "."]),
        (["--", "--pull"], ["--", "--pull"]),
        (["-v", "."], ["-v", "."]),
        (["-v", "/a/b.tar"], ["-v", "/a/b.tar"]),
        (["-v", "https://example.invalid/a"], ["-v", "https://example.invalid/a"]),
        (["-v", "git@example.invalid:/a"], ["-v", "git@example.invalid:/a"]),
        (["-vt", "a", "."], ["-vt", "a", "."]),
        (["-v", "-t", "a:b"], ["-v", "-t", "a:b"]),
    ],
)
def test_words_are_read_as_people_mean_them(words: list[str], read: list[str]) -> None:
    assert arguments(words) == read


@pytest.mark.parametrize(
    "words",
    [["-v", "/a:/b"], ["-v", "./a:/b:ro,z"], ["-v/a:/b"], ["-v", "/one/two/three:/b"], ["-q", "-v", "~/a:/b", "."]],
)
def test_a_volume_after_v_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError, match="looks like a volume"):
        arguments(words)


@pytest.mark.parametrize(
    "text", ["linux/amd64", "linux/arm/v7", "linux/x86_64", "windows/amd64", "linux/riscv64", "arm64"]
)
def test_platforms_that_somebody_has_are_taken(text: str) -> None:
    assert len(parse_platforms([text])) == 1


@pytest.mark.parametrize(
    ("text", "hint"), [("linux/foo", "amd64"), ("linx/amd64", "`linux`"), ("linux/arm46", "`arm64`"), ("foo", "amd64")]
)
def test_other_platforms_are_refused_with_the_near_word(text: str, hint: str) -> None:
    with pytest.raises(BadPlatform) as caught:
        parse_platforms([text])
    assert hint in caught.value.fix
