"""Doing one RUN: everything about it comes together here, and goes again when the command has ended."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

from lifecycle.dockerfile.running.errors import BadMount, NotAllowed, NotPossibleHere, StepFailed
from lifecycle.dockerfile.running.identity import find_identity
from lifecycle.dockerfile.running.order import RootTree, RunOrder, SecretMount
from lifecycle.events import Message
from lifecycle.sandbox.errors import ExecFailed
from lifecycle.sandbox.spec import File, Mount, RunResult, RunSpec

if TYPE_CHECKING:
    from lifecycle.dockerfile.running.furnishing import Attachment
    from lifecycle.dockerfile.running.tools import OnLine, RunTools

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: how many of the last lines a failure shows
_TAIL = 20
_SHELLS = ("sh", "ash", "bash", "dash", "zsh", "ksh")


def run_step(order: RunOrder, root: RootTree, tools: RunTools, on_line: OnLine) -> None:
    """Run ``order`` in ``root`` to its end; each line of its output, secrets masked, goes to ``on_line``.

    Safe from several threads, each with a root of its own. Raises StepFailed with the command's exit code; before
    anything has run: UnknownUser, BadMount, BadSecret, SecretMissing, SshMissing, NotAllowed, NotPossibleHere; and
    what ``Sandbox.run`` raises (ExecFailed when the program is not there).
    """
    _check(order, tools)
    place = os.fspath(root.path)
    who = find_identity(place, order.user)
    with ExitStack() as stack:
        environment = {"PATH": PATH, "HOME": who.home, **order.env}
        attachments: Sequence[Attachment] = ()
        masked: Sequence[bytes] = ()
        if order.mounts or order.scripts:
            from lifecycle.dockerfile.running.furnishing import Furnishing

            furnished = Furnishing(order, tools, stack)
            attachments, masked = furnished.attachments, furnished.secrets
            environment |= furnished.environment
        rung = tools.sandbox.rung
        if attachments and not rung.can_mount:
            for each in attachments:
                if each.size is not None:
                    what = f"The mount at {each.target} may grow beyond its size: nothing can be mounted here"
                    tools.sink.emit(Message(what, "warning"))
                if each.options:
                    _degrade(f"The mount at {each.target} cannot be {', '.join(each.options)} without mounts", tools)
            from lifecycle.dockerfile.running.placing import placed

            try:
                stack.enter_context(placed(place, attachments, rung))
            except OSError as error:
                why = f"{os.fsdecode(error.filename or '')}: {error.strerror}"
                raise BadMount("A mount cannot be put into the root", why=why) from error
            attachments = ()
        spec = RunSpec(
            argv=order.argv,
            root=place,
            env=environment,
            cwd=order.cwd,
            uid=who.uid,
            gid=who.gid,
            groups=who.groups,
            network="none" if order.network == "none" and rung.network_namespace else "host",
            mounts=tuple(_mount(each) for each in attachments if each.kind != "file"),
            files=tuple(
                File(each.target, each.content, each.mode, each.uid, each.gid)
                for each in attachments
                if each.kind == "file"
            ),
            memory=order.memory,
            timeout=order.timeout,
            no_new_privs=False,
            hostname=order.hostname,
            privileged=order.security == "insecure",
        )
        tail: deque[str] = deque(maxlen=_TAIL)
        try:
            result = tools.sandbox.run(spec, _shown(masked, tail, on_line))
        except ExecFailed as error:
            _explain_missing_shell(error, order, place)
            raise
    if not result.ok:
        raise StepFailed(
            "The command failed",
            why=_ending(result, order),
            details="\n".join(tail) or None,
            exit_code=result.exit_code or 1,
            fix=_without_secret(order, tools),
        )


def _explain_missing_shell(error: ExecFailed, order: RunOrder, root: str) -> None:
    """Say so where the image lacks the shell itself, not what the shell was to start."""
    shell = order.argv[0]
    if shell.rpartition("/")[2] in _SHELLS and shell.startswith("/") and not os.path.lexists(root + shell):
        error.why = f"the image has no shell: there is no {shell} in it"
        error.fix = (
            'Write RUN ["PROGRAM", "ARGUMENT"], which needs none; or do the step in a stage that has a shell, and '
            "COPY --from what it makes."
        )


def _without_secret(order: RunOrder, tools: RunTools) -> str | None:
    """What to do about a step that failed without a secret that it could have had; None when it had all."""
    from difflib import get_close_matches

    absent = [mount.id for mount in order.mounts if isinstance(mount, SecretMount) and mount.id not in tools.secrets]
    if not absent:
        return None
    near = get_close_matches(absent[0], list(tools.secrets), 1)
    given = f" (--secret gives {near[0]!r}: was that meant?)" if near else ""
    return f"The secret {absent[0]!r} was not given{given}: --secret id={absent[0]},src=FILE. {StepFailed.fix}"


def _check(order: RunOrder, tools: RunTools) -> None:
    if order.security == "insecure" and "security.insecure" not in tools.allowed:
        raise NotAllowed("RUN --security=insecure is not allowed", why="security.insecure was not given with --allow")
    if order.network == "none" and not tools.sandbox.rung.network_namespace:
        what = f"The {tools.sandbox.rung.name} rung cannot cut a step off from the network"
        _degrade(what, tools)


def _degrade(what: str, tools: RunTools) -> None:
    """Go on without something, when the user accepts that."""
    if not tools.allow_degraded:
        raise NotPossibleHere(what)
    tools.sink.emit(Message(f"{what}; --allow-degraded goes on without", "warning", NotPossibleHere.code))


def _mount(each: Attachment) -> Mount:
    if each.kind == "memory":
        return Mount("", each.target, kind="tmpfs", size=each.size, mode=each.mode, options=each.options)
    return Mount(each.source, each.target, each.read_only, options=each.options)


def _shown(masked: Sequence[bytes], tail: deque[str], on_line: OnLine) -> OnLine:
    if not masked:

        def show(stream: Literal["stdout", "stderr"], line: str) -> None:
            tail.append(line)
            on_line(stream, line)

        return show
    from lifecycle.dockerfile.running.secrets import Mask

    mask = Mask(masked)

    def show_masked(stream: Literal["stdout", "stderr"], line: str) -> None:
        line = mask(line)
        tail.append(line)
        on_line(stream, line)

    return show_masked


def _ending(result: RunResult, order: RunOrder) -> str:
    if result.timed_out:
        return f"it was ended after {order.timeout:g} s"
    if result.oom:
        return f"it used more than the {(order.memory or 0) >> 20} MiB of memory that it may have"
    if result.signal is not None:
        name = str(result.signal)
        with contextlib.suppress(ValueError):
            name = signal.Signals(result.signal).name
        return f"it was killed by {name}"
    return f"it ended with exit code {result.exit_code}"
