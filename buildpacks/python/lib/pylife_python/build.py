"""Makes the layers of a Python app: interpreter, installer, virtual environment; guesses its web process."""

from __future__ import annotations

import os

from pylife_sdk.context import Build
from pylife_sdk.execd import write_execd
from pylife_sdk.hooks import has_hook, run_hook
from pylife_sdk.launch import Process, shell, write_launch
from pylife_sdk.layer import Layer
from pylife_sdk.output import Failure, heading, note, warn

from pylife_python.checks import check_variables, check_virtualenv
from pylife_python.managers import Manager, choose_manager
from pylife_python.version import choose

# As many workers as Heroku's buildpack starts: two for each processor and one, each with 256 MB. The user's value wins.
_WORKERS = """\
memory=$(memory_limit)
[ -n "$memory" ] || memory=$(memory_total)
workers=$(($(cpu_count) * 2 + 1))
if [ -n "$memory" ]; then
    fitting=$((memory / 268435456))
    [ "$fitting" -lt "$workers" ] && workers=$fitting
fi
[ "$workers" -lt 1 ] && workers=1
set_default WEB_CONCURRENCY "$workers"
"""


def build(context: Build) -> None:
    """Runs bin/build. Raises ``Failure`` for what the user can mend; what it says has no secret."""
    from pylife_python.index import bound_env, hide, secrets

    try:
        _build(context)
    except Failure as failure:
        hidden = secrets(context, bound_env(context, context.env))
        what, found, fix = (hide(text, hidden) for text in (failure.what, failure.found, failure.fix))
        raise Failure(failure.id, what, found, fix) from None


def _build(context: Build) -> None:
    check_variables(context)
    check_virtualenv(context.app)
    run_hook(context, "pre_compile", context.env)
    manager = choose_manager(context.app, context.env)
    choice = choose(context.app, context=context)
    origin = f", from {choice.found.origin}" if choice.found and choice.file else ""
    heading(f"Python {choice.version}: {choice.origin}{origin}")
    for text in choice.notes:
        warn(text)
    from pylife_python.runtime import interpreter, provide_runtime
    from pylife_python.venv import prepare, provide_venv

    plan, env = prepare(context, manager, choice.version)
    runtime, key = provide_runtime(context, choice.version, choice.found)
    venv = provide_venv(context, plan, env, interpreter(runtime, choice.version), choice.version, key)
    _set_env(runtime, venv)
    _post_compile(context, runtime, venv)
    _guess(context, venv, manager)


def _set_env(runtime: Layer, venv: Layer) -> None:
    runtime.set_env("LANG", "C.UTF-8")
    runtime.set_env("PYTHONUNBUFFERED", "1")
    # An image's files stay as they were built: bytecode written at launch would be lost with the container.
    runtime.set_env("PYTHONDONTWRITEBYTECODE", "1")
    venv.set_env("VIRTUAL_ENV", venv.path, mode="override")
    write_execd(runtime, "web-concurrency", _WORKERS)


def _post_compile(context: Build, runtime: Layer, venv: Layer) -> None:
    """Runs the hook, unless a later buildpack does when its own work is done."""
    if not has_hook(context.app, "post_compile") or _left_to_others(context):
        return
    path = ":".join([f"{venv.path}/bin", f"{runtime.path}/bin", context.env.get("PATH", "/usr/bin:/bin")])
    run_hook(context, "post_compile", {**context.env, "PATH": path, "VIRTUAL_ENV": venv.path})


def _left_to_others(context: Build) -> bool:
    import tomllib

    with open(context.plan_path, "rb") as file:
        entries = tomllib.load(file).get("entries", [])
    return any(entry.get("metadata", {}).get("runs-post-compile") for entry in entries)


def _guess(context: Build, venv: Layer, manager: Manager) -> None:
    from pylife_sdk.python_app import installed_packages, procfile_types

    from pylife_python.web import guess_script, guess_web

    packages = installed_packages(venv.path)
    if "web" in procfile_types(context.app) or ("django" in packages and _has_manage(context.app)):
        return
    guess = guess_web(context.app, packages, manager.file)
    if guess is None and not os.path.exists(os.path.join(context.app, "Procfile")):
        guess = guess_script(context.app)
        if guess is None:
            warn(
                "The image will have no process of its own: there is no Procfile, no app object of a web framework\n"
                "and no main.py or app.py. Commit a Procfile with a line such as\n"
                "web: python path/of/the/script.py"
            )
    if guess is None:
        return
    heading("Processes")
    if guess.warning:
        warn(guess.warning)
    if guess.line:
        note(f"web: {guess.line}")
        note(f"({guess.why}; a Procfile with a line web: ... replaces it)")
        write_launch(context, [Process("web", shell(f"exec {guess.line}"), default=True)])


def _has_manage(app: str) -> bool:
    for _, folders, names in os.walk(app):
        folders[:] = [name for name in folders if name[0] != "."]
        if "manage.py" in names:
            return True
    return False
