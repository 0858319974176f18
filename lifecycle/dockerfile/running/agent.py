"""The ssh agent inside a step: a socket of our own that hands everything on to the real one.

The step never gets the agent's own socket: that belongs to the user who runs pylife, and this one to whomever the
mount names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator

from lifecycle.dockerfile.running.errors import BadSsh
from lifecycle.dockerfile.running.ssh import SshSource

_CHUNK = 64 * 1024
#: seconds that a private agent may take to open its socket
_PATIENCE = 10.0


@contextlib.contextmanager
def open_agent(source: SshSource, scratch: str) -> Iterator[str]:
    """The socket of the agent that ``source`` names; a private one, with its keys, is there for the block alone.

    Raises BadSsh.
    """
    if source.socket is not None:
        yield source.socket
        return
    import subprocess

    for program in ("ssh-agent", "ssh-add", "sh"):
        if shutil.which(program) is None:
            raise BadSsh(f"--ssh {source.id}: key files need {program}", fix="apt-get install openssh-client")
    name = "agent"  # for ssh's programs, started beside it: of a socket's name only some hundred bytes are taken
    place = os.path.join(scratch, name)
    # the shell ends the agent when its stdin ends: with the block, or with this process, whatever kills it
    script = f"ssh-agent -D -a {name} >/dev/null & read -r _; kill $!; wait"
    keeping = subprocess.Popen(["sh", "-c", script], cwd=scratch, stdin=subprocess.PIPE, start_new_session=True)
    with keeping as keeper:
        try:
            until = time.monotonic() + _PATIENCE
            while not _listens(place):
                if keeper.poll() is not None or time.monotonic() > until:
                    raise BadSsh(f"--ssh {source.id}: ssh-agent does not start")
                time.sleep(0.005)
            added = subprocess.run(
                ["ssh-add", "-q", *map(os.path.abspath, source.keys)],
                cwd=scratch,
                env={**os.environ, "SSH_AUTH_SOCK": name, "SSH_ASKPASS_REQUIRE": "never"},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # no terminal: a key with a passphrase is refused, not asked for
                check=False,
            )
            if added.returncode != 0:
                why = added.stderr.decode(errors="replace").strip().splitlines()
                fix = "Load a key that has a passphrase into an agent (ssh-add) and give --ssh default."
                raise BadSsh(f"--ssh {source.id}: the key cannot be used", why=why[-1] if why else None, fix=fix)
            yield place
        finally:
            assert keeper.stdin is not None
            keeper.stdin.close()
            keeper.wait()


def _listens(place: str) -> bool:
    """Whether somebody answers at a socket: it is there a moment before its agent listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, _short(place) as name:
        return probe.connect_ex(name) == 0


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """A name of the socket at ``path`` that is short enough, by a descriptor of its directory."""
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


class AgentProxy:
    """A listening socket at ``path`` that hands each connection on to ``agent``; ``close`` ends them all."""

    def __init__(self, path: str, agent: str) -> None:
        self._agent = agent
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short(path) as name:
            self._listener.bind(name)
        self._listener.listen()
        threading.Thread(target=self._serve, name="ssh-agent", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                inside, _ = self._listener.accept()
            except OSError:
                return
            outside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with self._lock:
                self._open |= {inside, outside}
            try:
                with _short(self._agent) as name:
                    outside.connect(name)
            except OSError:
                self._end(inside, outside)
                continue
            for pair in ((inside, outside), (outside, inside)):
                threading.Thread(target=self._hand_on, args=pair, name="ssh-agent", daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_CHUNK):
                target.sendall(piece)
        self._end(source, target)

    def _end(self, *pair: socket.socket) -> None:
        for each in pair:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        with self._lock:
            self._open -= set(pair)

    def close(self) -> None:
        """Stop listening and end every connection."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            rest = list(self._open)
        self._end(*rest)
