"""Objects in S3, or in a store that speaks its protocol: signed requests, no client library.

Source: AWS, "Signature Version 4 signing process"; kaniko's S3_ENDPOINT and S3_FORCE_PATH_STYLE.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from lifecycle.source.fetch import Fetched, fetch_url
from lifecycle.source.remote_errors import BadUrl
from lifecycle.source.remotes import Remotes

_EMPTY = hashlib.sha256(b"").hexdigest()
_TRUE = ("1", "true", "yes")


def fetch_s3(address: str, remotes: Remotes, *, optional: bool = False) -> Fetched:
    """The object at ``s3://bucket/key``, as ``fetch_url`` gives it.

    Credentials, region and endpoint are those of the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
    AWS_SESSION_TOKEN, AWS_REGION, S3_ENDPOINT, S3_FORCE_PATH_STYLE); without credentials the request is not signed.
    """
    url = object_url(address, remotes.environment)
    return fetch_url(
        url, remotes, headers=signature(url, remotes.environment, time.time()), shown=address, optional=optional
    )


def object_url(address: str, environment: Mapping[str, str]) -> str:
    """The http address of ``s3://bucket/key``; raises BadUrl."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    if not bucket or not key or bucket in (".", ".."):
        raise BadUrl(f"{address!r} names no object", fix="Write s3://BUCKET/PATH/context.tar.gz.")
    path = quote(key, safe="/-_.~")
    endpoint = environment.get("S3_ENDPOINT") or f"https://s3.{_region(environment)}.amazonaws.com"
    if "://" not in endpoint:
        endpoint = f"https://{endpoint}"
    scheme, _, host = endpoint.rstrip("/").partition("://")
    if environment.get("S3_FORCE_PATH_STYLE", "").lower() in _TRUE or "." in bucket or _is_address(host):
        return f"{scheme}://{host}/{quote(bucket, safe='')}/{path}"
    return f"{scheme}://{quote(bucket, safe='')}.{host}/{path}"


def signature(
    url: str,
    environment: Mapping[str, str],
    now: float,
    *,
    method: str = "GET",
    payload: str = _EMPTY,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers that sign a request for ``url`` at the time ``now`` (seconds); none without credentials.

    ``payload`` is the sha256 (hex) of the body. ``extra`` are headers, with names in lower case, that are sent besides
    and signed too.
    """
    key, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        return {}
    parts = urlsplit(url)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    headers = {"host": parts.netloc, "x-amz-content-sha256": payload, "x-amz-date": stamp, **(extra or {})}
    if token := environment.get("AWS_SESSION_TOKEN"):
        headers["x-amz-security-token"] = token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = f"{method}\n{parts.path}\n{parts.query}\n{lines}\n{names}\n{payload}"
    scope = f"{stamp[:8]}/{_region(environment)}/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    mac = f"AWS4{secret}".encode()
    for part in (*scope.split("/"), signed):
        mac = hmac.digest(mac, part.encode(), "sha256")
    credential = f"AWS4-HMAC-SHA256 Credential={key}/{scope},SignedHeaders={names},Signature={mac.hex()}"
    own = {name: value for name, value in headers.items() if name != "host" and name not in (extra or {})}
    return {**own, "authorization": credential}


def _region(environment: Mapping[str, str]) -> str:
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"


def _is_address(host: str) -> bool:
    """True for ``localhost`` and IP addresses, which have no names below them."""
    import ipaddress

    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name) is not None
    except ValueError:
        return False
