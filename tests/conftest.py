"""What every test gets: an environment without the user's settings, and a way to ask for a program."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

Tool = Callable[[str], str]

# .ci/run sets it: on that machine every capability is expected, so that a skip is a failure with the skip's reason.
# Read now: tests do not see the variables of the person who runs them.
_EXPECT_ALL = os.environ.get("PYLIFE_EXPECT") == "all"

_PACKAGES = {
    "docker-registry": "docker-registry",
    "newuidmap": "uidmap",
    "unshare": "util-linux",
    "runc": "runc",
    "busybox": "busybox-static",
}
_SETTINGS = ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "CNB_REGISTRY_AUTH", "SOURCE_DATE_EPOCH", "NO_COLOR", "FORCE_COLOR")
_FOLDERS = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")


# A job that a shell puts into the background ignores Ctrl-C, and so would everything that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and no settings of the person who runs the tests; returns the home."""
    home = tmp_path_factory.mktemp("home", numbered=True)
    for name in list(os.environ):
        if name.startswith("PYLIFE_") or name in _SETTINGS or name in _FOLDERS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PYLIFE_HOME", str(home / "pylife"))
    return home


@pytest.fixture(scope="session")
def tool() -> Tool:
    """The path of a program by its name. Without it the test is skipped, and in CI it fails, saying how to get it."""

    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if path is None:
            reason = f"{name} is not installed: apt-get install {_PACKAGES.get(name, name)}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if _EXPECT_ALL and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if os.geteuid() == 0 or "needs root" not in reason:
            report.outcome = "failed"
            report.longrepr = f"{reason} (PYLIFE_EXPECT=all: nothing may be skipped here)"
    return report
