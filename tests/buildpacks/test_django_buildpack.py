"""The Django buildpack: what it finds, static files, migrations, processes, failures."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import tomllib
import urllib.request
from pathlib import Path

import pytest
from workbench import Bench, outer_env

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "{}")\nfrom django.core import management\n'


def edit(bench: Bench, name: str, old: str, new: str) -> None:
    path = bench.app / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_detect_wants_manage_and_django(bench: Bench) -> None:
    bench.write({"manage.py": MANAGE.format("config.settings"), "requirements.txt": "flask\n"})
    ran, plan = bench.detect("django")
    assert (ran.code, plan) == (100, {})
    assert "requirements.txt does not name Django" in ran.out
    ran, plan = bench.write({"requirements.txt": "-r base.txt", "base.txt": "Django>=5"}).detect("django")
    assert ran.code == 0
    assert plan["provides"] == [{"name": "django"}]
    assert [require["name"] for require in plan["requires"]] == ["django", "python"]


def test_detect_explains_its_choice_of_several_manage_files(bench: Bench) -> None:
    bench.write({"requirements.txt": "django"})
    bench.write({f"{name}/manage.py": MANAGE.format("x.settings") for name in ("b", "a", "a/deep/er")})
    ran, _ = bench.detect("django")
    assert ran.code == 0
    assert "Taken: a/manage.py" in ran.out
    assert "Not taken: b/manage.py" in ran.out
    assert "deep/er" not in ran.out


def test_detect_without_manage(bench: Bench) -> None:
    ran, _ = bench.write({"requirements.txt": "django", "manage.py": "print('mine')"}).detect("django")
    assert ran.code == 100
    assert "No manage.py that starts Django" in ran.out


def test_settings_and_entry_points_are_read_from_the_files(bench: Bench) -> None:
    from pylife_django.project import Project

    bench.write(
        {
            "src/manage.py": MANAGE.format("shop.settings.production"),
            "src/shop/settings/__init__.py": "",
            "src/shop/settings/base.py": 'WSGI_APPLICATION = "shop.web.application"\n',
            "src/shop/settings/production.py": "from .base import *\n",
            "src/shop/asgi.py": "",
        }
    )
    project = Project(str(bench.app), {})
    assert project.settings == "shop.settings.production"
    assert project.settings_origin == "src/manage.py"
    assert project.wsgi == "shop.web:application"
    assert project.asgi == "shop.asgi:application"
    assert not project.wants_asgi
    assert Project(str(bench.app), {"DJANGO_SETTINGS_MODULE": "other"}).settings == "other"


@pytest.mark.functional
def test_the_sample_is_collected_once_and_then_put_back(project: Bench) -> None:
    first = project.build("django")
    assert first.code == 0, first.out + first.err
    assert "$ python manage.py collectstatic --noinput" in first.out
    collected = project.app / "staticfiles"
    names = sorted(path.relative_to(collected).as_posix() for path in collected.rglob("*") if path.is_file())
    assert "board/style.css.gz" in names
    assert "staticfiles.json" in names
    content = {name: (collected / name).read_bytes() for name in names}
    shutil.rmtree(collected)
    started = time.monotonic()
    second = project.build("django")
    assert time.monotonic() - started < 1
    assert second.code == 0, second.err
    assert "Static files are put back from the last build" in second.out
    assert {name: (collected / name).read_bytes() for name in names} == content
    assert project.launch("django")["slices"] == [{"paths": ["staticfiles"]}]
    types = tomllib.loads(Path(f"{project.layer('django', 'static')}.toml").read_text())["types"]
    assert types == {"build": False, "launch": False, "cache": True}


@pytest.mark.functional
def test_a_changed_app_or_environment_is_collected_again(project: Bench) -> None:
    assert project.build("django").code == 0
    shutil.rmtree(project.app / "staticfiles")
    (project.app / "board/static/board/style.css").write_text("body { color: green }")
    ran = project.build("django")
    assert "Collecting static files: the app changed" in ran.out
    shutil.rmtree(project.app / "staticfiles")
    ran = project.user_env(SECRET_KEY="given").build("django")
    assert "Collecting static files: the build's environment changed" in ran.out
    # A hash of it is kept, itself it is not.
    assert b"given" not in b"".join(p.read_bytes() for p in project.layers.rglob("*") if p.is_file())


@pytest.mark.functional
def test_static_files_are_skipped_for_a_reason(project: Bench) -> None:
    ran = project.build("django", DISABLE_COLLECTSTATIC="1")
    assert "not collected: DISABLE_COLLECTSTATIC=1" in ran.out
    edit(project, "config/settings.py", 'STATIC_ROOT = BASE_DIR / "staticfiles"\n', "")
    for _ in range(2):
        ran = project.build("django", DISABLE_COLLECTSTATIC="0")
        assert ran.code == 0, ran.err
        assert "STATIC_ROOT is not set" in ran.out
        assert 'add to config/settings.py:\n       STATIC_ROOT = BASE_DIR / "staticfiles"' in ran.out
    edit(project, "config/settings.py", '    "django.contrib.staticfiles",\n', "")
    ran = project.build("django")
    assert "django.contrib.staticfiles is not in INSTALLED_APPS" in ran.out
    assert "slices" not in project.launch("django")


@pytest.mark.functional
def test_gunicorn_serves_and_release_migrates(project: Bench) -> None:
    ran = project.build("django", DISABLE_COLLECTSTATIC="1")
    processes = project.processes("django")
    line = processes["web"]["command"][2]
    assert line == "exec gunicorn config.wsgi:application --bind 0.0.0.0:${PORT:-8000} --access-logfile -"
    assert processes["web"]["default"] is True
    assert processes["release"]["command"] == ["python", "manage.py", "migrate", "--noinput"]
    assert "PYLIFE_DJANGO_MIGRATE=build or off" in ran.out


@pytest.mark.functional
def test_migrations_can_run_in_the_build_or_not_at_all(project: Bench) -> None:
    ran = project.build("django", DISABLE_COLLECTSTATIC="1", PYLIFE_DJANGO_MIGRATE="build")
    assert ran.code == 0, ran.err
    assert "Applying board.0001_initial... OK" in ran.out
    assert list(project.processes("django")) == ["web"]
    (project.app / "db.sqlite3").unlink()
    ran = project.build("django", DISABLE_COLLECTSTATIC="1", PYLIFE_DJANGO_MIGRATE="off")
    assert list(project.processes("django")) == ["web"]
    assert not (project.app / "db.sqlite3").exists()
    ran = project.build("django", PYLIFE_DJANGO_MIGRATE="yes")
    assert ran.failure == "django.migrate-option"


@pytest.mark.functional
def test_a_procfile_has_its_own_web_and_release(project: Bench) -> None:
    project.write({"Procfile": "web: mine\nrelease: mine too\n"})
    project.build("django", DISABLE_COLLECTSTATIC="1")
    assert project.processes("django") == {}


@pytest.mark.functional
def test_without_a_server_the_development_server_is_marked_as_such(project: Bench, tmp_path: Path) -> None:
    bare = tmp_path / "venv"
    shutil.copytree(project.env["VIRTUAL_ENV"], bare, symlinks=True, ignore=shutil.ignore_patterns("gunicorn*"))
    ran = project.build("django", VIRTUAL_ENV=str(bare), DISABLE_COLLECTSTATIC="1")
    project.env["VIRTUAL_ENV"] = str(bare)
    ran = project.build("django", DISABLE_COLLECTSTATIC="1")
    assert "DEVELOPMENT SERVER" in ran.err
    assert "echo gunicorn >> requirements.txt" in ran.err
    assert project.processes("django")["web"]["command"][2] == (
        "exec python manage.py runserver 0.0.0.0:${PORT:-8000} --noreload"
    )
    (bare / "bin/uvicorn").write_text("")
    edit(project, "config/settings.py", "USE_TZ = True\n", 'USE_TZ = True\nASGI_APPLICATION = "config.asgi.app"\n')
    ran = project.build("django", DISABLE_COLLECTSTATIC="1")
    line = project.processes("django")["web"]["command"][2]
    assert line == "exec uvicorn config.asgi:app --host 0.0.0.0 --port ${PORT:-8000}"


@pytest.mark.functional
@pytest.mark.parametrize(
    ("old", "new", "id", "said"),
    [
        (
            'SECRET_KEY = os.environ.get("SECRET_KEY") or get_random_secret_key()',
            'SECRET_KEY = os.environ["SECRET_KEY"]',
            "django.setting-missing",
            "pylife build --env SECRET_KEY=...",
        ),
        ('    "board",\n', '    "board",\n    "debug_toolbar",\n', "django.module-missing", "debug_toolbar"),
        ("USE_TZ = True", "USE_TZ = True\n1 / 0", "django.collectstatic-failed", "ZeroDivisionError"),
    ],
)
def test_a_failing_collectstatic_is_explained(project: Bench, old: str, new: str, id: str, said: str) -> None:
    edit(project, "config/settings.py", old, new)
    ran = project.build("django")
    assert ran.code == 1
    assert ran.failure == id, ran.err
    assert said in ran.err
    assert "DISABLE_COLLECTSTATIC=1" in ran.err or id == "django.module-missing"


@pytest.mark.functional
def test_a_reference_to_a_missing_static_file_is_explained(project: Bench) -> None:
    (project.app / "board/static/board/style.css").write_text("body { background: url(lost.png) }")
    ran = project.build("django")
    assert ran.failure == "django.static-file-missing", ran.err
    assert "lost.png" in ran.err


@pytest.mark.functional
def test_the_sample_answers_before_and_after_its_migration(project: Bench) -> None:
    assert project.build("django").code == 0
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = outer_env(project.root) | project.env | {"PORT": str(port)}
    command = project.processes("django")["web"]["command"]
    release = project.processes("django")["release"]["command"]
    with subprocess.Popen(
        command, cwd=project.app, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as web:
        try:
            page = fetch(port, "/")
            assert "the migrations have not run" in page
            subprocess.run(release, cwd=project.app, env=env, check=True, capture_output=True)
            page = fetch(port, "/")
            assert "built without a Docker daemon" in page
            style = page.partition('href="')[2].partition('"')[0]
            assert style != "/static/board/style.css"
            assert "--paper" in fetch(port, style)
        finally:
            web.terminate()


def fetch(port: int, path: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 20
    while True:
        try:
            with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except ConnectionError:
            pass
        except OSError:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("output", "id", "said"),
    [
        (
            "ModuleNotFoundError: No module named 'debug_toolbar'",
            "django.module-missing",
            "echo django-debug-toolbar >>",
        ),
        ("ModuleNotFoundError: No module named 'shop.settings'", "django.module-missing", "DJANGO_SETTINGS_MODULE"),
        ("ModuleNotFoundError: No module named 'shop.urls'", "django.module-missing", "the project's own"),
        ("ImproperlyConfigured: Error loading psycopg2 or psycopg module", "django.module-missing", "psycopg2-binary"),
        ("  File \"<frozen os>\", line 679\nKeyError: 'api_key'", "django.setting-missing", "--env api_key="),
        ("KeyError: 'COLOURS'", "django.collectstatic-failed", "KeyError"),
        ("ImproperlyConfigured: Set the DATABASE_URL environment variable", "django.setting-missing", "DATABASE_URL"),
        ("decouple.UndefinedValueError: MAIL_KEY not found.", "django.setting-missing", "MAIL_KEY"),
        ("django.db.utils.OperationalError: connection refused", "django.database-unreachable", "DATABASE_URL"),
        ("ValueError: The file 'a/lost.png' could not be found with <x>", "django.static-file-missing", "a/lost.png"),
    ],
)
def test_words_of_django_become(output: str, id: str, said: str) -> None:
    from pylife_django.failures import explain
    from pylife_sdk.output import Failure

    with pytest.raises(Failure) as failed:
        explain(output, "python manage.py collectstatic", "shop.settings")
    assert failed.value.id == id
    assert said in failed.value.what + failed.value.found + failed.value.fix


@pytest.mark.parametrize(
    "files",
    [
        {"uv.lock": 'version = 1\n[[package]]\nname = "django"\nversion = "5.2"\n', "pyproject.toml": ""},
        {"poetry.lock": '[[package]]\nname = "Django"\nversion = "5.2"\n', "pyproject.toml": ""},
        {"pdm.lock": '[[package]]\nname = "django"\nversion = "5.2"\n'},
        {"Pipfile.lock": json.dumps({"default": {"django": {"version": "==5.2"}}}, indent=4)},
        {"pyproject.toml": '[project]\nname = "x"\ndependencies = ["Django>=5"]\n'},
    ],
)
def test_detect_finds_django_with_any_package_manager(bench: Bench, files: dict[str, str]) -> None:
    ran, plan = bench.write(files | {"manage.py": MANAGE.format("config.settings")}).detect("django")
    assert ran.code == 0, ran.out
    assert next(iter(files)) in ran.out
    told = plan["requires"][0]["metadata"]["pylife"]
    assert told["commands"] == ["python manage.py collectstatic --noinput"]
    assert [process["type"] for process in told["processes"]] == ["web", "release"]
    assert told["processes"][0]["command"].startswith("python manage.py runserver")
    bench.write({"Procfile": "web: mine\n"})
    assert [each["type"] for each in bench.detect("django")[1]["requires"][0]["metadata"]["pylife"]["processes"]] == [
        "release"
    ]


@pytest.mark.functional
def test_post_compile_runs_after_the_static_files_were_collected(project: Bench) -> None:
    project.write({"bin/post_compile": "test -f staticfiles/staticfiles.json && echo seen > seen.txt\n"})
    ran, plan = project.detect("django")
    assert next(each for each in plan["requires"] if each["name"] == "python")["metadata"]["runs-post-compile"]
    ran = project.build("django")
    assert ran.code == 0, ran.out + ran.err
    assert (project.app / "seen.txt").exists()


def test_a_missing_package_is_added_with_the_apps_own_manager() -> None:
    from pylife_django.failures import explain
    from pylife_sdk.output import Failure

    with pytest.raises(Failure) as failed:
        explain("ModuleNotFoundError: No module named 'yaml'", "python manage.py collectstatic", "x", "uv.lock")
    assert "uv add pyyaml" in failed.value.fix
