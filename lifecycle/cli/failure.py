"""Failures for people: every exception that reaches the command line as a ``PylifeError``, and its text."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import click

from lifecycle.cli.text import suggestion
from lifecycle.errors import PylifeError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


class InternalError(PylifeError):
    """pylife met something that it was not written for."""

    code = "internal"


_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def _usage(error: click.ClickException) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "pylife"
    fix = f"`{path} --help` shows the options and an example."
    if isinstance(error, click.NoSuchOption):
        what = f"There is no option {error.option_name!r}"
        known = [name for param in context.command.get_params(context) for name in param.opts] if context else []
        fix = suggestion(error.option_name, [name for name in known if name.startswith("--")], fix)
        if path.endswith(" build"):
            from lifecycle.cli.foreign import INSTEAD

            fix = INSTEAD.get(error.option_name, fix)
    else:
        if isinstance(error, click.BadParameter) and path.endswith(" build"):
            fix = _value_fix(error) or fix
        what = error.format_message().rstrip(".")
    return UsageError(what, fix=fix)


def _value_fix(error: click.BadParameter) -> str | None:
    """What to do about a value that another builder's option of that name has."""
    from lifecycle.cli.foreign import VALUES

    if error.param is None:
        return None
    found = [
        fix for (option, value), fix in VALUES.items() if option in error.param.opts and repr(value) in error.message
    ]
    return found[0] if found else None


def as_pylife_error(error: BaseException) -> PylifeError | None:
    """``error`` in the terms of pylife, or None when it is a fault of pylife itself."""
    match error:
        case PylifeError():
            return error
        case click.ClickException():
            return _usage(error)
        case OSError() if error.errno in _DISK or (error.errno in _REFUSED and error.filename is not None):
            from lifecycle.store.errors import of_oserror

            return of_oserror(error, _path(error))
    return None


def _path(error: OSError) -> Path:
    from pathlib import Path

    name = error.filename
    return Path(os.fsdecode(name)) if isinstance(name, (str, bytes)) else Path.cwd()


def internal_error(error: BaseException, *, show: bool) -> InternalError:
    """What is told about a fault of pylife: one line and a file with the traceback, or the traceback itself."""
    import tempfile
    import traceback

    trace = "".join(traceback.format_exception(error))
    what = f"pylife has a fault: {type(error).__name__}: {error}".splitlines()[0]
    if show:
        return InternalError(what, details=trace.rstrip(), fix="Report this with the command that you ran.")
    try:
        with tempfile.NamedTemporaryFile("w", prefix="pylife-fault-", suffix=".txt", delete=False) as file:
            file.write(trace)
    except OSError:
        return InternalError(what, fix="Run it again with -v to see the traceback, and report that.")
    return InternalError(what, fix=f"Report this with the command that you ran and the file {file.name}.")
