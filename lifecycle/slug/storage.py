"""Object storage as pods of the slug family name it: BUILDER_STORAGE, keys, and files with the credentials.

Source: deis slugbuilder, normalize_storage, get_object and put_object; deis object-storage-cli.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass

CREDENTIALS = Path("/var/run/secrets/deis/objectstore/creds")
"""Where a pod has the files accesskey, secretkey, region and builder-bucket."""

_MINIO_BUCKET = "git"


class BadStorage(PylifeError):
    """BUILDER_STORAGE names a kind of storage that cannot be used, or something that it needs is missing."""

    code = "slug.bad-storage"
    exit_code = 2
    fix = (
        "Set BUILDER_STORAGE to s3 or minio with SLUG_BUCKET, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give "
        "whole addresses instead of keys: s3://bucket/key, or signed https:// URLs."
    )


@dataclass(frozen=True, slots=True)
class Storage:
    """A bucket, and the variables (AWS_…, S3_…) by which its requests are signed: an environment for ``Remotes``."""

    bucket: str
    environment: Mapping[str, str]

    def address(self, key: str) -> str:
        """The object's address, ``s3://bucket/key``."""
        return f"s3://{self.bucket}/{key.strip('/')}"


def open_storage(environment: Mapping[str, str], credentials: Path = CREDENTIALS) -> Storage:
    """The storage that BUILDER_STORAGE (s3 or minio; s3 when it is not set) and the files in ``credentials`` describe.

    The bucket is SLUG_BUCKET, else the file builder-bucket, else ``git`` for minio, whose address is S3_ENDPOINT or
    DEIS_MINIO_SERVICE_HOST and _PORT. Variables win over files. Raises BadStorage, for gcs, azure and swift too.
    """
    kind = environment.get("BUILDER_STORAGE", "").strip().lower() or "s3"
    if kind not in ("s3", "minio"):
        raise BadStorage(f"BUILDER_STORAGE={kind} cannot be used", why="pylife speaks the protocol of S3 only")
    found = {
        "AWS_ACCESS_KEY_ID": _read(credentials / "accesskey"),
        "AWS_SECRET_ACCESS_KEY": _read(credentials / "secretkey"),
        "AWS_REGION": environment.get("AWS_DEFAULT_REGION") or _read(credentials / "region"),
    }
    bucket = environment.get("SLUG_BUCKET") or _read(credentials / "builder-bucket")
    if kind == "minio":
        host, port = (environment.get(f"DEIS_MINIO_SERVICE_{part}", "") for part in ("HOST", "PORT"))
        found |= {"S3_FORCE_PATH_STYLE": "true", "S3_ENDPOINT": f"http://{host}:{port or 9000}" if host else ""}
        bucket = bucket or environment.get("MINIO_BUCKET") or _MINIO_BUCKET
    whole = {name: value for name, value in found.items() if value}
    whole |= {name: value for name, value in environment.items() if value or name not in whole}
    if kind == "minio" and not whole.get("S3_ENDPOINT"):
        raise BadStorage(
            "BUILDER_STORAGE=minio has no address", why="neither S3_ENDPOINT nor DEIS_MINIO_SERVICE_HOST is set"
        )
    if not bucket:
        raise BadStorage(
            f"BUILDER_STORAGE={kind} has no bucket",
            why=f"SLUG_BUCKET is not set, and there is no {credentials / 'builder-bucket'}",
        )
    return Storage(bucket, whole)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadStorage(f"{path} cannot be read", why=str(error)) from error
