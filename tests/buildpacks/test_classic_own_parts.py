"""Parts of the own classic buildpacks: variables in a shell, exec.d in .profile.d; several languages, a site."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from pylife_classic.kept import Kept
from pylife_classic.kinds import KINDS
from pylife_classic.launching import render_release, write_profile
from pylife_classic.place import moved
from pylife_classic.tests import test_command as command_for_tests
from pylife_classic.variables import Change, layer_changes
from pylife_sdk.output import Failure
from test_classic_own import Slug
from workbench import ROOT

STRANGE = ["plain", "two words", "it's", 'say "hi"', "$HOME `id` \\ ~", "a:b", "{x}", ""]


@pytest.fixture
def slug(tmp_path: Path) -> Slug:
    return Slug(tmp_path / "slug")


@pytest.mark.parametrize("mode", ["default", "override", "append", "prepend"])
@pytest.mark.parametrize("delimiter", ["", ":", " ", "}", '"', "$", "'"])
@pytest.mark.parametrize("old", [None, "", "old value", 'o"l$d'])
def test_a_shell_makes_the_change_that_the_contract_describes(mode: str, delimiter: str, old: str | None) -> None:
    for value in STRANGE:
        change = Change("WORD", mode, value, delimiter)
        before = {} if old is None else {"WORD": old}
        wanted = dict(before)
        change.apply(wanted)
        for shell in ("bash", "sh"):
            script = f'set -u\n{change.as_shell()}\nprintf "%s" "$WORD"'
            done = subprocess.run([shell, "-c", script], env=before, capture_output=True, text=True)
            assert (done.stdout, done.stderr) == (wanted["WORD"], ""), (shell, change.as_shell())


def test_layers_change_variables_as_at_a_launch(tmp_path: Path) -> None:
    for path, text in {
        "a/bin/x": "",
        "a/env/NAME.default": "all",
        "a/env.launch/NAME.append": "+",
        "a/env.launch/NAME.delim": ",",
        "a/env.build/NAME": "build",
        "b/lib/y": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    layers = [str(tmp_path / "a"), str(tmp_path / "b")]
    env: dict[str, str] = {"PATH": "/bin"}
    for change in layer_changes(layers, launch=True):
        change.apply(env)
    assert env == {"PATH": f"{tmp_path}/a/bin:/bin", "LD_LIBRARY_PATH": f"{tmp_path}/b/lib", "NAME": "all,+"}
    env = {"NAME": "mine"}
    for change in layer_changes(layers, launch=False):
        change.apply(env)
    assert env["NAME"] == "build" and env["LIBRARY_PATH"] == f"{tmp_path}/b/lib"


def test_a_moved_layer_moves_paths_and_nothing_that_only_looks_like_one() -> None:
    change = Change("PATH", "prepend", "/app/x/bin:/app/xy/bin:/app/x", ":").moved({"/app/x": "/cache/x"})
    assert change.value == "/cache/x/bin:/app/xy/bin:/cache/x"


def test_a_program_of_a_launch_sets_variables_of_any_text(tmp_path: Path) -> None:
    layer = tmp_path / "layer with space"
    (layer / "exec.d").mkdir(parents=True)
    value = 'a "quoted" \\ back\\\\slash, $HOME `id` = ok  '
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    program = layer / "exec.d" / "tell"
    program.write_text(f'#!/bin/sh\necho said >&1\ncat >&3 <<\'END\'\nFIRST = "{escaped}"\nSECOND = "2"\nEND\n')
    program.chmod(0o755)
    broken = layer / "exec.d" / "zz"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    write_profile(str(tmp_path), "tests", [str(layer)])
    script = f'. "{tmp_path}/.profile.d/tests.sh"; printf "%s|%s" "$FIRST" "$SECOND"; set | grep -c "^_pylife"'
    for shell in ("bash", "sh"):
        done = subprocess.run([shell, "-c", script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
        assert done.stdout == f"{value}|20\n", "and nothing else is left in the shell"
        assert "said" in done.stderr and "ended with 3" in done.stderr


def test_a_profile_of_the_apps_own_with_that_name_still_counts(tmp_path: Path) -> None:
    (tmp_path / "layer/env.launch").mkdir(parents=True)
    (tmp_path / "layer/env.launch/THEIRS.override").write_text("theirs")
    (tmp_path / ".profile.d").mkdir()
    (tmp_path / ".profile.d/tests.sh").write_bytes(b'export MINE="mine and $THEIRS" # \xff\n')
    write_profile(str(tmp_path), "tests", [str(tmp_path / "layer")])
    done = subprocess.run(["bash", "-c", ". .profile.d/tests.sh; echo $MINE"], cwd=tmp_path, capture_output=True)
    assert (done.stdout, done.stderr) == (b"mine and theirs\n", b"")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_that_cannot_be_written_to_is_built_around_and_stays_so(tmp_path: Path) -> None:
    for name in ("build", "app"):
        (tmp_path / name).mkdir()
    (tmp_path / "build/data").mkdir()
    (tmp_path / "build/data/x").write_text("x")
    (tmp_path / "build/data").chmod(0o555)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        os.lchown(path, 65534, 65534)
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            os.chroot(tmp_path)  # the folders above are for their owner alone
            os.setuid(65534)
            with moved("/build", "/app"):
                code = 0 if os.listdir("/app") == ["data"] else 2
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert os.stat(tmp_path / "build/data").st_mode & 0o777 == 0o555
    assert (tmp_path / "build/data/x").read_text() == "x" and not os.listdir(tmp_path / "app")


def test_a_cache_keeps_what_only_builds_see_and_drops_layers_that_left_the_slug(tmp_path: Path) -> None:
    def build(*wanted: str) -> list[str]:
        """A build with those layers, each with its types; what is in the cache afterwards."""
        layers = tmp_path / "layers"
        kept = Kept(str(tmp_path / "cache"), str(layers))
        kept.restore()
        for name, _, types in (each.partition(":") for each in wanted):
            (layers / name).mkdir(exist_ok=True)
            said = "".join(f"{each} = true\n" for each in types.split("+"))
            (layers / f"{name}.toml").write_text(f"[types]\n{said}[metadata.key]\nis = 'this'\n")
        assert kept.store() == [each.partition(":")[0] for each in wanted if "launch" in each]
        shutil.rmtree(layers)
        return sorted(str(path.relative_to(tmp_path / "cache")) for path in (tmp_path / "cache").glob("*/*"))

    assert build("a:launch+cache", "b:cache", "c:launch", "d:build") == [
        "build/b",
        "build/b.toml",
        "slug/a",
        "slug/a.toml",
    ]
    assert build("a:launch+cache") == ["build/b", "build/b.toml", "slug/a", "slug/a.toml"]
    assert build() == ["build/b", "build/b.toml"]
    assert build("b:launch+cache") == ["slug/b", "slug/b.toml"]


def test_a_build_layer_that_was_begun_anew_and_not_finished_is_not_given_back(tmp_path: Path) -> None:
    """A new directory often gets the number of the one that was just removed: it is another one nevertheless."""
    layers, cache = tmp_path / "layers", tmp_path / "cache"
    for name in ("kept", "begun"):
        (cache / "build" / name).mkdir(parents=True)
        (cache / "build" / name / "file").write_text(name)
        (cache / "build" / f"{name}.toml").write_text("[metadata.key]\nis = 'this'\n")
    for end in ("give_back", "store"):
        kept = Kept(str(cache), str(layers))
        kept.restore()
        if (layers / "begun").exists():
            shutil.rmtree(layers / "begun")
            (layers / "begun").mkdir()
        getattr(kept, end)()
        assert sorted(path.name for path in (cache / "build").iterdir()) == ["kept", "kept.toml"], end
        assert (cache / "build/kept/file").read_text() == "kept"
        shutil.rmtree(layers)


def test_release_is_yaml_whatever_a_command_holds() -> None:
    types = {"web": "exec 'a: b' \"c\" # d\n- e", "größe": "täglich"}
    assert yaml.safe_load(render_release(types)) == {"default_process_types": types}


def test_what_other_buildpacks_made_outlives_java_replacing_sources(tmp_path: Path) -> None:
    from pylife_java.workspace import copy_whole, replace
    from pylife_sdk.context import Build

    app, tree, whole = tmp_path / "app", tmp_path / "tree", tmp_path / "whole"
    made = (".heroku/nodejs/node/bin/node", ".apt/usr/bin/bird", ".profile.d/nodejs.sh", "bin/post-compile")
    for name in (*made, "src/A.java", "bin/x"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text("")
    tree.mkdir()
    (tree / "A.class").write_text("")
    context = Build(str(app), str(tmp_path), str(tmp_path), "", {})
    copy_whole(context, str(whole))
    assert not (whole / ".heroku").exists() and (whole / "src/A.java").exists()
    replace(context, str(tree))
    found = sorted(str(path.relative_to(app)) for path in app.rglob("*") if path.is_file())
    assert found == sorted([*made, "A.class"])


def test_java_leaves_a_slugs_app_its_own_files_and_an_image_none(tmp_path: Path) -> None:
    """Another buildpack or the Procfile may need them; in a slug nobody else has said so."""
    from pylife_java.workspace import came, replace
    from pylife_sdk.context import Build

    for layers, left in ((".heroku/java", ["A.class", "server.js"]), ("../layers", ["A.class"])):
        app, tree = tmp_path / layers[-4:] / "app", tmp_path / layers[-4:] / "tree"
        app.mkdir(parents=True)
        tree.mkdir()
        (app / "server.js").write_text("")
        (tree / "A.class").write_text("")
        context = Build(str(app), os.path.normpath(app / layers), str(tmp_path), "", {})
        staying = came(context)
        (app / "target").mkdir()
        (app / "target/app.jar").write_text("")
        replace(context, str(tree), staying)
        assert sorted(os.listdir(app)) == left


def test_a_changed_procfile_counts_for_a_java_app_that_is_put_back(tmp_path: Path) -> None:
    from pylife_java.workspace import copy_whole, replace
    from pylife_sdk.context import Build

    app, whole = tmp_path / "app", tmp_path / "whole"
    (app / "target").mkdir(parents=True)
    (app / "target/app.jar").write_text("jar")
    (app / "Procfile").write_text("web: java -jar target/app.jar\n")
    context = Build(str(app), str(tmp_path / "layers"), str(tmp_path), "", {})
    copy_whole(context, str(whole))
    (app / "Procfile").write_text("web: java -Xmx1g -jar target/app.jar\n")
    replace(context, str(whole))
    assert (app / "Procfile").read_text() == "web: java -Xmx1g -jar target/app.jar\n"
    assert (app / "target/app.jar").read_text() == "jar"


def test_two_languages_live_in_one_slug(slug: Slug) -> None:
    """Node first, whose programs Python's hook uses, also those that only builds see; each starts in the slug."""
    package = '{"name": "x", "engines": {"node": "24"}, "scripts": {"start": "node server.js"}}'
    slug.write({"package.json": package, "server.js": "console.log('node', process.version)\n"})
    slug.write({"requirements.txt": "", "bin/post_compile": "node -p '6 * 7' && npm --version\n"})
    slug.compile("nodejs")
    export = slug.root / "nodejs" / "export"
    script = f'. {export}; exec {slug.root}/python/bin/compile "$@"'
    slug.run("python", "detect")
    env = {**os.environ, "APP_PATH": str(slug.app), "HOME": str(slug.app), "PATH": "/usr/bin:/bin", "STACK": "test"}
    arguments = [slug.build, slug.root / "cache", slug.root / "env"]
    done = subprocess.run(["bash", "-c", script, "x", *arguments], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "       42\n" in done.stdout
    types = yaml.safe_load(slug.run("nodejs", "release").out)["default_process_types"]
    slug.deliver()
    assert slug.shell(types["web"]).startswith("node v24.")
    assert slug.shell("python -c 'print(1)'") == "1"
    assert slug.shell("echo $NODE_ENV $WEB_MEMORY") == "production 512"


def test_django_has_its_static_files_and_processes(slug: Slug) -> None:
    source = ROOT / "samples" / "python-django"
    files: dict[str, Any] = {
        str(path.relative_to(source)): path.read_text()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".sqlite3")
    }
    ran = slug.write(files).compile()
    assert "collectstatic" in ran.out
    types = yaml.safe_load(slug.run("python", "release").out)["default_process_types"]
    assert types["release"] == "python manage.py migrate --noinput" and "gunicorn" in types["web"]
    slug.deliver()
    assert slug.shell("python manage.py check").startswith("System check identified no issues")


def test_a_site_is_served_from_the_slug(slug: Slug) -> None:
    slug.write({"public/index.html": "<p>Hello from the slug</p>", "public/docs/a.html": "<p>a</p>"}).compile("static")
    types = yaml.safe_load(slug.run("static", "release").out)["default_process_types"]
    slug.deliver()
    port = "18765"
    line = f"cd {slug.app}; for file in .profile.d/*.sh; do . $file; done; exec {types['web']}"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(slug.app), "PORT": port}
    server = subprocess.Popen(["bash", "-c", line], env=env, stdout=subprocess.DEVNULL)
    try:
        assert b"Hello from the slug" in _get(f"http://127.0.0.1:{port}/")
    finally:
        server.terminate()
        assert server.wait(timeout=30) == 0
    slug.again()
    slug.write({"public/index.html": "<p>Changed</p>"})
    ran = slug.compile("static")
    assert "kept from the last build" in ran.out and "Fetching" not in ran.out


def test_an_app_that_node_only_builds_is_served_as_files(slug: Slug) -> None:
    package = {
        "scripts": {"build": "esbuild main.js --bundle --outfile=dist/main.js && cp index.html dist/"},
        "devDependencies": {"esbuild": "0.25.0"},
    }
    slug.write({"package.json": json.dumps(package), "index.html": "<p>tide</p>", "main.js": "console.log(1)"})
    assert slug.run("nodejs", "detect").out == "Node.js\n"
    slug.compile("nodejs")
    types = yaml.safe_load(slug.run("nodejs", "release").out)["default_process_types"]
    slug.deliver()
    assert types["web"].endswith("/static/site/bin/serve")
    assert (slug.app / "dist/main.js").is_file()
    assert not (slug.app / "node_modules").exists() and not [*slug.app.rglob("bin/node")]


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(100):
        try:
            with opener.open(url, timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}")


# -- tests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "files", "command"),
    [
        ("nodejs", {"package.json": '{"scripts": {"test": "x"}}'}, "npm run test"),
        ("nodejs", {"package.json": '{"scripts": {"test": "x"}}', "yarn.lock": ""}, "yarn run test"),
        ("nodejs", {"package.json": "{}"}, ""),
        ("python", {"manage.py": "", "test_x.py": ""}, "python manage.py test"),
        ("python", {"tests/unit/test_x.py": "", "tests/test_y.py": ""}, "python -m unittest discover -s tests"),
        ("python", {"test.py": "", "a/test_y.py": ""}, "python -m unittest discover"),
        ("python", {"app.py": ""}, ""),
    ],
)
def test_tests_are_run_by_what_the_app_has_for_them(
    kind: str, files: dict[str, str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # where no Python is that has pytest
    monkeypatch.syspath_prepend(str(ROOT / "buildpacks" / "nodejs" / "lib"))
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    if command:
        assert " ".join(command_for_tests(KINDS[kind], str(tmp_path))) == command
    else:
        with pytest.raises(Failure) as caught:
            command_for_tests(KINDS[kind], str(tmp_path))
        assert caught.value.id == "classic.no-tests"


# -- config variables ----------------------------------------------------------------------------------------------

EXPORT_ENV_DIR = """
env_dir=$1; denied=$2
for e in $(ls "$env_dir"); do
  echo "$e" | grep -qvE "$denied" && export "$e=$(cat "$env_dir/$e")"
done
env
"""
"""How buildpacks import the env directory. Source: Heroku, "Buildpack API", "Reading config vars"."""

DENIED = {
    "python": "^(PATH|CPATH|CPPATH|LD_PRELOAD|LIBRARY_PATH|LD_LIBRARY_PATH|PYTHONHOME)$",
    "nodejs": "^(PATH|GIT_DIR|CPATH|CPPATH|LD_PRELOAD|LIBRARY_PATH|LANG|BUILD_DIR)$",
    "java": "^(JAVA_OPTS|JAVA_TOOL_OPTIONS)$",
}
"""Source: heroku-buildpack-python, bin/utils; heroku-buildpack-nodejs, lib/environment.sh; heroku-buildpack-java."""
BREAKS_BUILDS = {"PATH", "GIT_DIR", "CPATH", "CPPATH", "LD_PRELOAD", "LIBRARY_PATH"}


@pytest.mark.parametrize("kind", sorted(DENIED))
def test_config_variables_are_taken_as_the_families_shell_functions_take_them(kind: str, tmp_path: Path) -> None:
    names = {name for denied in DENIED.values() for name in denied[2:-2].split("|")} | {"SECRET", "PATHS", "XLANG"}
    for name in names:
        if name not in ("LD_PRELOAD", "LD_LIBRARY_PATH", "PATH"):  # grep and cat would have them too
            (tmp_path / name).write_text(f"value-of-{name}")
    command = ["bash", "-c", EXPORT_ENV_DIR, "bash", str(tmp_path), DENIED[kind]]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    exported = {line.partition("=")[0] for line in ran.stdout.splitlines() if "=value-of-" in line}
    # Java's own functions would take PATH and the like, which end every build.
    assert {name for name in os.listdir(tmp_path) if KINDS[kind].takes(name)} == exported - (
        BREAKS_BUILDS if kind == "java" else set()
    )
    assert not KINDS[kind].takes("PATH")
