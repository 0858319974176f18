"""YAML as this family writes it: mappings of short texts. PyYAML is imported when it is first used.

Every scalar is read as its text, so that ``PORT: 5000`` or ``web: true`` keep what the author wrote.
"""

from __future__ import annotations

from collections.abc import Mapping


class BadYaml(Exception):
    """The text is no YAML; ``line`` counts from 1 and is 0 when the place is not known."""

    def __init__(self, why: str, line: int) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


def load(raw: bytes) -> object:
    """The document in ``raw``, of dicts, lists and texts; None for an empty one. Raises BadYaml."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        found: object = yaml.load(raw, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(error.problem or str(error), mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: bytes that are no text
        raise BadYaml(" ".join(str(error).split()), 0) from error
    except RecursionError as error:
        raise BadYaml("it is nested too deeply", 0) from error
    return found


def dump(document: Mapping[str, object], *, start: bool = False, quoted: bool = False) -> str:
    """``document`` in block style, in its own order, long lines unbroken; texts are quoted where YAML needs it.

    ``quoted``: every text is, with double quotes, so that line breaks within are written as ``\\n``.
    """
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(
        dict(document),
        Dumper=dumper,
        default_style='"' if quoted else None,
        sort_keys=False,
        allow_unicode=True,
        width=1 << 30,
        explicit_start=start,
    )
    return text
