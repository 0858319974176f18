from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def test_missing_tool_skips_with_the_way_to_get_it(tool: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install no-such-program"):
        tool("no-such-program")


def test_missing_tool_fails_in_ci(tool: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install no-such-program"):
        tool("no-such-program")


def test_present_tool_is_named_by_its_path(tool: Callable[[str], str]) -> None:
    assert os.access(tool("sh"), os.X_OK)


def test_no_test_sees_the_users_home(isolated_environment: Path) -> None:
    assert Path.home() == isolated_environment
    assert list(isolated_environment.iterdir()) == []
    assert [name for name in os.environ if name.startswith("PYLIFE_")] == ["PYLIFE_HOME"]


@pytest.mark.parametrize(("expect", "outcome"), [("", "1 skipped"), ("all", "1 failed")])
def test_skip_is_a_failure_where_everything_is_expected(tmp_path: Path, expect: str, outcome: str) -> None:
    conftest = Path(__file__).parents[1] / "conftest.py"
    (tmp_path / "conftest.py").write_text(conftest.read_text())
    (tmp_path / "test_it.py").write_text("import pytest\ndef test_it():\n    pytest.skip('no such thing here')\n")
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, env={**os.environ, "PYLIFE_EXPECT": expect}, capture_output=True, text=True)
    assert outcome in done.stdout
    assert "no such thing here" in done.stdout
