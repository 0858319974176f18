"""The classic buildpacks for Python, Node, Java, static sites and nothing: their executables, run as a slug build runs
them, on copies that have all they need in themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from pylife_sdk.tree import tree_digest
from workbench import BUILDPACKS, Ran, make_wheel, outer_env

from lifecycle.app.slug.defaults import ORDER, place_default
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.slug.buildpack import ClassicBuildpack, Surroundings
from lifecycle.slug.direct import DirectRunner
from lifecycle.slug.hooks import Hooks
from lifecycle.slug.moments import HookStarted, Moment
from lifecycle.slug.paths import Paths

START = 'cd "$HOME"; for file in .profile.d/*.sh; do . "$file"; done; eval "$0"'


@dataclass(slots=True)
class Slug:
    """One app on its way to a slug: the folders of a slug build below ``root``."""

    root: Path

    def __post_init__(self) -> None:
        for name in ("build", "app", "cache", "env"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def app(self) -> Path:
        return self.root / "app"

    def write(self, files: Mapping[str, str]) -> Slug:
        for name, content in files.items():
            path = self.build / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return self

    def config(self, **variables: str) -> Slug:
        for name, value in variables.items():
            (self.root / "env" / name).write_text(value)
        return self

    def run(self, name: str, command: str, *, stack: str = "test") -> Ran:
        """Runs an executable of a buildpack, whose copy lies beside the app as in a slug build."""
        place = self.root / name
        if not place.exists():
            place_default(name, place)
        env = outer_env(self.app) | {"APP_PATH": str(self.app), "STACK": stack}
        folders = [self.build, self.root / "cache", self.root / "env"][: 3 if "compile" in command else 1]
        done = subprocess.run([place / "bin" / command, *folders], env=env, capture_output=True, text=True, timeout=280)
        return Ran(done.returncode, done.stdout, done.stderr)

    def compile(self, name: str = "python", **options: str) -> Ran:
        ran = self.run(name, "compile", **options)
        assert ran.code == 0, ran.out + ran.err
        return ran

    def again(self) -> Slug:
        """The next build's folders: the cache stays."""
        for name in ("build", "app"):
            shutil.rmtree(self.root / name)
            (self.root / name).mkdir()
        return self

    def deliver(self) -> Slug:
        """Moves the built app to where it runs."""
        shutil.rmtree(self.app)
        self.build.rename(self.app)
        self.build.mkdir()
        return self

    def shell(self, line: str, **variables: str) -> str:
        """What a line prints in the app's environment, in which nothing but the slug's own says where things are."""
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.app), **variables}
        done = subprocess.run(["bash", "-c", START, line], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


class Told:
    """The hooks that a slug build started."""

    def __init__(self) -> None:
        self.hooks: list[str] = []

    def tell(self, moment: Moment) -> None:
        if isinstance(moment, HookStarted):
            self.hooks.append(moment.hook)


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    return Slug(tmp_path / "slug")


@pytest.fixture(scope="module")
def parrots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel that has a command: its script's first line names the interpreter."""
    folder = tmp_path_factory.mktemp("wheels")
    files = {"parrot/__init__.py": "def talk():\n    print('hello from the parrot')\n"}
    files["parrot-1.0.dist-info/entry_points.txt"] = "[console_scripts]\nparrot = parrot:talk\n"
    make_wheel(folder, "parrot", "1.0", files)
    return folder


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, parrots: Path) -> Slug:
    """A Python app that was compiled once: the origin of caches. The network is asked for uv alone."""
    slug = Slug(tmp_path_factory.mktemp("warm") / "slug")
    slug.write({"requirements.txt": "# nothing yet\n"}).compile()
    slug.config(PIP_FIND_LINKS=str(parrots), PIP_NO_INDEX="1")
    slug.again().write({"requirements.txt": "parrot==1.0\n", "app.py": "import parrot\n"}).compile()
    return slug


@pytest.fixture
def built(warm: Slug) -> Iterator[Slug]:
    """The warm app before its next build, with the cache of the last one."""
    kept = warm.root.parent / "kept"
    if not kept.exists():
        shutil.copytree(warm.root / "cache", kept, symlinks=True)
    warm.again().write({"requirements.txt": "parrot==1.0\n", "app.py": "import parrot\n"})
    yield warm
    shutil.rmtree(warm.root / "cache")
    shutil.copytree(kept, warm.root / "cache", symlinks=True)
    for path in (warm.root / "env").iterdir():
        if not path.name.startswith("PIP_"):
            path.unlink()


def test_every_default_is_complete_and_names_what_it_needs() -> None:
    for name in ORDER:
        for command in ("detect", "compile", "release"):
            assert os.access(BUILDPACKS / "classic" / name / "bin" / command, os.X_OK)
        needs = BUILDPACKS / "classic" / name / "needs"
        for line in needs.read_text().split() if needs.exists() else ():
            assert (BUILDPACKS / "classic" / name / line).is_dir(), f"{name}: {line}"


@pytest.mark.parametrize(
    ("name", "sign", "kind"),
    [
        ("python", "requirements.txt", "Python"),
        ("nodejs", "package.json", "Node.js"),
        ("java", "pom.xml", "Java"),
        ("static", "index.html", "Static"),
        ("null", "anything", "Null"),
    ],
)
def test_detect_prints_one_name_or_says_why_not(slug: Slug, name: str, sign: str, kind: str) -> None:
    other = slug.run(name, "detect")
    if name == "null":
        assert other.code == 0
    else:
        assert other.code == 1 and not other.out and other.err, "what was looked for is told"
    ran = slug.write({sign: "{}" if sign.endswith("json") else "<p>"}).run(name, "detect")
    assert (ran.code, ran.out) == (0, f"{kind}\n")


def test_python_runs_where_the_slug_is_put(built: Slug) -> None:
    built.compile()
    assert not list((built.app / ".heroku").glob("*/*.toml"))
    assert sorted(os.listdir(built.build / ".heroku/python")) == ["release.yml", "runtime", "venv"]
    built.deliver()
    assert built.shell("parrot") == "hello from the parrot"
    assert built.shell("python -c 'import sys; print(sys.prefix)'") == f"{built.app}/.heroku/python/venv"
    assert int(built.shell("echo $WEB_CONCURRENCY")) >= 1
    assert built.shell("echo $WEB_CONCURRENCY", WEB_CONCURRENCY="77") == "77"


def test_nothing_in_the_slug_names_the_folder_it_was_compiled_in(built: Slug) -> None:
    built.compile()
    name = str(built.build).encode()
    found = [path for path in built.build.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(found) > 500
    assert not [path for path in found if name in path.read_bytes()]


def test_a_rebuild_keeps_all_starts_no_installer_and_makes_the_same_slug(built: Slug) -> None:
    built.compile()
    first = tree_digest(str(built.build), skip=())
    cached = tree_digest(str(built.root / "cache/pylife/python/slug"), skip=())
    built.again().write({"requirements.txt": "parrot==1.0\n", "app.py": "import parrot\n"})
    program = built.root / "cache/pylife/python/build/uv/bin/uv"
    content = program.read_bytes()
    program.write_text("#!/bin/sh\nexit 9\n")
    started = time.monotonic()
    ran = built.compile()
    took = time.monotonic() - started
    program.write_bytes(content)
    assert "is kept from the last build" in ran.out and "its requirements are the same" in ran.out
    assert took < 5
    assert tree_digest(str(built.build), skip=()) == first
    assert tree_digest(str(built.root / "cache/pylife/python/slug"), skip=()) == cached


def test_a_failed_compile_leaves_cache_source_and_app_as_they_were(built: Slug) -> None:
    skip = {"uv-cache", "uv-cache.toml"}  # downloads may be kept
    before = tree_digest(str(built.root / "cache"), skip=skip)
    (built.app / ".netrc").write_text("machine example\n")
    ran = built.write({"requirements.txt": "no-such-package==1.0\n"}).run("python", "compile")
    assert ran.code == 1 and ran.failure.startswith("python.")
    assert tree_digest(str(built.root / "cache"), skip=skip) == before
    assert sorted(os.listdir(built.build)) == ["app.py", "requirements.txt"]
    assert os.listdir(built.app) == [".netrc"]
    ran = built.write({"requirements.txt": "parrot==1.0\n"}).compile()
    assert "its requirements are the same" in ran.out


def test_the_home_is_readable_and_what_is_left_in_it_is_not_in_the_slug(built: Slug) -> None:
    (built.app / ".netrc").write_text("machine example\n")
    hook = 'cat "$HOME/.netrc"; echo rubbish > "$HOME/rubbish"; pwd; ls\n'
    ran = built.write({"bin/post_compile": hook}).compile()
    assert "machine example" in ran.out and str(built.app) in ran.out
    assert not list(built.build.glob("rubbish")) and not (built.build / ".netrc").exists()
    assert sorted(os.listdir(built.app)) == [".heroku", ".netrc"]


def test_the_home_is_at_the_same_path_in_every_build(built: Slug) -> None:
    """Compilers and bundlers write it down, and the same source is to give the same slug."""
    hook = 'pwd > "$HOME/left"; echo "$HOME" > home.txt; ls -A "$HOME" > in-home.txt\n'
    seen = []
    for _ in range(2):
        built.write({"bin/post_compile": hook}).compile()
        seen.append(((built.build / "home.txt").read_text(), (built.build / "in-home.txt").read_text()))
        assert not Path(seen[-1][0].strip()).exists()
        built.again().write({"requirements.txt": "parrot==1.0\n", "app.py": "import parrot\n"})
    assert seen[0] == seen[1] and seen[0][1] == "left\n"


@pytest.mark.parametrize(("name", "run"), [("python", []), ("nodejs", ["pre-compile", "post-compile"])])
def test_a_hook_of_the_app_runs_once(slug: Slug, name: str, run: list[str]) -> None:
    """Python's buildpack runs these two itself, as Heroku's does; a slug build is to leave them to it."""
    slug.write({"bin/pre_compile": "#!/bin/sh\n", "bin/post_compile": "#!/bin/sh\n"})
    for hook in (slug.build / "bin").iterdir():
        hook.chmod(0o755)
    place_default(name, slug.root / name)
    paths = Paths(build=str(slug.build), cache=str(slug.root / "cache"), env=str(slug.root / "env"))
    around = Surroundings(BuildRoot(Path("/")), DirectRunner(), paths, {"PATH": "/usr/bin:/bin"}, lambda *_: None)
    told = Told()
    hooks = Hooks(around, [ClassicBuildpack(name, str(slug.root / name))], {}, told)
    hooks.run("pre-compile")
    hooks.run("post-compile")
    assert told.hooks == run


def test_programs_known_by_the_old_path_are_found_during_the_build(built: Slug) -> None:
    ran = built.write({"bin/post_compile": f"cat {built.build}/tools/word\n", "tools/word": "found"}).compile()
    assert "found" in ran.out
    assert (built.build / "tools/word").read_text() == "found" and not (built.build / "tools").is_symlink()


def test_config_variables_reach_the_build_but_not_slug_and_cache(built: Slug) -> None:
    secret = "pa55 word\n"
    hook = 'printf "%s" "$TOKEN" | od -c | head -1; echo "home: $PYTHONHOME"\n'
    ran = built.config(TOKEN=secret, PYTHONHOME="/nowhere").write({"bin/post_compile": hook}).compile()
    assert [line.split()[-2:] for line in ran.out.splitlines() if "0000000" in line] == [["d", r"\n"]], "bytes as given"
    assert "       home:\n" in ran.out, "PYTHONHOME would break the build's own Python"
    assert "a build does not take: PYTHONHOME" in ran.out
    for top in (built.build, built.root / "cache"):
        files = [path for path in top.rglob("*") if path.is_file() and path.name != "post_compile"]
        assert not [path for path in files if b"pa55 word" in path.read_bytes()]


def test_another_stack_discards_the_cache_and_says_so(built: Slug) -> None:
    built.write({"requirements.txt": "# nothing\n"})
    (built.root / "env" / "PIP_NO_INDEX").unlink()  # uv has to be fetched again
    try:
        ran = built.compile(stack="newer")
    finally:
        built.config(PIP_NO_INDEX="1")
    assert "What the last build kept is discarded: the stack changed from test to newer." in ran.out
    assert "there is none from an earlier build" in ran.out


def test_later_buildpacks_find_what_this_one_made(built: Slug) -> None:
    built.compile()
    script = f". {built.root}/python/export; parrot; echo $VIRTUAL_ENV; uv --version; ls -d $VIRTUAL_ENV"
    done = subprocess.run(["bash", "-ec", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == ["hello from the parrot", f"{built.app}/.heroku/python/venv"]


def test_a_folder_of_its_own_in_the_source_is_refused(slug: Slug) -> None:
    ran = slug.write({"requirements.txt": "", ".heroku/python/bin/python": ""}).run("python", "compile")
    assert ran.code == 1 and ran.failure == "classic.built-already"
    assert "git rm -r --cached .heroku/python" in ran.err and "bin" in ran.err
    assert sorted(os.listdir(slug.build)) == [".heroku", "requirements.txt"]


@pytest.mark.parametrize("name", [".heroku", ".heroku/python"])
def test_a_file_where_its_folder_is_to_be_is_refused(slug: Slug, name: str) -> None:
    ran = slug.write({"requirements.txt": "", name: "text"}).run("python", "compile")
    assert ran.code == 1 and ran.failure == "classic.built-already"
    assert f"The app has {name} already" in ran.err and f"git rm -r --cached {name}" in ran.err


def test_release_before_compile_has_no_types(slug: Slug) -> None:
    for name in ORDER:
        assert yaml.safe_load(slug.run(name, "release").out) == {}


def test_python_guesses_a_process_that_release_names(built: Slug) -> None:
    built.write({"main.py": "print('ready')\n"}).compile()
    types = yaml.safe_load(built.run("python", "release").out)["default_process_types"]
    built.deliver()
    assert built.shell(types["web"]) == "ready"


def test_null_builds_nothing_and_warns_when_nothing_says_how_to_start(slug: Slug) -> None:
    ran = slug.write({"server": "x"}).run("null", "compile")
    assert ran.code == 0 and "Commit a Procfile" in ran.err
    ran = slug.write({"Procfile": "web: ./server\n"}).run("null", "compile")
    assert ran.code == 0 and not ran.err
    assert sorted(os.listdir(slug.build)) == ["Procfile", "server"]


def test_a_missing_folder_is_told(slug: Slug) -> None:
    ran = slug.run("python", "detect")
    assert ran.code == 1
    done = subprocess.run([slug.root / "python/bin/compile", "/no/such"], capture_output=True, text=True)
    assert done.returncode == 2 and "BUILD_DIR" in done.stderr
