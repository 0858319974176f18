"""Doing one RUN: everything about it comes together here, and goes again when the command has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifecycle.dockerfile.running.order import RootTree, RunOrder

if TYPE_CHECKING:
    from lifecycle.dockerfile.running.tools import OnLine, RunTools


def run_step(order: RunOrder, root: RootTree, tools: RunTools, on_line: OnLine) -> None:
    """Run ``order`` in ``root`` to its end; each line of its output, secrets masked, goes to ``on_line``.

    Safe from several threads, each with a root of its own. Raises StepFailed with the command's exit code; before
    anything has run: UnknownUser, BadMount, SecretMissing, SshMissing, NotAllowed, NotPossibleHere; and what
    ``Sandbox.run`` raises.
    """
    raise NotImplementedError
