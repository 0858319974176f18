"""What is in the images, called there by the names of the family: by pylife's sandbox, and as a cluster starts it."""

from __future__ import annotations

import os
import subprocess
import tarfile
import uuid
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from loopback import free_port, page
from objectserver import ObjectServer
from platform_steps import PILOT_STEPS, follow
from pylife_command import Pylife, Run

pytestmark = pytest.mark.functional

BUILDER, RUNNER = "pylife/slugbuilder:latest", "pylife/slugrunner:latest"
FILES = {
    "Procfile": "web: echo serving > www/index.html; exec python3 -m http.server $PORT --bind 127.0.0.1 -d www\n"
    "worker: id -u; echo $FROM_PROFILE $COLOUR; pwd\n",
    "www/index.html": "nothing yet\n",
    ".profile": "export FROM_PROFILE=profile\n",
    ".slugignore": "docs/\n",
    "docs/long.txt": "long\n",
}
IN_SLUG = (".profile", ".release", ".slugignore", "Procfile", "made-by", "www/index.html")
Start = Callable[..., "subprocess.Popen[bytes]"]


def tar(directory: Path) -> bytes:
    return subprocess.run(["tar", "-C", directory, "-c", "."], check=True, capture_output=True).stdout


def names(slug: bytes) -> tuple[str, ...]:
    with tarfile.open(fileobj=BytesIO(slug)) as archive:
        return tuple(sorted(member.name.removeprefix("./") for member in archive if member.isfile()))


@pytest.fixture
def source(app: Callable[..., Path]) -> Path:
    return app(FILES)


@pytest.fixture
def one(buildpack: Callable[..., Path]) -> Path:
    """A buildpack that keeps something, and has tests."""
    return buildpack(
        "one",
        compile='echo one >> "$1/made-by"; id -u; echo x > "$2/kept"',
        test='echo "1..1"; test -f "$1/made-by" && echo "ok 1"',
    )


@pytest.fixture
def slug(pylife: Pylife, source: Path, one: Path) -> bytes:
    """The slug as it is built from outside."""
    return pylife("slug", "build", "--app", source, "-b", one, "--no-cache").raw


def builder(pylife: Pylife, *args: str | Path, entrypoint: str = "/build", code: int = 0, stdin: bytes = b"") -> Run:
    """Run the slugbuilder: the options of ``pylife run``, ``|``, and the words for the program in it."""
    divide = args.index("|")
    options, words = args[:divide], args[divide + 1 :]
    return pylife("run", "--entrypoint", entrypoint, *options, BUILDER, "--", *words, code=code, stdin=stdin)


def test_build_takes_the_source_from_standard_input_and_gives_the_same_slug_as_outside(
    pylife: Pylife, source: Path, one: Path, slug: bytes
) -> None:
    chosen = ("-v", f"{one}:/packs/one:ro", "-e", "BUILDPACK_URL=file:///packs/one")
    for entrypoint in ("/build", "/builder/build.sh"):
        done = builder(pylife, *chosen, "|", "-", entrypoint=entrypoint, stdin=tar(source))
        assert done.raw == slug
        assert "One" in done.err and "2000" in done.err.split(), "compiled as another user"
    assert names(slug) == IN_SLUG


def test_build_takes_a_mounted_app_and_leaves_it_as_it_is(pylife: Pylife, source: Path, one: Path, slug: bytes) -> None:
    source.chmod(0o755)
    before = sorted(str(path) for path in source.rglob("*"))
    chosen = ("-v", f"{one}:/packs/one:ro", "-v", f"{source}:/tmp/app:ro", "-e", "BUILDPACK_URL=file:///packs/one")
    assert builder(pylife, *chosen, "|", "-").raw == slug
    assert sorted(str(path) for path in source.rglob("*")) == before


def test_build_without_a_place_leaves_the_slug_where_dockerfiles_copy_it_from(
    pylife: Pylife, source: Path, one: Path, slug: bytes
) -> None:
    """`RUN /builder/build.sh`, `COPY --from=builder /tmp/slug.tgz …`; the log is on standard output."""
    chosen = ("-v", f"{one}:/packs/one:ro", "-v", f"{source}:/tmp/app:ro", "-e", "BUILDPACK_URL=file:///packs/one")
    done = builder(pylife, *chosen, "|", "-c", "/builder/build.sh >&2; cat /tmp/slug.tgz", entrypoint="bash")
    assert done.raw == slug
    assert "-----> One app detected" in done.err


def test_a_build_that_fails_in_the_image_has_its_code_and_no_slug(
    pylife: Pylife, source: Path, buildpack: Callable[..., Path]
) -> None:
    broken = buildpack("broken", compile="echo no luck >&2; exit 7")
    chosen = ("-v", f"{broken}:/packs/broken:ro", "-e", "BUILDPACK_URL=file:///packs/broken")
    done = builder(pylife, *chosen, "|", "-", stdin=tar(source), code=1)
    assert done.raw == b""
    assert "no luck" in done.err and "slug.compile-failed" in done.err


def test_herokuish_test_builds_starts_and_asks(pylife: Pylife, source: Path, one: Path) -> None:
    options = ("-v", f"{one}:/packs/one:ro", "-v", f"{source}:/tmp/app:ro", "-e", "BUILDPACK_URL=file:///packs/one")
    done = builder(pylife, *options, "|", "test", "/", "serving", entrypoint="herokuish")
    said = [line for line in done.out.splitlines() if line.startswith(":::") or line == "serving"]
    assert [line.strip(": ") for line in said] == [
        *("BUILDING APP", "STARTING WEB", "FOUND LISTENER", "CHECKING APP", "APP OUTPUT", "serving", "TEST FINISHED")
    ]
    failed = builder(pylife, *options, "|", "test", "/", "other words", entrypoint="herokuish", code=1)
    assert "::: TEST FAILED :::" in failed.out
    assert "slug.trial-failed" in failed.err


def test_herokuishs_words_do_what_they_do_there(pylife: Pylife, source: Path, one: Path) -> None:
    script = """
    set -e
    herokuish paths
    herokuish buildpack install file:///packs/one '' 10_one
    herokuish buildpack list
    herokuish buildpack detect
    herokuish buildpack test
    herokuish buildpack build
    herokuish procfile parse worker
    herokuish procfile exec pwd
    herokuish procfile start worker
    herokuish slug generate
    herokuish slug export > /tmp/exported.tgz
    mkdir /tmp/other
    APP_PATH=/tmp/other herokuish slug import < /tmp/exported.tgz
    ls /tmp/other
    """
    options = ("-v", f"{one}:/packs/one:ro", "-v", f"{source}:/tmp/app:ro", "-e", "COLOUR=green")
    done = builder(pylife, *options, "|", "-c", script, entrypoint="bash")
    lines = done.out.splitlines()
    for line in (
        "APP_PATH=/app",
        "BUILDPACK_PATH=/tmp/buildpacks",
        "/tmp/buildpacks/10_one",
        "10_one",
        "One",
        "       ok 1",
        "-----> One app detected",
        "       Procfile declares types -> web, worker",
        "id -u; echo $FROM_PROFILE $COLOUR; pwd",
        "profile green",
        "-----> Compiled slug size is",
        "made-by",
    ):
        assert [found for found in lines if found.startswith(line)], f"{line!r} is not in\n{done.out}\n{done.err}"
    assert "docs" not in lines


def test_start_and_exec_run_the_app_of_the_container(pylife: Pylife, source: Path) -> None:
    mounted = ("-v", f"{source}:/app:ro", "-e", "COLOUR=blue")
    started = builder(pylife, *mounted, "|", "worker", entrypoint="/start")
    assert started.out.splitlines() == ["2000", "profile blue", "/app"]
    root = pylife("run", "-u", "0", "--entrypoint", "/start", *mounted, BUILDER, "--", "worker")
    assert root.out.splitlines()[0] == "2000", "root was kept"
    assert builder(pylife, *mounted, "|", "echo", "-n", "a b", entrypoint="/exec").out == "a b"
    missing = builder(pylife, *mounted, "|", "clock", entrypoint="/start", code=1)
    assert "Proc entrypoint clock does not exist. Please check your Procfile" in missing.err


def test_init_takes_the_slug_from_standard_input(pylife: Pylife, slug: bytes) -> None:
    done = pylife("run", "-e", "COLOUR=red", RUNNER, "--", "start", "worker", stdin=slug)
    assert done.out.splitlines() == ["2000", "profile red", "/app"]
    assert pylife("run", RUNNER, "--", "cat", "made-by", stdin=slug).out == "one\n"
    nothing = pylife("run", RUNNER, "--", "start", "web", code=2)
    assert "slug.missing" in nothing.err
    assert "slug.bad-archive" in pylife("run", RUNNER, "--", "start", "web", stdin=b"no archive", code=1).err


def test_init_gets_the_slug_of_slug_url_and_ends_at_sigterm(slug: bytes, objects: ObjectServer, start: Start) -> None:
    objects.objects["/open/slug.tgz"] = (slug, {})
    port = free_port()
    url = objects.url("/open/slug.tgz?Signature=5ecre7")
    process = start("run", "-p", str(port), "-e", f"SLUG_URL={url}", RUNNER, "--", "start", "web")
    assert page(port, process) == "serving\n"
    process.terminate()
    assert process.wait(timeout=5) == 143


def test_init_unpacks_the_slug_around_mounted_logs(pylife: Pylife, slug: bytes, tmp_path: Path) -> None:
    """BlueKing mounts a host's directories at /app/logs and /app/v3logs."""
    for name in ("logs", "www"):
        (tmp_path / name).mkdir(mode=0o777)
        (tmp_path / name / "old.log").write_text("old")
    volumes = ("-v", f"{tmp_path}/logs:/app/v3logs", "-v", f"{tmp_path}/www:/app/www")
    done = pylife("run", *volumes, RUNNER, "--", "ls -A . v3logs www", stdin=slug)
    assert done.out.split("\n\n") == [
        ".:\n.profile\n.release\n.slugignore\nProcfile\nmade-by\nv3logs\nwww",
        "v3logs:\nold.log",
        "www:\nold.log\n",
    ]
    pylife("run", *volumes, RUNNER, "--", "start", "web", stdin=slug[: len(slug) // 2], code=1)
    assert (tmp_path / "logs/old.log").read_text() == "old", "what failed was cleaned up in the volume"


def test_init_gets_the_slug_of_a_key(pylife: Pylife, slug: bytes, objects: ObjectServer) -> None:
    objects.objects["/git/home/app%3Agit-1f2e3d4c/push/slug.tgz"] = (slug, {})
    given = {**objects.environment, "SLUG_URL": "home/app:git-1f2e3d4c/push/slug.tgz"}
    options = [word for name, value in given.items() for word in ("-e", f"{name}={value}")]
    done = pylife("run", *options, "-e", "BUILDER_STORAGE=minio", RUNNER, "--", "cat made-by; echo $SLUG_URL")
    assert done.out == "one\n\n"
    unknown = pylife("run", *options, RUNNER, "--", "start", "web", code=2)
    assert "slug.missing" in unknown.err and "SLUG_GET_URL" in unknown.err


def test_variables_whose_names_no_shell_can_use_reach_app_and_buildpack(
    pylife: Pylife, source: Path, slug: bytes, buildpack: Callable[..., Path]
) -> None:
    done = pylife("run", "-e", "spring.port=8080", RUNNER, "--", "env", stdin=slug)
    assert "spring.port=8080" in done.out.splitlines()
    pack = buildpack("dots", compile='cat "$3/spring.port"')
    options = ("-v", f"{pack}:/packs/dots:ro", "-e", "BUILDPACK_URL=file:///packs/dots", "-e", "spring.port=8080")
    assert "8080" in builder(pylife, *options, "|", "-", stdin=tar(source)).err.split()


@pytest.mark.parametrize("user", ["0", "2000"])
def test_an_app_can_log_to_the_names_of_its_output(pylife: Pylife, slug: bytes, user: str) -> None:
    done = pylife("run", "-u", user, RUNNER, "--", "echo out > /dev/stdout; echo err > /dev/stderr; id -u", stdin=slug)
    assert (done.out, done.err.splitlines()[-1]) == ("out\n2000\n", "err")


def test_init_shows_its_steps_when_asked_to(pylife: Pylife, slug: bytes) -> None:
    traced = pylife("run", "-e", "TRACE=1", RUNNER, "--", "start", "worker", stdin=slug)
    assert "+ export FROM_PROFILE=profile" in traced.err
    assert "+ " not in pylife("run", "-e", "DEBUG=1", RUNNER, "--", "start", "worker", stdin=slug).err


def test_a_directory_that_may_not_be_written_is_told_before_anything_is_done(
    pylife: Pylife, source: Path, slug: bytes, buildpack: Callable[..., Path]
) -> None:
    slow = buildpack("slow", compile="echo compiling")
    options = ("-u", "12345:12345", "-v", f"{slow}:/packs/slow:ro", "-e", "BUILDPACK_URL=file:///packs/slow")
    done = builder(pylife, *options, "|", "-", stdin=tar(source), code=1)
    assert "/app cannot be written to" in done.err and "2000:2000" in done.err
    assert "compiling" not in done.err
    ran = pylife("run", "-u", "12345:12345", RUNNER, "--", "start", "web", stdin=slug, code=1)
    assert "/app cannot be written to" in ran.err and "user 12345 may not" in ran.err


def test_read_only_directories_of_an_app_get_into_the_slug(
    pylife: Pylife, source: Path, buildpack: Callable[..., Path]
) -> None:
    frozen = buildpack("frozen", compile='mkdir "$1/frozen"; echo x > "$1/frozen/f"; chmod 0555 "$1/frozen"')
    options = ("-v", f"{frozen}:/packs/frozen:ro", "-e", "BUILDPACK_URL=file:///packs/frozen")
    assert "frozen/f" in names(builder(pylife, *options, "|", "-", stdin=tar(source)).raw)


def test_config_variables_of_a_mounted_secret_reach_the_buildpack(
    pylife: Pylife, source: Path, buildpack: Callable[..., Path], tmp_path: Path
) -> None:
    """deis mounts them at /tmp/env, to be read only."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/COLOUR").write_text("red")
    pack = buildpack("vars", compile='cat "$3/COLOUR" "$3/SIZE"')
    options = ("-v", f"{pack}:/packs/vars:ro", "-v", f"{tmp_path}/secret:/tmp/env:ro")
    done = builder(
        pylife, *options, "-e", "BUILDPACK_URL=file:///packs/vars", "-e", "SIZE=xl", "|", "-", stdin=tar(source)
    )
    assert "redxl" in done.err
    assert [path.name for path in (tmp_path / "secret").iterdir()] == ["COLOUR"]


def test_a_pod_that_is_deleted_or_too_slow_ends_its_build(
    pylife: Pylife, source: Path, buildpack: Callable[..., Path], start: Start
) -> None:
    seconds = f"5{os.getpid():08}"
    slow = buildpack("slow", compile=f"echo started; sleep {seconds} & sleep {seconds}")
    options = ("-v", f"{slow}:/packs/slow:ro", "-e", "BUILDPACK_URL=file:///packs/slow")
    process = start("run", "--entrypoint", "/build", *options, BUILDER, "--", "-", stdin=tar(source))
    assert process.stdout is not None
    assert any(b"started" in line for line in process.stdout)
    process.terminate()
    assert process.wait(timeout=10) == 143
    late = builder(pylife, *options, "-e", "PILOT_BUILDER_TIMEOUT=1s", "|", "-", stdin=tar(source), code=51)
    assert "build.timeout" in late.err and late.raw == b""
    assert seconds not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def in_podman(
    pylife: Pylife, tool: Callable[[str], str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.CompletedProcess[bytes]]]:
    """Runs one of the images in a container as a cluster would, with a standard input."""
    if os.geteuid() != 0:
        pytest.skip("starting the container needs root")
    podman, skopeo = tool("podman"), tool("skopeo")
    loaded: dict[str, str] = {}

    def run(image: str, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        if image not in loaded:
            loaded[image] = f"localhost/pylife-test-{uuid.uuid4().hex[:8]}:latest"
            source = f"oci:{pylife.home / 'store'}:{image}"
            subprocess.run([skopeo, "copy", "-q", source, f"containers-storage:{loaded[image]}"], check=True)
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
        options = [arg for arg in args if arg.startswith("-") and arg != "-"]
        words = [arg for arg in args if arg not in options]
        command = [podman, "--runtime", "runc", "run", "--rm", "-i", "--net=host", *limits, *options, loaded[image]]
        return subprocess.run([*command, *words], input=stdin, capture_output=True)

    yield run
    for name in loaded.values():
        subprocess.run([podman, "rmi", "-f", name], check=False, capture_output=True)


def test_containers_of_another_engine_build_and_run_the_same_slug(
    in_podman: Callable[..., subprocess.CompletedProcess[bytes]],
    source: Path,
    one: Path,
    slug: bytes,
    objects: ObjectServer,
) -> None:
    pack = (f"--volume={one}:/packs/one:ro", "--env=BUILDPACK_URL=file:///packs/one")
    built = in_podman(BUILDER, *pack, "-", stdin=tar(source))
    assert built.returncode == 0, built.stderr.decode()
    assert built.stdout == slug
    root = in_podman(BUILDER, *pack, "--user=0", "--entrypoint=/build", "-", stdin=tar(source))
    assert root.stdout == slug, root.stderr.decode()
    ran = in_podman(RUNNER, "--env=COLOUR=red", "start", "worker", stdin=slug)
    assert ran.stdout.decode().splitlines() == ["2000", "profile red", "/app"], ran.stderr.decode()
    older = in_podman(RUNNER, "--entrypoint=bash", "--env=COLOUR=red", "/runner/init", "start", "worker", stdin=slug)
    assert older.stdout == ran.stdout, older.stderr.decode()
    objects.objects["/open/source.tar"] = (tar(source), {})
    urls = {name: objects.url(f"/open/{name}?sig=5ecre7") for name in ("source.tar", "slug.tgz", "cache.tgz")}
    pod = in_podman(  # as a platform starts it: variables alone
        BUILDER,
        *pack,
        *(f"--env={name}={urls['cache.tgz']}" for name in ("CACHE_GET_URL", "CACHE_SET_URL")),
        f"--env=SOURCE_GET_URL={urls['source.tar']}",
        f"--env=SLUG_SET_URL={urls['slug.tgz']}",
    )
    log = pod.stdout.decode()
    assert pod.returncode == 0, log + pod.stderr.decode()
    assert objects.objects["/open/slug.tgz"][0] == slug
    assert "/open/cache.tgz" in objects.objects and "5ecre7" not in log
    found = follow([step for step in PILOT_STEPS if "hook" not in step.starts], log.splitlines())
    assert all(done > begun >= 0 for begun, done in found), log
