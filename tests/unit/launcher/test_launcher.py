"""The launcher, compiled with the host's compiler and run on layers made for each claim."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from lifecycle.builder.share import launcher_sources

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
PATH = "/usr/bin:/bin"


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("launcher") / "launcher"
    sources = [str(path) for path in launcher_sources() if path.suffix == ".c"]
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-static"]
    subprocess.run(["gcc", *flags, "-o", str(program), *sources], check=True)
    return program


class Launch:
    """An app image's directories, and the launcher started in them."""

    def __init__(self, root: Path, program: Path) -> None:
        self.root, self.program = root, program
        self.app, self.layers = root / "app", root / "layers"
        self.app.mkdir()
        (self.layers / "config").mkdir(parents=True)
        self.metadata: dict[str, Any] = {"buildpacks": [{"id": "a/b", "version": "1", "api": "0.10"}], "processes": []}

    def process(self, type: str, command: object, args: list[str] | None = None, **more: object) -> None:
        table = {"type": type, "command": command, "args": args or [], "direct": True, "buildpack-id": "a/b"} | more
        self.metadata["processes"].append(table)

    def file(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        path = self.layers / "a_b" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def run(self, argv0: str, *args: str, raw: bytes | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        (self.layers / "config/metadata.toml").write_bytes(
            tomli_w.dumps(self.metadata).encode() if raw is None else raw
        )
        defaults = {
            "PATH": f"/cnb/process:/cnb/lifecycle:{PATH}",
            "CNB_PLATFORM_API": "0.14",
            "CNB_APP_DIR": str(self.app),
            "CNB_LAYERS_DIR": str(self.layers),
        }
        variables = {key: value for key, value in (defaults | env).items() if value != "UNSET"}
        return subprocess.run(
            [argv0, *args], executable=self.program, env=variables, capture_output=True, text=True, timeout=20
        )

    def env(self, type: str = "show", **env: str) -> dict[str, str]:
        self.process(type, ["/usr/bin/env", "-0"])
        done = self.run(f"/cnb/process/{type}", **env)
        assert done.returncode == 0, done.stderr
        return dict(item.split("=", 1) for item in done.stdout.split("\0") if item)


@pytest.fixture
def launch(tmp_path: Path, launcher: Path) -> Launch:
    return Launch(tmp_path, launcher)


def words(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\0")[:-1]


SHOW = ["/usr/bin/printf", "%s\\0"]


def test_the_name_it_is_called_by_chooses_the_process(launch: Launch) -> None:
    launch.process("web", ["/bin/echo", "web"])
    launch.process("worker", ["/bin/echo", "worker"])
    assert launch.run("/cnb/process/worker").stdout == "worker\n"
    assert launch.run("web").stdout == "web\n"


def test_no_process_and_no_command_is_an_error_that_lists_the_types(launch: Launch) -> None:
    launch.process("web", ["/bin/echo"])
    launch.process("worker", ["/bin/echo"])
    done = launch.run("/cnb/lifecycle/launcher")
    assert done.returncode == 82
    assert "web, worker" in done.stderr
    assert launch.run("/cnb/process/nope", "--").returncode == 82


def test_two_dashes_start_a_command_without_a_shell(launch: Launch) -> None:
    assert words(launch.run("launcher", "--", *SHOW, "$HOME", "a  b", "")) == ["$HOME", "a  b", ""]


def test_arguments_of_the_user_replace_the_default_ones_and_the_command_stays(launch: Launch) -> None:
    launch.process("web", [*SHOW, "always"], ["default"])
    launch.process("one", ["/bin/echo"], ["default"])
    assert words(launch.run("web")) == ["always", "default"]
    assert words(launch.run("web", "mine", "--")) == ["always", "mine", "--"]
    assert launch.run("one", "mine").stdout == "mine\n"


def test_arguments_of_the_user_are_added_before_buildpack_api_0_9(launch: Launch) -> None:
    launch.metadata["buildpacks"][0]["api"] = "0.8"
    launch.process("web", ["/bin/echo"], ["default"])
    assert launch.run("web", "mine").stdout == "default mine\n"
    assert launch.run("web", "mine", CNB_PLATFORM_API="0.9").stdout == "default mine\n"


def test_a_command_may_be_a_string(launch: Launch) -> None:
    launch.process("web", "/bin/echo", ["x"])
    assert launch.run("web", CNB_PLATFORM_API="0.8").stdout == "x\n"


def test_shell_process_without_arguments_is_a_script(launch: Launch) -> None:
    launch.process("web", ["echo $GREETING | tr a-z A-Z; echo $0"], direct=False)
    assert launch.run("web", GREETING="hello").stdout.splitlines()[0] == "HELLO"
    assert launch.run("launcher", "echo $((1 + 1))").stdout == "2\n"


def test_shell_process_with_arguments_expands_each_as_one_word(launch: Launch) -> None:
    launch.process("web", [SHOW[0]], ["%s\\\\0", "$A b", "-n", "plain  blanks", "$(echo sub)"], direct=False)
    assert words(launch.run("web", A="x y")) == ["x y b", "-n", "plain  blanks", "sub"]
    assert words(launch.run("launcher", SHOW[0], "%s\\\\0", *("$N" for _ in range(12)), N="n")) == ["n"] * 12


def test_profiles_are_sourced_in_order_before_a_shell_process(launch: Launch) -> None:
    launch.process("web", ["echo $TRACE"], direct=False)
    launch.file("one/profile.d/b.sh", "TRACE=$TRACE-b")
    launch.file("one/profile.d/a it's.sh", "export TRACE=a")
    launch.file("one/profile.d/web/c.sh", "TRACE=$TRACE-web")
    launch.file("one/profile.d/worker/c.sh", "TRACE=$TRACE-worker")
    (launch.app / ".profile").write_text("TRACE=$TRACE-app")
    assert launch.run("web").stdout == "a-b-web-app\n"


def test_a_direct_process_sees_no_profile(launch: Launch) -> None:
    launch.file("one/profile.d/a.sh", "export TRACE=a")
    assert "TRACE" not in launch.env()


def test_working_directory_is_the_apps_or_the_processes_own(launch: Launch) -> None:
    (launch.app / "sub").mkdir()
    launch.process("plain", ["/bin/pwd"])
    launch.process("sub", ["/bin/pwd"], **{"working-dir": "sub"})
    launch.process("shell", ["pwd"], direct=False, **{"working-dir": str(launch.app / "sub")})
    launch.process("gone", ["/bin/pwd"], **{"working-dir": "/no/such"})
    assert launch.run("plain").stdout.strip() == str(launch.app)
    assert launch.run("sub").stdout.strip() == launch.run("shell").stdout.strip() == str(launch.app / "sub")
    gone = launch.run("gone")
    assert (gone.returncode, "/no/such" in gone.stderr) == (82, True)


def test_bin_and_lib_of_layers_come_first_and_the_last_layer_foremost(launch: Launch) -> None:
    for name in ("a", "a-b", "z"):
        (launch.layers / "a_b" / name / "bin").mkdir(parents=True)
    (launch.layers / "a_b/a/lib").mkdir()
    (launch.layers / "a_b/a/include").mkdir()
    env = launch.env()
    top = f"{launch.layers}/a_b"
    assert env["PATH"] == f"{top}/z/bin:{top}/a-b/bin:{top}/a/bin:{PATH}"
    assert env["LD_LIBRARY_PATH"] == f"{top}/a/lib"
    assert "CPATH" not in env and "LIBRARY_PATH" not in env


def test_launcher_directories_leave_path_and_its_own_variables_vanish(launch: Launch) -> None:
    env = launch.env(CNB_DEPRECATION_MODE="quiet", CNB_PROCESS_TYPE="web", OTHER="kept", CNB_EXEC_ENV="test")
    assert env["PATH"] == PATH
    assert {key for key in env if key.startswith("CNB_")} == {"CNB_EXEC_ENV"}
    assert env["OTHER"] == "kept"


@pytest.mark.parametrize(
    ("files", "before", "after"),
    [
        ({"X": "new"}, "old", "new"),
        ({"X.override": "new"}, "old", "new"),
        ({"X.default": "new"}, "old", "old"),
        ({"X.default": "new"}, "", "new"),
        ({"X.append": "new"}, "old", "oldnew"),
        ({"X.prepend": "new", "X.delim": ":"}, "old", "new:old"),
        ({"X.append": "new", "X.delim": ", "}, "old", "old, new"),
        ({"X.append": "new", "X.delim": ","}, "", "new"),
        ({"X": "a", "X.append": "b", "X.prepend": "c", "X.delim": "-"}, "old", "c-a-b"),
        ({"X": " line\n"}, "old", " line\n"),
        ({"X.unknown": "new"}, "old", "old"),
        ({"X.append.more": "new"}, "old", "old"),
        ({"X/y": "new"}, "old", "old"),
    ],
)
def test_suffix_of_an_env_file_decides(launch: Launch, files: dict[str, str], before: str, after: str) -> None:
    for name, content in files.items():
        launch.file(f"layer/env/{name}", content)
    assert launch.env(X=before)["X"] == after


def test_env_directories_apply_from_general_to_special(launch: Launch) -> None:
    for name in ("env", "env.launch", "env.launch/show", "env.launch/other", "env.build"):
        launch.file(f"layer/{name}/X.append", f"<{name}>")
    assert launch.env()["X"] == "<env><env.launch><env.launch/show>"


def test_buildpacks_apply_in_their_order_and_escaped(launch: Launch) -> None:
    launch.metadata["buildpacks"] = [{"id": name, "version": "1", "api": "0.10"} for name in ("z/z", "a/b", "none")]
    launch.file("layer/env/X.append", "a")
    launch.file("../z_z/layer/env/X.append", "z")
    launch.file("../strange/layer/env/X.append", "strange")
    assert launch.env()["X"] == "za"


def test_exec_d_sets_variables_through_descriptor_three(launch: Launch) -> None:
    launch.file("layer/env/A", "from env")
    script = '#!/bin/sh\nprintf \'A = "%s"\\nB = "%s in %s"\\n\' one "$A" "$PWD" >&3\n'
    launch.file("layer/exec.d/1", script, 0o755)
    launch.file("layer/exec.d/show/2", '#!/bin/sh\nprintf \'A = """\\ntwo"""\' >&3; echo noise\n', 0o755)
    launch.file("layer/exec.d/other/3", "#!/bin/sh\nexit 9\n", 0o755)
    launch.process("show", ["/bin/sh", "-c", 'echo "$A|$B"'])
    done = launch.run("show")
    assert done.stdout == f"noise\ntwo|from env in {launch.app}\n"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 7", "exit code 7"),
        ("kill -9 $$", "signal 9"),
        ("echo 'A = 1' >&3", "'A' is none"),
        ("echo 'A = \"x' >&3", "not valid TOML"),
        ('echo \'"A=B" = "x"\' >&3', "no name of a variable"),
    ],
)
def test_a_failing_exec_d_program_stops_the_launch(launch: Launch, script: str, says: str) -> None:
    launch.file("layer/exec.d/bad", f"#!/bin/sh\n{script}\n", 0o755)
    launch.process("web", ["/bin/echo"])
    done = launch.run("web")
    assert (done.returncode, done.stdout) == (82, "")
    assert says in done.stderr and "exec.d/bad" in done.stderr


@pytest.mark.parametrize(("api", "code"), [("UNSET", 11), ("", 11), ("0.6", 11), ("0.16", 11), ("1.0", 11), ("0.7", 0)])
def test_platform_api_is_checked(launch: Launch, api: str, code: int) -> None:
    assert launch.run("launcher", "--", "/bin/true", CNB_PLATFORM_API=api).returncode == code


@pytest.mark.parametrize(("api", "code"), [("0.6", 12), ("0.13", 12), ("", 12), ("0.9", 0), ("0.12", 0)])
def test_buildpack_api_is_checked(launch: Launch, api: str, code: int) -> None:
    launch.metadata["buildpacks"][0]["api"] = api
    assert launch.run("launcher", "--", "/bin/true").returncode == code


def test_exec_env_chooses_among_processes_of_one_type(launch: Launch) -> None:
    launch.process("web", ["/bin/echo", "test"], **{"exec-env": ["test"]})
    launch.process("web", ["/bin/echo", "production"], **{"exec-env": ["production"]})
    launch.process("any", ["/bin/echo", "any"], **{"exec-env": ["*"]})
    new = {"CNB_PLATFORM_API": "0.15"}
    assert launch.run("web", **new).stdout == "production\n"
    assert launch.run("web", CNB_EXEC_ENV="test", **new).stdout == "test\n"
    assert launch.run("any", CNB_EXEC_ENV="test", **new).stdout == "any\n"
    assert launch.run("web", CNB_EXEC_ENV="other", **new).returncode == 82
    assert launch.run("web").stdout == "test\n", "older platforms know no execution environment"


def test_a_command_is_looked_up_in_the_layers_path(launch: Launch) -> None:
    launch.file("layer/bin/tool", "#!/bin/sh\necho from layer\n", 0o755)
    launch.file("layer/bin/text", "no program\n")
    launch.process("web", ["tool"])
    assert launch.run("web").stdout == "from layer\n"
    for missing in ("text", "nothing", "/no/such", ""):
        done = launch.run("launcher", "--", missing)
        assert done.returncode == 82
        assert "ERROR: failed to launch" in done.stderr


def test_without_bash_a_shell_process_says_so_and_a_direct_one_runs(launch: Launch) -> None:
    assert launch.run("launcher", "--", "/bin/true", PATH="/no").returncode == 0
    done = launch.run("launcher", "true", PATH="/no")
    assert (done.returncode, "needs bash" in done.stderr) == (82, True)


EVERY_FORM = rb"""
# a comment
buildpack-default-process-type = "web" # another
"quoted key" = {a = 1, b = {c = [1, 2.5, 1979-05-27 07:32:00, 07:32:00, inf, -nan]}, d = "x"}
dotted.key . "with blanks" = true
numbers = [ 0xFF, 1_000,
   -3, # inside
   +4.5e-7 ]
[[buildpacks]]
  id = 'a/b'
  version = "1"
  api = "0.10"
[[slices]]
paths = []
[[processes]]
type = "web"
command = ["/usr/bin/printf", '%s\0', "tab\tquote\"slash\\ \u00e9\U0001F600", '''literal \n''', QQQtwo
lines \
     joinedQQQ]
args = [ QQQ"quoted"QQQ, ]
direct = true
buildpack-id = "a/b"
[processes.extra]
sub.table = "ignored"
[[processes]]
type = "last"
command = ["/bin/echo"]
direct = true
""".replace(b"QQQ", b'"' * 3)


def test_every_form_of_toml_is_read(launch: Launch) -> None:
    expected = ['tab\tquote"slash\\ \u00e9\U0001f600', "literal \\n", "two\nlines joined", '"quoted"']
    assert words(launch.run("web", raw=EVERY_FORM)) == expected
    assert words(launch.run("web", raw=EVERY_FORM.replace(b"\n", b"\r\n"))) == expected
    assert launch.run("last", raw=EVERY_FORM).returncode == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"a = ",
        b"a = 1\na = 2",
        b"[a",
        b"[[a]",
        b"a = [1, 2",
        b'a = "x',
        b'a = "\\q"',
        b'a = "\\ud800"',
        b'a = "\\u0000"',
        b'a = "\0"',
        b"a = '''x",
        b"a = {b = 1",
        b"a = 1 b = 2",
        b"= 1",
        b"a = nothing",
        b"a = [" * 5000,
        b"a = " + b"[" * 5000,
        b"a." * 5000 + b"b = 1",
        b"processes = 3",
        b"processes = [1]",
        b'[[processes]]\ntype = "web"',
        b'[[processes]]\ntype = "web"\ncommand = [1]',
        b'[[processes]]\ntype = "web"\ncommand = []',
        b"a = 1\n[a]\nb = 1",
        b"a = []\n[[a]]",
        b"[a]\n[[a]]",
        b"a = {}\n[a]\nb = 1",
    ],
)
def test_broken_metadata_is_an_error_and_no_crash(launch: Launch, raw: bytes) -> None:
    done = launch.run("web", raw=raw)
    assert (done.returncode, done.stdout) == (82, ""), done.stderr


def test_mangled_metadata_never_crashes(launch: Launch) -> None:
    launch.process("web", ["/bin/true", "\u00e9\n\t"], ["a b"], **{"working-dir": "/"})
    good = tomli_w.dumps(launch.metadata).encode() + b'x = """a\\\n b"""\ny = {a = [1, {b = 2}]}\n'
    dice = random.Random(1)
    for _ in range(300):
        data = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data))
            match dice.randrange(3):
                case 0:
                    data[at] = dice.choice(b"\"'[]{}=.\\\n#\0 \xff")
                case 1:
                    del data[at : at + dice.randint(1, 20)]
                case 2:
                    data[at:at] = dice.choice([b"[", b"[[", b'"""', b"{", b"\\u", b"=", b"\n"])
        code = launch.run("web", raw=bytes(data)).returncode
        assert code in (0, 11, 12, 82), bytes(data)


def test_it_becomes_the_process_and_does_not_fork(launch: Launch) -> None:
    (launch.layers / "config/metadata.toml").write_bytes(b"")
    env = {
        "CNB_PLATFORM_API": "0.14",
        "CNB_APP_DIR": str(launch.app),
        "CNB_LAYERS_DIR": str(launch.layers),
        "PATH": PATH,
    }
    for words_ in (["--", "/bin/sh", "-c", "echo $$"], ["echo $$"]):
        process = subprocess.Popen(["launcher", *words_], executable=launch.program, env=env, stdout=subprocess.PIPE)
        assert int(process.communicate(timeout=20)[0]) == process.pid
