from __future__ import annotations

import pytest
from cases import Case, load_cases

from lifecycle.errors import PylifeError
from lifecycle.graph import CacheSource, CacheTarget, parse_cache_from, parse_cache_to
from lifecycle.image import OciPlace, RegistryPlace
from lifecycle.oci import Dialect


def place(found: RegistryPlace | OciPlace | None) -> str:
    match found:
        case RegistryPlace(ref):
            return f"registry {ref}"
        case OciPlace(path, tag):
            return f"layout {path}" + (f":{tag}" if tag else "")
        case None:
            return "inline"


def told(found: CacheSource | CacheTarget) -> str:
    words = [place(found.place)]
    if isinstance(found, CacheSource):
        words += [f"at {found.digest.algorithm}:{found.digest.short}"] if found.digest else []
    else:
        words.append(found.mode)
        words += [found.profile.name] if found.profile else []
        words += ["docker"] if found.dialect is Dialect.DOCKER else []
        words += ["ignore-error"] if found.ignore_error else []
    return " ".join([*words, *(["mounts"] if found.mounts else [])])


@pytest.mark.parametrize("case", load_cases("dockerfile/caching"), ids=str)
def test_cache_options(case: Case) -> None:
    parse, text = (parse_cache_from, "from") if "from" in case.sections else (parse_cache_to, "to")
    if "means" in case.sections:
        assert told(parse(case.sections[text])) == case.sections["means"]  # type: ignore[operator]
        return
    code, _, words = case.sections["error"].partition(": ")
    with pytest.raises(PylifeError) as caught:
        parse(case.sections[text])  # type: ignore[operator]
    assert caught.value.code == code
    assert words in f"{caught.value} {caught.value.fix}"
