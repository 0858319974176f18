"""The words of EXPOSE, as two checks look at them."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.instructions.expose import Expose
from lifecycle.dockerfile.survey import Seen, Survey
from lifecycle.dockerfile.words import expand_words


def exposed(survey: Survey) -> Iterator[tuple[Seen, str]]:
    """Every expanded word of every EXPOSE."""
    for stage in survey.stages:
        for seen in stage.seen:
            if isinstance(seen.written, Expose):
                for word in seen.written.words:
                    for port in expand_words(word, seen.scope.env, survey.file.escape)[0]:
                        yield seen, port
