from __future__ import annotations

import pytest

from lifecycle.oci import BadPlatform, Descriptor, Dialect, Digest, Index, Platform, mediatypes


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("linux/amd64", Platform("linux", "amd64")),
        ("amd64", Platform("linux", "amd64")),
        ("x86_64", Platform("linux", "amd64")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("linux/arm64/v8", Platform("linux", "arm64")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("armhf", Platform("linux", "arm", "v7")),
        ("armel", Platform("linux", "arm", "v6")),
        ("Linux/AMD64", Platform("linux", "amd64")),
        ("windows/amd64", Platform("windows", "amd64")),
    ],
)
def test_platform_is_read_in_every_usual_spelling(text: str, parsed: Platform) -> None:
    assert Platform.parse(text) == parsed


@pytest.mark.parametrize("text", ["", "/", "linux/", "/amd64", "linux/amd64/v1/x", "li nux/amd64", "linux/amd64;x"])
def test_text_that_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(BadPlatform):
        Platform.parse(text)


def index(*platforms: str | None) -> Index:
    members = [
        Descriptor(
            mediatypes.OCI_MANIFEST,
            Digest.of(f"{number}".encode()),
            1,
            platform=None if text is None else Platform(*text.split("/")),
        )
        for number, text in enumerate(platforms)
    ]
    return Index.build(Dialect.OCI, members)


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        (("linux/amd64", "linux/arm64"), "linux/arm64", 1),
        (("linux/arm64/v8",), "linux/arm64", 0),
        (("linux/arm64",), "linux/arm64/v8", 0),
        (("linux/arm/v6", "linux/arm/v7"), "linux/arm/v7", 1),
        (("linux/arm/v6", "linux/arm/v7"), "linux/arm/v5", None),
        (("linux/arm/v6", "linux/arm"), "linux/arm", 1),
        (("linux/amd64/v3", "linux/amd64"), "linux/amd64", 1),
        (("linux/amd64/v3",), "linux/amd64", 0),
        (("linux/amd64", "linux/amd64"), "linux/amd64", 0),
        (("unknown/unknown", "linux/amd64"), "linux/amd64", 1),
        (("unknown/unknown",), "linux/amd64", None),
        (("windows/amd64",), "linux/amd64", None),
        ((None,), "linux/amd64", 0),
        ((None, None), "linux/amd64", None),
        ((), "linux/amd64", None),
    ],
)
def test_index_gives_the_member_that_fits_best(there: tuple[str | None, ...], wanted: str, chosen: int | None) -> None:
    found = index(*there).select(Platform.parse(wanted))
    assert found == (None if chosen is None else index(*there).manifests[chosen])


def test_member_that_is_no_image_is_never_chosen() -> None:
    artifact = Descriptor("application/x", Digest.of(b"x"), 1, platform=Platform("linux", "amd64"))
    assert Index.build(Dialect.OCI, [artifact]).select(Platform("linux", "amd64")) is None


def test_platform_reads_back_from_its_json_form() -> None:
    platform = Platform("windows", "amd64", "", "10.0.1")
    assert Platform.from_json(platform.to_json()) == platform
    assert str(Platform("linux", "arm", "v7")) == "linux/arm/v7"
