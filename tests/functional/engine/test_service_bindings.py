"""Service bindings, from --binding to the programs that read them, on every rung."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pylife_command import Pylife

pytestmark = pytest.mark.functional

SECRET = "tr0ub4dor-and-3"
LOOK = f"""
cat "$SERVICE_BINDING_ROOT/db/type" "$SERVICE_BINDING_ROOT/db/user"
[ "$(cat "$SERVICE_BINDING_ROOT/db/password")" = {SECRET[:6]}"{SECRET[6:]}" ] && echo it is right
echo "said: $(cat "$SERVICE_BINDING_ROOT/db/password")"
[ "$SERVICE_BINDING_ROOT" = "$CNB_PLATFORM_DIR/bindings" ]
touch "$SERVICE_BINDING_ROOT/db/new" 2>/dev/null || echo no new file
"""
WEB = """
cat > "$CNB_LAYERS_DIR/launch.toml" <<'EOT'
[[processes]]
type = "web"
command = ["bash", "-c", "cat $SERVICE_BINDING_ROOT/db/password"]
default = true
EOT
"""


@pytest.fixture
def binding(tmp_path: Path) -> Path:
    directory = tmp_path / "db"
    directory.mkdir()
    for name, content in (("type", "postgresql\n"), ("user", "scott\n"), ("password", SECRET + "\n")):
        (directory / name).write_text(content)
        (directory / name).chmod(0o600)
    return directory


def words(app: Path, image: str, pack: Path, binding: Path) -> tuple[str | Path, ...]:
    return ("build", "--app", app, "--image", image, "--buildpack", pack, "--binding", binding)


@pytest.mark.parametrize("isolation", ["auto", "chroot"])
def test_detect_build_and_run_see_the_binding_and_nothing_keeps_it(
    pylife: Pylife,
    app: Path,
    buildpack: Callable[..., Path],
    image_name: str,
    binding: Path,
    isolation: str,
    tmp_path: Path,
) -> None:
    layer = 'mkdir "$CNB_LAYERS_DIR/x"; printf "[types]\\ncache=true\\nlaunch=true\\n" > "$CNB_LAYERS_DIR/x.toml"\n'
    pack = buildpack("acme/look", detect=LOOK, build=LOOK + layer + WEB)
    cache = tmp_path / "cache"
    rung = ("--isolation", isolation, "--cache", cache)
    done = pylife(*words(app, image_name, pack, binding), *rung, "-v")
    assert done.err.count("postgresql") == done.err.count("it is right") == 2
    assert SECRET not in done.err and "said: ***" in done.err
    assert done.err.count("scott") == 2, "a user's name is no secret, and may be any word"
    run = pylife("run", image_name, "--isolation", isolation, "--binding", binding)
    assert run.out == SECRET + "\n"
    pylife("copy", image_name, f"oci:{tmp_path / 'layout'}")
    for blob in (tmp_path / "layout" / "blobs" / "sha256").iterdir():
        plain = subprocess.run(["gzip", "-dc", blob], capture_output=True).stdout or blob.read_bytes()
        assert SECRET.encode() not in plain
    for place in (cache, pylife.home / "scratch"):
        held = [path for path in place.rglob("*") if path.is_file() and not path.is_symlink()]
        assert not [path for path in held if SECRET.encode() in path.read_bytes()]
    assert cache.is_dir()


def test_what_the_binding_holds_is_part_of_unchanged(
    pylife: Pylife, app: Path, image_name: str, binding: Path, tmp_path: Path
) -> None:
    (app / "Procfile").write_text("web: cat $SERVICE_BINDING_ROOT/db/user\n")
    build = ("build", "--app", app, "--image", image_name, "--binding", binding)
    pylife(*build)
    unchanged = "Nothing changed since the last build"
    assert unchanged in pylife(*build).err
    (binding / "user").write_text("tiger\n")
    assert unchanged not in pylife(*build).err
    assert unchanged not in pylife("build", "--app", app, "--image", image_name).err
    assert pylife("run", image_name, "--binding", f"db={binding}").out == "tiger\n"


def test_bindings_that_cannot_be_are_refused(pylife: Pylife, app: Path, binding: Path) -> None:
    (binding / "type").unlink()
    done = pylife("build", "--app", app, "--image", "x", "--binding", binding, code=2)
    assert "binding.invalid" in done.err and "no file `type`" in done.err
    (binding / "type").write_text("x")
    done = pylife("detect", "--app", app, "--binding", binding, "-e", "SERVICE_BINDING_ROOT=/x", code=2)
    assert "SERVICE_BINDING_ROOT" in done.err
    (app / "Dockerfile").write_text("FROM scratch\n")
    done = pylife("build", "-f", app / "Dockerfile", "-t", "x", "--binding", binding, app, code=2)
    assert "--secret" in done.err


def test_a_volume_in_the_place_of_bindings_is_one(
    pylife: Pylife, app: Path, buildpack: Callable[..., Path], image_name: str, binding: Path
) -> None:
    for name in ("type", "user", "password"):
        (binding / name).chmod(0o644)
    pack = buildpack("acme/look", detect=LOOK, build=LOOK)
    volume = f"{binding}:/platform/bindings/db:ro"
    done = pylife("build", "--app", app, "--image", image_name, "--buildpack", pack, "--volume", volume)
    assert "it is right" in done.err


@pytest.mark.parametrize("isolation", ["auto", "chroot"])
def test_a_build_trusts_what_ca_file_names(
    pylife: Pylife, app: Path, buildpack: Callable[..., Path], image_name: str, isolation: str, tmp_path: Path
) -> None:
    authority = tmp_path / "company.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\nCOMPANY\n-----END CERTIFICATE-----\n")
    pack = buildpack("acme/trust", build='grep -c BEGIN "$SSL_CERT_FILE"; grep COMPANY "$SSL_CERT_FILE" || true')
    words = ("build", "--app", app, "--image", image_name, "--buildpack", pack, "--isolation", isolation, "-v")
    assert "COMPANY" in pylife(*words, "--ca-file", authority).err
    assert "COMPANY" not in pylife(*words, "--clear-cache").err


def test_a_ca_file_that_cannot_be_read_is_named(pylife: Pylife, app: Path, image_name: str, tmp_path: Path) -> None:
    done = pylife("build", "--app", app, "--image", image_name, "--ca-file", tmp_path / "none.pem", code=2)
    assert "none.pem" in done.err
    assert "build.bad-ca-file" in done.err
