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
from lifecycle.app.slug.order import SlugOrder
from lifecycle.app.slug.verbs import build
from lifecycle.errors import PylifeError
from lifecycle.slug.moments import Journal
from lifecycle.source.fetch import fetch_url

PORT = 5678
START = "/start"
PATIENCE = 60.0
"""Seconds that the app has until it listens. Source: Heroku, error R10, "Boot timeout"."""


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
    say("::: BUILDING APP :::")
    build(order, environment, ports, journal)
    say("::: STARTING WEB :::")
    try:
        with _web(environment) as pid:
            _await_listener(pid)
            say("::: FOUND LISTENER :::")
            say("::: CHECKING APP :::")
            answer = fetch_url(f"http://127.0.0.1:{PORT}/{path.lstrip('/')}", ports.remotes()).path.read_text("utf-8")
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
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def _await_listener(pid: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            raise TrialFailed("The web process ended before it listened")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.1)
    raise TrialFailed("The web process does not listen", why=f"nobody answers on port {PORT} after {PATIENCE:g} s")
