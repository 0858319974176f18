"""Package managers of the Python buildpack: what each installs, when nothing is started, what stops a build."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from workbench import Bench, outer_env

PROJECT = '[project]\nname = "shop"\nversion = "1.0"\nrequires-python = ">=3.10"\ndependencies = ["parrot<2"]\n'
POETRY = '[tool.poetry]\nname = "shop"\nversion = "1.0"\npackage-mode = false\n'
POETRY += '[tool.poetry.dependencies]\npython = "^3.10"\nparrot = "<2"\n'
PIPFILE = (
    '[[source]]\nurl = "https://index.example/simple"\nverify_ssl = true\nname = "pypi"\n[packages]\nparrot = "<2"\n'
)
BACKEND = """\
import os, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    name = "nest-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        wheel.writestr("nest.py", "EGGS = 3\\n")
        wheel.writestr("nest-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: nest\\nVersion: 1.0\\n")
        wheel.writestr("nest-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("nest-1.0.dist-info/RECORD", "nest.py,,\\n")
    return name
"""
NEST = '[project]\nname = "nest"\nversion = "1.0"\n'
NEST += '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def wheel_hash(wheels: Path, version: str = "1.0") -> str:
    content = (wheels / f"parrot-{version}-py3-none-any.whl").read_bytes()
    return "sha256:" + hashlib.sha256(content).hexdigest()


def poetry_lock(digest: str, content_hash: str = "") -> str:
    files = f'files = [{{file = "parrot-1.0-py3-none-any.whl", hash = "{digest}"}}]\n'
    package = f'[[package]]\nname = "parrot"\nversion = "1.0"\noptional = false\npython-versions = "*"\n{files}'
    said = f'content-hash = "{content_hash}"\n' if content_hash else ""
    return f'{package}\n[metadata]\nlock-version = "2.0"\npython-versions = "^3.10"\n{said}'


def files_of(manager: str, wheels: Path) -> dict[str, str]:
    """An app that wants parrot 1.0, as each manager has it."""
    digest = wheel_hash(wheels)
    match manager:
        case "poetry":
            return {"pyproject.toml": POETRY, "poetry.lock": poetry_lock(digest)}
        case "pdm":
            package = '[[package]]\nname = "parrot"\nversion = "1.0"\ngroups = ["default"]\n'
            package += f'files = [{{hash = "{digest}"}}]\n'
            lock = f'[metadata]\nstrategy = ["inherit_metadata"]\nlock_version = "4.5.0"\n{package}'
            return {"pyproject.toml": PROJECT, "pdm.lock": lock}
        case "pipenv":
            lock: dict[str, Any] = {
                "_meta": {"requires": {"python_version": "3.11"}, "sources": []},
                "default": {"parrot": {"hashes": [digest], "version": "==1.0"}},
                "develop": {"cage": {"version": "==1.0"}},
            }
            return {"Pipfile": PIPFILE, "Pipfile.lock": json.dumps(lock)}
        case "pylock":
            wheel = f'{{path = "{wheels}/parrot-1.0-py3-none-any.whl", hashes = {{sha256 = "{digest[7:]}"}}}}'
            package = f'[[packages]]\nname = "parrot"\nversion = "1.0"\nwheels = [{wheel}]\n'
            return {"pylock.toml": f'lock-version = "1.0"\ncreated-by = "tests"\n{package}'}
        case "pyproject":
            return {"pyproject.toml": PROJECT}
    raise ValueError(manager)


def site(bench: Bench) -> Path:
    return next(bench.layer("python", "venv").glob("lib/*/site-packages"))


def installed(bench: Bench) -> list[str]:
    return sorted(path.name.removesuffix(".dist-info") for path in site(bench).glob("*.dist-info"))


@pytest.mark.parametrize("manager", ["poetry", "pdm", "pipenv", "pylock", "pyproject"])
def test_what_a_manager_names_is_installed_and_then_kept(offline: Bench, wheels: Path, manager: str) -> None:
    ran = offline.write(files_of(manager, wheels)).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert installed(offline) == ["parrot-1.0"]
    offline.layer("python", "uv").joinpath("bin/uv").unlink()
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    assert "The virtual environment is kept from the last build" in ran.out


def lock_with_uv(bench: Bench, wheels: Path, *, project: str = PROJECT) -> None:
    """Lets uv itself make uv.lock, from the wheels alone."""
    settings = f'[tool.uv]\nno-index = true\nfind-links = ["{wheels}"]\n'
    bench.write({"pyproject.toml": project + settings, ".python-version": "3.11\n"})
    uv = bench.layer("python", "uv") / "bin/uv"
    env = outer_env(bench.root) | {"UV_CACHE_DIR": str(bench.root / "lock-cache"), "PIP_FIND_LINKS": ""}
    subprocess.run([uv, "lock", "--quiet", "--python", "/usr/bin/python3"], cwd=bench.app, env=env, check=True)


def test_uv_syncs_its_lock(offline: Bench, wheels: Path) -> None:
    lock_with_uv(offline, wheels)
    offline.env = {"PIP_FIND_LINKS": ""}
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    assert "Packages: uv sync --locked --no-dev (the app has uv.lock)" in ran.out
    assert installed(offline) == ["parrot-1.0"]
    assert not (offline.app / ".venv").exists()
    assert "is kept from the last build" in offline.build("python").out.partition("Packages")[2]


def test_uv_takes_a_locks_packages_from_another_place_when_one_is_named(offline: Bench, wheels: Path) -> None:
    lock_with_uv(offline, wheels)
    lock = (offline.app / "uv.lock").read_text()
    offline.write({"uv.lock": lock.replace(str(wheels), "/gone"), "pyproject.toml": PROJECT})
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    assert installed(offline) == ["parrot-1.0"]


def test_uv_refuses_a_lock_of_another_project_file(offline: Bench, wheels: Path) -> None:
    lock_with_uv(offline, wheels)
    offline.env = {"PIP_FIND_LINKS": ""}
    text = (offline.app / "pyproject.toml").read_text()
    ran = offline.write({"pyproject.toml": text.replace('"parrot<2"', '"parrot<2", "cage"')}).build("python")
    assert ran.failure == "python.lock-outdated", ran.err
    assert "uv lock\n" in ran.err


def test_several_requirements_files_and_constraints(offline: Bench) -> None:
    offline.write({"base.txt": "parrot\n", "more/web.txt": "cage\n", "pins.txt": "parrot==1.0\n"})
    offline.user_env(BP_PIP_REQUIREMENT="base.txt more/web.txt", PIP_CONSTRAINT="pins.txt")
    ran, plan = offline.detect("python")
    assert plan["requires"][0]["metadata"]["pylife"]["commands"] == ["pip install -r base.txt -r more/web.txt"]
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    assert installed(offline) == ["cage-1.0", "parrot-1.0"]
    ran = offline.write({"pins.txt": "parrot<1.5\n"}).build("python")
    assert "pins.txt changed" in ran.out


def test_a_folder_of_wheels_in_the_app_suffices(offline: Bench, wheels: Path) -> None:
    offline.env = {"PIP_FIND_LINKS": "", "PIP_INDEX_URL": "http://localhost:9/simple"}
    wheel = wheels / "parrot-1.0-py3-none-any.whl"
    ran = offline.write({"requirements.txt": "parrot\n", f"vendor/{wheel.name}": wheel.read_bytes()}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert "from the app's folder vendor/ and from no index" in ran.out
    assert installed(offline) == ["parrot-1.0"]
    ran = offline.write({"requirements.txt": "parrot\ncage\n"}).build("python")
    assert ran.failure == "python.no-matching-version", ran.err
    assert "pip download -d vendor" in ran.err


def test_a_git_requirement_is_installed_from_its_commit(offline: Bench) -> None:
    origin = offline.root / "origin"
    origin.mkdir()
    for name, text in {"pyproject.toml": NEST, "backend.py": BACKEND}.items():
        (origin / name).write_text(text)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], cwd=origin, check=True, capture_output=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], cwd=origin, check=True, capture_output=True, text=True)
    ran = offline.write({"requirements.txt": f"nest @ git+file://{origin}@{commit.stdout.strip()}\n"}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert installed(offline) == ["nest-1.0"]
    line = f"-e git+file://{origin}@{commit.stdout.strip()}#egg=nest  # frozen\n"
    ran = offline.write({"requirements.txt": "-r more/base.txt\nparrot==1.0\n", "more/base.txt": line}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert installed(offline) == ["nest-1.0", "parrot-1.0"]
    ran = offline.write({"requirements.txt": f"nest @ git+file://{origin}@nowhere\n"}).build("python")
    assert ran.failure == "python.git-failed", ran.err


def test_an_editable_app_is_not_installed_again_for_a_change_of_its_code(offline: Bench, wheels: Path) -> None:
    editable = BACKEND.replace("def build_wheel", "def build_editable") + "build_wheel = build_editable\n"
    offline.write({"lib/pyproject.toml": NEST, "lib/backend.py": editable, "requirements.txt": "-e ./lib\n"})
    assert offline.build("python").code == 0
    # A backend of its own may read any file.
    assert "the source of lib changed" in offline.write({"lib/nest.py": "EGGS = 4\n"}).build("python").out
    from pylife_python.local import Local, local_digest

    project = (
        NEST.partition("[build")[0] + '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )
    folder = offline.write({"declared/pyproject.toml": project, "declared/nest.py": "EGGS = 3\n"}).app / "declared"
    before = local_digest(Local(str(folder), editable=True)), local_digest(Local(str(folder)))
    (folder / "nest.py").write_text("EGGS = 4\n")
    assert local_digest(Local(str(folder), editable=True)) == before[0]
    assert local_digest(Local(str(folder))) != before[1]
    (folder / "pyproject.toml").write_text(project.replace('"1.0"', '"1.1"'))
    assert local_digest(Local(str(folder), editable=True)) != before[0]


def test_one_of_several_managers_can_be_chosen(offline: Bench, wheels: Path) -> None:
    offline.write(files_of("poetry", wheels) | {"requirements.txt": "cage\n"})
    ran = offline.user_env(PYLIFE_PYTHON_PACKAGE_MANAGER="poetry").build("python")
    assert ran.code == 0, ran.out + ran.err
    assert installed(offline) == ["parrot-1.0"]


LOCK = '[metadata]\nlock-version = "2.0"\n'
WRONG: list[tuple[dict[str, str | bytes], dict[str, str], str, str]] = [
    ({"requirements.txt": "", "uv.lock": "version = 1\n"}, {}, "python.several-package-managers", "git rm uv.lock"),
    ({"poetry.lock": LOCK, "Pipfile.lock": "{}"}, {}, "python.several-package-managers", "git rm Pipfile.lock"),
    (
        {"requirements.txt": ""},
        {"PYLIFE_PYTHON_PACKAGE_MANAGER": "uv"},
        "python.package-manager-choice",
        "has no uv.lock",
    ),
    (
        {"requirements.txt": ""},
        {"PYLIFE_PYTHON_PACKAGE_MANAGER": "conda"},
        "python.package-manager-choice",
        "none that is known",
    ),
    ({"app.py": ""}, {"BP_PIP_REQUIREMENT": "a.txt"}, "python.requirements-include-missing", "BP_PIP_REQUIREMENT"),
    ({"Pipfile": PIPFILE}, {}, "python.lock-missing", "pipenv lock"),
    ({"pyproject.toml": POETRY}, {}, "python.lock-missing", "poetry lock"),
    ({"setup.py": "from setuptools import setup\n"}, {}, "python.setup-py-only", "echo '-e .' > requirements.txt"),
    ({"pyproject.toml": "[tool.black]\nline-length = 100\n"}, {}, "python.requirements-missing", "git ls-files"),
    ({"pyproject.toml": "[project\n", "uv.lock": "version = 1"}, {}, "python.version-invalid", "pyproject.toml"),
    ({"Pipfile": "[packages\n", "Pipfile.lock": '{"default": {}}'}, {}, "python.pyproject-broken", "Pipfile"),
    ({"uv.lock": "version = 1\n"}, {}, "python.pyproject-missing", "git add pyproject.toml"),
    (
        {"pyproject.toml": POETRY, "poetry.lock": "<<<<<<< HEAD\n[[package]]\n=======\n"},
        {},
        "python.lock-broken",
        "poetry.lock:1: <<<<<<< HEAD",
    ),
    ({"pyproject.toml": POETRY, "poetry.lock": "[[package]]\nname = \n"}, {}, "python.lock-broken", "poetry lock"),
    ({"pyproject.toml": PROJECT, "uv.lock": ""}, {}, "python.lock-broken", "uv lock"),
    ({"pyproject.toml": PROJECT, "pdm.lock": "[[package"}, {}, "python.lock-broken", "pdm lock"),
    ({"Pipfile": PIPFILE, "Pipfile.lock": '{"default": {"parrot"'}, {}, "python.lock-broken", "pipenv lock"),
    ({"Pipfile": PIPFILE, "Pipfile.lock": "[]"}, {}, "python.lock-broken", "pipenv lock"),
    ({"pyproject.toml": "project = 3\ntool = []\n", "pdm.lock": "metadata = 1\n"}, {}, "python.lock-broken", "pdm"),
    ({"pylock.toml": "packages = [\n"}, {}, "python.lock-broken", "pylock.toml"),
    (
        {"pyproject.toml": POETRY, "poetry.lock": LOCK + f'content-hash = "{"0" * 64}"\n'},
        {},
        "python.lock-outdated",
        "poetry lock",
    ),
    ({"pyproject.toml": POETRY, "poetry.lock": LOCK}, {}, "python.lock-broken", "parrot <2 is needed"),
    (
        {"Pipfile": PIPFILE, "Pipfile.lock": '{"_meta": {"hash": {"sha256": "00"}}, "default": {}}'},
        {},
        "python.lock-outdated",
        "git add Pipfile Pipfile.lock",
    ),
    (
        {"pyproject.toml": PROJECT, "pdm.lock": '[metadata]\nstrategy = []\ncontent_hash = "sha256:00"\n'},
        {},
        "python.lock-outdated",
        "pdm lock",
    ),
    (
        {"requirements.txt": "", ".python-version.txt": "3.11"},
        {},
        "python.version-misspelt",
        "git mv .python-version.txt",
    ),
    (
        {"requirements.txt": "", "Runtime.txt": "python-3.11"},
        {},
        "python.version-misspelt",
        "git mv Runtime.txt runtime",
    ),
    ({"requirements.txt": "", ".python-version": "3.11".encode("utf-16")}, {}, "python.version-encoding", "iconv"),
    ({"requirements.txt": "", ".python-version": "3.11\n3.12\n"}, {}, "python.version-several", "names 2"),
    ({"requirements.txt": "", ".python-version": "py311\n"}, {}, "python.version-invalid", "echo 3.11 >"),
    ({"requirements.txt": "", ".python-version": "3.8\n"}, {}, "python.version-eol", "since 2024-10"),
    ({"requirements.txt": "", ".python-version": "2.7\n"}, {}, "python.version-eol", "since 2020-01"),
    ({"requirements.txt": "", ".python-version": "4.0\n"}, {}, "python.version-unknown", "no such release"),
    (
        {"requirements.txt": "", ".python-version": "3.13\n"},
        {"BP_RUNTIME_SOURCES": "image"},
        "python.version-unavailable",
        "BP_RUNTIME_SOURCES",
    ),
    (
        {"requirements.txt": "", ".python-version": "3.13\n"},
        {"UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9"},
        "runtime.network",
        "echo 3.11 > .python-version",
    ),
    (
        {"requirements.txt": "", ".python-version": "3.13.999\n"},
        {"UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9"},
        "python.version-unavailable",
        "uv: Python 3.13.",
    ),
    ({"requirements.txt": ""}, {"UV_MANAGED_PYTHON": "1"}, "python.forbidden-variable", "UV_MANAGED_PYTHON"),
    (
        {"requirements.txt": ""},
        {"PIP_TARGET": "/x", "UV_PROJECT": "y"},
        "python.forbidden-variable",
        "unset PIP_TARGET",
    ),
    ({"requirements.txt": ""}, {"VIRTUAL_ENV": "/venv"}, "python.forbidden-variable", "VIRTUAL_ENV=/venv"),
    ({"requirements.txt": "", "bin/pre_compile": "echo early\nexit 3\n"}, {}, "python.hook-failed", "ended with 3"),
    ({"requirements.txt": "", "bin/pre_compile": "read -r answer\n"}, {}, "python.hook-failed", "ended with 1"),
]


@pytest.mark.parametrize(("files", "variables", "id", "said"), WRONG)
def test_what_cannot_be_meant_stops_the_build(
    bench: Bench, files: dict[str, str | bytes], variables: dict[str, str], id: str, said: str
) -> None:
    ran = bench.write(files).user_env(**variables).build("python")
    assert ran.code == 1
    assert ran.failure == id, ran.out + ran.err
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert not bench.layer("python", "venv").exists()


@pytest.mark.parametrize(("files", "variables", "id", "said"), [row for row in WRONG if "hook" not in row[2]][:22])
def test_detection_tells_the_same_problem_and_passes(
    bench: Bench, files: dict[str, str | bytes], variables: dict[str, str], id: str, said: str
) -> None:
    ran, plan = bench.write(files).user_env(**variables).detect("python")
    assert ran.code == 0, ran.out + ran.err
    told = [problem["id"] for problem in plan["requires"][0]["metadata"]["pylife"].get("problems", [])]
    # What is inside a lock is read by the build.
    assert (
        told == [id]
        or id in ("python.lock-broken", "python.lock-outdated", "python.pyproject-missing")
        or (id == "python.pyproject-broken")
    )


def test_a_wrong_hash_in_a_lock_stops_the_build(offline: Bench, wheels: Path) -> None:
    files = files_of("poetry", wheels)
    files["poetry.lock"] = files["poetry.lock"].replace(wheel_hash(wheels), "sha256:" + "0" * 64)
    ran = offline.write(files).build("python")
    assert ran.failure == "python.hash-mismatch", ran.err
    assert "poetry lock" in ran.err


def test_an_app_that_is_no_package_is_told_how_to_say_so(offline: Bench, wheels: Path) -> None:
    files = files_of("poetry", wheels)
    broken = 'def build_editable(*a, **k):\n    raise ValueError("No file/folder found for package shop")\n'
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files["pyproject.toml"] = files["pyproject.toml"].replace("package-mode = false\n", "") + system
    ran = offline.write(files | {"backend.py": broken + "build_wheel = build_editable\n"}).build("python")
    assert ran.failure == "python.project-not-installable", ran.err
    assert "package-mode = false" in ran.err


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('subprocess.call(["cc", "-nostdinc", "-c", "shop.c"])', "echo libpq-dev >> Aptfile"),
        ('input("Which compiler? ")', "asks for input"),
    ],
)
def test_a_package_that_does_not_compile_is_explained(offline: Bench, script: str, said: str) -> None:
    backend = f"import subprocess, sys\ndef build_wheel(*a, **k):\n    sys.exit({script})\n"
    offline.write(
        {
            "requirements.txt": "./nest\n",
            "nest/pyproject.toml": NEST,
            "nest/backend.py": backend,
            "nest/shop.c": "#include <libpq-fe.h>\n",
        }
    )
    ran = offline.build("python")
    assert ran.failure == "python.compile-failed", ran.err
    assert said in ran.err


@pytest.mark.parametrize(
    ("output", "id", "said"),
    [
        ("error: failed to write\n  cause: No space left on device (os error 28)\n", "python.disk-full", "pylife gc"),
        (
            "error: Failed to fetch: `https://x.example/a.whl`\n  cause: HTTP status client error (404 Not Found)\n",
            "python.not-found",
            "https://x.example/a.whl",
        ),
        ("error: Failed to parse `uv.lock`\n  cause: TOML parse error at line 3\n", "python.lock-broken", "uv lock"),
    ],
)
def test_further_words_of_the_installer_become(output: str, id: str, said: str) -> None:
    from pylife_python.failures import explain
    from pylife_sdk.output import Failure

    with pytest.raises(Failure) as failed:
        explain(output, "uv.lock")
    assert failed.value.id == id
    assert said in failed.value.what + failed.value.found + failed.value.fix
