"""Who builds the file without arguments should get an image, not an error."""

from __future__ import annotations

from collections.abc import Iterator

from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.lint.rule import Hit, Rule, Subject
from lifecycle.dockerfile.words import expand
from lifecycle.oci import Reference
from lifecycle.oci.errors import BadReference

_PLACES = ("oci:", "oci-archive:", "docker-archive:", "docker://")  # Buildah's: no image names, and good in FROM


def find(subject: Subject) -> Iterator[Hit]:
    for stage in subject.survey.dockerfile.stages:
        word = stage.from_.image
        try:
            expansion = expand(word, subject.survey.defaults, subject.survey.file.escape)
        except DockerfileError:
            continue  # ${NAME:?}: the argument is asked for
        if (not expansion.used and not expansion.unset) or expansion.text.startswith(_PLACES):
            continue
        try:
            Reference.parse(expansion.text)
        except BadReference:
            message = f"Default value for ARG {word} results in empty or invalid base image name"
            yield Hit(message, stage.from_.node)


RULE = Rule("InvalidDefaultArgInFrom", "FROM names an image when no build argument is given", find)
