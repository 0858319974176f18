"""app.json, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lifecycle.slug.appjson import AppJson, BadAppJson, Variable, parse_app_json, read_app_json

WHOLE = {
    "name": "shop",
    "description": "known to nobody here",
    "buildpacks": [{"url": "heroku/python"}, {"url": "https://git.example/apt.git#v2"}],
    "env": {
        "SECRET": {"generator": "secret"},
        "REGION": "eu",
        "WORKERS": {"value": 2},
        "OPTIONAL": {"required": False},
        "KEY": {"description": "of the API"},
    },
    "scripts": {"postdeploy": "bin/seed"},
    "formation": {"web": {"quantity": 2, "size": "standard-1x"}, "worker": 1},
    "addons": ["postgres:mini", {"plan": "redis"}],
    "stack": "heroku-24",
    "environments": {"test": {"env": {"REGION": "test"}, "scripts": {"test": "make test"}}},
}


def test_whole_document() -> None:
    found = parse_app_json(json.dumps(WHOLE).encode())
    assert found.name == "shop"
    assert found.buildpacks == ("heroku/python", "https://git.example/apt.git#v2")
    assert found.env["SECRET"] == Variable(generator="secret")
    assert found.env["WORKERS"].value == "2"
    assert found.formation == {"web": 2, "worker": 1}
    assert found.addons == ("postgres:mini", "redis")
    assert found.stack == "heroku-24"


def test_environment_stands_in_front() -> None:
    found = parse_app_json(json.dumps(WHOLE).encode()).for_environment("test")
    assert found.env["REGION"].value == "test"
    assert found.scripts == {"postdeploy": "bin/seed", "test": "make test"}
    assert found.buildpacks == ("heroku/python", "https://git.example/apt.git#v2")


def test_unknown_environment_changes_nothing() -> None:
    document = parse_app_json(json.dumps(WHOLE).encode())
    assert document.for_environment("review") is document


def test_variables_are_given_generated_or_missing() -> None:
    document = parse_app_json(json.dumps(WHOLE).encode())
    first, second = document.variables({"REGION": "us"}), document.variables({})
    assert "REGION" not in first
    assert second["REGION"] == "eu"
    assert len(first["SECRET"]) == 64
    assert first["SECRET"] != second["SECRET"]
    assert document.missing({}) == ("KEY",)
    assert document.missing({"KEY": "k"}) == ()


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ('{"name": "a",}', "is not JSON", "line 1, column 14"),
        ("{", "is not JSON", "line 1, column 2"),
        ("[]", "app.json is a list, not an object", "app.json"),
        ('{"buildpacks": "x"}', "buildpacks is a string, not a list", "app.json"),
        ('{"buildpacks": [{"url": 3}]}', r"buildpacks\[0\].url is a number, not a string", "app.json"),
        ('{"buildpacks": [{}]}', r"buildpacks\[0\].url is nothing, not a string", "app.json"),
        ('{"env": {"K": []}}', "env.K is a list, not an object", "app.json"),
        ('{"env": {"K": {"required": "no"}}}', "env.K.required is a string, not true or false", "app.json"),
        ('{"env": {"K": {"generator": "magic"}}}', 'env.K.generator is a string, not "secret"', "app.json"),
        ('{"scripts": {"test": ["a"]}}', "scripts.test is a list, not a string", "app.json"),
        (
            '{"formation": {"web": {"quantity": -1}}}',
            "formation.web.quantity is a number, not a whole number from 0 up",
            "app.json",
        ),
        ('{"environments": {"test": {"env": 1}}}', "environments.test.env is a number, not an object", "app.json"),
    ],
)
def test_what_is_wrong_is_named(text: str, what: str, where: str) -> None:
    with pytest.raises(BadAppJson, match=what) as caught:
        parse_app_json(text.encode())
    assert where in str(caught.value.where)


@pytest.mark.parametrize("raw", [b"\xff\xfe{\0}\0", b"[" * 100_000])
def test_what_is_no_text_or_too_deep_is_refused(raw: bytes) -> None:
    with pytest.raises(BadAppJson):
        parse_app_json(raw)


def test_byte_order_mark_is_overlooked() -> None:
    assert parse_app_json(b'\xef\xbb\xbf{"name": "a"}') == AppJson("a")


def test_file_that_is_missing_or_leads_out_of_the_app_is_none(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    assert read_app_json(app) is None
    (tmp_path / "outside.json").write_text('{"name": "a"}')
    (app / "app.json").symlink_to("../outside.json")
    assert read_app_json(app) is None
    (app / "app.json").unlink()
    (app / "app.json").mkdir()
    assert read_app_json(app) is None
