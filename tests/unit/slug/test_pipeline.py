"""A slug build with real shell buildpacks, in this very process's container."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from classic import World

from lifecycle.buildpack.tree import BadFile
from lifecycle.slug import pipeline
from lifecycle.slug.buildpack import CompileFailed, ReleaseFailed
from lifecycle.slug.detection import BuildpackNotDetected, NoBuildpackDetected
from lifecycle.slug.environment import BadSshKey
from lifecycle.slug.hooks import HookFailed
from lifecycle.slug.moments import (
    Compiling,
    Detected,
    Detecting,
    HookStarted,
    Line,
    NothingDetected,
    Selected,
    StepBegan,
    StepDone,
    TypesFound,
    Warned,
)
from lifecycle.slug.pipeline import NoTests
from lifecycle.slug.procfile import BadProcfile
from lifecycle.slug.release import BadRelease


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def describe_order(world: World) -> list[str]:
    names = []
    for moment in world.moments:
        match moment:
            case StepBegan(step) | StepDone(step, _):
                names.append(f"{type(moment).__name__} {step}")
            case Line() | Warned():
                pass
            case _:
                names.append(type(moment).__name__)
    return names


# -- detect ------------------------------------------------------------------------------------------------------


def test_first_of_the_order_that_takes_the_app_builds_it_and_the_others_are_told(world: World) -> None:
    world.buildpack("ruby", detect="exit 1")
    python = world.buildpack("python", detect='[ -f "$1/requirements.txt" ] && echo Python', compile='touch "$1/py"')
    world.buildpack("nodejs", detect='[ -f "$1/package.json" ] && echo Node.js', compile='touch "$1/js"')
    world.buildpack("go", detect="exit 1")
    world.source({"requirements.txt": "", "package.json": "{}"})
    compiled = world.build()
    assert compiled.used == ((python, "Python"),)
    assert world.told(Detected) == [Detected("Python", "python", ("nodejs",))]
    assert [moment.buildpack for moment in world.told(Detecting)] == ["ruby", "python", "nodejs", "go"]
    assert (world.top / "app/py").exists()
    assert not (world.top / "app/js").exists()


def test_nothing_detected_names_who_was_asked_and_what_the_source_holds(world: World) -> None:
    world.buildpack("ruby", detect="exit 1")
    world.buildpack("go", detect="exit 2")
    world.source({"readme.txt": ""})
    with pytest.raises(NoBuildpackDetected, match=r"Unable to select a buildpack.*none of ruby, go") as caught:
        world.build()
    assert "readme.txt" in str(caught.value.details)
    assert world.told(NothingDetected) == [NothingDetected(("ruby", "go"))]


@pytest.mark.parametrize("name", ["procfile", "Procfile.txt"])
def test_a_misspelt_procfile_is_named(world: World, name: str) -> None:
    world.buildpack("ruby", detect="exit 1")
    world.source({name: "web: serve\n"})
    with pytest.raises(NoBuildpackDetected) as caught:
        world.build()
    assert f"{name} counts for nothing" in str(caught.value.details)


def test_detect_without_a_word_is_called_as_its_buildpack(world: World) -> None:
    world.buildpack("quiet", detect="true")
    assert world.build().used[0][1] == "quiet"


def test_kind_is_the_first_line_of_stdout_alone(world: World) -> None:
    world.buildpack("loud", detect="echo warning >&2; echo 'Loud '; echo more")
    assert world.build().used[0][1] == "Loud"


def test_single_buildpack_that_does_not_detect_is_an_error_with_its_output(world: World) -> None:
    world.buildpack("custom", detect="echo 'needs a Gemfile'; exit 7")
    with pytest.raises(BuildpackNotDetected, match=r"Unable to select a buildpack: .*custom exited with 7") as caught:
        world.build(mode="single")
    assert caught.value.details == "needs a Gemfile"
    assert world.told(NothingDetected) == [NothingDetected(("custom",), custom=True)]
    assert world.told(Compiling) == []


def test_member_of_a_list_that_does_not_detect_aborts(world: World) -> None:
    world.buildpack("one", compile="echo one")
    world.buildpack("two", detect="exit 1")
    world.buildpack("three", compile="echo three")
    with pytest.raises(BuildpackNotDetected, match="Couldn't detect any framework for this buildpack: two"):
        world.build(mode="multi")
    assert world.lines == ["one"]
    assert not list((world.top / "app").iterdir())


def test_first_member_that_does_not_detect_aborts_before_anything_is_compiled(world: World) -> None:
    world.buildpack("one", detect="exit 1")
    world.buildpack("two", compile="echo two")
    with pytest.raises(BuildpackNotDetected):
        world.build(mode="multi")
    assert world.lines == []


def test_later_member_may_detect_what_an_earlier_one_makes(world: World) -> None:
    world.buildpack("generator", compile='touch "$1/package.json"')
    world.buildpack("nodejs", detect='[ -f "$1/package.json" ] && echo Node.js')
    compiled = world.build(mode="multi")
    assert [kind for _, kind in compiled.used] == ["Generator", "Node.js"]


def test_empty_list_is_nothing_detected(world: World) -> None:
    with pytest.raises(NoBuildpackDetected):
        world.build(mode="multi")


# -- order -------------------------------------------------------------------------------------------------------


def test_moments_come_in_the_order_of_the_family(world: World) -> None:
    world.buildpack("python", release="echo 'default_process_types: {web: serve}'")
    world.source({"Procfile": "worker: work\n"})
    world.source({"bin/pre-compile": "#!/bin/sh\n", "bin/post-compile": "#!/bin/sh\n"}, mode=0o755)
    world.build()
    assert describe_order(world) == [
        *("StepBegan detect", "Detecting", "Detected", "StepDone detect"),
        *("StepBegan analysis", "Selected", "StepDone analysis"),
        *("StepBegan build", "HookStarted", "Compiling", "HookStarted", "StepDone build"),
        *("Discovering", "TypesFound"),
    ]
    assert world.told(Selected) == [Selected(("python",))]
    assert world.told(TypesFound) == [TypesFound(("worker",), ("web",), "Python")]


# -- compile -----------------------------------------------------------------------------------------------------


def test_compile_gets_build_cache_and_env(world: World) -> None:
    world.buildpack("one", compile='printf "%s\\n" "$#" "$1" "$2" "$3"')
    world.build()
    paths = world.paths
    assert world.lines == ["3", paths.build, paths.cache, paths.env]


def test_executables_of_a_buildpack_run_in_its_own_directory_as_nginxs_copies_from_there(world: World) -> None:
    world.buildpack("first", compile="true")
    pack = world.buildpack(
        "second",
        detect="cat bin/kind",
        compile='cp bin/helper "$1/helper"',
        release="cat release.yml",
        report='[ "$PWD" = "${0%/bin/report}" ] && echo here',
    )
    for name, text in (("bin/kind", "Second"), ("bin/helper", "help"), ("release.yml", "config_vars: {A: b}")):
        Path(pack.path, name).write_text(text)
    compiled = world.build(mode="multi")
    assert compiled.used[1][1] == "Second"
    assert world.app("helper") == "help"
    assert compiled.types.config_vars == {"A": "b"}
    assert compiled.reports == ((pack, "here\n"),)


def test_environment_is_that_of_the_contract_and_config_variables_are_not_in_it(world: World) -> None:
    world.buildpack("one", compile="env | sort")
    world.build(
        config_vars={"SECRET_KEY": "s3cret", "PATH": "/evil", "LD_PRELOAD": "/evil.so"},
        source_version="abc123",
        request_id="build-7",
        variables={"PATH": "/usr/bin:/bin", "https_proxy": "proxy:1", "CURL_TIMEOUT": "9"},
    )
    found = dict(line.split("=", 1) for line in world.lines)
    assert {name: value for name, value in found.items() if name not in ("_", "SHLVL", "PWD", "OLDPWD")} == {
        "PATH": "/usr/bin:/bin",
        "APP_PATH": world.paths.app,
        "HOME": world.paths.app,
        "STACK": "heroku-24",
        "SOURCE_VERSION": "abc123",
        "REQUEST_ID": "build-7",
        "CURL_CONNECT_TIMEOUT": "30",
        "CURL_TIMEOUT": "9",
        "https_proxy": "proxy:1",
    }
    assert "s3cret" not in "\n".join(world.lines)


def test_env_directory_holds_every_config_variable_byte_for_byte(world: World) -> None:
    values = {
        "A": "1",
        "TRAILING": "x\n\n",
        "EMPTY": "",
        "UNICODE": "grüße",
        "RAW": os.fsdecode(b"\xff\xfe"),
        "d.o-t": "y",
    }
    world.buildpack("one", compile='cp -rp "$3" "$1/seen"')
    world.build(config_vars=values)
    seen = {path.name: path.read_bytes() for path in (world.top / "app/seen").iterdir()}
    assert seen == {name: os.fsencode(value) for name, value in values.items()}
    assert (world.top / "app/seen/A").stat().st_mode & 0o777 == 0o600


def test_env_directory_is_empty_after_the_build_however_it_ends(world: World) -> None:
    world.buildpack("one", compile='[ -s "$3/SECRET" ] && mv "$3" "$3.old" && mkdir "$3" && touch "$3/own"; exit 1')
    with pytest.raises(CompileFailed):
        world.build(config_vars={"SECRET": "s3cret"})
    assert os.listdir(world.top / "env.old") == []
    assert os.listdir(world.top / "env") == ["own"], "what the build did not write"


def test_what_is_mounted_as_env_directory_stays_as_it_is(world: World) -> None:
    (world.top / "env/MOUNTED").write_text("1")
    (world.top / "build.env").symlink_to(world.top / "env")
    world.buildpack("one", compile='ls "$3"; echo "$3"')
    world.build(config_vars={"OTHER": "2"})
    assert world.lines == ["OTHER", f"{world.paths.build}.env"]
    assert os.listdir(world.top / "env") == ["MOUNTED"]
    assert not os.path.lexists(world.top / "build.env")


def test_xtrace_reaches_buildpacks_as_a_variable(world: World) -> None:
    world.buildpack("one", compile='echo "[$BUILDPACK_XTRACE]"')
    world.build(config_vars={"BUILDPACK_XTRACE": "1"})
    assert world.lines == ["[1]"]


def test_failed_compile_says_code_and_last_words_and_leaves_the_old_app(world: World) -> None:
    (world.top / "app/old").write_text("old")
    world.buildpack("python", compile="echo working; echo 'no such package' >&2; exit 42")
    world.source({"new": ""})
    with pytest.raises(CompileFailed, match=r"The Python app could not be compiled: .*python exited with 42") as caught:
        world.build()
    assert caught.value.exit_code != 0
    assert set((caught.value.details or "").splitlines()) == {"working", "no such package"}
    assert caught.value.details_are_output
    assert [path.name for path in (world.top / "app").iterdir()] == ["old"]


def test_failed_compile_leads_to_the_page_that_its_last_lines_name(world: World) -> None:
    world.buildpack("python", compile="echo '[python.no-index] More: pylife explain python.no-index'; exit 1")
    with pytest.raises(CompileFailed) as caught:
        world.build()
    assert caught.value.fix.endswith(": pylife explain python.no-index")


def test_compile_killed_by_a_signal_is_a_failure_too(world: World) -> None:
    world.buildpack("python", compile="kill -9 $$")
    with pytest.raises(CompileFailed, match="exited with 137"):
        world.build()


def test_missing_compile_is_named(world: World) -> None:
    pack = world.buildpack("half")
    os.unlink(f"{pack.path}/bin/compile")
    with pytest.raises(CompileFailed, match="it has no bin/compile"):
        world.build()


def test_buildpack_without_executable_bits_runs(world: World) -> None:
    world.buildpack("plain", mode=0o644, compile="echo ran", release="echo '--- {}'")
    world.build()
    assert world.lines == ["ran"]


def test_script_without_a_shebang_runs(world: World) -> None:
    pack = world.buildpack("bare")
    Path(pack.path, "bin/compile").write_text("echo bare $#\n")
    world.build()
    assert world.lines == ["bare 3"]


def test_scripts_with_windows_line_ends_are_told_what_ails_them(world: World) -> None:
    windows = "#!/bin/bash\r\necho hello\r\n"
    world.buildpack("one", compile=windows)
    with pytest.raises(CompileFailed) as compiled:
        world.build()
    assert "sed -i 's/\\r$//' bin/compile" in compiled.value.fix
    world.buildpacks.clear()
    world.buildpack("two", detect=windows)
    with pytest.raises(BuildpackNotDetected) as asked:
        world.build(mode="single")
    assert "bin/detect" in asked.value.fix and "CR LF" in asked.value.fix
    world.buildpacks.clear()
    world.buildpack("three")
    world.source({"bin/post_compile": windows}, mode=0o755)
    with pytest.raises(HookFailed) as hooked:
        world.build()
    assert "bin/post_compile" in hooked.value.fix and "CR LF" in hooked.value.fix
    world.source({"bin/post_compile": "#!/bin/bash\nexit 4\n"}, mode=0o755)
    with pytest.raises(HookFailed) as failed:
        world.build()
    assert "CR LF" not in failed.value.fix


def test_background_processes_neither_delay_nor_outlive_the_build(world: World) -> None:
    world.buildpack(
        "daemon",
        compile=f"sleep 300 & echo $! >\"$1/one\"; setsid sh -c 'echo $$ >{world.top}/two; exec sleep 300' & sleep 0.3",
    )
    began = time.monotonic()
    world.build()
    assert time.monotonic() - began < 30
    for pid in (world.app("one"), (world.top / "two").read_text()):
        assert not Path(f"/proc/{pid.strip()}").exists()


def test_output_keeps_partial_last_lines_and_survives_garbage(world: World) -> None:
    script = r"printf 'a\r\n'; printf '\377\376\000x\n'; printf '%100000d\n' 7; printf 'last' >&2; printf 'end'"
    world.buildpack("noisy", compile=script)
    world.build()
    assert world.lines[0] == "a"
    assert world.lines[1] == "��\0x"
    assert "".join(line.strip() for line in world.lines[2:-2]) == "7"
    assert sorted(world.lines[-2:]) == ["end", "last"]
    assert {moment.stream for moment in world.told(Line) if moment.text == "last"} == {"stderr"}


def test_standard_input_is_empty(world: World) -> None:
    world.buildpack("asks", compile='if read -r answer; then echo "got $answer"; else echo nothing; fi')
    world.build()
    assert world.lines == ["nothing"]


def test_cache_stays_where_it_was(world: World) -> None:
    world.buildpack("one", compile='cat "$2/before"; echo kept >"$2/after"')
    (world.top / "cache/before").write_text("restored\n")
    world.build()
    assert world.lines == ["restored"]
    assert (world.top / "cache/after").read_text() == "kept\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_cache_of_another_user_becomes_the_builds(world: World) -> None:
    outside = world.top / "outside"
    outside.write_text("")
    (world.top / "cache/sub").mkdir()
    (world.top / "cache/sub/file").write_text("x")
    (world.top / "cache/sub/link").symlink_to(outside)
    world.top.chmod(0o755)
    world.buildpack("one")
    pipeline.compile_slug(world.inputs(), world.root, world.runner, world.paths, (2000, 2001), world)
    found = [path.lstat() for path in ((world.top / "cache"), *sorted((world.top / "cache").rglob("*")))]
    assert [(each.st_uid, each.st_gid) for each in found] == [(2000, 2001)] * 4
    assert outside.stat().st_uid == 0


def test_cache_that_cannot_be_written_is_known_before_anything_is_compiled(world: World) -> None:
    (world.top / "cache").chmod(0o555)
    program = """
import sys
from pathlib import Path
from lifecycle.buildpack.tree import BuildRoot
from lifecycle.slug.ownership import give
give(BuildRoot(Path(sys.argv[1])), "/cache", None)
"""
    command = [sys.executable, "-c", program, str(world.top)]
    if os.geteuid() == 0:  # who may write anywhere as long as nobody takes that from them
        command = ["setpriv", "--bounding-set=-dac_override", *command]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "/cache cannot be written to" in done.stderr and "NoAccess" in done.stderr


# -- export, .env, hooks -----------------------------------------------------------------------------------------


def test_export_of_earlier_buildpacks_is_sourced_before_later_ones(world: World) -> None:
    export = r"""printf 'export CHAIN="$CHAIN:%s"; set -- gone; echo noise\n' one >"$(dirname "$0")/../export" """
    world.buildpack("one", compile=f'echo "one [$CHAIN]"; {export}')
    world.buildpack("two", compile=f'echo "two [$CHAIN] $#"; {export.replace("one", "two")}')
    world.buildpack(
        "three", compile='echo "three [$CHAIN] $#"', release='echo "config_vars: {CHAIN: \'$CHAIN\'}"; echo "$#" >&2'
    )
    world.build(mode="multi")
    told = [line for line in world.lines if line != "noise"]
    assert told == ["one []", "two [:one] 3", "three [:one:two] 3", "2"]
    assert ":one:two" in world.app(".profile.d/00_config_vars.sh")


def test_dotenv_is_exported_while_the_app_is_built(world: World) -> None:
    world.source({".env": '# c\nPLAIN=a b\nexport QUOTED=\'$x "y"\'\nDOUBLE="a\\"b"\nPATH=/evil\nnonsense\n'})
    world.buildpack("one", compile='printf "%s\\n" "$PLAIN" "$QUOTED" "$DOUBLE" "$PATH"')
    world.build()
    assert world.lines == ["a b", '$x "y"', 'a"b', os.environ["PATH"]]
    assert [moment.text.partition(":")[0] for moment in world.told(Warned)] == [".env, line 5", ".env, line 6"]


def test_dotenv_can_be_left_alone(world: World) -> None:
    world.source({".env": "PLAIN=a\n"})
    world.buildpack("one", compile='echo "[$PLAIN]"')
    world.build(dotenv=False)
    assert world.lines == ["[]"]


@pytest.mark.parametrize("dash", ["-", "_"])
def test_hooks_run_around_compile_with_the_config_variables(world: World, dash: str) -> None:
    hook = '#!/bin/bash\necho "$(basename "$0") $KEY $# $PWD $TOOL"\n'
    world.source({f"bin/pre{dash}compile": hook, f"bin/post{dash}compile": hook}, mode=0o755)
    world.buildpack("one", compile='echo compile "[$KEY]"; echo "export TOOL=made" >"$(dirname "$0")/../export"')
    world.build(config_vars={"KEY": "v", "PATH": "/evil"})
    build = world.paths.build
    assert world.lines == [f"pre{dash}compile v 3 {build} ", "compile []", f"post{dash}compile v 3 {build} made"]
    assert [moment.hook for moment in world.told(HookStarted)] == ["pre-compile", "post-compile"]


def test_hook_that_is_not_executable_is_told_and_left_out(world: World) -> None:
    world.source({"bin/pre-compile": "#!/bin/sh\necho no\n"}, mode=0o644)
    world.buildpack("one")
    world.build()
    assert world.lines == []
    assert "chmod +x bin/pre-compile" in world.told(Warned)[0].text


def test_hook_that_the_buildpack_runs_itself_runs_once(world: World) -> None:
    world.source({"bin/pre_compile": "#!/bin/sh\necho hook\n"}, mode=0o755)
    world.buildpack("python", compile='"$1/bin/pre_compile"')
    world.build()
    assert world.lines == ["hook"]
    assert world.told(HookStarted) == []


@pytest.mark.parametrize("name", ["pre-compile", "post_compile"])
def test_failing_hook_ends_the_build(world: World, name: str) -> None:
    world.source({f"bin/{name}": "#!/bin/sh\nexit 3\n"}, mode=0o755)
    world.buildpack("one")
    with pytest.raises(HookFailed, match=f"bin/{name} failed: it exited with 3"):
        world.build()


def test_ssh_key_serves_git_during_the_build_and_is_gone_after(world: World) -> None:
    pem = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"
    world.buildpack("one", compile='set -- $GIT_SSH_COMMAND; echo "$3"; cat "$3"; stat -c %a "$3"')
    world.build(config_vars={"SSH_KEY": base64.b64encode(pem).decode()})
    assert world.lines[1:4] == pem.decode().splitlines()
    assert world.lines[4] == "600"
    assert not Path(world.lines[0]).exists()
    assert "abc" not in "".join(path.read_text() for path in (world.top / "app").rglob("*") if path.is_file())


def test_ssh_key_that_is_none_is_refused_before_anything_runs(world: World) -> None:
    world.buildpack("one", compile="echo ran")
    with pytest.raises(BadSshKey):
        world.build(config_vars={"SSH_KEY": "not base64!"})
    assert world.lines == []


# -- release -----------------------------------------------------------------------------------------------------


def test_release_gets_build_and_cache_and_its_types_stand_behind_the_procfiles(world: World) -> None:
    world.source({"Procfile": "web: own\n"})
    world.buildpack(
        "one",
        release='[ -d "$1" ] && [ -d "$2" ] && printf "default_process_types:\\n  web: theirs\\n  console: repl\\n"',
    )
    compiled = world.build()
    assert dict(compiled.types.commands) == {"web": "own", "console": "repl"}
    assert dict(compiled.types.origins) == {"web": "Procfile", "console": "one"}
    assert "console: repl" in world.app(".release")


def test_last_buildpacks_release_is_the_apps(world: World) -> None:
    world.buildpack("one", release="echo 'default_process_types: {web: first}'")
    world.buildpack("two", release="echo 'default_process_types: {web: second}'")
    assert dict(world.build(mode="multi").types.commands) == {"web": "second"}


def test_missing_release_is_an_empty_one(world: World) -> None:
    world.buildpack("one")
    assert dict(world.build().types.commands) == {}
    assert world.app(".release").startswith("---")
    assert not (world.top / "app/.profile.d").exists()


def test_release_that_is_no_yaml_ends_the_build_and_leaves_the_old_app(world: World) -> None:
    (world.top / "app/old").write_text("")
    world.buildpack("one", release="echo 'a: [b'")
    with pytest.raises(BadRelease, match="buildpack one"):
        world.build()
    assert (world.top / "app/old").exists()


def test_release_that_fails_ends_the_build(world: World) -> None:
    world.buildpack("one", release="echo out; echo err >&2; exit 5")
    with pytest.raises(ReleaseFailed, match="one exited with 5"):
        world.build()
    assert world.lines == ["err"]


def test_config_vars_of_the_release_are_set_at_start_unless_the_user_has_them(world: World) -> None:
    world.buildpack("one", release="""echo "config_vars: {LANG: de, QUOTE: \\"it's\\"}" """)
    world.build()
    script = world.paths.app + "/.profile.d/00_config_vars.sh"
    command = ["env", "-i", "LANG=fr", "bash", "-c", f'. {script}; echo "$LANG $QUOTE"']
    ran = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert ran == "fr it's\n"


def test_profile_d_that_is_a_link_is_not_written_through(world: World, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (world.top / "build/.profile.d").symlink_to(tmp_path / "elsewhere")
    world.buildpack("one", release="echo 'config_vars: {A: b}'")
    with pytest.raises(BadFile, match="it is a link"):
        world.build()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_bad_procfile_is_told_before_anything_is_compiled(world: World) -> None:
    world.source({"Procfile": "<<<<<<< HEAD\nweb: a\n"})
    world.buildpack("one", compile="echo ran")
    with pytest.raises(BadProcfile):
        world.build()
    assert world.lines == []


@pytest.mark.parametrize("name", ["Procfile", ".env"])
def test_file_that_leads_out_of_the_app_is_not_read(world: World, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("web=token: s3cret\n")
    (world.top / "build" / name).symlink_to(tmp_path / "secret")
    world.buildpack("one", compile="env")
    compiled = world.build()
    assert dict(compiled.types.commands) == {}
    assert "s3cret" not in f"{world.lines} {world.told(Warned)}"
    assert f"{name} is not read" in world.told(Warned)[0].text


def test_procfile_that_is_a_directory_is_told(world: World) -> None:
    world.source({"Procfile/web": "x"})
    world.buildpack("one")
    assert dict(world.build().types.commands) == {}
    assert ["Procfile is not read" in moment.text for moment in world.told(Warned)] == [True]


def test_link_in_a_buildpack_changes_no_file_outside_of_it(world: World, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("")
    (tmp_path / "secret").chmod(0o600)
    pack = world.buildpack("one")
    Path(pack.path, "bin/report").symlink_to(tmp_path / "secret")
    world.build()
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_procfile_that_the_buildpack_makes_counts(world: World) -> None:
    world.buildpack("one", compile='echo "web: made" >"$1/Procfile"')
    assert world.build().types.declared == ("web",)


def test_report_is_kept_and_its_failure_is_not_the_builds(world: World) -> None:
    world.buildpack("one", report='echo "version: $(ls "$3")"')
    world.buildpack("two", report="echo half; exit 1")
    compiled = world.build(mode="multi", config_vars={"KEY": ""})
    assert [(pack.name, text) for pack, text in compiled.reports] == [("one", "version: KEY\n")]


# -- the app -----------------------------------------------------------------------------------------------------


def test_app_is_what_was_in_the_build_directory_and_nothing_else(world: World) -> None:
    (world.top / "app/.heroku").mkdir()
    (world.top / "app/.heroku/python").symlink_to("/nowhere")
    (world.top / "app/old").write_text("")
    world.source({"main.py": "x", ".git/HEAD": "ref", "dir/file": "y"})
    (world.top / "build/link").symlink_to("main.py")
    world.buildpack("one", compile='mkdir -p "$1/.heroku"')
    world.build()
    found = sorted(str(path.relative_to(world.top / "app")) for path in (world.top / "app").rglob("*"))
    assert found == [".git", ".git/HEAD", ".heroku", ".release", "dir", "dir/file", "link", "main.py"]
    assert not list((world.top / "build").iterdir())


def test_app_may_lie_on_another_disk(world: World, tmp_path: Path) -> None:
    from lifecycle.slug.place import move_app

    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    import shutil
    import tempfile

    target = Path(tempfile.mkdtemp(prefix="pylife-app-", dir=shm))
    try:
        (target / "old").write_text("")
        world.source({"dir/run": "#!/bin/sh\n", ".git/HEAD": ""}, mode=0o755)
        move_app(world.root, world.paths.build, str(target), None)
        assert (target / "dir/run").stat().st_mode & 0o777 == 0o755
        assert sorted(path.name for path in target.iterdir()) == [".git", "dir"]
        assert not list((world.top / "build").iterdir())
    finally:
        shutil.rmtree(target)


# -- tests of an app ---------------------------------------------------------------------------------------------


def test_tests_are_compiled_for_and_run_with_profile_and_config(world: World) -> None:
    world.source({"app.json": '{"environments": {"test": {"env": {"MODE": "testing"}}}}'})
    world.buildpack(
        "one",
        compile="echo wrong",
        test_compile='mkdir -p "$1/.profile.d"; echo "export TOOL=tool" >"$1/.profile.d/a.sh"; echo test-compile $#',
        test='echo "$TOOL $MODE $KEY $CI $# $PWD"; exit 4',
    )
    assert world.test(config_vars={"KEY": "v"}) == 4
    assert world.lines == ["test-compile 3", f"tool testing v true 2 {world.paths.app}"]


def test_tests_fall_back_to_compile_and_app_json_overrides(world: World) -> None:
    world.source(
        {"app.json": '{"environments": {"test": {"scripts": {"test-setup": "echo setup", "test": "echo own; false"}}}}'}
    )
    world.buildpack("one", compile="echo compile", test="echo theirs")
    assert world.test() == 1
    assert world.lines == ["compile", "setup", "own"]


def test_app_without_tests_says_so(world: World) -> None:
    world.buildpack("one")
    with pytest.raises(NoTests):
        world.test()
