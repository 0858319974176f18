"""The Platform API versions that pylife speaks, and the exit codes of the phases.

Source: CNB platform.md, "Platform API Version" and each phase's "Outputs".
"""

from __future__ import annotations

from enum import IntEnum

from lifecycle.buildpack.api import Api, BadApi
from lifecycle.errors import PylifeError

PLATFORM_APIS = tuple(Api(0, minor) for minor in range(7, 16))
NEWEST_PLATFORM_API = PLATFORM_APIS[-1]


class ExitCode(IntEnum):
    """How a phase says what went wrong."""

    DONE = 0
    FAILED = 1
    BAD_ARGUMENTS = 3
    PLATFORM_API = 11
    BUILDPACK_API = 12
    DETECT_NONE = 20
    DETECT_NONE_WITH_ERRORS = 21
    DETECT = 22
    ANALYZE = 32
    RESTORE = 42
    BUILD_BUILDPACK = 51
    BUILD = 52
    EXPORT = 62
    REBASE = 72
    LAUNCH = 82
    GENERATE_EXTENSION = 91
    GENERATE = 92
    EXTEND = 102


class UnsupportedPlatformApi(PylifeError):
    """CNB_PLATFORM_API is not set or names a version that pylife does not speak."""

    code = "platform.unsupported-api"
    exit_code = ExitCode.PLATFORM_API
    fix = "Set CNB_PLATFORM_API to one of 0.7 to 0.15."


def supported_platform_api(text: str | None) -> Api:
    """The Platform API in ``text`` (the value of CNB_PLATFORM_API); raises UnsupportedPlatformApi, exit code 11."""
    if not text:
        raise UnsupportedPlatformApi("No Platform API is set", why="CNB_PLATFORM_API is empty")
    try:
        api = Api.parse(text)
    except BadApi as error:
        raise UnsupportedPlatformApi(f"{text!r} is no Platform API", why=str(error)) from error
    if api not in PLATFORM_APIS:
        raise UnsupportedPlatformApi(
            f"Platform API {api} is not supported", why=f"pylife speaks {PLATFORM_APIS[0]} to {PLATFORM_APIS[-1]}"
        )
    return api
