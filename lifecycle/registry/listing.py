"""Lists that a registry gives page by page: tags, and the manifests that refer to another.

Source: OCI distribution-spec v1.1, "Content Discovery" and "Referrers Tag Schema".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from lifecycle.oci import BadDocument, Descriptor, Digest, Reference
from lifecycle.registry.errors import BadAnswer, NotARegistry, is_web_page
from lifecycle.registry.session import Access, Session

_LIST_LIMIT = 16 << 20
_PAGE_LIMIT = 10_000
_NEXT_LINK = re.compile(r"<([^>]*)>\s*;[^,]*\brel=\"?next\"?", re.IGNORECASE)


def list_tags(session: Session, ref: Reference) -> list[str]:
    """All tags of the repository, in the registry's order."""
    what = f"The tags of {ref.name} cannot be listed"
    found: list[str] = []
    for page in _pages(session, ref, f"/v2/{ref.repository}/tags/list?n=1000", what):
        tags = page.get("tags") or []
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise BadAnswer(what, why="the list of tags is not a list of strings")
        found += tags
    return found


def list_referrers(session: Session, ref: Reference, digest: Digest, artifact_type: str | None) -> list[Descriptor]:
    """The manifests whose subject is ``digest``, by the referrers API; the registry may ignore ``artifact_type``."""
    what = f"The referrers of {ref.name}@{digest} cannot be listed"
    query = "?" + urlencode({"artifactType": artifact_type}, safe="/") if artifact_type else ""
    pages = _pages(session, ref, f"/v2/{ref.repository}/referrers/{digest}{query}", what)
    return [Descriptor.from_json(item) for page in pages for item in page.get("manifests") or []]


def fallback_tag(ref: Reference, subject: Digest) -> Reference:
    """The tag whose index lists the referrers of ``subject`` where the API is missing."""
    return ref.with_tag(f"{subject.algorithm}-{subject.hex}"[:128])


def subject_of(data: bytes) -> Digest | None:
    """The digest of a manifest's subject, None when it has none."""
    if b'"subject"' not in data:
        return None
    subject = _document(data).get("subject")
    return Digest.parse(subject.get("digest")) if isinstance(subject, dict) else None


def as_referrer(data: bytes, media_type: str) -> Descriptor:
    """How a manifest is listed among the referrers of its subject: with its annotations and artifact type."""
    document = _document(data)
    config = document.get("config")
    annotations = document.get("annotations")
    config_type = config.get("mediaType") if isinstance(config, dict) else ""
    return Descriptor(
        media_type,
        Digest.of(data),
        len(data),
        annotations={str(key): str(value) for key, value in annotations.items()} if annotations else {},
        artifact_type=str(document.get("artifactType") or config_type or ""),
    )


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadDocument("A manifest is not JSON") from error
    if not isinstance(document, dict):
        raise BadDocument("A manifest must be a JSON object")
    return document


def _pages(session: Session, ref: Reference, path: str, what: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a list and of those that its Link headers lead to; each page is asked for once."""
    endpoint = session.endpoint(ref.registry)
    url: str | None = endpoint.url(path)
    seen: set[str] = set()
    while url:
        if url in seen or len(seen) >= _PAGE_LIMIT or not endpoint.owns(url):
            raise BadAnswer(what, why="the link to its next page leads astray", url=url)
        seen.add(url)
        answer = session.request("GET", Access.pull(ref), url, what=what)
        if answer.status != 200:
            raise answer.error(what)
        body = answer.read(_LIST_LIMIT)
        if is_web_page(answer.header("content-type"), body):
            why = f"{ref.registry} answered with a web page, not a registry"
            raise NotARegistry(what, why=why, **answer.place)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadAnswer(what, why="the answer is not JSON", **answer.place) from error
        if not isinstance(data, dict):
            raise BadAnswer(what, why="the answer is not a JSON object", **answer.place)
        yield data
        link = _NEXT_LINK.search(answer.header("link") or "")
        url = endpoint.resolve(link[1], answer.url) if link else None
