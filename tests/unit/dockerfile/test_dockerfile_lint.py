"""The checks of Dockerfiles, case by case, and what holds for all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cases import Case, load_cases

from lifecycle.dockerfile.ast import parse
from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.ignore import IgnoreRules
from lifecycle.dockerfile.lint import RULES, BadCheckOption, ChecksFailed, Finding, check
from lifecycle.dockerfile.lint.nearest import nearest
from lifecycle.dockerfile.lint.options import CheckOptions
from lifecycle.dockerfile.stages import Stage, read_dockerfile
from lifecycle.oci import ImageConfig, Platform

ROOT = Path(__file__).resolve().parents[3]
CASES = load_cases("dockerfile/lint")
AMD64 = Platform("linux", "amd64")


def run(case: Case) -> list[Finding]:
    sections = case.sections
    dockerfile = read_dockerfile(parse(sections["dockerfile"].encode()))
    args = dict(line.split("=", 1) for line in sections.get("args", "").strip().splitlines())
    config = None
    if sections.keys() & {"env", "onbuild", "platform"}:
        platform = Platform.parse(sections.get("platform", "linux/amd64").strip())
        container = {
            "Env": sections.get("env", "").strip().splitlines(),
            "OnBuild": sections.get("onbuild", "").strip().splitlines(),
        }
        config = ImageConfig.build({**platform.to_json(), "config": container})

    def images(stage: Stage, name: str) -> ImageConfig | None:
        return config

    return check(
        dockerfile,
        ignore_rules=IgnoreRules.parse(sections.get("ignore", "").encode()),
        build_args=args,
        target=dockerfile.target(sections["target"].strip()) if "target" in sections else None,
        platform=AMD64,
        build_platform=AMD64,
        images=images,
    )


@pytest.mark.parametrize("case", [case for case in CASES if "findings" in case.sections], ids=str)
def test_checks_find_what_the_case_says(case: Case) -> None:
    findings = run(case)
    shown = [f"{finding.location.line} {finding.rule}: {finding.message}" for finding in findings]
    assert shown == case.sections["findings"].strip().splitlines()
    if "level" in case.sections:
        assert {finding.level for finding in findings} == {case.sections["level"].strip()}


@pytest.mark.parametrize("case", [case for case in CASES if "error" in case.sections], ids=str)
def test_bad_check_directive_is_shown(case: Case) -> None:
    with pytest.raises(BadCheckOption) as caught:
        run(case)
    assert [caught.value.where, caught.value.what, caught.value.fix] == case.sections["error"].strip().splitlines()
    assert "# check=" in (caught.value.details or "")


@pytest.mark.parametrize("case", [case for case in CASES if "broken" in case.sections], ids=str)
def test_file_that_cannot_be_built_is_an_error_at_its_place(case: Case) -> None:
    with pytest.raises(DockerfileError) as caught:
        run(case)
    where, *what = case.sections["broken"].strip().splitlines()
    assert caught.value.where == where
    assert what in ([], [caught.value.what])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_has_a_page_and_cases(rule: object) -> None:
    name = getattr(rule, "name", "")
    lines = (ROOT / "docs" / "checks" / f"{name}.md").read_text().splitlines()
    assert lines[0].startswith("# ")
    assert len(lines) >= 8
    assert any(f" {name}: " in case.sections.get("findings", "") for case in CASES), f"no case finds {name}"


def test_every_page_is_a_rules() -> None:
    assert {path.stem for path in (ROOT / "docs" / "checks").glob("*.md")} == {rule.name for rule in RULES}
    assert len(RULES) == 22


def test_bad_build_argument_is_an_error() -> None:
    dockerfile = read_dockerfile(parse(b"FROM scratch"))
    with pytest.raises(BadCheckOption, match="no check option 'skiip'"):
        check(dockerfile, build_args={"BUILDKIT_DOCKERFILE_CHECK": "skiip=all"})


def test_options_may_stand_in_any_order_with_blanks() -> None:
    options = CheckOptions.parse(" error = 1 ; skip = A, B ;experimental=all")
    assert options == CheckOptions(frozenset({"A", "B"}), frozenset({"all"}), True)


def test_findings_that_are_errors_fail() -> None:
    dockerfile = read_dockerfile(parse(b"# check=error=true\nFROM scratch AS A\nMAINTAINER me\n"))
    with pytest.raises(ChecksFailed, match="StageNameCasing, MaintainerDeprecated"):
        ChecksFailed.raise_for(check(dockerfile))
    ChecksFailed.raise_for([])
    ChecksFailed.raise_for(check(read_dockerfile(parse(b"FROM scratch AS A"))))


def test_near_words_are_at_most_two_edits_away() -> None:
    assert nearest("VERSIO", ["OTHER", "VERSION"]) == " (did you mean VERSION?)"
    assert nearest("VERSI", ["VERSION"]) == " (did you mean VERSION?)"
    assert nearest("VERS", ["VERSION"]) == ""
    assert nearest("ab", ["xb", "ax"]) == " (did you mean xb?)", "the first of equals"
    assert nearest("PAHT", ["PATH"], "$") == " (did you mean $PATH?)"
    assert nearest("x", []) == ""
