"""What each profile writes: its tool's texts, and the lines by which a platform follows the steps of a build."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from cases import Case, load_cases
from classic import World
from platform_steps import DEFAULT_STEPS, PILOT_STEPS, Step, follow

from lifecycle.slug import moments as m
from lifecycle.slug.profiles import PROFILES, Profile, open_journal, open_json_journal
from lifecycle.slug.profiles.lines import du, elapsed, humanized

DIGEST = "sha256:" + "5e" * 32
SETUP: tuple[m.Moment, ...] = (
    m.Started("heroku-24"),
    m.StepBegan("setup"),
    m.FetchingSource("https://store.test/app.tgz"),
    m.RestoringCache(),
    m.CacheRestored(True),
    m.IgnoredRemoved(3),
    m.FetchingBuildpack("apt", "v2.1", "https://git.test/apt.git"),
    m.FetchingBuildpack("python", "v213", custom=False),
    m.StepDone("setup", 2.008541506),
)
DETECT: tuple[m.Moment, ...] = (
    m.StepBegan("detect"),
    m.Detecting("apt"),
    m.Detected("Apt", "apt"),
    m.Detecting("python"),
    m.Detected("Python", "python"),
    m.StepDone("detect", 0.004941487),
    m.StepBegan("analysis"),
    m.Selected(("apt", "python")),
    m.StepDone("analysis", 0.00019609),
)
BUILD: tuple[m.Moment, ...] = (
    m.StepBegan("build"),
    m.HookStarted("pre-compile", "bin/pre-compile"),
    m.Line("preparing"),
    m.Compiling("Apt", "apt"),
    m.Line("-----> Installing netcat"),
    m.Compiling("Python", "python"),
    m.Line("-----> Installing requirements with pip"),
    m.Line("       Collecting flask"),
    m.Line("  indented"),
    m.Line(""),
    m.Line(" !     An old Python", "stderr"),
    m.HookStarted("post-compile", "bin/post-compile"),
    m.Line("tidying", "stderr"),
    m.StepDone("build", 61.5),
    m.Discovering(),
    m.TypesFound(("web", "worker"), ("console", "web"), "Python"),
)
EXPORT: tuple[m.Moment, ...] = (
    m.StepBegan("export"),
    m.Compressing(),
    m.SlugMade(8_650_000, DIGEST, 1.644033198),
    m.StepDone("export", 1.7),
    m.StepBegan("finish"),
    m.Sending("https://store.test/slug.tgz"),
    m.CheckingCache(),
    m.CacheChecked("stored", 55_000_000),
    m.StepDone("finish", 3.055406364),
    m.Ended(True, 83.171538433),
)
WHOLE = SETUP + DETECT + BUILD + EXPORT
FIRST = (
    m.RestoringCache(),
    m.CacheRestored(False),
    m.Detecting("ruby"),
    m.Detecting("nodejs"),
    m.Detecting("python"),
    m.Detected("Node.js", "nodejs", ("python", "null")),
    m.Compiling("Node.js", "nodejs"),
    m.Discovering(),
    m.TypesFound((), ("web",), "Node.js"),
    m.SlugMade(2048, DIGEST, 0.02),
    m.SlugUnchanged("slug.tgz", DIGEST),
    m.CheckingCache(),
    m.CacheChecked("unchanged"),
    m.Ended(True, 1.0),
)
POOR = (
    m.RestoringCache(),
    m.CacheRestored(False, "cache.tgz is no archive"),
    m.Warned("two\nlines"),
    m.Detected("Static", "static"),
    m.Discovering(),
    m.TypesFound((), (), "Static"),
    m.CheckingCache(),
    m.CacheChecked("empty"),
    m.Ended(False, 62.04, "The slug cannot be sent", "finish"),
)
NONE = (
    m.Detecting("ruby"),
    m.Detecting("python"),
    m.NothingDetected(("ruby", "python")),
    m.Ended(False, 0.25, "No buildpack takes this app", "detect"),
)
UNKNOWN = (
    m.RestoringCache(),
    m.CacheRestored(False),
    m.NotFetched("ruby"),
    m.Ended(False, 0.25, "Invalid buildpack URL: 'ruby'", "setup"),
)
MOMENTS = {"unknown": UNKNOWN, "whole": WHOLE, "first": FIRST, "poor": POOR, "none": NONE}


def told(profile: Profile, moments: Sequence[m.Moment]) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    journal = open_journal(profile, lambda stream, line: lines.append((stream, line)))
    for moment in moments:
        journal.tell(moment)
    return lines


@pytest.mark.parametrize("case", load_cases("slug/profiles"), ids=str)
def test_build_reads_as_the_table_says(case: Case) -> None:
    profile = case.name.partition(":")[0]
    assert profile in PROFILES
    lines = told(profile, MOMENTS[case.name.partition(": ")[2]])  # type: ignore[arg-type]
    written = [f"{'!' if stream == 'stderr' else '|'}{line}" for stream, line in lines]
    assert "\n".join(written) == case.sections["lines"]


def test_every_profile_is_held_to_every_build() -> None:
    assert {case.name for case in load_cases("slug/profiles")} == {f"{p}: {name}" for p in PROFILES for name in MOMENTS}


@pytest.mark.parametrize(("profile", "steps"), [("slugbuilder", DEFAULT_STEPS), ("slug-pilot", PILOT_STEPS)])
def test_platform_sees_every_step_begin_and_end_in_order(profile: Profile, steps: Sequence[Step]) -> None:
    found = follow(steps, [line for _, line in told(profile, WHOLE)])
    begun = [starts for starts, _ in found]
    assert begun == sorted(begun)
    assert begun[0] >= 0
    assert len(set(begun)) == len(steps), "one line began two steps"
    for step, (starts, done) in zip(steps, found, strict=True):
        assert done > starts if step.done else done == -1, step
    ends = [done for step, (_, done) in zip(steps, found, strict=True) if step.done]
    assert ends == sorted(ends)


@pytest.mark.parametrize(("profile", "steps"), [("slugbuilder", DEFAULT_STEPS), ("slug-pilot", PILOT_STEPS)])
def test_platform_sees_the_steps_of_an_app_that_is_really_compiled(
    profile: Profile, steps: Sequence[Step], tmp_path: Path
) -> None:
    world = World(tmp_path / "world")
    world.source({"Procfile": "web: serve\n"})
    world.source({"bin/pre-compile": "#!/bin/sh\necho before\n", "bin/post-compile": "#!/bin/sh\n"}, mode=0o755)
    world.buildpack("apt")
    world.buildpack(
        "python", compile="echo '-----> Installing'", release="echo 'default_process_types: {console: python}'"
    )
    world.build(mode="multi")
    lines = [line for _, line in told(profile, (*SETUP, *world.moments, *EXPORT))]
    found = follow(steps, lines)
    assert [starts for starts, _ in found] == sorted(starts for starts, _ in found)
    assert all(starts >= 0 for starts, _ in found)
    assert all(done > starts for step, (starts, done) in zip(steps, found, strict=True) if step.done)
    assert "-----> Installing" in lines
    assert "       Procfile declares types -> web" in lines
    assert "       Default process types for Python -> console" in lines


@pytest.mark.parametrize(("profile", "steps"), [("slugbuilder", DEFAULT_STEPS), ("slug-pilot", PILOT_STEPS)])
def test_each_pattern_is_found_in_one_line_of_a_build(profile: Profile, steps: Sequence[Step]) -> None:
    lines = [line for _, line in told(profile, WHOLE)]
    for pattern in {pattern for step in steps for pattern in (step.starts, step.done) if pattern}:
        assert len([line for line in lines if re.search(pattern, line, re.IGNORECASE)]) == 1, pattern


def test_platform_sees_the_build_of_an_app_without_hooks_begin_with_the_first_buildpack() -> None:
    moments = [moment for moment in WHOLE if not isinstance(moment, m.HookStarted)]
    lines = [line for _, line in told("slugbuilder", moments)]
    assert follow(DEFAULT_STEPS, lines)[2][0] == lines.index("-----> Compiling app...")
    assert lines.count("-----> Compiling app...") == 1


@pytest.mark.parametrize("profile", PROFILES)
def test_no_line_holds_a_newline_or_an_escape_of_the_profiles_own(profile: Profile) -> None:
    for moments in MOMENTS.values():
        assert not [line for _, line in told(profile, moments) if "\n" in line or "\x1b" in line]


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_buildpack_writes_keeps_its_stream_and_its_escapes(profile: Profile) -> None:
    (stream, line), *more = told(profile, [m.Line("\x1b[31mred\x1b[0m", "stderr")])
    assert (stream, line.lstrip(), more) == ("stderr", "\x1b[31mred\x1b[0m", [])


def test_profile_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(KeyError):
        open_journal("nobody", lambda stream, line: None)  # type: ignore[arg-type]


def test_json_has_one_object_a_moment_with_its_fields() -> None:
    lines: list[str] = []
    journal = open_json_journal(lambda stream, line: lines.append(line))
    for moment in WHOLE:
        journal.tell(moment)
    objects = [json.loads(line) for line in lines]
    assert len(objects) == len(WHOLE)
    assert objects[0] == {"moment": "started", "stack": "heroku-24"}
    assert {
        "moment": "types-found",
        "declared": ["web", "worker"],
        "default": ["console", "web"],
        "kind": "Python",
    } in (objects)
    assert {"moment": "slug-made", "size": 8_650_000, "digest": DIGEST, "seconds": 1.644033198} in objects


def test_builds_of_these_tests_have_every_kind_of_moment() -> None:
    assert {type(moment) for moments in MOMENTS.values() for moment in moments} == set(get_args(m.Moment))


@pytest.mark.parametrize(
    ("size", "short", "long"),
    [
        (0, "0", "0 B"),
        (999, "999", "999 B"),
        (1024, "1.0K", "1.0 kB"),
        (3600, "3.6K", "3.6 kB"),
        (8_650_000, "8.3M", "8.7 MB"),
        (10_240, "10K", "10 kB"),
        (24_000_000, "23M", "24 MB"),
        (999_999, "977K", "1.0 MB"),
        (1024 * 1024 - 1, "1.0M", "1.0 MB"),
        (55_000_000, "53M", "55 MB"),
        (5 << 40, "5.0T", "5.5 TB"),
    ],
)
def test_sizes_are_written_as_du_and_as_slug_pilot_do(size: int, short: str, long: str) -> None:
    assert (du(size), humanized(size)) == (short, long)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.00019609, "196µs"), (0.0049414, "4.941ms"), (1.5, "1.5s"), (62.5, "1m2.5s"), (3600.0, "1h0m0s")],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text
