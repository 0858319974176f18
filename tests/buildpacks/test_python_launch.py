"""How a Python app starts: its guessed web process, workers by the limits, hooks, runtimes from elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from pylife_python.web import guess_web
from workbench import Bench, make_wheel

FLASK = "from flask import Flask\n\napp = Flask(__name__)\n"
FASTAPI = "import fastapi\n\napi: fastapi.FastAPI = fastapi.FastAPI(title='x')\n"
FACTORY = "from flask import Flask\n\ndef create_app(config=None):\n    app = Flask(__name__)\n    return app\n"


@pytest.mark.parametrize(
    ("files", "packages", "line"),
    [
        ({"app.py": FLASK}, {"flask", "gunicorn"}, "gunicorn app:app --bind 0.0.0.0:${PORT:-8000} --access-logfile -"),
        ({"wsgi.py": FLASK, "tests/app.py": FLASK}, {"flask", "gunicorn"}, "gunicorn wsgi:app --bind"),
        ({"src/shop/__init__.py": FACTORY}, {"flask", "gunicorn"}, "gunicorn --pythonpath src 'shop:create_app()'"),
        ({"app.py": FLASK}, {"flask", "waitress"}, "waitress-serve --host 0.0.0.0 --port ${PORT:-8000} app:app"),
        ({"shop/app.py": FLASK}, {"flask"}, "flask --app shop.app:app run --host 0.0.0.0 --port ${PORT:-8000}"),
        ({"main.py": FASTAPI}, {"fastapi", "uvicorn"}, "uvicorn main:api --host 0.0.0.0 --port ${PORT:-8000}"),
        ({"app/main.py": FASTAPI}, {"fastapi", "uvicorn", "gunicorn"}, "uvicorn app.main:api --host"),
        ({"src/main.py": FASTAPI}, {"fastapi", "uvicorn"}, "uvicorn --app-dir src main:api --host"),
        ({"main.py": FASTAPI}, {"fastapi", "hypercorn"}, "hypercorn main:api --bind 0.0.0.0:${PORT:-8000}"),
        ({"main.py": FASTAPI}, {"fastapi"}, ""),
        ({"main.py": "print('no app')\n"}, {"flask", "gunicorn"}, None),
        ({"app.py": FLASK}, {"bottle"}, None),
    ],
)
def test_the_web_process_is_guessed(bench: Bench, files: dict[str, str], packages: set[str], line: str | None) -> None:
    guess = guess_web(str(bench.write(files).app), packages, "requirements.txt")
    if line is None:
        assert guess is None
    else:
        assert guess is not None
        assert guess.line.startswith(line) if line else not guess.line
        served = packages & {"gunicorn", "waitress", "uvicorn", "hypercorn"}
        assert bool(guess.warning) is not bool(served)


def test_a_guess_is_printed_and_is_the_web_process(offline: Bench, tmp_path: Path) -> None:
    for name in ("flask", "gunicorn"):
        make_wheel(tmp_path, name, "1.0", {f"{name}.py": ""})
    offline.env["PIP_FIND_LINKS"] = str(tmp_path)
    ran = offline.write({"requirements.txt": "flask\ngunicorn\n", "app.py": FLASK}).build("python")
    assert ran.code == 0, ran.out + ran.err
    assert "web: gunicorn app:app" in ran.out
    assert offline.processes("python")["web"]["command"][:2] == ["bash", "-c"]
    assert offline.processes("python")["web"]["default"] is True
    _, plan = offline.detect("python")
    told = plan["requires"][0]["metadata"]["pylife"]
    assert told["processes"][0]["type"] == "web"
    assert told["files"] == ["requirements.txt"]
    assert [layer["name"] for layer in told["layers"]] == ["runtime", "venv"]
    (offline.layers / "pylife_python/launch.toml").unlink()
    ran = offline.write({"Procfile": "web: mine\n"}).build("python")
    assert not (offline.layers / "pylife_python/launch.toml").exists()
    assert "web:" not in ran.out


def test_flasks_own_server_is_marked_as_one_for_development(offline: Bench, tmp_path: Path) -> None:
    make_wheel(tmp_path, "flask", "1.0", {"flask.py": ""})
    offline.env["PIP_FIND_LINKS"] = str(tmp_path)
    ran = offline.write({"requirements.txt": "flask\n", "app.py": FLASK}).build("python")
    assert "DEVELOPMENT SERVER" in ran.err
    assert "echo gunicorn >> requirements.txt" in ran.err


def workers(program: Path, root: Path, cpus: str, memory: str, **env: str) -> str:
    group = root / "sys/fs/cgroup"
    group.mkdir(parents=True, exist_ok=True)
    for name, text in {"cgroup.controllers": "cpu memory", "cpu.max": cpus, "memory.max": memory}.items():
        (group / name).write_text(text + "\n")
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "proc/meminfo").write_text("MemTotal:       1048576 kB\n")
    out = root / "out.toml"
    command = ["sh", "-c", f'exec "{program}" 3> "{out}"']
    subprocess.run(command, env={"PATH": os.environ["PATH"], "PYLIFE_LIMITS_ROOT": str(root), **env}, check=True)
    return str(tomllib.loads(out.read_text()).get("WEB_CONCURRENCY", ""))


def test_workers_follow_the_limits_and_the_user_is_asked_first(made: Bench, tmp_path: Path) -> None:
    program = made.layer("python", "runtime") / "exec.d/web-concurrency"
    assert workers(program, tmp_path, "100000 100000", "8589934592") == "3"
    assert workers(program, tmp_path, "100000 100000", "536870912") == "2"
    assert workers(program, tmp_path, "100000 100000", "134217728") == "1"
    assert workers(program, tmp_path, "50000 100000", "max") == "3"
    assert workers(program, tmp_path, "100000 100000", "max", WEB_CONCURRENCY="7") == ""


def test_hooks_run_before_and_after_with_the_packages(offline: Bench) -> None:
    after = 'python -c "import parrot; print(parrot.talk())" > heard.txt\ntest -n "$VIRTUAL_ENV"\n'
    offline.write({"bin/pre_compile": "echo parrot==1.0 > requirements.txt\n", "bin/post_compile": after})
    offline.write({"app.py": ""})
    (offline.app / "bin/post_compile").write_text("#!/bin/sh -e\n" + after)
    (offline.app / "bin/post_compile").chmod(0o755)
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    assert (offline.app / "heard.txt").read_text() == "hello from the parrot\n"
    (offline.app / "bin/post_compile").write_text("#!/bin/sh\r\ntrue\n")
    ran = offline.build("python")
    assert ran.failure == "python.hook-failed"
    assert "line ends of Unix" in ran.err


def test_a_python_of_a_folder_is_taken_when_the_image_has_another(offline: Bench, made: Bench) -> None:
    folder = offline.app / "runtimes/python/3.11.99"
    ignore = shutil.ignore_patterns("__pycache__", "env*", "exec.d")
    shutil.copytree(made.layer("python", "runtime"), folder, symlinks=True, ignore=ignore)
    offline.write({"requirements.txt": "parrot==1.0\n", ".python-version": "3.11.99\n"})
    assert offline.build("python").failure == "python.version-unavailable"
    offline.user_env(BP_RUNTIME_SOURCES="image,folder:runtimes")
    _, plan = offline.detect("python")
    assert plan["requires"][0]["metadata"]["version"] == "3.11.99"
    shutil.rmtree(offline.layer("python", "runtime"))
    offline.env["LD_LIBRARY_PATH"] = str(folder / "libs")
    ran = offline.build("python")
    assert ran.code == 0, ran.out + ran.err
    assert "Putting Python 3.11.99 from" in ran.out
    library = offline.layer("python", "runtime") / "lib/python3.11"
    assert (library / "__pycache__").is_dir()
    assert not (library / "ensurepip").exists()
    python = offline.layer("python", "venv") / "bin/python"
    run = subprocess.run([python, "-c", "import parrot; print(parrot.talk())"], capture_output=True, text=True)
    assert run.stdout == "hello from the parrot\n"
    assert "Python 3.11.99 is kept" in offline.build("python").out
