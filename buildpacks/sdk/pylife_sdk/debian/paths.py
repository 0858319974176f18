"""Where unpacked packages have what: the variables that make programs find it away from /."""

from __future__ import annotations

import glob
import os
import re

_PROGRAMS = ("usr/local/bin", "usr/local/sbin", "usr/bin", "usr/sbin", "usr/games")
_SINGLE = {  # one directory each: programs that have their own place compiled in
    "GS_LIB": "usr/share/ghostscript/*/Resource/Init",
    "MAGICK_CONFIGURE_PATH": "etc/ImageMagick-*",
    "FONTCONFIG_PATH": "etc/fonts",
    "TESSDATA_PREFIX": "usr/share/tesseract-ocr/*/tessdata",
    "GDAL_DATA": "usr/share/gdal",
    "PROJ_LIB": "usr/share/proj",
    "MAGIC": "usr/share/misc/magic.mgc",
}


def library_directories(root: str) -> list[str]:
    """The directories below ``root`` that the loader must search."""
    multiarch = os.path.join(root, "usr/lib", _multiarch())
    found = [path for path in (multiarch, os.path.join(root, "usr/lib")) if os.path.isdir(path)]
    for file in sorted(glob.glob(os.path.join(glob.escape(root), "etc/ld.so.conf.d/*.conf"))):
        with open(file, encoding="utf-8", errors="replace") as lines:
            found += (
                root + line.strip() for line in lines if line.startswith("/") and os.path.isdir(root + line.strip())
            )
    if os.path.isdir(multiarch):
        # Private libraries that a program finds by a path from /, such as pulseaudio's and blas's.
        for entry in sorted(os.listdir(multiarch)):
            path = os.path.join(multiarch, entry)
            if os.path.isdir(path) and not os.path.islink(path) and any(map(_LIBRARY.match, os.listdir(path))):
                found.append(path)
    return list(dict.fromkeys(found))


def environment(root: str) -> dict[str, list[str]]:
    """Variable → directories below ``root``, for each that is there. All of them take lists separated by colons."""
    multiarch = _multiarch()
    lists = {
        "PATH": list(_PROGRAMS),
        "CPATH": ["usr/include", f"usr/include/{multiarch}"],
        "PKG_CONFIG_PATH": [f"usr/lib/{multiarch}/pkgconfig", "usr/lib/pkgconfig", "usr/share/pkgconfig"],
        "XDG_DATA_DIRS": ["usr/share"],
        "PERL5LIB": [
            f"usr/lib/{multiarch}/perl5/[0-9]*",
            f"usr/lib/{multiarch}/perl/[0-9]*",
            f"usr/lib/{multiarch}/perl-base",
            "usr/share/perl5",
            "usr/share/perl/[0-9]*",
        ],
        "GI_TYPELIB_PATH": [f"usr/lib/{multiarch}/girepository-1.0"],
        "CMAKE_PREFIX_PATH": ["usr"] if os.path.isdir(os.path.join(root, "usr/include")) else [],
    }
    found = {"LD_LIBRARY_PATH": library_directories(root), "LIBRARY_PATH": library_directories(root)}
    for name, patterns in lists.items():
        found[name] = list(dict.fromkeys(path for pattern in patterns for path in _there(root, pattern)))
    return {name: paths for name, paths in found.items() if paths}


def single_places(root: str) -> dict[str, str]:
    """Variable → the one file or directory below ``root`` that it names, for each that is there."""
    places = {name: _there(root, pattern) for name, pattern in _SINGLE.items()}
    return {name: paths[-1] for name, paths in places.items() if paths}


def system_libraries() -> list[str]:
    """Where the images have their own libraries."""
    return [f"/lib/{_multiarch()}", f"/usr/lib/{_multiarch()}", "/lib64", "/usr/lib64"]


def _there(root: str, pattern: str) -> list[str]:
    found = sorted(glob.glob(os.path.join(glob.escape(root), pattern)))
    return [path for path in found if not os.path.islink(path) or "*" not in pattern]


def _multiarch() -> str:
    return f"{os.uname().machine}-linux-gnu"


_LIBRARY = re.compile(r"lib[^/]*\.so\.[0-9]")
