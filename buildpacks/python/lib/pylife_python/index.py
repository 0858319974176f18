"""Where packages come from: the settings of the user, of a binding and of the app, in the words of uv.

What is secret in them is named once here, so that no line that is shown and no layer has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from pylife_sdk.bindings import bindings
from pylife_sdk.context import Build
from pylife_sdk.output import note

# What pip's settings are called in uv. A value set for uv itself wins.
_PIP_SETTINGS = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CONSTRAINT": "UV_CONSTRAINT",
    "PIP_CERT": "SSL_CERT_FILE",
    "PIP_CLIENT_CERT": "SSL_CLIENT_CERT",
}
SETTINGS = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_CONSTRAINT",
    "UV_OVERRIDE",
    "UV_PRERELEASE",
    "UV_RESOLUTION",
    "UV_INDEX_STRATEGY",
    "UV_NO_BINARY",
    "UV_NO_BUILD",
    "UV_EXCLUDE_NEWER",
    "PIP_NO_INDEX",
    "PIP_NO_BINARY",
    "PIP_ONLY_BINARY",
    "PIP_REQUIRE_HASHES",
)
VENDORED = ("vendor", "wheels")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_BINDING_KEYS = {
    "index-url": "PIP_INDEX_URL",
    "extra-index-url": "PIP_EXTRA_INDEX_URL",
    "find-links": "PIP_FIND_LINKS",
    "trusted-host": "PIP_TRUSTED_HOST",
    "no-index": "PIP_NO_INDEX",
    "constraint": "PIP_CONSTRAINT",
    "cert": "PIP_CERT",
    "client-cert": "PIP_CLIENT_CERT",
    "no-binary": "PIP_NO_BINARY",
    "only-binary": "PIP_ONLY_BINARY",
    "pre": "PIP_PRE",
    "require-hashes": "PIP_REQUIRE_HASHES",
}
_SECRET_NAME = re.compile(r"UV_INDEX_\w+_(USERNAME|PASSWORD)|UV_\w*TOKEN|POETRY_HTTP_BASIC_\w+|POETRY_PYPI_TOKEN_\w+")
_SECRET_WORD = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|API_?KEY", re.I)
# What is only the name of a variable, as in advice, is no secret.
_USERINFO = re.compile(r"//(?!\$\{\w+\}@)([^/@\s]+)@")


def index_env(build: Build, env: Mapping[str, str]) -> dict[str, str]:
    """``env`` with all that says where packages come from under the names of uv.

    The user's variables win over a binding's settings, and these over a folder of wheels in the app.
    """
    merged = bound_env(build, env)
    for binding in bindings(build.platform, build.env, "pip"):
        note(f"Package index settings are those of the binding {binding.name}.")
    folder = vendored(build.app)
    if folder and not any(merged.get(name) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS", "PIP_NO_INDEX")):
        note(f"Packages come from the app's folder {folder}/ and from no index.")
        merged |= {"PIP_FIND_LINKS": os.path.join(build.app, folder), "PIP_NO_INDEX": "1"}
    for pip_name, uv_name in _PIP_SETTINGS.items():
        if value := merged.get(pip_name):
            separator = "," if uv_name == "UV_FIND_LINKS" else " "
            one = pip_name in ("PIP_CERT", "PIP_CLIENT_CERT")
            merged.setdefault(uv_name, value if one else separator.join(value.split()))
    if is_on(merged.get("PIP_PRE", "")):
        merged.setdefault("UV_PRERELEASE", "allow")
    # pip takes the best version that any index has; uv would stop at the first index that knows the name.
    merged.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    return merged


def bound_env(build: Build, env: Mapping[str, str]) -> dict[str, str]:
    """``env`` with what bindings say beside it, in pip's own words."""
    return {**_bound(build), **env}


def with_indexes(env: Mapping[str, str], indexes: Iterable[tuple[str, str]]) -> dict[str, str]:
    """``env`` with further indexes that a lock file names, with the credentials that its tool would take."""
    merged = dict(env)
    more = merged.get("UV_EXTRA_INDEX_URL", "").split()
    for name, url in indexes:
        prefix = "POETRY_HTTP_BASIC_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
        user, password = env.get(f"{prefix}_USERNAME", ""), env.get(f"{prefix}_PASSWORD", "")
        url = re.sub(r"\$\{(\w+)\}", lambda match: env.get(match[1], match[0]), url)
        more.append(_with_credentials(url, user, password))
    if more:
        merged["UV_EXTRA_INDEX_URL"] = " ".join(dict.fromkeys(more))
    return merged


def vendored(app: str) -> str:
    """The name of the app's folder of packages; "" when it has none."""
    for name in VENDORED:
        folder = os.path.join(app, name)
        if os.path.isdir(folder) and any(entry.endswith(_ARCHIVES) for entry in os.listdir(folder)):
            return name
    return ""


def options(env: Mapping[str, str]) -> list[str]:
    """pip's settings that uv knows as options only."""
    found = ["--no-index"] if is_on(env.get("PIP_NO_INDEX", "")) else []
    for name, option in (("PIP_NO_BINARY", "--no-binary"), ("PIP_ONLY_BINARY", "--only-binary")):
        for package in env.get(name, "").replace(",", " ").split():
            found += [option, package]
    return found


def settings(env: Mapping[str, str]) -> list[str]:
    """The settings that decide what is installed, without what is secret, for a layer's key."""
    return [f"{name}={_USERINFO.sub('//', env[name])}" for name in SETTINGS if name in env]


def secrets(build: Build, env: Mapping[str, str]) -> frozenset[str]:
    """What must not be shown: users and passwords in URLs, tokens in variables, passwords of a netrc file."""
    found = set()
    for name, value in env.items():
        if name in SETTINGS or name.startswith(("PIP_", "UV_", "PIPENV_")):
            found |= {part for userinfo in _USERINFO.findall(value) for part in _parts(userinfo)}
        if _SECRET_NAME.match(name):
            found.add(value)
    found |= {value.decode(errors="replace") for name, value in build.user_env().items() if _SECRET_WORD.search(name)}
    for binding in (*bindings(build.platform, build.env, "pip"), *bindings(build.platform, build.env, "netrc")):
        found |= {(binding.read(key) or b"").decode(errors="replace").strip() for key in ("password", "token")}
    if path := env.get("NETRC"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                found |= set(re.findall(r"\bpassword\s+(\S+)", file.read()))
        except OSError:
            pass
    return frozenset(each for each in found if len(each) > 3)


def hide(text: str, hidden: Iterable[str]) -> str:
    """A text with secrets made unreadable."""
    text = _USERINFO.sub("//****@", text)
    for each in sorted(hidden, key=len, reverse=True):
        text = text.replace(each, "****")
    return text


def is_on(value: str) -> bool:
    """Whether a switch is set, in the spellings that pip takes."""
    return value.lower() in ("1", "true", "yes", "on")


def _bound(build: Build) -> dict[str, str]:
    """What bindings of the types pip and netrc say, as pip's own variables."""
    said: dict[str, str] = {}
    for binding in bindings(build.platform, build.env, "pip"):
        if "pip.conf" in binding.keys:
            for name, value in _configured(binding.file("pip.conf")).items():
                said.setdefault(name, value)
        texts = {key: (binding.read(key) or b"").decode(errors="replace").strip() for key in binding.keys}
        for key, name in _BINDING_KEYS.items():
            if key in texts and key in ("cert", "client-cert"):
                said.setdefault(name, binding.file(key))
            elif texts.get(key):
                said.setdefault(name, texts[key])
        if "PIP_INDEX_URL" in said and texts.get("password"):
            user = texts.get("username", "__token__")
            said["PIP_INDEX_URL"] = _with_credentials(said["PIP_INDEX_URL"], user, texts["password"])
        if netrc := next((key for key in ("netrc", ".netrc") if key in texts), None):
            said.setdefault("NETRC", binding.file(netrc))
    for binding in bindings(build.platform, build.env, "netrc"):
        if netrc := next((key for key in ("netrc", ".netrc") if key in binding.keys), None):
            said.setdefault("NETRC", binding.file(netrc))
    return said


def _configured(path: str) -> dict[str, str]:
    import configparser

    parser = configparser.RawConfigParser()
    parser.read(path, encoding="utf-8")
    said: dict[str, str] = {}
    for section in ("install", "global"):
        for key, name in _BINDING_KEYS.items():
            if parser.has_option(section, key):
                said.setdefault(name, " ".join(parser.get(section, key).split()))
    return said


def _with_credentials(url: str, user: str, password: str) -> str:
    if not user or "@" in url.partition("://")[2].partition("/")[0]:
        return url
    from urllib.parse import quote

    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _parts(userinfo: str) -> set[str]:
    """What of a URL's user is secret: the password, or a lone token; also as it is spelt out of a URL."""
    from urllib.parse import unquote

    user, colon, password = userinfo.partition(":")
    return {password, unquote(password)} if colon and password else {user, unquote(user)}
