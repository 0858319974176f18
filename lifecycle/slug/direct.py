"""A ``Runner`` for this very container: processes are children of this one, as an unprivileged user where it is root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lifecycle.buildpack.execute import OnLine


class DirectRunner:
    """Runs processes here. ``owner`` is the (uid, gid) they get; None keeps this process's own."""

    def __init__(self, owner: tuple[int, int] | None = None, timeout: float | None = None) -> None:
        self._owner = owner
        self._timeout = timeout

    def run(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, on_line: OnLine) -> int:
        raise NotImplementedError
