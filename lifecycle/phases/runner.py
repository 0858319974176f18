"""How buildpack executables are run: in the sandbox, as the CNB user, within the limits of the build."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from pathlib import Path

from lifecycle.buildpack.execute import OnLine
from lifecycle.errors import PylifeError
from lifecycle.phases.inputs import Limits
from lifecycle.phases.layout import Owner
from lifecycle.sandbox.errors import TimedOut
from lifecycle.sandbox.run import Sandbox
from lifecycle.sandbox.spec import File, Mount, RunSpec


class OutOfMemory(PylifeError):
    """A build process needed more memory than --memory allows."""

    code = "build.out-of-memory"
    exit_code = 51
    fix = "Give --memory more, or make the build need less (fewer parallel jobs, smaller dependencies)."


class SandboxRunner:
    """The ``Runner`` of the buildpack package, upon a sandbox and one build root. The clock starts when it is made.

    Every run gets ``files``; ``mask`` hides in its output what must not be seen.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        root: Path,
        owner: Owner,
        limits: Limits,
        files: tuple[File, ...] = (),
        mask: Callable[[str], str] | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._root = root
        self._owner = owner
        self._limits = limits
        self._files = files
        self._mask = mask
        self._mounts = limits.mounts
        self._deadline = None if limits.timeout is None else time.monotonic() + limits.timeout

    def with_mounts(self, mounts: Iterable[Mount]) -> SandboxRunner:
        """This runner with more mounts; the clock is the same."""
        other = copy(self)
        other._mounts = (*self._mounts, *mounts)
        return other

    def run(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, on_line: OnLine) -> int:
        """Run one executable to its end; raises TimedOut or OutOfMemory, else returns its exit code."""
        limits = self._limits
        left = None if self._deadline is None else max(self._deadline - time.monotonic(), 0.01)
        spec = RunSpec(
            argv=tuple(argv),
            root=str(self._root),
            env=dict(env),
            cwd=cwd,
            uid=self._owner.uid,
            gid=self._owner.gid,
            network=limits.network,
            mounts=self._mounts,
            files=self._files,
            memory=limits.memory,
            timeout=left,
            replace_certificates=True,
        )
        mask = self._mask
        result = self._sandbox.run(spec, on_line if mask is None else lambda stream, line: on_line(stream, mask(line)))
        if result.timed_out:
            raise TimedOut(f"{argv[0]} was stopped", why=f"the build's timeout of {limits.timeout:g} s was over")
        if result.oom:
            raise OutOfMemory(f"{argv[0]} was killed", why=f"it needed more than {limits.memory} bytes of memory")
        return result.exit_code
