"""What a failing manage.py command means: Django's traceback turned into an id, the evidence and a next step."""

from __future__ import annotations

import re
from typing import NoReturn

from pylife_sdk.output import fail
from pylife_sdk.python_app import how_to_add

# Modules whose package has another name.
_PACKAGES = {
    "MySQLdb": "mysqlclient",
    "PIL": "pillow",
    "corsheaders": "django-cors-headers",
    "crispy_forms": "django-crispy-forms",
    "debug_toolbar": "django-debug-toolbar",
    "decouple": "python-decouple",
    "django_extensions": "django-extensions",
    "django_filters": "django-filter",
    "dotenv": "python-dotenv",
    "environ": "django-environ",
    "pkg_resources": "'setuptools<81'",
    "psycopg2": "psycopg2-binary",
    "rest_framework": "djangorestframework",
    "storages": "django-storages",
    "yaml": "pyyaml",
}
_SKIP = "or leave static files out of this build: pylife build --env DISABLE_COLLECTSTATIC=1 ..."


def explain(output: str, command: str, settings: str, file: str = "requirements.txt") -> NoReturn:
    """Raises the ``Failure`` that fits what ``command`` printed; ``settings`` names the settings module, ``file`` the
    file of the app's packages."""
    tail = "\n".join(output.strip().splitlines()[-15:])
    skip = _SKIP if "collectstatic" in command else ""
    absent = r"(?:ModuleNotFoundError|ImportError): No module named '([^']+)'|Error loading (psycopg2|MySQLdb)"
    if match := re.search(absent, output):
        module = match[1] or match[2]
        fix = _module_fix(module, settings, file)
        fail("django.module-missing", f"`{command}` needs the module {module}.", found=tail, fix=fix)
    if variable := _missing_variable(output):
        fail(
            "django.setting-missing",
            f"`{command}` needs the setting {variable}, which has no value while building.",
            found=tail,
            fix=f"Give it to the build: pylife build --env {variable}=... (it is not kept in the image)\n"
            f"or give it a default in {settings or 'the settings'}\n{skip}".rstrip(),
        )
    if re.search(r"OperationalError|could not connect to server|Connection refused|django\.db\.utils", output):
        fail(
            "django.database-unreachable",
            f"`{command}` needs a database that is not there while building.",
            found=tail,
            fix=f"Do not query the database while modules are imported\nor give the build a DATABASE_URL that it can "
            f"reach: pylife build --env DATABASE_URL=... ...\n{skip}".rstrip(),
        )
    if "collectstatic" in command:
        _explain_collectstatic(output, command, tail)
    fail(
        "django.migrate-failed",
        f"`{command}` failed.",
        found=tail,
        fix="The traceback above names the cause; the same command fails outside a build too.\n"
        "Or migrate when releasing, which is the default: unset PYLIFE_DJANGO_MIGRATE.",
    )


def _module_fix(module: str, settings: str, file: str) -> str:
    top = module.split(".")[0]
    if settings == module or settings.startswith(module + "."):
        return f"Check DJANGO_SETTINGS_MODULE ({settings}): a module of this name is not beside manage.py."
    if settings.split(".")[0] == top:
        return f"Commit the file of {module}, which is the project's own, or correct the import that names it."
    return (
        f"Add the package that has {module} to {file} (or remove it from INSTALLED_APPS):\n"
        f"{how_to_add(file, _PACKAGES.get(top, top))}"
    )


def _explain_collectstatic(output: str, command: str, tail: str) -> NoReturn:
    if match := re.search(
        r"The file '([^']+)' could not be found|Missing staticfiles manifest entry for '([^']+)'", output
    ):
        fail(
            "django.static-file-missing",
            f"A static file refers to {match[1] or match[2]}, which is not there.",
            found=tail,
            fix="Add the file, or correct the reference in the CSS or JavaScript file named above\n" + _SKIP,
        )
    if match := re.search(r"(?:FileNotFoundError|NotADirectoryError): .*'([^']+)'", output):
        fail(
            "django.static-file-missing",
            f"`{command}` looks for {match[1]}, which is not there.",
            found=tail,
            fix="Commit the folder (git keeps no empty ones: add a .gitkeep file), or remove it from STATICFILES_DIRS\n"
            + _SKIP,
        )
    fail(
        "django.collectstatic-failed",
        f"`{command}` failed.",
        found=tail,
        fix=f"The traceback above names the cause; the same command fails outside a build too\n{_SKIP}",
    )


def _missing_variable(output: str) -> str | None:
    """The environment variable or setting whose absence an error tells of."""
    # A KeyError is about the environment when os.environ raised it, in a frame of the os module.
    environ = r"frozen os|/os\.py|environ"
    if re.search(environ, output) and (match := re.search(r"KeyError: '([A-Za-z_][A-Za-z0-9_]*)'", output)):
        return match[1]
    patterns = (
        r"ImproperlyConfigured: (?:Set|The|Missing)(?: the)? ([A-Z][A-Z0-9_]+)",
        r"ImproperlyConfigured: .*?\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b",
        r"UndefinedValueError: ([A-Z][A-Z0-9_]+) not found",
        r"environment variable (?:\")?([A-Z][A-Z0-9_]+)(?:\")? not set",
    )
    return next((match[1] for pattern in patterns if (match := re.search(pattern, output))), None)
