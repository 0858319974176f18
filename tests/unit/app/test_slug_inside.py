"""What slug images do when they are started, as far as it can be seen outside of one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lifecycle.app.slug import inside
from lifecycle.app.slug.inside import NoSlug, has_input, slug_place
from lifecycle.events import Message, RecordingSink
from lifecycle.source.remotes import Remotes

KEY = "home/app:git-1f2e3d4c/push/slug.tgz"
STORE = {"BUILDER_STORAGE": "minio", "DEIS_MINIO_SERVICE_HOST": "10.0.0.9", "DEIS_MINIO_SERVICE_PORT": "9000"}


@pytest.mark.parametrize(("seconds", "told"), [(0.0, []), (0.5, ["Waiting for an archive on standard input"])])
def test_whoever_left_standard_input_open_is_told(
    monkeypatch: pytest.MonkeyPatch, seconds: float, told: list[str]
) -> None:
    read, write = os.pipe()
    monkeypatch.setattr(inside, "PATIENCE", 0.1)
    sink = RecordingSink()
    with open(read) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        if not seconds:
            os.write(write, b"archive")
        late = threading.Timer(seconds, os.close, (write,))
        late.start()
        assert has_input(sink) is (not seconds)
        late.join()
    assert [event.text for event in sink.events if isinstance(event, Message)] == told


def test_a_key_is_an_object_of_the_store_that_is_described(tmp_path: Path) -> None:
    place, remotes = slug_place({**STORE, "SLUG_URL": KEY}, Remotes(tmp_path, environment={"A": "b"}))
    assert place == f"s3://git/{KEY}"
    assert remotes.environment["S3_ENDPOINT"] == "http://10.0.0.9:9000"
    assert remotes.environment["A"] == "b"


def test_an_address_that_can_be_fetched_wins_over_the_key(tmp_path: Path) -> None:
    """Source: BlueKing, generate_launcher_env_vars, which sets both."""
    given = {**STORE, "SLUG_URL": KEY, "SLUG_GET_URL": "https://store.test/slug.tgz?sig=x"}
    assert slug_place(given, Remotes(tmp_path))[0] == "https://store.test/slug.tgz?sig=x"


def test_a_file_needs_no_store_and_a_key_without_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "slug.tgz").touch()
    assert slug_place({"SLUG_URL": f"{tmp_path}/slug.tgz"}, Remotes(tmp_path))[0] == f"{tmp_path}/slug.tgz"
    assert slug_place({}, Remotes(tmp_path))[0] == ""
    with pytest.raises(NoSlug) as caught:
        slug_place({"SLUG_URL": KEY}, Remotes(tmp_path))
    assert "SLUG_GET_URL" in caught.value.fix
