"""A platform written out in FROM makes the file build for that one alone."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.history import quoted
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject
from lifecycle.oci import Platform
from lifecycle.oci.errors import BadPlatform


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        platform = stage.platform
        if platform is None or platform.used or platform.unset:
            continue
        try:
            parsed = Platform.parse(platform.text)
        except BadPlatform:
            continue  # the build says so
        name = stage.stage.name or ""
        if parsed.os not in name and parsed.architecture not in name:  # FROM --platform=linux/arm64 … AS build-arm64
            message = f"FROM --platform flag should not use constant value {quoted(platform.text)}"
            yield Hit(message, stage.stage.from_.node)


RULE = Rule("FromPlatformFlagConstDisallowed", "FROM takes its platform from an argument", find)
