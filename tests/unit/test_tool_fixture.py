from __future__ import annotations

import os
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
