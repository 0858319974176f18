"""Software bills of materials in two formats, equal byte for byte for equal contents: no clock, no random serial.

Source: CycloneDX 1.5 JSON; SPDX 2.3 JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

CREATED = "1980-01-01T00:00:01Z"


@dataclass(frozen=True, slots=True, order=True)
class Component:
    """A piece of software: name, version, package URL, and its licence as an SPDX expression where it is known."""

    name: str
    version: str
    purl: str
    licence: str = ""


def cyclonedx(name: str, components: Sequence[Component]) -> str:
    """A CycloneDX document about the thing called ``name``."""
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": name}},
        "components": [_cyclonedx_component(component) for component in sorted(components)],
    }
    return _json(document)


def _cyclonedx_component(component: Component) -> dict[str, object]:
    entry: dict[str, object] = {
        "type": "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
    }
    if component.licence:
        entry["licenses"] = [{"expression": component.licence}]
    return entry


def spdx(name: str, components: Sequence[Component]) -> str:
    """An SPDX document about the thing called ``name``."""
    packages = [_spdx_package(component) for component in sorted(components)]
    identity = hashlib.sha256(_json(packages).encode()).hexdigest()
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"urn:pylife:spdx:{name}:{identity}",
        "creationInfo": {"created": CREATED, "creators": ["Tool: pylife"]},
        "packages": packages,
        "relationships": [
            {
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": package["SPDXID"],
            }
            for package in packages
        ],
    }
    return _json(document)


def _spdx_package(component: Component) -> dict[str, object]:
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{component.name}-{component.version}"),
        "name": component.name,
        "versionInfo": component.version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": component.licence or "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": component.purl,
            }
        ],
    }


def python_components(site_packages: str) -> list[Component]:
    """The distributions installed in a site-packages directory, from their METADATA."""
    found = []
    for entry in sorted(os.listdir(site_packages)):
        metadata = os.path.join(site_packages, entry, "METADATA")
        if entry.endswith(".dist-info") and os.path.exists(metadata):
            fields = _metadata(metadata)
            name, version = fields.get("name", ""), fields.get("version", "")
            purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
            found.append(Component(name, version, purl, fields.get("license-expression", "")))
    return found


def _metadata(path: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line in ("\n", "\r\n"):
                break
            name, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):
                fields.setdefault(name.lower(), value.strip())
    return fields


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
