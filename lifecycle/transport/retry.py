"""Asking again: how often, how long to wait, and what the user is told meanwhile."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from lifecycle.events import Message, Sink
from lifecycle.transport.client import Answer
from lifecycle.transport.errors import RETRYABLE, E, HttpError
from lifecycle.transport.settings import TransportSettings

_CONNECT_ATTEMPTS = 3
PROGRESS_THAT_COUNTS = 1 << 20


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from now in a Retry-After header (a number or an HTTP date); None when absent or unreadable."""
    if value is None:
        return None
    try:
        return max(0.0, float(int(value)))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime  # slow to import, and rarely needed

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


class Patience:
    """The bounded number of tries of one operation; waiting is exponential with full jitter.

    Bytes that got through since the last failure (``progressed``) give the whole number of tries back.
    """

    def __init__(self, settings: TransportSettings, sink: Sink) -> None:
        self._settings = settings
        self._sink = sink
        self._failures = 0

    def progressed(self, count: int) -> None:
        """Take note that ``count`` bytes got through before the latest failure."""
        if count >= PROGRESS_THAT_COUNTS:
            self._failures = 0

    def wait(self, error: HttpError, retry_after: float | None = None) -> None:
        """Wait before the next try, or raise ``error`` when there is none left."""
        self._failures += 1
        limit = self._settings.attempts
        if not error.connected:
            limit = min(limit, _CONNECT_ATTEMPTS)
        too_long = retry_after is not None and retry_after > self._settings.longest_wait
        if error.final or too_long or self._failures >= limit:
            error.final = True
            raise error
        ceiling = min(self._settings.longest_backoff, self._settings.backoff * 2 ** (self._failures - 1))
        pause = random.uniform(0, ceiling) + (retry_after or 0.0)
        reason = error.why or error.what
        self._sink.emit(
            Message(
                f"{error.method} {error.url}: {reason}; trying again in {pause:.1f} s "
                f"(try {self._failures + 1} of {limit})",
                level="warning",
                code=error.code,
            )
        )
        time.sleep(pause)


def send_patiently(send: Callable[[], Answer[E]], patience: Patience, what: str) -> Answer[E]:
    """The first answer of ``send`` whose status is not a passing trouble; raises when patience runs out."""
    while True:
        try:
            answer = send()
        except HttpError as error:
            if not error.lost:
                raise
            patience.wait(error)
            continue
        if answer.status not in RETRYABLE:
            return answer
        retry_after = parse_retry_after(answer.header("retry-after"))
        failure = answer.error(what)
        if failure.status == 429 and retry_after is not None:
            failure.why = f"{failure.why}; it asks to wait {retry_after:.0f} s"
        patience.wait(failure, retry_after)
