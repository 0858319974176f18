"""The main job: a Django app becomes a running, pushed image, and the same one from every rung."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
from loopback import free_port, page
from pylife_command import REPOSITORY, Pylife, user_environment

pytestmark = pytest.mark.functional
SAMPLE = REPOSITORY / "samples" / "python-django"


@pytest.fixture(scope="session")
def reference_digest(pylife: Pylife) -> str:
    """The digest of the sample's image, built the ordinary way."""
    return pylife("build", "-q", "--app", SAMPLE, "--image", "test-django-reference").out.strip().partition("@")[2]


def test_pushed_image_is_read_and_run_by_other_tools(pylife, registry_server, reference_digest, tool, tmp_path):
    skopeo, podman, umoci = tool("skopeo"), tool("podman"), tool("umoci")
    name = f"{registry_server.address}/django"
    done = pylife("build", "--app", SAMPLE, "--image", name, "-t", f"{registry_server.address}/other/django:1")
    assert done.out.strip().endswith(reference_digest)
    seen = json.loads(
        subprocess.run(
            [skopeo, "inspect", "--tls-verify=false", f"docker://{name}"], check=True, capture_output=True, text=True
        ).stdout
    )
    assert seen["Digest"] == reference_digest
    layout = tmp_path / "layout"
    subprocess.run(
        [skopeo, "copy", "-q", "--src-tls-verify=false", f"docker://{name}", f"oci:{layout}:latest"], check=True
    )
    subprocess.run([umoci, "unpack", "--image", f"{layout}:latest", tmp_path / "bundle"], check=True)
    assert (tmp_path / "bundle" / "rootfs" / "workspace" / "manage.py").is_file()
    port = free_port()
    container = f"pylife-test-{os.getpid()}"
    process = subprocess.Popen(
        [
            *(podman, "--runtime", "runc", "run", "--rm", "--name", container, "--net=host", "-e", f"PORT={port}"),
            *("--tls-verify=false", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", name),
        ]
    )
    try:
        assert "<title>" in page(port, process, 120)
    finally:
        subprocess.run([podman, "--runtime", "runc", "rm", "-f", "-t", "1", container], capture_output=True)
        process.wait(60)


def test_an_empty_home_gives_the_same_digest(fresh, reference_digest):
    built = fresh("build", "-q", "--app", SAMPLE, "--image", "again").out.strip()
    assert built.endswith(reference_digest)


def test_the_chroot_rung_gives_the_same_digest(fresh, reference_digest):
    if os.geteuid() != 0:
        pytest.skip("the chroot rung needs root")
    first = fresh("build", "-q", "--isolation", "chroot", "--app", SAMPLE, "--image", "again").out.strip()
    assert first.endswith(reference_digest)


def test_an_ordinary_user_gets_the_same_digest(ordinary, public_pylife, reference_digest):
    built = ordinary("build", "-q", "--app", public_pylife / "sample", "--image", "mine").out.strip()
    assert built.endswith(reference_digest)
    rung = ordinary("doctor", "--json").json
    assert rung["sandbox"]["name"] == "userns"


def test_an_ordinary_user_with_one_id_gets_the_same_digest(ordinary_single, public_pylife, reference_digest):
    built = ordinary_single("build", "-q", "--app", public_pylife / "sample", "--image", "mine").out.strip()
    assert built.endswith(reference_digest)
    assert ordinary_single("doctor", "--json").json["sandbox"]["ids"] == "single"


def test_unprivileged_container_gives_the_same_digest(in_container, reference_digest):
    built = in_container("build", "-q", "--app", "/src/samples/python-django", "--image", "pod")
    assert built.out.strip().splitlines()[-1].endswith(reference_digest)


def test_a_change_of_one_template_sends_one_small_layer_and_no_change_sends_none(pylife, registry_server, tmp_path):
    app = tmp_path / "app"
    shutil.copytree(SAMPLE, app)
    name = f"{registry_server.address}/changing"

    def build() -> dict[str, object]:
        done = pylife("build", "--progress", "json", "--app", app, "--image", name)
        events = [json.loads(line) for line in done.err.splitlines()]
        return next(event["data"] for event in reversed(events) if event["event"] == "summary")

    first = build()
    unchanged = build()
    assert unchanged["digest"] == first["digest"]
    assert (unchanged["new"], unchanged["bytes_sent"]) == ([], 0)
    template = next(path for path in sorted(app.rglob("*.html")))
    template.write_text(f"{template.read_text()}<!-- {uuid.uuid4()} -->\n")
    changed = build()
    assert len(changed["new"]) == 1
    assert changed["bytes_sent"] < 50_000


def test_any_process_runs_with_its_port_environment_volumes_and_exit_code(pylife, reference_digest, tmp_path):
    image = "test-django-reference"
    data = tmp_path / "data"
    data.mkdir()
    data.chmod(0o777)
    env = ("-e", "DATABASE_URL=sqlite:////data/db.sqlite3", "-v", f"{data}:/data")
    pylife("run", image, "--process", "release", *env)
    assert (data / "db.sqlite3").is_file()
    port = free_port()
    process = subprocess.Popen(
        [*pylife.command, "run", image, "-p", str(port), *env], env=user_environment(pylife), start_new_session=True
    )
    try:
        assert "<title>" in page(port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    code = pylife("run", image, "--entrypoint", "bash", "--", "-c", "exit 42", code=42)
    assert code.out == ""
    wrong = pylife("run", image, "--process", "nope", code=2)
    assert "release" in wrong.err and "web" in wrong.err


def test_another_layout_with_a_settings_package_and_a_procfile(pylife, tmp_path):
    """No STATIC_ROOT, nested settings, ASGI, a Procfile: an app that is not the sample."""
    app = tmp_path / "shop"
    (app / "shop" / "settings").mkdir(parents=True)
    for package in ("shop", "shop/settings"):
        (app / package / "__init__.py").touch()
    (app / "requirements.txt").write_text("Django>=5,<6\nuvicorn\n")
    (app / "manage.py").write_text(
        "import os, sys\n"
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings.production")\n'
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(sys.argv)\n"
    )
    (app / "shop" / "settings" / "base.py").write_text(
        'SECRET_KEY = "x"\nALLOWED_HOSTS = ["*"]\nROOT_URLCONF = "shop.urls"\nSTATIC_URL = "static/"\n'
        'INSTALLED_APPS = ["django.contrib.staticfiles"]\nDATABASES = {}\n'
    )
    (app / "shop" / "settings" / "production.py").write_text("from .base import *\n")
    (app / "shop" / "asgi.py").write_text(
        'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings.production")\n'
        "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
    )
    (app / "shop" / "urls.py").write_text(
        "from django.http import HttpResponse\nfrom django.urls import path\n"
        'urlpatterns = [path("", lambda request: HttpResponse("<title>shop</title>"))]\n'
    )
    (app / "Procfile").write_text("web: uvicorn shop.asgi:application --port $PORT\nworker: echo working\n")
    done = pylife("build", "--app", app, "--image", "test-shop")
    assert "STATIC_ROOT" in done.err
    assert pylife("run", "test-shop", "--process", "worker").out == "working\n"
    port = free_port()
    process = subprocess.Popen(
        [*pylife.command, "run", "test-shop", "-p", str(port)], env=user_environment(pylife), start_new_session=True
    )
    try:
        assert "shop" in page(port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        pylife("rmi", "test-shop")


def test_memory_of_a_build_stays_under_300_megabytes(fresh, tmp_path):
    log = tmp_path / "peak"
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[2:], check=True, stdout=2); "
        "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))"
    )
    measured = Pylife(fresh.home, ("python3", "-c", script, str(log)))
    measured("build", "-q", "--app", SAMPLE, "--image", "measured")
    # The largest single process of the whole tree, buildpacks included, in KiB.
    assert int(log.read_text()) < 300 * 1024


def test_rebase_exchanges_the_base_and_keeps_the_app(pylife, reference_digest):
    before = pylife("inspect", "test-django-reference", "--json").json
    done = pylife("rebase", "test-django-reference", "--dry-run", "--json")
    assert json.loads(done.out)[0]["changed"] is False
    assert before["digest"] == reference_digest
    assert Path(pylife.home).is_dir()


def test_a_requirement_added_later_is_installed_from_the_cache_and_a_wrong_one_named(pylife, tmp_path):
    app = tmp_path / "flask"
    shutil.copytree(REPOSITORY / "samples" / "python-flask", app)
    pylife("build", "-q", "--app", app, "--image", "test-growing")
    requirements = app / "requirements.txt"
    before = requirements.read_text()
    requirements.write_text(before + "\nsix\n")
    done = pylife("build", "--app", app, "--image", "test-growing")
    assert "+ six==" in done.err
    requirements.write_text(before + "\nno-such-package-of-ours==9\n")
    wrong = pylife("build", "--app", app, "--image", "test-growing", code=51)
    assert "no-such-package-of-ours" in wrong.err and "python." in wrong.err
    assert "Traceback" not in wrong.err
    pylife("rmi", "test-growing")
