"""Image references, by the grammar of the distribution project.

Source: distribution/reference, "Grammar"; the familiar form (docker.io, library/) as every client applies it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from lifecycle.oci.digest import Digest
from lifecycle.oci.errors import BadReference
from lifecycle.record import dataclass

_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
_PATH = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
_NAME_LIMIT = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an image: ``registry/repository`` with a tag, a digest or both.

    ``explicit`` is True when the text itself named a registry; a bare name (``demo``) is not explicit and stays
    in the local store unless a push is asked for.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None
    explicit: bool = True

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference in ``text``; a missing tag stays None. Raises BadReference saying which part is wrong."""
        if not text:
            raise BadReference("An image name is empty")
        rest, at, digest_text = text.partition("@")
        digest = None
        if at:
            try:
                digest = Digest.parse(digest_text)
            except Exception as error:
                raise BadReference(f"{text!r} is not an image name", why=str(error)) from error
        tag = None
        colon = rest.rfind(":")
        if colon > rest.rfind("/"):
            rest, tag = rest[:colon], rest[colon + 1 :]
            if not _TAG.fullmatch(tag):
                raise BadReference(
                    f"{text!r} is not an image name",
                    why=f"the tag {tag!r} may hold letters, digits, '_', '.' and '-', at most 128 of them",
                )
        first, slash, remainder = rest.partition("/")
        explicit = bool(slash) and ("." in first or ":" in first or first == "localhost" or first.lower() != first)
        registry, path = (first, remainder) if explicit else (DEFAULT_REGISTRY, rest)
        if not _DOMAIN.fullmatch(registry):
            raise BadReference(f"{text!r} is not an image name", why=f"{registry!r} is not a host[:port]")
        if registry == "index.docker.io":
            registry = DEFAULT_REGISTRY
        if not _PATH.fullmatch(path):
            why = "the repository must be in lower case" if path.lower() != path else f"{path!r} is no repository path"
            raise BadReference(f"{text!r} is not an image name", why=why)
        if registry == DEFAULT_REGISTRY and "/" not in path:
            path = f"library/{path}"
        if len(registry) + 1 + len(path) > _NAME_LIMIT:
            raise BadReference(
                f"The image name {text[:60]!r}… is too long", why=f"{_NAME_LIMIT} characters are the limit"
            )
        return cls(registry, path, tag, digest, explicit)

    @property
    def name(self) -> str:
        """``registry/repository``, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The short form people write: no ``docker.io/library/``, tag and digest as given."""
        text = self.name
        if self.registry == DEFAULT_REGISTRY:
            text = self.repository.removeprefix("library/")
        if self.tag:
            text += f":{self.tag}"
        if self.digest:
            text += f"@{self.digest}"
        return text

    @property
    def identifier(self) -> str:
        """What a registry is asked for: the digest when there is one, else the tag, else ``latest``."""
        return str(self.digest) if self.digest else self.tag or DEFAULT_TAG

    def with_tag(self, tag: str) -> Reference:
        """The same repository under another tag, without digest."""
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> Reference:
        """The same repository at a digest, without tag."""
        return replace(self, tag=None, digest=digest)

    def with_default_tag(self) -> Reference:
        """The same reference, tagged ``latest`` when it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def __str__(self) -> str:
        text = self.name
        if self.tag:
            text += f":{self.tag}"
        if self.digest:
            text += f"@{self.digest}"
        return text
