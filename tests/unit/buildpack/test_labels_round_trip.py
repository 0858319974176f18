from __future__ import annotations

import json
import math
import tomllib
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.buildpack import json_data
from lifecycle.buildpack.labels import (
    AppMetadata,
    CacheMetadata,
    RunImageMetadata,
    decode_app_metadata,
    decode_cache_metadata,
    encode_project_metadata,
)
from lifecycle.buildpack.layers import (
    LayerMetadata,
    LayerTypes,
    StoredBuildpack,
    StoredLayer,
    parse_layer_toml,
    render_restored_toml,
)
from lifecycle.oci import Digest

ONE, TWO = Digest.of(b"1"), Digest.of(b"2")
DATA: dict[str, Any] = {
    "big": 9007199254740993,
    "whole": 5,
    "real": 5.0,
    "when": datetime(2026, 1, 2, 3, 4, 5, 600, timezone(timedelta(hours=2))),
    "local": datetime(2026, 1, 2, 3, 4, 5),
    "day": date(2026, 1, 2),
    "hour": time(3, 4, 5),
    "inf": math.inf,
    "a/b~c": {"list": [1, [date(2026, 1, 3)], {"x": -math.inf}]},
    "html": "<&>\u2028",
}


def app(data: dict[str, Any] | None = None) -> AppMetadata:
    layer = StoredLayer(ONE, LayerMetadata(LayerTypes(launch=True), data or {}))
    return AppMetadata(
        (ONE, TWO),
        TWO,
        (StoredBuildpack("a/b", "1.0.0", {"z": layer, "l": layer}, {"n": 1}), StoredBuildpack("c", "2.0.0")),
        ONE,
        TWO,
        ONE,
        RunImageMetadata(str(ONE), "run@sha256:1", "run", ("mirror",)),
        RunImageMetadata(image="run", mirrors=("mirror",)),
    )


def test_label_has_the_official_keys_in_the_official_order() -> None:
    one, two = f'{{"sha":"{ONE}"}}', f'{{"sha":"{TWO}"}}'
    layer = f'{{"sha":"{ONE}","data":{{"v":"3.12"}},"build":false,"launch":true,"cache":false}}'
    assert app({"v": "3.12"}).encode() == (
        f'{{"app":[{one},{two}],"sbom":{two},'
        f'"buildpacks":[{{"key":"a/b","version":"1.0.0","layers":{{"l":{layer},"z":{layer}}},'
        f'"store":{{"metadata":{{"n":1}}}}}},'
        f'{{"key":"c","version":"2.0.0","layers":{{}}}}],'
        f'"config":{one},"launcher":{two},"process-types":{one},'
        f'"runImage":{{"topLayer":"{ONE}","reference":"run@sha256:1","image":"run","mirrors":["mirror"]}},'
        f'"stack":{{"runImage":{{"image":"run","mirrors":["mirror"]}}}}}}'
    )


def test_every_toml_value_survives_the_label() -> None:
    found, reason = decode_app_metadata(app(DATA).encode())
    assert reason == ""
    assert found == app(DATA)
    back = found.buildpacks[0].layers["l"].metadata.data
    assert back == DATA
    assert {key: type(value) for key, value in back.items()} == {key: type(value) for key, value in DATA.items()}
    assert tomllib.loads(render_restored_toml(back).decode())["metadata"] == DATA


def test_dates_are_plain_text_for_other_tools() -> None:
    text = app({"when": datetime(2026, 1, 2, tzinfo=UTC), "n": math.nan}).encode()
    data = json.loads(text)["buildpacks"][0]["layers"]["l"]["data"]
    assert data == {"when": "2026-01-02T00:00:00Z", "n": "nan"}


scalars = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.booleans(),
    st.datetimes(),
    st.dates(),
    st.times(),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_any_toml_data_round_trips(data: dict[str, Any]) -> None:
    encoded, types = json_data.encode(data)
    text = json_data.compact_json([encoded, types])
    assert "null" not in text or "null" in repr(data)
    again, kinds = json.loads(text)
    assert json_data.decode(again, kinds) == data


def test_nulls_of_other_tools_vanish() -> None:
    assert json_data.decode({"a": None, "b": [None, 1], "c": {"d": None}}, None) == {"b": [1], "c": {}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "there is none"),
        ("", "there is none"),
        ("{", "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ('{"buildpacks":{}}', "buildpacks is not an array of objects"),
        ('{"buildpacks":[{"key":"a","layers":{"l":{"sha":"x"}}}]}', "'x' is not a digest"),
        ('{"buildpacks":[{"key":"a","layers":{"../l":{}}}]}', "'../l' is no name for a layer"),
        ('{"buildpacks":[{"key":"a","layers":{"l":{"launch":1}}}]}', "launch is not a boolean"),
        ('{"runImage":[]}', "runImage is not an object"),
    ],
)
def test_label_that_cannot_be_used_gives_a_reason(text: str | None, reason: str) -> None:
    found, why = decode_app_metadata(text)
    assert found is None
    assert why.startswith(reason)


def test_app_key_of_old_lifecycles_is_tolerated() -> None:
    found, _ = decode_app_metadata(f'{{"app":{{"sha":"{ONE}"}},"config":{{"sha":"{ONE}"}}}}')
    assert found is not None
    assert (found.app, found.config) == ((), ONE)


def test_cache_metadata_round_trips() -> None:
    cache = CacheMetadata(ONE, app(DATA).buildpacks)
    assert decode_cache_metadata(cache.encode()) == (cache, "")
    assert CacheMetadata().encode() == '{"sbom":{"sha":""},"buildpacks":[]}'


def test_project_metadata_of_nothing_is_an_empty_object() -> None:
    assert encode_project_metadata({}) == "{}"


def test_layer_toml_keeps_types_through_restore() -> None:
    read = parse_layer_toml(b"[types]\nlaunch = true\n[metadata]\nwhen = 2020-01-01T00:00:00Z\nn = 5\n", "l.toml")
    assert read.types == LayerTypes(launch=True)
    restored = render_restored_toml(read.data).decode()
    assert tomllib.loads(restored) == {"metadata": dict(read.data)}
    assert "types" not in restored


def test_half_characters_of_json_become_writable() -> None:
    text = '{"buildpacks":[{"key":"a","layers":{"l":{"sha":"","data":{"\\ud800k":"x\\udfff","ok":"\\ud83d\\ude00"}}}}]}'
    found, _ = decode_app_metadata(text)
    assert found is not None
    data = found.buildpacks[0].layers["l"].metadata.data
    assert data == {"\ufffdk": "x\ufffd", "ok": "\U0001f600"}
    assert tomllib.loads(render_restored_toml(data).decode())["metadata"] == data


def test_label_nested_too_deeply_gives_a_reason() -> None:
    deep = '{"a":' * 900 + "1" + "}" * 900
    text = f'{{"buildpacks":[{{"key":"a","layers":{{"l":{{"data":{deep}}}}}}}]}}'
    found, why = decode_app_metadata(text)
    assert found is None
    assert why in ("it is nested too deeply", "it is not JSON")
