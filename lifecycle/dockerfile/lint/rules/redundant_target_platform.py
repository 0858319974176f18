"""--platform=$TARGETPLATFORM is what FROM does without it."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.stages:
        platform, word = stage.platform, stage.stage.from_.platform
        if platform is None or platform.unset or platform.used != {"TARGETPLATFORM"}:
            continue
        if platform.text == subject.survey.globals["TARGETPLATFORM"]:
            what = f"Setting platform to predefined {word} in FROM is redundant as this is the default behavior"
            yield Hit(what, stage.stage.from_.node)


RULE = Rule("RedundantTargetPlatform", "FROM does not ask for the platform that it has anyway", find)
