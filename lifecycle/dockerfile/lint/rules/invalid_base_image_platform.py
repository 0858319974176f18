"""An image for another machine cannot run its commands here."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.history import quoted
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject
from lifecycle.oci import Platform


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        if stage.config is None:
            continue
        expected = Platform.parse(stage.platform.text) if stage.platform else subject.survey.platform
        actual = stage.config.platform
        if (expected.os, expected.architecture) != (actual.os, actual.architecture):
            pulled = f"Base image {stage.image.text} was pulled with platform {quoted(str(actual))}"
            yield Hit(f"{pulled}, expected {quoted(str(expected))} for current build", stage.stage.from_.node)


RULE = Rule("InvalidBaseImagePlatform", "A base image is for the platform that is built for", find)
