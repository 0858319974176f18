"""Which bucket and credentials a pod of the family means."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.slug.storage import BadStorage, open_storage


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, text in {"accesskey": "fileid\n", "secretkey": "filesecret\n", "region": "eu-west-1\n"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_files_give_what_variables_do_not(files: Path) -> None:
    (files / "builder-bucket").write_text("apps\n")
    found = open_storage({"BUILDER_STORAGE": "s3", "AWS_ACCESS_KEY_ID": "mine", "AWS_REGION": ""}, files)
    assert found.address("home/app:git-1/tar") == "s3://apps/home/app:git-1/tar"
    wanted = {"AWS_ACCESS_KEY_ID": "mine", "AWS_SECRET_ACCESS_KEY": "filesecret", "AWS_REGION": "eu-west-1"}
    assert {name: found.environment[name] for name in wanted} == wanted


def test_minio_is_found_by_its_service(files: Path) -> None:
    environment = {"BUILDER_STORAGE": "minio", "DEIS_MINIO_SERVICE_HOST": "10.3.0.9", "DEIS_MINIO_SERVICE_PORT": "9001"}
    found = open_storage(environment, files)
    assert found.bucket == "git"
    assert found.environment["S3_ENDPOINT"] == "http://10.3.0.9:9001"
    assert found.environment["S3_FORCE_PATH_STYLE"] == "true"
    assert found.environment["AWS_ACCESS_KEY_ID"] == "fileid"


def test_variables_win(files: Path, tmp_path: Path) -> None:
    (files / "builder-bucket").write_text("apps")
    environment = {"BUILDER_STORAGE": "minio", "S3_ENDPOINT": "https://store.example", "SLUG_BUCKET": "other"}
    found = open_storage(environment, files)
    assert (found.bucket, found.environment["S3_ENDPOINT"]) == ("other", "https://store.example")
    default = open_storage({"SLUG_BUCKET": "b", "AWS_DEFAULT_REGION": "us-west-2"}, tmp_path / "none")
    assert default.environment["AWS_REGION"] == "us-west-2"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"BUILDER_STORAGE": "gcs"}, "BUILDER_STORAGE=gcs cannot be used"),
        ({"BUILDER_STORAGE": "azure", "SLUG_BUCKET": "b"}, "BUILDER_STORAGE=azure cannot be used"),
        ({"BUILDER_STORAGE": "s3"}, "SLUG_BUCKET is not set"),
        ({"BUILDER_STORAGE": "minio"}, "DEIS_MINIO_SERVICE_HOST is set"),
    ],
)
def test_what_is_missing_is_told(environment: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(BadStorage) as caught:
        open_storage(environment, tmp_path)
    assert words in str(caught.value)
    assert "SLUG_BUCKET" in caught.value.fix
    assert caught.value.exit_code == 2


def test_a_credentials_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "accesskey").mkdir()
    with pytest.raises(BadStorage, match="accesskey cannot be read"):
        open_storage({"SLUG_BUCKET": "b"}, tmp_path)
