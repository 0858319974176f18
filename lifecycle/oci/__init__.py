"""The nouns of the image format: names, digests, descriptors, documents."""

from lifecycle.oci.config import History, ImageConfig
from lifecycle.oci.descriptor import Descriptor
from lifecycle.oci.digest import Digest, chain_id
from lifecycle.oci.errors import BadDigest, BadDocument, BadPlatform, BadReference, DigestMismatch
from lifecycle.oci.manifest import Index, Manifest, parse_document
from lifecycle.oci.mediatypes import Dialect
from lifecycle.oci.platform import Platform
from lifecycle.oci.reference import Reference

__all__ = [
    "BadDigest",
    "BadDocument",
    "BadPlatform",
    "BadReference",
    "Descriptor",
    "Dialect",
    "Digest",
    "DigestMismatch",
    "History",
    "ImageConfig",
    "Index",
    "Manifest",
    "Platform",
    "Reference",
    "chain_id",
    "parse_document",
]
