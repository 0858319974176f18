"""Failures of the Python buildpack: each names the thing, shows what was found and says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from workbench import BUILDPACKS, ROOT, Bench


@pytest.mark.parametrize(
    ("files", "id", "said"),
    [
        ({"app.py": ""}, "python.requirements-missing", "pip freeze > requirements.txt"),
        (
            {"manage.py": "", "requirements/dev.txt": "", "requirements/production.txt": ""},
            "python.requirements-missing",
            "echo '-r requirements/production.txt' > requirements.txt",
        ),
        ({"Requirements.txt": ""}, "python.requirements-misspelt", "git mv Requirements.txt requirements.txt"),
        ({"uv.lock": "", "pyproject.toml": ""}, "python.lock-broken", "uv lock"),
        ({"Pipfile": ""}, "python.lock-missing", "pipenv lock"),
        ({"requirements.txt": "", "venv/pyvenv.cfg": ""}, "python.virtualenv-committed", "git rm --cached -r venv"),
        ({"requirements.txt": "", ".python-version": "3.99"}, "python.version-unknown", "> .python-version"),
    ],
)
def test_an_app_that_cannot_be_built(bench: Bench, files: dict[str, str], id: str, said: str) -> None:
    ran = bench.write(files).build("python")
    assert ran.code == 1
    assert ran.failure == id
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_listing_shows_what_is_there(bench: Bench) -> None:
    ran = bench.write({"app.py": "", "Docs/x": "", "notes.md": ""}).build("python")
    assert re.search(r"Found:\n !\s+Docs/\n !\s+app\.py\n !\s+notes\.md", ran.err)


@pytest.mark.parametrize(
    ("files", "id", "said"),
    [
        ({"requirements.txt": "parrot\n\ndjango=5.1\n"}, "python.requirements-syntax", "requirements.txt:3"),
        ({"requirements.txt": "parrot\ndjango=5.1\n"}, "python.requirements-syntax", "django==5.1"),
        ({"requirements.txt": "pip install parrot\n"}, "python.requirements-syntax", "Keep the package alone"),
        ({"requirements.txt": "<<<<<<< HEAD\nparrot\n"}, "python.requirements-syntax", "Finish the merge"),
        ({"requirements.txt": "parrot is nice\n"}, "python.requirements-syntax", "requirements.txt:1"),
        ({"requirements.txt": "-r base.txt\n"}, "python.requirements-include-missing", "base.txt"),
        (
            {"requirements.txt": "parrot\n-e ./lib\n", "x/y": ""},
            "python.requirements-include-missing",
            "txt:2: -e ./lib",
        ),
        (
            {"requirements.txt": f"cage==1.0\nparrot==1.0 --hash=sha256:{'0' * 64}\n"},
            "python.hash-mismatch",
            "one for each",
        ),
        ({"requirements.txt": "parrot\n".encode("utf-16")}, "python.requirements-encoding", "iconv -f UTF-16"),
        ({"requirements.txt": "parrot==9.9\n"}, "python.no-matching-version", "There is no parrot==9.9"),
        ({"requirements.txt": "# x\nPa_rot\n"}, "python.no-matching-version", "requirements.txt:2: Pa_rot"),
        ({"requirements.txt": "cage\nparrot==2.0\n"}, "python.conflict", "cage"),
        ({"requirements.txt": f"parrot==1.0 --hash=sha256:{'0' * 64}\n"}, "python.hash-mismatch", "sha256:000"),
    ],
)
def test_requirements_that_cannot_be_installed(offline: Bench, files: dict[str, str], id: str, said: str) -> None:
    ran = offline.write(files).build("python")
    assert ran.code == 1
    assert ran.failure == id, ran.err
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_an_index_that_cannot_be_reached(offline: Bench) -> None:
    offline.env |= {"PIP_NO_INDEX": "0", "PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://localhost:9/simple"}
    ran = offline.write({"requirements.txt": "parrot\n"}).build("python", UV_HTTP_RETRIES="0")
    assert ran.failure == "python.network"
    assert "PIP_INDEX_URL" in ran.err


def test_uv_itself_cannot_be_fetched(offline: Bench) -> None:
    offline.layer("python", "uv").rename(offline.root / "gone")
    ran = offline.write({"requirements.txt": "parrot\n"}).build("python")
    assert ran.failure in ("python.uv-unavailable", "python.network")
    assert "uv 0." in ran.err


BUILD_ERROR = """\
error: Failed to build `psycopg2==2.9.9`
  cause: The build backend returned an error
         [stderr]
         ./psycopg/psycopg.h:36:10: fatal error: libpq-fe.h: No such file or directory
            36 | #include <libpq-fe.h>
"""
PKG_CONFIG = """\
error: Failed to build `mysqlclient==2.2.0`
         [stdout]
         Command 'pkg-config --exists mysqlclient' returned non-zero exit status 1.
"""
OTHER_PYTHON = """\
error: No solution found when resolving dependencies
  cause: Because the current Python version (3.11.2) does not satisfy Python>=3.12 and django==6.0 depends on \
Python>=3.12, we can conclude that django==6.0 cannot be used.
"""
OLD_SOURCE = """\
error: Failed to build `greenlet==1.1.2`
         src/greenlet/greenlet.c:528:44: error: 'PyThreadState' {aka 'struct _ts'} has no member named 'recursion_depth'
"""
TLS = "error: Request failed\n  cause: invalid peer certificate: UnknownIssuer\n"
PROXY = "error: Failed to fetch: `https://x/simple/parrot/`\n  cause: HTTP status client error (401 Unauthorized)\n"


@pytest.mark.parametrize(
    ("output", "id", "said"),
    [
        (BUILD_ERROR, "python.compile-failed", "needs the header libpq-fe.h"),
        (BUILD_ERROR, "python.compile-failed", "psycopg2-binary"),
        (PKG_CONFIG, "python.compile-failed", "default-libmysqlclient-dev"),
        (OTHER_PYTHON, "python.no-matching-version", "django==6.0 needs Python >=3.12, and the build image has 3.11.2"),
        (OLD_SOURCE, "python.compile-failed", "written for an older Python"),
        (TLS, "python.network", "--ca-file"),
        (TLS, "python.network", "set SSL_CERT_FILE"),
        (PROXY, "python.network", "name and password"),
        ("error: Git operation failed\n  cause: no such repository\n", "python.git-failed", "no such repository"),
        ("error: something new\n", "python.install-failed", "something new"),
    ],
)
def test_words_of_the_installer_become(tmp_path: Path, output: str, id: str, said: str) -> None:
    from pylife_python.failures import explain
    from pylife_sdk.output import Failure

    with pytest.raises(Failure) as failed:
        explain(output, str(tmp_path / "requirements.txt"))
    assert failed.value.id == id
    assert said in failed.value.what + failed.value.found + failed.value.fix


def test_a_header_that_is_missing_is_named(offline: Bench) -> None:
    setup = "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('shop', ['shop.c'])])\n"
    backend = """\
import subprocess, sys
def build_wheel(directory, config_settings=None, metadata_directory=None):
    sys.exit(subprocess.call(["cc", "-c", "shop.c"]))
"""
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    offline.write(
        {
            "requirements.txt": "./shop\n",
            "shop/pyproject.toml": '[project]\nname = "shop"\nversion = "1.0"\n' + system,
            "shop/setup.py": setup,
            "shop/backend.py": backend,
            "shop/shop.c": "#include <not-here/shop.h>\n",
        }
    )
    ran = offline.build("python")
    assert ran.failure == "python.compile-failed", ran.err
    assert "needs the header not-here/shop.h" in ran.err


def test_every_failure_id_has_a_page() -> None:
    ids = set()
    for path in BUILDPACKS.rglob("*.py"):
        ids |= set(re.findall(r'"((?:python|django|procfile)\.[a-z]+(?:-[a-z0-9]+)*)"', path.read_text()))
    assert len(ids) > 20
    pages = {path.stem for path in (ROOT / "docs" / "errors").glob("*.md")}
    # Misspelt file names, a module and directories, no ids.
    ids -= {"procfile.txt", "django.conf"}
    assert sorted(ids - pages) == []
    orphans = {page for page in pages if page.split(".")[0] in ("python", "django", "procfile")} - ids
    assert sorted(orphans) == []
