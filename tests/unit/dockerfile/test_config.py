"""Instructions make configurations, histories and scopes: tables of cases, and what a table cannot say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cases import Case, load_cases
from planning import AMD64, EMPTY_BASE, FakeSources, image_of, plan

from lifecycle.dockerfile import config, history
from lifecycle.dockerfile.operations import RunStep
from lifecycle.dockerfile.plan import Plan, PlanOptions
from lifecycle.dockerfile.scope import StageScope
from lifecycle.oci import Digest, ImageConfig

_NOISE = ("PATH", "SOURCE_DATE_EPOCH")


def _plan(case: Case, directory: Path) -> Plan:
    sections = case.sections
    for name in ("a", "x"):
        (directory / name).mkdir()
    (directory / "b").write_text("b")
    base = image_of(json.loads(sections["base"]) if "base" in sections else EMPTY_BASE)
    args = dict(line.partition("=")[::2] for line in sections.get("args", "").splitlines() if line)
    options = PlanOptions(
        target=sections.get("target", "").strip() or None,
        build_args=args,
        platform=AMD64,
        build_platform=AMD64,
        epoch=int(sections.get("epoch", 315532801)),
    )
    return plan(sections["Dockerfile"], FakeSources(directory, {"base": base}), options)


def _finished(made: Plan, base_layers: int, epoch: int) -> ImageConfig:
    diff_ids = [Digest.of(b"%d" % number) for number in range(base_layers + len(made.nodes))]
    return config.finish(made.target.draft, diff_ids, epoch)


@pytest.mark.parametrize("case", load_cases("dockerfile/config"), ids=str)
def test_an_image_is_what_its_instructions_say(case: Case, tmp_path: Path) -> None:
    context = tmp_path / "context"
    context.mkdir()
    made = _plan(case, context)
    sections = case.sections
    done = _finished(made, made.target.base_layers, int(sections.get("epoch", 315532801)))
    base = json.loads(sections["base"]) if "base" in sections else EMPTY_BASE
    if "config" in sections:
        assert done.data["config"] == json.loads(sections["config"])
    if "env" in sections:
        assert done.data["config"]["Env"] == sections["env"].splitlines()
    if "history" in sections:
        lines = [item for item in done.history if item.comment == history.COMMENT or "base" not in sections]
        if not any(item.comment == history.COMMENT for item in done.history) and base.get("history"):
            lines = list(done.history)
        told = "\n".join(f"{'-' if line.empty_layer else '+'} {line.created_by}" for line in lines)
        assert told == sections["history"].removesuffix("\n")
    if "times" in sections:
        assert "\n".join(line.created for line in done.history) == sections["times"].removesuffix("\n")
    if "document" in sections:
        expected = json.loads(sections["document"])
        assert {key: done.data.get(key) for key in expected} == expected
    if "sees" in sections:
        run = next(node.operation for node in reversed(made.nodes) if isinstance(node.operation, RunStep))
        declared = {line.partition("=")[0] for line in sections["sees"].splitlines()}
        seen = {name: value for name, value in run.order.env.items() if name not in _NOISE or name in declared}
        assert seen == dict(line.partition("=")[::2] for line in sections["sees"].splitlines() if line)
    layers = sum(not line.empty_layer for line in done.history)
    assert layers == len(done.diff_ids), "each layer has its line of history"


def test_the_same_draft_gives_the_same_bytes() -> None:
    draft = config.label(config.env(config.scratch(AMD64), [("A", "1")]), [("z", "1"), ("a", "2")])
    assert config.finish(draft, (), 0).raw == config.finish(draft, (), 0).raw


def test_a_finished_configuration_parses() -> None:
    draft = config.cmd(config.scratch(AMD64), ["sh"])
    done = config.finish(draft, [], 0)
    assert ImageConfig.parse(done.raw).cmd == ("sh",)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (300_000_000, "300ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (90_500_000_000, "1m30.5s"),
        (3_600_000_000_000, "1h0m0s"),
        (-90_000_000_000, "-1m30s"),
    ],
)
def test_durations_are_written_as_go_writes_them(nanoseconds: int, text: str) -> None:
    assert history.duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("plain", '"plain"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("tab\tnew\nline", '"tab\\tnew\\nline"'),
        ("\x01\x7f", '"\\x01\\x7f"'),
        ("é☃", '"é☃"'),
        ("\udcff", '"\\xff"'),
        ("\u200b", '"\\u200b"'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_words_are_quoted_as_go_quotes_them(text: str, quoted: str) -> None:
    assert history.quoted(text) == quoted


def test_a_scope_tells_arguments_from_variables() -> None:
    scope = (
        StageScope.of_image({"PATH": "/bin"}).declare("A", "1").set([("B", "2")]).set([("A", "3")]).declare("B", "4")
    )
    assert list(scope.names()) == [("variable", "A", "3"), ("argument", "B", "4"), ("variable", "PATH", "/bin")]


@pytest.mark.parametrize(
    ("directory", "path", "joined"),
    [
        ("/", "a", "/a"),
        ("/a", "b/../c", "/a/c"),
        ("/a", "../../..", "/"),
        ("/a", "/b/", "/b"),
        ("/a", "//b", "/b"),
        ("/a", "", "/a"),
        ("/a", ".", "/a"),
    ],
)
def test_directories_join_and_never_leave_the_root(directory: str, path: str, joined: str) -> None:
    assert config.join(directory, path) == joined
