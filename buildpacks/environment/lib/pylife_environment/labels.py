"""Labels of the image: BP_IMAGE_LABELS, and one variable for each of OCI's own annotations.

Source: Paketo's image-labels buildpack, README; OCI image-spec, annotations.md, "Pre-Defined Annotation Keys".
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import NoReturn

from pylife_sdk.output import fail

from pylife_environment.detect import LABELS_VARIABLE, OCI_PREFIX

_OCI = {
    "AUTHORS": "authors",
    "CREATED": "created",
    "DESCRIPTION": "description",
    "DOCUMENTATION": "documentation",
    "LICENSES": "licenses",
    "REF_NAME": "ref.name",
    "REVISION": "revision",
    "SOURCE": "source",
    "TITLE": "title",
    "URL": "url",
    "VENDOR": "vendor",
    "VERSION": "version",
}


def read_labels(env: Mapping[str, str]) -> dict[str, str]:
    """The labels, by name. Raises ``Failure`` for what is none."""
    labels = {}
    for variable in sorted(name for name in env if name.startswith(OCI_PREFIX)):
        word = variable.removeprefix(OCI_PREFIX)
        if word not in _OCI:
            fail(
                "environment.bad-labels",
                f"${variable} is no label that OCI knows.",
                found=f"{variable}={env[variable]}",
                fix=f"Known are {', '.join(OCI_PREFIX + name for name in _OCI)}.\n"
                f'Any other label:\n{LABELS_VARIABLE}="my.label=value"',
            )
        labels[f"org.opencontainers.image.{_OCI[word]}"] = env[variable]
    return {**labels, **_listed(env.get(LABELS_VARIABLE, ""))}


def _listed(text: str) -> dict[str, str]:
    try:
        words = shlex.split(text)
    except ValueError as error:
        _bad(text, str(error))
    labels = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            _bad(text, f"{word!r} is not NAME=VALUE")
        labels[name] = value
    return labels


def _bad(text: str, why: str) -> NoReturn:
    fail(
        "environment.bad-labels",
        f"${LABELS_VARIABLE} cannot be read as labels: {why}.",
        found=f"{LABELS_VARIABLE}={text}",
        fix=f"Write NAME=VALUE pairs with spaces between, values with spaces in quotes:\n"
        f"{LABELS_VARIABLE}='team=web description=\"Our shop\"'",
    )
