"""Object storage as pods of the slug family name it: BUILDER_STORAGE, keys, and files with the credentials.

Source: deis slugbuilder, get_object and put_object; deis object-storage-cli.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lifecycle.errors import PylifeError
from lifecycle.record import dataclass

CREDENTIALS = Path("/var/run/secrets/deis/objectstore/creds")
"""Where a pod has the files accesskey, secretkey, region and builder-bucket."""


class BadStorage(PylifeError):
    """BUILDER_STORAGE names a kind of storage that cannot be used, or something that it needs is missing."""

    code = "slug.bad-storage"
    exit_code = 2
    fix = (
        "Set BUILDER_STORAGE to s3 or minio with SLUG_BUCKET, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give "
        "whole addresses: s3://bucket/key, or signed https:// URLs."
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

    The bucket is SLUG_BUCKET, else the file builder-bucket, else ``git`` for minio. Variables win over files. Raises
    BadStorage, for gcs, azure and swift too.
    """
    raise NotImplementedError
