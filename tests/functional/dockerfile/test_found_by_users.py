"""What people met who built Dockerfiles of real projects: each test is a build that once went wrong."""

from __future__ import annotations

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
