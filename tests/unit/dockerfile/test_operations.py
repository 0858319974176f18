"""What steps depend on: named for people, complete, and without what must not count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from planning import AMD64, EMPTY_BASE, FakeSources, image_of, plan

from lifecycle.dockerfile.errors import DockerfileError
from lifecycle.dockerfile.operations import Place, RunStep
from lifecycle.dockerfile.plan import PlanOptions
from lifecycle.dockerfile.running.order import CacheMount, SecretMount, SshMount, TmpfsMount
from lifecycle.errors import PylifeError
from lifecycle.graph.node import Node


@pytest.fixture
def sources(tmp_path: Path) -> FakeSources:
    context = tmp_path / "context"
    context.mkdir()
    (context / "a").write_text("a")
    (context / "b").write_text("b")
    return FakeSources(context, {"base": image_of(EMPTY_BASE)})


def _last(text: str, sources: FakeSources, **options: object) -> Node:
    given = PlanOptions(platform=AMD64, build_platform=AMD64, epoch=1)
    return plan(text, sources, replace(given, **options)).nodes[-1]  # type: ignore[arg-type]


def _ingredients(node: Node) -> Mapping[str, object]:
    return {item.name: item.value for item in node.operation.definition()}


def test_a_run_names_what_it_depends_on(sources: FakeSources) -> None:
    node = _last("FROM base\nARG A=1\nENV B=2\nWORKDIR /w\nUSER me\nRUN --network=none make\n", sources)
    assert _ingredients(node) == {
        "instruction": ["RUN", "/bin/sh", "-c", "make"],
        "platform": "linux/amd64",
        "working directory": "/w",
        "user": "me",
        "argument A": "1",
        "variable B": "2",
        "variable PATH": "/bin",
        "network": "none",
        "SOURCE_DATE_EPOCH": 1,
    }


def test_proxies_count_only_when_declared(sources: FakeSources) -> None:
    proxies = {"https_proxy": "http://user:password@proxy.example"}
    plain = _last("FROM base\nRUN make\n", sources)
    assert _last("FROM base\nRUN make\n", sources, build_args=proxies).definition_key == plain.definition_key
    declared = _ingredients(_last("FROM base\nARG https_proxy\nRUN make\n", sources, build_args=proxies))
    assert declared["argument https_proxy"] == proxies["https_proxy"]


def test_an_argument_declared_later_does_not_count(sources: FakeSources) -> None:
    text = "FROM base\nRUN make\nARG LATER\n"
    one, two = (_last(text, sources, build_args={"LATER": value}) for value in ("1", "2"))
    assert one.definition_key == two.definition_key


def test_the_name_of_a_cache_does_not_count_but_its_place_does(sources: FakeSources) -> None:
    def key(mount: str) -> str:
        return _last(f"FROM base\nRUN --mount=type=cache,{mount} make\n", sources).definition_key.hex

    assert key("target=/c,id=one") == key("target=/c,id=two") == key("target=/c")
    assert key("target=/c") != key("target=/d")


def test_files_of_a_mount_count_by_content(sources: FakeSources) -> None:
    text = "FROM base\nRUN --mount=type=bind,source=a,target=/a make\n"
    before = _last(text, sources).definition_key
    (sources.directory / "b").write_text("changed")
    assert _last(text, sources).definition_key == before
    (sources.directory / "a").write_text("changed")
    assert _last(text, sources).definition_key != before


def test_files_of_a_copy_count_by_content(sources: FakeSources) -> None:
    text = "FROM base\nCOPY a /x\n"
    before = _last(text, sources)
    (sources.directory / "b").write_text("changed")
    assert _last(text, sources).definition_key == before.definition_key
    (sources.directory / "a").write_text("changed")
    after = _last(text, sources)
    assert after.definition_key != before.definition_key
    assert set(after.operation.manifest()) == {"a"}


def test_a_heredoc_counts(sources: FakeSources) -> None:
    one, two = (_last(f"FROM base\nCOPY <<F /x\n{word}\nF\n", sources) for word in ("one", "two"))
    assert one.definition_key != two.definition_key


def test_a_name_of_the_base_does_not_count_and_its_layers_do(sources: FakeSources) -> None:
    layer = {"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "a" * 64]}}
    sources.images |= {"other": image_of(EMPTY_BASE), "more": image_of({**EMPTY_BASE, **layer})}
    same, other, more = (
        _last(f"FROM {name}\nRUN make\n", sources).definition_key for name in ("base", "other", "more")
    )
    assert same == other != more


def test_the_time_counts(sources: FakeSources) -> None:
    one, two = (_last("FROM base\nCOPY a /\n", sources, epoch=epoch) for epoch in (1, 2))
    assert one.definition_key != two.definition_key


def test_no_cache_of_a_stage_is_that_stage_alone(sources: FakeSources) -> None:
    text = "FROM base AS one\nRUN 1\nFROM one AS two\nRUN 2\n"
    made = plan(text, sources, PlanOptions(platform=AMD64, build_platform=AMD64, no_cache_stages=frozenset({"TWO"})))
    assert [node.operation.no_cache for node in made.nodes] == [False, True]


def test_link_needs_nothing_below(sources: FakeSources) -> None:
    assert _last("FROM base\nCOPY --link a /\n", sources).operation.linked
    assert not _last("FROM base\nCOPY a /\n", sources).operation.linked
    assert not _last("FROM base\nCOPY --link --chmod=600 a /\n", sources).operation.linked


def test_a_run_gets_the_build_time_unless_the_dockerfile_says_otherwise(sources: FakeSources) -> None:
    def seen(text: str) -> str:
        step = _last(text, sources, epoch=77).operation
        assert isinstance(step, RunStep)
        return step.order.env["SOURCE_DATE_EPOCH"]

    assert seen("FROM base\nRUN make\n") == "77"
    assert seen("FROM base\nENV SOURCE_DATE_EPOCH=5\nRUN make\n") == "5"


def test_mounts_get_their_defaults(sources: FakeSources) -> None:
    text = (
        "FROM base\nWORKDIR /w\nRUN --mount=type=cache,target=c --mount=type=tmpfs,target=/t,size=1m "
        "--mount=type=secret,id=s --mount=type=secret,id=e,env=TOKEN --mount=type=ssh make\n"
    )
    step = _last(text, sources).operation
    assert isinstance(step, RunStep)
    assert [mount.resolve({}) for mount in step.mounts] == [
        CacheMount("/w/c", "c"),
        TmpfsMount("/t", 1 << 20),
        SecretMount("s", "/run/secrets/s"),
        SecretMount("e", None, "TOKEN"),
        SshMount(),
    ]


def test_what_fetches_is_asked_while_planning(sources: FakeSources) -> None:
    node = _last("FROM base\nADD https://example.com/file.txt /\n", sources)
    assert "https://example.com/file.txt" in sources.asked
    assert "url https://example.com/file.txt" in _ingredients(node)


def test_an_error_without_a_place_gets_the_steps_own(sources: FakeSources) -> None:
    node = _last("FROM base\n\nCOPY missing /\n", sources)
    with pytest.raises(PylifeError) as caught:
        node.operation.definition()
    assert caught.value.where == "Dockerfile:3:1"
    assert caught.value.details is not None
    assert "COPY missing /" in caught.value.details


def test_an_error_with_a_place_keeps_it(sources: FakeSources) -> None:
    step = _last("FROM base\nRUN make\n", sources).operation
    assert isinstance(step, RunStep)
    place: Place = step.place
    with pytest.raises(DockerfileError) as caught, place.named():
        raise DockerfileError("wrong", where="elsewhere:1")
    assert caught.value.where == "elsewhere:1"
