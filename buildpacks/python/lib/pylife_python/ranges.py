"""Version ranges: PEP 440's specifiers, and the further forms of Poetry's constraints (^, ~, *, ||).

Source: PEP 440; Poetry's documentation, "Dependency specification".
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Key = tuple[int, tuple[int, ...], tuple[int, ...], int, float]
    Range = Callable[[str], bool]

_VERSION = re.compile(
    r"v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>alpha|a|beta|b|preview|pre|c|rc)[-_.]?(?P<pre_n>\d*))?"
    r"(?:-(?P<post_short>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n>\d*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>\d*))?(?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?$",
    re.I,
)
_CLAUSE = re.compile(r"\s*(~=|===|==|!=|<=|>=|<|>|\^|~|=)?\s*([^\s,|<>=!~^]+)\s*,?")
_PRE = {"alpha": 0, "a": 0, "beta": 1, "b": 1, "preview": 2, "pre": 2, "c": 2, "rc": 2}
_LAST = float("inf")


def order(version: str) -> Key:
    """What versions compare by, without their local part. Raises ValueError for what is no version."""
    match = _VERSION.match(version.strip())
    if match is None:
        raise ValueError(f"{version!r} is not a version")
    release = _numbers(match["release"])
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    post = int(match["post_short"] or match["post_n"] or 0) if match["post_short"] or match["post"] else -1
    dev = float(match["dev_n"] or 0) if match["dev"] else _LAST
    if match["pre"]:
        pre: tuple[int, ...] = (_PRE[match["pre"].lower()], int(match["pre_n"] or 0))
    else:
        pre = (-1,) if match["dev"] and post < 0 else (3,)
    return int(match["epoch"] or 0), release, pre, post, dev


def is_prerelease(version: str) -> bool:
    """Whether a version is an alpha, a beta, a candidate or a development release."""
    _, _, pre, _, dev = order(version)
    return pre != (3,) or dev != _LAST


def parse(text: str) -> Range:
    """The test that a version passes when it lies in the range. Raises ValueError for what is no range."""
    alternatives = [_all_of(part) for part in re.split(r"\|\|?", text)]
    return lambda version: any(fits(version) for fits in alternatives)


def _all_of(text: str) -> Range:
    clauses, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _CLAUSE.match(text, at)
        if match is None:
            raise ValueError(f"{text[at:]!r} is not a version clause")
        clauses.append(_clause(match[1] or "", match[2]))
        at = match.end()
    return lambda version: all(fits(version) for fits in clauses)


def _clause(operator: str, wanted: str) -> Range:
    if wanted in ("*", "x") and operator in ("", "=="):
        return lambda version: True
    if wanted.endswith((".*", ".x")):
        asked = _numbers(wanted[:-2].lstrip("v"))
        return _wildcard(operator, asked)
    bound = order(wanted)
    if operator == "^":
        return _between(bound, _next_breaking(wanted))
    if operator == "~":
        parts = _numbers(re.match(r"v?([\d.]+)", wanted)[1].strip("."))  # type: ignore[index]
        return _between(bound, _after(parts[:2] if len(parts) > 1 else parts))
    if operator == "~=":
        given = _VERSION.match(wanted)["release"].split(".")  # type: ignore[index]
        if len(given) < 2:
            raise ValueError(f"~={wanted} needs two numbers")
        return _between(bound, _after(tuple(map(int, given[:-1]))))
    if operator == "===":
        return lambda version: version == wanted
    return _compare(operator, wanted, bound)


def _compare(operator: str, wanted: str, bound: Key) -> Range:
    local = "+" in wanted

    def fits(version: str) -> bool:
        have = order(version)
        match operator:
            case "" | "=" | "==":
                return have == bound and (not local or _local(version) == _local(wanted))
            case "!=":
                return have != bound
            case "<=":
                return have <= bound
            case ">=":
                return have >= bound
            case "<":
                # A pre-release of the bound itself is no version before it, unless one is named.
                return have < bound and (have[1] != bound[1] or not is_prerelease(version) or is_prerelease(wanted))
            case _:
                return have > bound and (have[:3] != bound[:3] or have[3] < 0 or bound[3] >= 0)

    return fits


def _wildcard(operator: str, asked: tuple[int, ...]) -> Range:
    def same(version: str) -> bool:
        release = order(version)[1]
        return (release + (0,) * len(asked))[: len(asked)] == asked

    match operator:
        case "" | "=" | "==" | "~" | "^":
            return same
        case "!=":
            return lambda version: not same(version)
        case ">=":
            return lambda version: order(version)[1] >= asked
        case "<":
            return lambda version: order(version)[1] < asked
    raise ValueError(f"{operator} does not go with a star")


def _between(low: Key, high: tuple[int, ...]) -> Range:
    return lambda version: low <= order(version) and order(version)[1] < high


def _next_breaking(wanted: str) -> tuple[int, ...]:
    parts = tuple(map(int, _VERSION.match(wanted)["release"].split(".")))  # type: ignore[index]
    significant = next((index for index, part in enumerate(parts) if part), len(parts) - 1)
    return _after(parts[: significant + 1])


def _after(parts: tuple[int, ...]) -> tuple[int, ...]:
    return (*parts[:-1], parts[-1] + 1)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def _local(version: str) -> str:
    return re.sub(r"[-_]", ".", version.partition("+")[2]).lower()
