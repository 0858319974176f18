"""What it means that a package could not be built from its source: what is missing, and who brings it."""

from __future__ import annotations

import re
from typing import NoReturn

from pylife_sdk.output import fail

from pylife_python.network import network_reason

_HEADER = re.compile(r"fatal error: ([^\s:]+): No such file")
_MISSING_LIBRARY = re.compile(r"/ld: cannot find -l([A-Za-z0-9_+.-]+)")
_CONFIG_PROGRAM = re.compile(
    r"([a-z0-9_]+[-_]config)(?: executable)? (?:not found|is required)|(?:pkg-config|pkgconf)[^\n]*--exists ([\w+.-]+)"
)
_OTHER_CPYTHON = re.compile(
    r"(PyThreadState|_PyErr_StackItem|PyFrameObject|PyTypeObject|_PyCFrame|PyCodeObject)\W.* has no member"
    r"|longintrepr\.h|No module named 'distutils'|use_2to3 is invalid|unknown type name .CFrame"
)
_HEADERS = {
    "Python.h": "python3-dev",
    "libpq-fe.h": "libpq-dev",
    "pg_config": "libpq-dev",
    "mysql.h": "default-libmysqlclient-dev",
    "mysqlclient": "default-libmysqlclient-dev",
    "mariadb": "default-libmysqlclient-dev",
    "ffi.h": "libffi-dev",
    "openssl/ssl.h": "libssl-dev",
    "openssl/opensslv.h": "libssl-dev",
    "libxml/xpath.h": "libxml2-dev libxslt1-dev",
    "libxml/xmlversion.h": "libxml2-dev libxslt1-dev",
    "zlib.h": "zlib1g-dev",
    "jpeglib.h": "libjpeg62-turbo-dev",
    "lber.h": "libldap2-dev libsasl2-dev",
    "sql.h": "unixodbc-dev",
    "sqlite3.h": "libsqlite3-dev",
    "gdal-config": "libgdal-dev",
    "xmlsec1": "libxmlsec1-dev",
    "cairo": "libcairo2-dev",
}
_NO_PACKAGE = {
    "pdm.lock": "An app that is no package says so below [tool.pdm]:\ndistribution = false",
    "pyproject.toml": "An app that is no package has no [build-system] table: remove it.",
}
_WHEEL_INSTEAD = {"psycopg2": "psycopg2-binary", "mysqlclient": "PyMySQL"}


def explain_build(output: str, package: str, requirements: str, local: str) -> NoReturn:
    """Raises the ``Failure`` for a package that had to be compiled and was not."""
    name = re.split(r"[=@\s]", package)[0]
    if local and not _HEADER.search(output) and not _MISSING_LIBRARY.search(output) and not network_reason(output):
        poetry = "An app that is no package says so below [tool.poetry]:\npackage-mode = false"
        fail(
            "python.project-not-installable",
            f"The app itself could not be installed as the package {name}.",
            found="\n".join(output.strip().splitlines()[-20:]),
            fix=f"The build backend's lines above name the cause; `pip install -e .` fails likewise.\n"
            f"{_NO_PACKAGE.get(requirements, poetry)}",
        )
    if reason := network_reason(output):
        fail(
            "python.network",
            f"What {name} needs for being built could not be fetched: {reason[0]}",
            found="\n".join(output.strip().splitlines()[-20:]),
            fix=reason[1],
        )
    missing = ""
    if header := _HEADER.search(output):
        missing = header[1]
        what = f"{package} has no wheel for this Python, and compiling it needs the header {missing}."
    elif library := _MISSING_LIBRARY.search(output):
        missing = library[1]
        what = f"{package} has no wheel for this Python, and linking it needs the library {missing}."
    elif program := _CONFIG_PROGRAM.search(output):
        missing = program[1] or program[2]
        what = f"{package} has no wheel for this Python, and building it needs {missing}."
    else:
        what = f"{package} has no wheel for this Python, and building it from source failed."
    advice = [f"Take a version of {name} that has a wheel for this Python: pip download --only-binary=:all: {name}"]
    if name in _WHEEL_INSTEAD:
        advice.append(f"Or take {_WHEEL_INSTEAD[name]} instead of {name} in {requirements}.")
    if _OTHER_CPYTHON.search(output):
        advice.insert(0, f"This release of {name} was written for an older Python: take a later one, or that Python.")
    if re.search(r"EOFError|EOF when reading a line", output):
        advice.insert(0, f"The build script of {name} asks for input, and a build has nobody to answer.")
    if package_of := _HEADERS.get(missing):
        added = "\n".join(f"echo {each} >> Aptfile" for each in package_of.split())
        advice.append(
            "Or let the build have the Debian package that brings it, by a line in an Aptfile:\n"
            f"{added}\ngit add Aptfile"
        )
    elif header:
        advice.append(
            f"Or let the build have the Debian package that brings it: apt-file search {missing} names it,\n"
            "echo PACKAGE >> Aptfile && git add Aptfile"
        )
    lines = [line for line in output.splitlines() if re.search(r"error|not found|No such file|Exception", line, re.I)]
    fail(
        "python.compile-failed",
        what,
        found="\n".join(lines[:12]) or "\n".join(output.splitlines()[-20:]),
        fix="\n".join(advice),
    )
