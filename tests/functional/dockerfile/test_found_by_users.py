"""What people met who built Dockerfiles of real projects: each test is a build that once went wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from dockerfile_command import Pylife


def _context(tmp_path: Path, text: str) -> Path:
    place = tmp_path / "context"
    place.mkdir()
    (place / "Dockerfile").write_text(text)
    return place


@pytest.mark.parametrize("isolation", ["auto", "chroot"])
def test_a_step_may_replace_and_append_to_the_bundle_of_the_image(
    busybox: Pylife, tmp_path: Path, isolation: str
) -> None:
    """``update-ca-certificates`` renames a new bundle over the old one; a mount there made that fail."""
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    context = _context(
        tmp_path,
        "FROM base\n"
        f"RUN mkdir -p /etc/ssl/certs && echo one > {bundle}.new && mv {bundle}.new {bundle}\n"
        f"RUN echo two >> {bundle}\n"
        f'RUN [ "$(cat {bundle})" = "$(printf "one\\ntwo")" ]\n'
        "FROM scratch\n"
        f"COPY --from=0 {bundle} /bundle\n",
    )
    out = tmp_path / "out"
    busybox("build", "-f", context / "Dockerfile", "--isolation", isolation, "-o", out, context)
    assert (out / "bundle").read_text() == "one\ntwo\n"


def test_what_the_host_trusts_is_in_no_layer(busybox: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, "FROM base\nRUN test ! -e /run/pylife || cat $SSL_CERT_FILE > /dev/null\n")
    out = tmp_path / "out"
    busybox("build", "-f", context / "Dockerfile", "-o", out, context)
    assert not (out / "run" / "pylife").exists()


def test_the_context_may_stand_alone_as_docker_build_has_it(busybox: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, "FROM scratch\nCOPY Dockerfile /here\n")
    busybox("build", "-t", "demo", "-f", context / "Dockerfile", context)
    done = busybox.run("build", "-t", "demo", "-f", context / "Dockerfile", "--app", context, context)
    assert done.returncode != 0
    assert "both the context" in done.stderr


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("--load", "local store"),
        ("--tar-path=x", "type=docker"),
        ("--call=check", "--check"),
        ("--timestamp=0", "EPOCH"),
    ],
)
def test_options_of_other_builders_are_answered_with_what_to_write_instead(
    busybox: Pylife, tmp_path: Path, option: str, instead: str
) -> None:
    context = _context(tmp_path, "FROM base\n")
    done = busybox.run("build", "-t", "demo", "-f", context / "Dockerfile", option, context)
    assert done.returncode != 0
    assert instead in done.stderr.partition("fix:")[2]


def _built(pylife: Pylife, context: Path, *options: str | Path) -> tuple[int, str]:
    """The exit code of a build, and what it says."""
    done = pylife.run("build", "-t", "demo", "-f", context / "Dockerfile", *options, context)
    return done.returncode, done.stderr


def test_a_dockerfile_on_standard_input_that_is_taken_for_an_archive_is_recognised(busybox: Pylife) -> None:
    done = busybox.run("build", "-t", "demo", "-", stdin=b"FROM base\n")
    assert "-f -" in done.stderr.partition("fix:")[2]


@pytest.mark.parametrize("option", ["--pull=missing", "--pull=never", "--pull=false", "--pull=IfMissing"])
def test_without_a_pull_the_base_of_the_store_is_enough(busybox: Pylife, tmp_path: Path, option: str) -> None:
    context = _context(tmp_path, "FROM base\n")
    code, said = _built(busybox, context, option)
    assert (code, "trying again" in said) == (0, False)


def test_pull_never_asks_no_registry(busybox: Pylife, tmp_path: Path) -> None:
    code, said = _built(busybox, _context(tmp_path, "FROM localhost:1/absent\n"), "--pull=never")
    assert code != 0
    assert "trying again" not in said
    assert "--pull=never" in said.partition("fix:")[2]


@pytest.mark.parametrize("option", ["--pull", "--pull=always", "--pull=true"])
def test_a_pull_that_fails_says_that_the_store_has_the_image(busybox: Pylife, tmp_path: Path, option: str) -> None:
    context = _context(tmp_path, "FROM localhost:1/base\n")
    busybox("tag", "base", "localhost:1/base")
    code, said = _built(busybox, context, option)
    assert code != 0
    assert "could not be had from localhost:1" in said
    assert "There is no image" not in said
    code, said = _built(busybox, context, "--pull=newer")
    assert code == 0
    assert "the local store's is used" in said


def test_progress_has_the_values_of_buildkit(busybox: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, "FROM base\n")
    assert _built(busybox, context, "--progress=quiet") == (0, "")
    assert '"event": "summary"' in _built(busybox, context, "--progress=rawjson")[1]


def test_an_unknown_platform_is_refused_before_anything_is_read(busybox: Pylife, tmp_path: Path) -> None:
    code, said = _built(busybox, tmp_path / "absent", "--platform=linux/amd46")
    assert code == 2
    assert "`amd64`" in said.partition("fix:")[2]


def test_a_named_context_that_is_not_there_is_an_error_though_unused(busybox: Pylife, tmp_path: Path) -> None:
    code, said = _built(busybox, _context(tmp_path, "FROM base\n"), "--build-context", f"x={tmp_path}/absent")
    assert code == 2
    assert "absent does not exist" in said


def test_a_stage_that_shall_not_be_cached_but_is_not_there_is_told(busybox: Pylife, tmp_path: Path) -> None:
    code, said = _built(busybox, _context(tmp_path, "FROM base AS build\n"), "--no-cache-filter=biuld")
    assert code == 0
    assert "Did you mean `build`?" in said


def test_a_cache_that_is_not_there_is_one_warning(busybox: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, "FROM base\nRUN true\n")
    for _ in range(2):
        code, said = _built(busybox, context, "--cache-from", f"type=local,src={tmp_path}/absent")
        assert (code, said.count("warning: There is no cache at")) == (0, 1)
    assert _built(busybox, context, "--cache-from", f"type=local,src={tmp_path}/absent", "-q") == (0, "")


@pytest.mark.parametrize(
    ("options", "instead"),
    [
        (["-v", "/src:/dst"], "--mount=type=bind,from=NAME,target=/dst"),
        (["-v", "/src:/dst:ro"], "--volume /src:/dst:ro"),
        (["-c", "."], "--context"),
        (["-d", "name"], "--destination"),
        (["--add-host=a:1.2.3.4"], "/etc/hosts"),
        (["--ulimit=nofile=9"], "ulimit"),
        (["--shm-size=1g"], "/dev/shm"),
        (["--isolation=oci"], "Leave it out"),
    ],
)
def test_short_options_and_values_of_other_builders_are_answered(
    busybox: Pylife, tmp_path: Path, options: list[str], instead: str
) -> None:
    code, said = _built(busybox, _context(tmp_path, "FROM base\n"), *options)
    assert code == 2
    assert instead in said.partition("fix:")[2]


def test_a_reader_that_has_enough_of_an_output_is_no_failure_to_talk_of(busybox: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, "FROM base\n")
    words = [*busybox.command, "build", "-q", "-f", str(context / "Dockerfile"), "-o", "-", str(context)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=busybox.environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(
    ("dockerfile", "options", "said"),
    [
        ("FROM base\nCOPY ../x /\n", [], "--build-context NAME=DIR"),
        ("FROM scratch\nRUN true\n", [], "the image has no shell"),
        (
            "FROM base\nRUN --mount=type=secret,id=token cat /run/secrets/token\n",
            ["--secret", "id=tokens,src=/dev/null"],
            "The secret 'token' was not given (--secret gives 'tokens'",
        ),
        ("FROM base\nENV A=${B:?must be set}\n", [], "put the value into quotes"),
        ("FROM base AS build\nFROM base\nCOPY --from=biuld /x /\n", ["--pull=never"], "biuld is no stage"),
        ("FROM absent.invalid/x\n", [], "fix:"),
    ],
)
def test_what_keeps_a_build_from_going_on_says_how_it_can(
    busybox: Pylife, tmp_path: Path, dockerfile: str, options: list[str], said: str
) -> None:
    code, shown = _built(busybox, _context(tmp_path, dockerfile), *options)
    assert code != 0
    assert said in shown
    assert "Errno" not in shown


def test_a_directory_is_no_dockerfile_and_the_one_in_it_is_named(busybox: Pylife, tmp_path: Path) -> None:
    context = _context(tmp_path, "FROM base\n")
    done = busybox.run("build", "-t", "demo", "-f", context, context)
    assert "is a directory" in done.stderr
    assert f"-f {context / 'Dockerfile'}" in done.stderr.partition("fix:")[2]


def test_the_last_lines_count_the_layers_of_the_base(busybox: Pylife, tmp_path: Path) -> None:
    said = _built(busybox, _context(tmp_path, "FROM base\nRUN echo > /new\n"))[1]
    assert " 1 new (" in said
    assert ", 0 reused, 2 of the base\n" in said
