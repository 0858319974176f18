"""``herokuish test``: build the app in this container, start its web process, ask it, and end it.

Source: herokuish, include/cmd-test.bash.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from lifecycle.app.ports import Ports
from lifecycle.app.slug.inside import check_inside
from lifecycle.app.slug.order import SlugOrder
from lifecycle.app.slug.verbs import build
from lifecycle.errors import PylifeError
from lifecycle.slug.moments import Journal
from lifecycle.source.fetch import fetch_url

PORT = 5678
START = "/start"
PATIENCE = 60.0
"""Seconds that the app has until it listens. Source: Heroku, error R10, "Boot timeout"."""
GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL for the web process."""


class TrialFailed(PylifeError):
    """The app was built, but its web process did not answer as it was to."""

    code = "slug.trial-failed"
    fix = "Read the app's own output above. The process has to listen on the port in $PORT."


def trial(
    path: str,
    expected: str,
    order: SlugOrder,
    environment: Mapping[str, str],
    ports: Ports,
    journal: Journal,
    say: Callable[[str], None],
) -> None:
    """Build the app and ask its web process for ``path``; its answer must hold ``expected``.

    Raises TrialFailed, and what a build raises.
    """
    check_inside(environment, "test")
    if _answers():
        fix = f"End what listens on port {PORT}, or give the container a network of its own."
        raise TrialFailed("The app cannot be tried", why=f"another process listens on port {PORT} already", fix=fix)
    say("::: BUILDING APP :::")
    build(order, environment, ports, journal)
    say("::: STARTING WEB :::")
    try:
        with _web(environment) as pid:
            _await_listener(pid)
            say("::: FOUND LISTENER :::")
            say("::: CHECKING APP :::")
            got = fetch_url(f"http://127.0.0.1:{PORT}/{path.lstrip('/')}", ports.remotes())
            answer = got.path.read_text("utf-8", "replace")
    except PylifeError:
        say("::: TEST FAILED :::")
        raise
    say("::: APP OUTPUT :::")
    say(answer.rstrip("\n"))
    if expected not in answer:
        say("::: TEST FAILED :::")
        raise TrialFailed("The app's answer is not the expected one", why=f"{expected!r} is not in it")
    say("::: TEST FINISHED :::")


@contextmanager
def _web(environment: Mapping[str, str]) -> Iterator[int]:
    """The web process, as the image starts it, for as long as the block lasts; its pid."""
    pid = os.posix_spawn(START, [START, "web"], {**environment, "PORT": str(PORT)})
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            _end(pid)


def _end(pid: int) -> None:
    """End a child by SIGTERM, and one that does not heed it by SIGKILL."""
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + GRACE
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _answers() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


def _await_listener(pid: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise TrialFailed("The web process ended before it listened")
        if _answers():
            return
        time.sleep(0.1)
    raise TrialFailed("The web process does not listen", why=f"nobody answers on port {PORT} after {PATIENCE:g} s")
