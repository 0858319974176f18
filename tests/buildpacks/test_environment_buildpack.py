"""The buildpack of variables and labels."""

from __future__ import annotations

import pytest
from workbench import Bench

BUILDPACK = "environment"


def launch_files(bench: Bench) -> dict[str, str]:
    directory = bench.layer(BUILDPACK, "environment") / "env.launch"
    return {path.name: path.read_text() for path in sorted(directory.iterdir())}


def test_variables_become_files_of_the_launch_environment(bench: Bench) -> None:
    bench.user_env(
        BPE_MODE="fast lane",
        BPE_DEFAULT_LEVEL="3",
        BPE_OVERRIDE_DEFAULT_NAME="x",
        BPE_APPEND_OPTIONS="-b",
        BPE_DELIM_OPTIONS=" ",
        BPE_PREPEND_PATH="/workspace/tools",
        BPE_EMPTY="",
        OTHER="not mine",
    )
    ran, plan = bench.detect(BUILDPACK)
    assert ran.code == 0
    assert plan["provides"] == [{"name": "environment"}]
    ran = bench.build(BUILDPACK)
    assert ran.code == 0, ran.err
    assert launch_files(bench) == {
        "MODE.override": "fast lane",
        "LEVEL.default": "3",
        "DEFAULT_NAME.override": "x",
        "OPTIONS.append": "-b",
        "OPTIONS.delim": " ",
        "PATH.prepend": "/workspace/tools",
        "PATH.delim": ":",
        "EMPTY.override": "",
    }
    assert "fast lane" not in ran.out + ran.err


def test_labels_of_all_kinds(bench: Bench) -> None:
    bench.user_env(BP_IMAGE_LABELS="team=web 'note=two words' url=https://example.com/?a=b", BP_OCI_REF_NAME="1.2")
    ran = bench.build(BUILDPACK)
    assert ran.code == 0, ran.err
    assert {item["key"]: item["value"] for item in bench.launch(BUILDPACK)["labels"]} == {
        "org.opencontainers.image.ref.name": "1.2",
        "team": "web",
        "note": "two words",
        "url": "https://example.com/?a=b",
    }
    assert not bench.layer(BUILDPACK, "environment").exists()


def test_detect_says_what_it_looked_for(bench: Bench) -> None:
    ran, plan = bench.user_env(BPEX="1").detect(BUILDPACK)
    assert (ran.code, plan) == (100, {})
    assert "BPE_*" in ran.out


def test_a_secret_in_an_image_is_warned_of_and_not_printed(bench: Bench) -> None:
    ran = bench.user_env(BPE_DB_PASSWORD="hunter2").build(BUILDPACK)
    assert ran.code == 0
    assert "DB_PASSWORD looks like a secret" in ran.err
    assert "hunter2" not in ran.out + ran.err


def test_a_delimiter_alone_is_told(bench: Bench) -> None:
    ran = bench.user_env(BPE_DELIM_X=":", BPE_X="1").build(BUILDPACK)
    assert ran.code == 0
    assert "BPE_DELIM_X counts for nothing" in ran.err


@pytest.mark.parametrize(
    ("env", "id", "said"),
    [
        ({"BPE_": "1"}, "environment.bad-name", "$BPE_ names no variable"),
        ({"BPE_1ST": "1"}, "environment.bad-name", "'1ST'"),
        ({"BPE_APPEND_A-B": "1"}, "environment.bad-name", "'A-B'"),
        ({"BPE_X": "1", "BPE_OVERRIDE_X": "2"}, "environment.conflict", "BPE_OVERRIDE_X and BPE_X"),
        ({"BPE_X": "caf\udce9"}, "environment.bad-value", "63 61 66 e9"),
        ({"BP_IMAGE_LABELS": "team"}, "environment.bad-labels", "'team' is not NAME=VALUE"),
        ({"BP_IMAGE_LABELS": "a='b"}, "environment.bad-labels", "No closing quotation"),
        ({"BP_OCI_COLOUR": "red"}, "environment.bad-labels", "BP_OCI_TITLE"),
    ],
)
def test_what_cannot_be_meant(bench: Bench, env: dict[str, str], id: str, said: str) -> None:
    bench.env |= env
    ran = bench.build(BUILDPACK)
    assert (ran.code, ran.failure) == (1, id)
    assert said in ran.err


def test_the_same_value_twice_is_no_conflict(bench: Bench) -> None:
    assert bench.user_env(BPE_X="1", BPE_OVERRIDE_X="1").build(BUILDPACK).code == 0
