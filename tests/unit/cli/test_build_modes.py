"""Which options go with which kind of build."""

from __future__ import annotations

import pytest

from lifecycle.cli import run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slug", "-f", "Dockerfile"], "--slug and --dockerfile are two kinds of build"),
        (["--slug", "--target", "x"], "--target means nothing with --slug"),
        (["--slug", "--binding", "x"], "--binding means nothing with --slug"),
        (["-f", "Dockerfile", "--builder", "x"], "--builder is for buildpacks and means nothing with --dockerfile"),
        (["--target", "x"], "--target means something only with --dockerfile"),
    ],
)
def test_an_option_of_another_kind_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert run(["build", "--image", "x", *words]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "fix:" in shown
