"""Buildpacks as third parties publish them: repositories, archives, lists in the app; each really fetched and run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import free_port
from objectserver import ObjectServer
from pylife_command import Pylife

pytestmark = pytest.mark.functional

AppMaker = Callable[..., Path]
BuildpackMaker = Callable[..., Path]
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "ann"), ("EMAIL", "ann@example.org"))
}


def git(directory: Path, *words: str | Path) -> str:
    done = subprocess.run(
        ["git", "-C", directory, "-c", "protocol.file.allow=always", *words],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **IDENTITY},
    )
    return done.stdout.strip()


def commit(directory: Path, message: str) -> None:
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", message)


def read(slug: Path, name: str) -> str:
    with tarfile.open(slug) as archive:
        file = archive.extractfile(f"./{name}")
        assert file is not None
        return file.read().decode()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """`git daemon` on loopback: the directory whose repositories it serves, and its address."""
    base, port = tmp_path / "served", free_port()
    base.mkdir()
    words = ["git", "daemon", f"--base-path={base}", "--export-all", "--listen=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen([*words, "--reuseaddr"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"git://127.0.0.1:{port}"
    time.sleep(0.2)
    yield base, address
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def served(daemon: tuple[Path, str], buildpack: BuildpackMaker, tmp_path: Path) -> str:
    """The address of a buildpack's repository: tag v1, a newer default branch, a library as submodule."""
    base, address = daemon
    library = tmp_path / "library"
    library.mkdir()
    (library / "say.sh").write_text('say() { echo "said by the library: $1"; }\n')
    git(library, "init", "-q", "-b", "main")
    commit(library, "a library")
    git(tmp_path, "clone", "-q", "--bare", library, base / "library.git")
    pack = buildpack(
        "third",
        compile='. "$(dirname "$0")/../lib/say.sh"; say one > "$1/said"; echo "export THIRD=1" > "${0%/bin/*}/export"',
    )
    git(pack, "init", "-q", "-b", "main")
    git(pack, "submodule", "--quiet", "add", base / "library.git", "lib")
    git(pack, "config", "-f", ".gitmodules", "submodule.lib.url", f"{address}/library.git")
    commit(pack, "one")
    git(pack, "tag", "v1")
    script = pack / "bin" / "compile"
    script.write_text(script.read_text().replace("say one", "say two"))
    commit(pack, "two")
    git(tmp_path, "clone", "-q", "--bare", pack, base / "third.git")
    return f"{address}/third.git"


def test_repository_with_a_submodule_is_used_at_the_ref_that_is_named(
    pylife: Pylife, served: str, app: AppMaker, tmp_path: Path
) -> None:
    source, slug = app({"x": ""}), tmp_path / "slug.tgz"
    for ref, said in (("#v1", "one"), ("", "two"), ("#main", "two")):
        done = pylife("slug", "build", "--app", source, "-o", slug, "--no-cache", "-b", f"{served}{ref}")
        assert read(slug, "said") == f"said by the library: {said}\n"
        assert "Detected: Third, by the buildpack third" in done.err
    pylife("slug", "build", "--app", source, "-o", slug, "--no-cache", "-e", f"BUILDPACK_URL={served}#v1")
    assert read(slug, "said") == "said by the library: one\n"
    gone = pylife("slug", "build", "--app", source, "-o", slug, "--no-cache", "-b", f"{served}#v9", code=1)
    assert "slug.buildpack-unreachable" in gone.err and "v9" in gone.err
    assert read(slug, "said") == "said by the library: one\n"


def test_members_of_a_buildpacks_file_run_in_order_with_the_exports_of_earlier_ones(
    pylife: Pylife, served: str, objects: ObjectServer, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    second = buildpack(
        "second", compile='echo "THIRD=$THIRD" > "$1/seen"', release="echo 'config_vars: {LAST: second}'"
    )
    packed = subprocess.run(["tar", "-C", second, "-cz", "."], check=True, capture_output=True).stdout
    objects.objects["/open/second.tgz"] = (packed, {})
    lines = f"# what this app needs\n{served}#v1\n\n{objects.url('/open/second.tgz')}\n"
    source, slug = app({".buildpacks": lines, "Procfile": "web: true\n"}), tmp_path / "slug.tgz"
    done = pylife("slug", "build", "--app", source, "-o", slug, "--no-cache", "--log", "slugbuilder")
    assert read(slug, "seen") == "THIRD=1\n"
    assert "LAST" in read(slug, ".profile.d/00_config_vars.sh")
    assert "Third" in done.out and "Second" in done.out
    assert done.out.index("Third") < done.out.index("Second")


def test_a_member_that_does_not_take_the_app_ends_the_build(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    packs = [buildpack("yes"), buildpack("no", detect="echo 'no such file'; exit 1")]
    options = [word for pack in packs for word in ("-b", pack)]
    slug = tmp_path / "slug.tgz"
    done = pylife("slug", "build", "--app", app({"x": ""}), "-o", slug, "--no-cache", *options, code=1)
    assert "slug.not-detected" in done.err
    assert "no" in done.err
    assert not slug.exists()


def test_app_json_names_buildpacks_but_no_path_of_this_host(
    pylife: Pylife, served: str, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    slug = tmp_path / "slug.tgz"
    source = app({"app.json": json.dumps({"buildpacks": [{"url": f"{served}#v1"}]})})
    pylife("slug", "build", "--app", source, "-o", slug, "--no-cache")
    assert read(slug, "said") == "said by the library: one\n"
    own = buildpack("own")
    for files in ({"app.json": json.dumps({"buildpacks": [{"url": f"file://{own}"}]})}, {".buildpacks": f"{own}\n"}):
        refused = pylife("slug", "build", "--app", app(files), "-o", slug, "--no-cache", code=2)
        assert "slug.host-path-refused" in refused.err
    assert read(slug, "said") == "said by the library: one\n"


def test_an_archive_is_pinned_by_its_sha256(
    pylife: Pylife, objects: ObjectServer, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    pack, file = buildpack("pinned"), tmp_path / "pack.tgz"
    subprocess.run(["tar", "-C", pack.parent, "-czf", file, pack.name], check=True)  # in a folder, as forges pack them
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    objects.objects["/open/pack.tgz"] = (file.read_bytes(), {})
    source = app({"x": ""})
    for place in (f"file://{file}", objects.url("/open/pack.tgz")):
        slug = tmp_path / "slug.tgz"
        pylife("slug", "build", "--app", source, "-o", slug, "--no-cache", "-b", f"{place}#sha256:{digest}")
        assert read(slug, "made-by") == "pinned\n"
        slug.unlink()
        wrong = f"{place}#sha256:{'0' * 64}"
        done = pylife("slug", "build", "--app", source, "-o", slug, "--no-cache", "-b", wrong, code=1)
        assert digest in done.err and "fix:" in done.err
        assert not slug.exists()


def test_the_tests_of_an_app_are_run_and_their_code_returned(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker
) -> None:
    source = app({"app.json": json.dumps({"environments": {"test": {"env": {"MODE": "quick"}}}})})
    pack = buildpack(
        "tested",
        test_compile='echo tests > "$1/prepared"',
        test='cat "$1/prepared"; echo "mode $(cat "$2/MODE")"; exit 3',
    )
    done = pylife("slug", "buildpack", "test", "--app", source, "-b", pack, code=3)
    assert "tests" in done.out and "mode quick" in done.out
    tests = {"buildpacks": [{"url": "null"}], "scripts": {"test": "echo it works"}}
    chosen = {"buildpacks": [{"url": "nodejs"}], "environments": {"test": tests}}
    done = pylife("slug", "buildpack", "test", "--app", app({"app.json": json.dumps(chosen)}))
    assert "it works" in done.out and "Node" not in done.out


def test_an_image_builds_with_the_buildpacks_variables_and_cache_of_mounted_folders(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    """herokuish, README "Paths": a platform mounts its buildpacks at BUILDPACK_PATH, and so on."""
    pack = buildpack(
        "10_platforms",
        detect="cat bin/kind",
        compile='cp bin/helper "$1/"; cat "$3/COLOUR" "$2/before"; cp "$3/COLOUR" "$2/before"; touch export',
    )
    (pack / "bin/kind").write_text("Platform's own")
    (pack / "bin/helper").write_text("help")
    for name in ("env", "cache"):
        (tmp_path / name).mkdir(mode=0o777)
        (tmp_path / name).chmod(0o777)
    (tmp_path / "env/COLOUR").write_text("red")
    mounted = {"app": app({"Procfile": "web: cat helper\n"}), "env": tmp_path / "env", "cache": tmp_path / "cache"}
    options = [word for name, place in mounted.items() for word in ("-v", f"{place}:/tmp/{name}")]
    options += ["-v", f"{pack.parent}:/tmp/buildpacks:ro", "-e", "SIZE=xl", "--entrypoint", "bash"]
    script = "/build && /build && herokuish buildpack list && /start web"
    done = pylife("run", *options, "pylife/slugbuilder:latest", "--", "-c", script)
    lines = done.out.splitlines()
    assert lines.count("-----> Platform's own app detected") == 2
    assert lines.count("       redred") == 1, "the second build has the cache of the first"
    assert "10_platforms" in lines and lines[-1] == "help"
    assert os.listdir(tmp_path / "env") == ["COLOUR"]
    assert sorted(os.listdir(pack)) == ["bin"] and os.listdir(pack.parent) == ["10_platforms"]


def test_what_a_buildpack_reports_is_in_the_result(
    pylife: Pylife, app: AppMaker, buildpack: BuildpackMaker, tmp_path: Path
) -> None:
    pack = buildpack("told", report='echo "python_version: $(cat "$2/version")"', compile='echo 3.13 > "$2/version"')
    words = ("--app", app({"x": ""}), "-o", tmp_path / "slug.tgz", "--no-cache", "-b", pack, "--json")
    assert pylife("slug", "build", *words).json["reports"] == {"told": "python_version: 3.13\n"}


def test_process_types_alone_can_go_to_standard_output(pylife: Pylife, app: AppMaker, tmp_path: Path) -> None:
    words = ("--app", app({"Procfile": "web: serve\n"}), "--no-cache", "-b", "null", "--procfile-output", "-")
    assert pylife("slug", "build", *words, "-o", tmp_path / "slug.tgz").out == "web: serve\n"
    both = pylife("slug", "build", *words, "-o", "-", code=2)
    assert "cannot both go to standard output" in both.err and both.raw == b""


def test_own_buildpacks_run_what_an_app_has_for_tests(pylife: Pylife, app: AppMaker) -> None:
    unittest = "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): self.assertEqual(40 + 2, {})\n"
    for answer, code in ((42, 0), (41, 1)):
        source = app({"requirements.txt": "", "tests/test_it.py": unittest.format(answer)})
        done = pylife("slug", "buildpack", "test", "--app", source, code=code)
        assert "$ python -m unittest discover -s tests" in done.out and "Ran 1 test" in done.out + done.err
    package = {"engines": {"node": "24"}, "scripts": {"test": "node --test && echo in $NODE_ENV"}}
    source = app({"package.json": json.dumps(package), "t.test.js": "require('node:test')('it', () => {})\n"})
    assert "in test" in pylife("slug", "buildpack", "test", "--app", source).out


def test_default_order_is_asked_and_other_matches_are_named(pylife: Pylife, app: AppMaker) -> None:
    both = app({"requirements.txt": "", "package.json": "{}", "Procfile": "web: true\n"})
    done = pylife("slug", "buildpack", "detect", "--app", both)
    assert done.out == "Python\n"
    assert "nodejs" in done.err
    assert io.StringIO(pylife("slug", "buildpack", "list").out).readline() == "python\n"
