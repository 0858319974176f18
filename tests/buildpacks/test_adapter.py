"""Classic buildpacks as Cloud Native ones: the wrapped buildpack's own executables, as a lifecycle runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from classic_buildpack import write_buildpack
from workbench import Bench

from lifecycle.builder.wrap import wrap

Maker = Callable[..., str]


@pytest.fixture
def classic(tmp_path: Path) -> Maker:
    """A maker of wrapped buildpacks: what it gives is for the workbench's ``detect`` and ``build``."""

    def make(name: str = "parrot", **scripts: str) -> str:
        scripts = {"detect": "echo Parrot", "compile": "true"} | scripts
        wrap(write_buildpack(tmp_path / "classic" / name, scripts), tmp_path / "wrapped" / name)
        return str(tmp_path / "wrapped" / name)

    return make


def layer(bench: Bench, buildpack: str, name: str) -> Path:
    return bench.layer(buildpack, name)


def types(bench: Bench, buildpack: str, name: str) -> list[str]:
    """The types of a layer that are true."""
    found = tomllib.loads(Path(f"{layer(bench, buildpack, name)}.toml").read_text())["types"]
    return [name for name, is_so in found.items() if is_so]


def exported(bench: Bench, buildpack: str) -> dict[str, str]:
    """What later buildpacks get, but the adapter's own mark."""
    directory = layer(bench, buildpack, "buildpack") / "env.build"
    found = {path.name: path.read_text() for path in directory.iterdir()}
    assert found.pop("PYLIFE_CLASSIC_PROFILE.override") == "1"
    return found


def launched(bench: Bench, buildpack: str, **env: str) -> dict[str, str]:
    """What the exec.d program sets for a process, run as a launcher runs it."""
    program = layer(bench, buildpack, "profile") / "exec.d" / "profile"
    told, tells = os.pipe()
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/home/x", "CNB_APP_DIR": str(bench.app)} | env
    command = ["/bin/bash", "-c", f'exec "$@" 3>&{tells} {tells}>&-', "bash", program]
    with subprocess.Popen(command, cwd=bench.app, env=environment, pass_fds=[tells]) as process:
        os.close(tells)
        with open(told, "rb") as pipe:
            said = tomllib.load(pipe)
    assert process.returncode == 0
    return said


# -- detect ------------------------------------------------------------------------------------------------------


def test_detect_takes_the_app_by_name(bench: Bench, classic: Maker) -> None:
    buildpack = classic(detect='[ -f "$1/bird.txt" ] && echo Parrot')
    ran, plan = bench.write({"bird.txt": ""}).detect(buildpack)
    assert (ran.code, ran.out) == (0, "Parrot app detected\n")
    assert plan["provides"] == [{"name": "classic/parrot"}]
    said = plan["requires"][0]["metadata"]
    assert said["kind"] == "Parrot"
    assert said["pylife"]["commands"] == ["bin/compile of the classic buildpack parrot"]


def test_executables_run_in_their_own_directory(bench: Bench, classic: Maker) -> None:
    buildpack = classic(
        detect="grep -o Kind bin/detect", compile='cp bin/release "$1/copied"', release="cat bin/detect >&2"
    )
    assert bench.detect(buildpack)[0].out == "Kind app detected\n"
    assert bench.build(buildpack).code == 0
    assert "grep -o Kind" in bench.build(buildpack).err
    assert (Path(bench.app) / "copied").read_text().endswith("cat bin/detect >&2\n")


@pytest.mark.parametrize(("script", "says"), [("echo no bird; exit 1", "no bird"), ("nosuch; exit 127", "127")])
def test_any_other_exit_code_means_no_match(bench: Bench, classic: Maker, script: str, says: str) -> None:
    ran, plan = bench.detect(classic(detect=script))
    assert (ran.code, plan) == (100, {})
    assert says in ran.out


def test_a_detect_that_says_nothing_and_is_no_program_is_a_shell_script(bench: Bench, tmp_path: Path) -> None:
    directory = write_buildpack(tmp_path / "bare", {"detect": "#!", "compile": "#!"})
    (directory / "bin/detect").write_text('[ -n "$BASH_VERSION" ]\n')
    (directory / "bin/compile").write_text('echo "in bash $BASH_VERSION"\n')
    wrap(directory, tmp_path / "wrapped")
    ran, _ = bench.detect(str(tmp_path / "wrapped"))
    assert (ran.code, ran.out) == (0, "bare app detected\n")
    assert "in bash 5" in bench.build(str(tmp_path / "wrapped")).out


@pytest.mark.parametrize("phase", ["detect", "build"])
def test_an_image_without_python_is_told_of(bench: Bench, classic: Maker, tmp_path: Path, phase: str) -> None:
    program = Path(classic()) / "bin" / phase
    text = program.read_text()
    assert "/usr/bin/python3 /usr/local/bin/python3" in text
    program.write_text(text.replace("/usr/bin/python3 /usr/local/bin/python3", ""))
    (tmp_path / "bin").mkdir()
    for name in ("bash", "dirname", "cat"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    ran = subprocess.run(["/usr/bin/env", program], env={"PATH": str(tmp_path / "bin")}, capture_output=True, text=True)
    assert ran.returncode == 1
    assert "[adapter.no-python]" in ran.stderr


# -- what compile gets -------------------------------------------------------------------------------------------


SHOW = """
echo "args: $1 | $2 | $3"; echo "stack: $STACK"; echo "home: $HOME"; echo "runs in: $APP_PATH"
echo "secret: $(cat "$3/SECRET")"
"""


def test_compile_gets_app_cache_and_env_directory(bench: Bench, classic: Maker) -> None:
    buildpack = classic(compile=f"{SHOW}echo to-stderr >&2; echo $SOURCE_VERSION")
    bench.user_env(SECRET="s3", SOURCE_VERSION="abc123")
    ran = bench.build(buildpack, CNB_TARGET_DISTRO_NAME="ubuntu", CNB_TARGET_DISTRO_VERSION="24.04")
    assert ran.code == 0, ran.err
    cache = layer(bench, buildpack, "cache")
    assert f"args: {bench.app} | {cache} | {bench.root / 'platform/env'}" in ran.out
    assert f"runs in: {bench.app}\n" in ran.out
    assert "secret: s3" in ran.out and "stack: heroku-24" in ran.out and "abc123" in ran.out
    assert "to-stderr" in ran.err
    assert types(bench, buildpack, "cache") == ["cache"]


@pytest.mark.parametrize(
    ("env", "user", "stack"),
    [
        ({"CNB_TARGET_DISTRO_NAME": "debian", "CNB_TARGET_DISTRO_VERSION": "12"}, {}, "heroku-22"),
        ({"CNB_STACK_ID": "heroku-26", "CNB_TARGET_DISTRO_NAME": "debian"}, {}, "heroku-26"),
        ({"CNB_STACK_ID": "io.acme.stack"}, {}, "io.acme.stack"),
        ({"CNB_STACK_ID": "heroku-24"}, {"STACK": "heroku-20"}, "heroku-20"),
        ({}, {}, ""),
    ],
)
def test_the_stack(bench: Bench, classic: Maker, env: dict[str, str], user: dict[str, str], stack: str) -> None:
    bench.user_env(**user)
    assert f"stack: {stack}\n" in bench.build(classic(compile='echo "stack: $STACK"'), **env).out


def test_home_is_the_builds_own_but_never_in_the_app(bench: Bench, classic: Maker, tmp_path: Path) -> None:
    buildpack = classic(compile='echo "home: $HOME"; echo key > "$HOME/.netrc"')
    (tmp_path / "home").mkdir()
    assert f"home: {tmp_path / 'home'}\n" in bench.build(buildpack, HOME=str(tmp_path / "home")).out
    for home in (bench.app, bench.app / "below", tmp_path / "nowhere"):
        (bench.app / "below").mkdir(exist_ok=True)
        ran = bench.build(buildpack, HOME=str(home))
        used = Path(ran.out.partition("home: ")[2].splitlines()[0])
        assert not used.is_relative_to(bench.app) and not used.exists(), "it is gone with the build"
    assert not list(bench.app.rglob(".netrc"))


def test_the_cache_stays_and_the_buildpack_is_never_written_to(bench: Bench, classic: Maker) -> None:
    buildpack = classic(compile='echo x >> "$2/runs"; wc -l < "$2/runs"; echo "FOO=bar" > "$(dirname "$0")/../export"')
    before = sorted(Path(buildpack).rglob("*"))
    assert bench.build(buildpack).out.splitlines()[0] == "1"
    assert bench.build(buildpack).out.splitlines()[0] == "2"
    assert sorted(Path(buildpack).rglob("*")) == before


def test_compiles_exit_code_is_kept(bench: Bench, classic: Maker) -> None:
    ran = bench.build(classic(compile="echo cannot >&2; exit 42"))
    assert (ran.code, ran.failure) == (42, "slug.compile-failed")
    assert "cannot" in ran.err and "bin/compile exited with 42" in ran.err
    assert bench.build(classic("killed", compile="kill -9 $$")).code == 137


# -- what later buildpacks get -----------------------------------------------------------------------------------


def test_export_is_handed_on_as_what_it_changes(bench: Bench, classic: Maker) -> None:
    compile = r"""
cat > "$(dirname "$0")/../export" <<'EOT'
export PATH="/opt/bird/bin:$PATH" BIRD="two
lines" KEPT="$KEPT"
declare -x CAGE=open
unset GONE
not_exported=1
echo noise
EOT
"""
    buildpack = classic(compile=compile)
    ran = bench.build(buildpack, KEPT="same", GONE="soon")
    assert ran.code == 0, ran.err
    path = "/opt/bird/bin:/usr/local/bin:/usr/bin:/bin"
    found = {"PATH": path, "BIRD": "two\nlines", "CAGE": "open", "GONE": ""}
    assert exported(bench, buildpack) == {f"{name}.override": value for name, value in found.items()}
    assert types(bench, buildpack, "buildpack") == ["build"], "what export names may be in the buildpack"


def test_an_export_of_bytes_that_are_no_text_is_handed_on_as_it_is(bench: Bench, classic: Maker) -> None:
    compile = r"""printf 'export RAW="\xff" GOOD=1\n' > "$(dirname "$0")/../export" """
    buildpack = classic(compile=compile)
    for _ in range(2):
        ran = bench.build(buildpack)
        assert ran.code == 0, ran.err
    directory = layer(bench, buildpack, "buildpack") / "env.build"
    assert (directory / "RAW.override").read_bytes() == b"\xff"
    assert (directory / "GOOD.override").read_bytes() == b"1"


def test_an_export_that_ends_the_shell_still_counts(bench: Bench, classic: Maker) -> None:
    buildpack = classic(compile='echo "export A=1; IFS=,; set -e; false; export B=2" > "$(dirname "$0")/../export"')
    assert bench.build(buildpack).code == 0
    assert exported(bench, buildpack) == {"A.override": "1"}


# -- how the app starts ------------------------------------------------------------------------------------------


RELEASE = """cat <<'EOT'
---
config_vars:
  LANGUAGE_OF_BIRD: "it's"
  PATH: tools:/app/bin:/usr/local/bin:/usr/bin:/bin
default_process_types:
  web: serve --port $PORT
  worker: from the release
EOT
"""


def test_the_procfile_wins_over_the_release(bench: Bench, classic: Maker) -> None:
    buildpack = classic(release=RELEASE)
    ran = bench.write({"Procfile": "worker: work\n"}).build(buildpack)
    assert ran.code == 0, ran.err
    assert bench.processes(buildpack) == {
        "worker": {"type": "worker", "command": ["bash", "-c", "work"]},
        "web": {"type": "web", "command": ["bash", "-c", "serve --port $PORT"], "default": True},
    }
    env = layer(bench, buildpack, "profile") / "env.launch"
    assert {file.name: file.read_text() for file in env.iterdir()} == {
        "LANGUAGE_OF_BIRD.default": "it's",
        "PATH.prepend": "tools:/app/bin",
        "PATH.delim": ":",
    }
    assert types(bench, buildpack, "profile") == ["launch"]


@pytest.mark.parametrize(
    ("scripts", "procfile", "id"),
    [
        ({"release": "echo '- a list'"}, "", "slug.bad-release"),
        ({"release": "echo oh; exit 3"}, "", "slug.release-failed"),
        ({}, "web: a\nweb: b\n", "procfile.duplicate"),
        ({}, "<<<<<<< HEAD\nweb: a\n", "procfile.merge-marker"),
    ],
)
def test_what_cannot_be_meant_is_a_failure(
    bench: Bench, classic: Maker, scripts: dict[str, str], procfile: str, id: str
) -> None:
    if procfile:
        bench.write({"Procfile": procfile})
    ran = bench.build(classic(**scripts))
    assert (ran.code, ran.failure) == (1, id)


def test_dependencies_are_slices(bench: Bench, classic: Maker) -> None:
    buildpack = classic(compile='mkdir -p "$1/node_modules/x" "$1/.apt" "$1/public"')
    bench.build(buildpack)
    assert bench.launch(buildpack)["slices"] == [{"paths": [".apt"]}, {"paths": ["node_modules"]}]


PROFILES = {
    ".profile.d/a.sh": 'export PATH="$HOME/.bird/bin:$PATH" A=first\n[ "$MODE" = off ] || export MODE=on\n',
    ".profile.d/b.sh": 'export A="$A then second"; declare -x QUOTED=$\'"é"\\t\\\\ \\e[0m\\nend\'; echo noise\n',
    ".profile": "local_only=1\nexport LAST=$A\nset -eu; IFS=,\n",
}


def test_profiles_count_for_every_process(bench: Bench, classic: Maker) -> None:
    buildpack = classic()
    bench.write(PROFILES).build(buildpack)
    assert launched(bench, buildpack) == {
        "HOME": str(bench.app),
        "PATH": f"{bench.app}/.bird/bin:/usr/bin:/bin",
        "A": "first then second",
        "QUOTED": '"é"\t\\ \x1b[0m\nend',
        "LAST": "first then second",
        "MODE": "on",
    }
    assert "MODE" not in launched(bench, buildpack, MODE="off"), "the user's own stays"


def test_a_long_value_of_many_lines_does_not_hold_up_a_start(bench: Bench, classic: Maker) -> None:
    """Certificates, say: each process would wait for it."""
    text = "".join(chr(code) for code in (*range(1, 32), 127)) + "a & b \\ & \n" * 6000
    (bench.app / "text").write_text(text)
    buildpack = classic()
    bench.write({".profile.d/a.sh": 'IFS= read -r -d "" LONG < text; export LONG\n'}).build(buildpack)
    began = time.monotonic()
    assert launched(bench, buildpack)["LONG"] == text
    assert time.monotonic() - began < 5


def test_what_a_profile_leaves_running_holds_nothing_up(bench: Bench, classic: Maker) -> None:
    buildpack = classic()
    bench.write({".profile.d/agent.sh": "sleep 20 &\necho $! > agent\nexport AGENT=1\n"}).build(buildpack)
    began = time.monotonic()
    assert launched(bench, buildpack)["AGENT"] == "1"
    assert time.monotonic() - began < 10
    os.kill(int((bench.app / "agent").read_text()), 9)


def test_an_app_without_profiles_gets_its_home_alone(bench: Bench, classic: Maker) -> None:
    buildpack = classic()
    bench.build(buildpack)
    assert launched(bench, buildpack) == {"HOME": str(bench.app)}


def test_of_several_classic_buildpacks_the_first_sources_the_profiles(bench: Bench, classic: Maker) -> None:
    first, second, third = classic("one"), classic("two"), classic("three", release=RELEASE)
    bench.build(first)
    mark = {path.name.removesuffix(".override"): path.read_text() for path in _env_build(bench, first)}
    bench.build(second, **mark)
    bench.build(third, **mark)
    assert layer(bench, first, "profile").is_dir()
    assert not layer(bench, second, "profile").exists()
    assert [path.name for path in layer(bench, third, "profile").iterdir()] == ["env.launch"]


def _env_build(bench: Bench, buildpack: str) -> list[Path]:
    return list((layer(bench, buildpack, "buildpack") / "env.build").iterdir())


def test_the_launch_layer_is_the_same_bytes_whoever_builds(bench: Bench, classic: Maker) -> None:
    buildpack = classic(release=RELEASE)
    seen = []
    for umask in (0o022, 0o077):
        old = os.umask(umask)
        bench.build(buildpack)
        os.umask(old)
        files = sorted(path for path in layer(bench, buildpack, "profile").rglob("*") if path.is_file())
        seen.append([(path.name, path.stat().st_mode, path.read_bytes()) for path in files])
    assert seen[0] == seen[1] and len(seen[0]) == 4
