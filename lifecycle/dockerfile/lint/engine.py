"""Running the checks over a Dockerfile."""

from __future__ import annotations

from collections.abc import Mapping

from lifecycle.dockerfile.ignore import NOTHING_IGNORED, IgnoreRules
from lifecycle.dockerfile.lint.options import CheckOptions, options_above, read_options
from lifecycle.dockerfile.lint.rule import Finding, Hit, Level, Rule, Subject
from lifecycle.dockerfile.lint.rules import RULES
from lifecycle.dockerfile.stages import Dockerfile, Stage
from lifecycle.dockerfile.survey import Images, Survey, no_images
from lifecycle.oci import Platform


def check(
    dockerfile: Dockerfile,
    *,
    ignore_rules: IgnoreRules = NOTHING_IGNORED,
    build_args: Mapping[str, str] | None = None,
    target: Stage | None = None,
    platform: Platform | None = None,
    build_platform: Platform | None = None,
    images: Images = no_images,
) -> list[Finding]:
    """What the checks find, in the file's order; without ``target`` in every stage, else in those that it needs.

    ``images`` gives the configuration of a stage's base image (by the stage and its expanded name) where it is known:
    then the variables that come from it are known, and its platform is compared. Findings are of level ``error``
    when the file, or BUILDKIT_DOCKERFILE_CHECK among ``build_args``, says ``error=true``. Raises DockerfileError.
    """
    given = build_args or {}
    options = read_options(dockerfile.file, given)
    host = Platform.host()
    survey = Survey(dockerfile, given, target, platform or host, build_platform or host, images)
    subject = Subject(survey, ignore_rules)
    level: Level = "error" if options.error else "warning"
    findings = [
        Finding(rule.name, hit.message, hit.location or hit.node.location, level)
        for rule in RULES
        for hit in rule.find(subject)
        if _counts(rule, hit, options)
    ]
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.location.line)


def _counts(rule: Rule, hit: Hit, options: CheckOptions) -> bool:
    for node in (hit.node, hit.other):
        options = options.merged(options_above(node)) if node is not None else options
    return options.wants(rule.name, experimental=rule.experimental)
