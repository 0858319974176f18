"""What the app says about its site: ``static.json``, in the dialect of Heroku's buildpack, and variables.

Source: heroku-buildpack-static, README, "Configuration".
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from pylife_sdk.output import fail, warn

from pylife_static.choose import SETTINGS_FILE
from pylife_static.patterns import glob, value
from pylife_static.rules import STATUSES, Header, Rule, check_header
from pylife_static.staticfile import KNOWN, STATICFILE, is_on, read_staticfile

FALLBACK_VARIABLE = "BP_STATIC_FALLBACK"
_KNOWN = ("root", "routes", "redirects", "headers", "error_page", "clean_urls", "https_only", "logging", "encoding")
# What would be dangerous or misleading to leave aside.
_UNSUPPORTED = {
    "proxies": "nginx of this buildpack serves files only. Let the app call the other service, or let a router do it.",
    "basic_auth": "Put a proxy that asks for the password before the app.",
    "basic_auth_list": "Put a proxy that asks for the password before the app.",
    "canonical_host": "Redirect hosts where they are routed.",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The site's settings. ``fallback`` is the file for paths that are none ("" for none, None when nothing is said);
    ``rules`` in the order in which they win."""

    rules: tuple[Rule, ...] = ()
    headers: tuple[Header, ...] = ()
    error_page: str = ""
    fallback: str | None = None
    clean_urls: bool = True
    https_only: bool = False
    access_log: bool = True
    charset: str = "utf-8"


def read_settings(app: str, env: Mapping[str, str]) -> Settings:
    """The settings of an app. Raises ``Failure`` for a static.json that cannot be meant."""
    said = _document(app)
    for name in said:
        if name in _UNSUPPORTED:
            fail(
                "static.setting-unsupported",
                f"{SETTINGS_FILE} asks for {name}, which this buildpack does not do.",
                found=json.dumps({name: said[name]})[:400],
                fix=f"{_UNSUPPORTED[name]}\nThen delete {name!r} from {SETTINGS_FILE}.",
            )
        if name not in _KNOWN:
            warn(f"{SETTINGS_FILE}: {name!r} is no setting known here and counts for nothing.")
    rules = [_redirect(path, rule) for path, rule in _table(said, "redirects").items()]
    rules += [_route(path, target) for path, target in _table(said, "routes").items()]
    logging = _table(said, "logging")
    brief = read_staticfile(app)
    if unknown := sorted(set(brief) - set(KNOWN)):
        warn(f"{STATICFILE}: {', '.join(unknown)} counts for nothing here; {SETTINGS_FILE} can say more.")
    https = env.get("BP_WEB_SERVER_FORCE_HTTPS", "").lower() == "true" or is_on(brief.get("force_https", ""))
    return Settings(
        rules=tuple(rules),
        headers=tuple(_headers(_table(said, "headers"))),
        error_page=_text(said, "error_page").lstrip("/"),
        fallback=_fallback(env, brief),
        clean_urls=_flag(said, "clean_urls", True),
        https_only=_flag(said, "https_only", https),
        access_log=_flag(logging, "access", True),
        charset=_charset(said),
    )


def _fallback(env: Mapping[str, str], brief: Mapping[str, str]) -> str | None:
    asked = env.get(FALLBACK_VARIABLE, "").strip()
    if asked:
        return "" if asked.lower() in ("off", "false", "none", "0") else asked.lstrip("/")
    on = env.get("BP_WEB_SERVER_ENABLE_PUSH_STATE", "").lower() == "true" or is_on(brief.get("pushstate", ""))
    return "index.html" if on else None


def _document(app: str) -> Mapping[str, Any]:
    path = os.path.join(app, SETTINGS_FILE)
    if not os.path.isfile(path):
        return {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            document = json.load(file)
    except UnicodeDecodeError as error:
        _bad("is not UTF-8 text", f"byte {error.start}: {error.object[error.start : error.start + 8]!r}")
    except json.JSONDecodeError as error:
        lines = error.doc.splitlines() or [""]
        line = lines[min(error.lineno, len(lines)) - 1]
        _bad("is not JSON", f"{SETTINGS_FILE}:{error.lineno}: {line.strip()}\n{error.msg}, column {error.colno}")
    if not isinstance(document, dict):
        _bad("is no JSON object", str(document)[:200])
    return document


def _redirect(path: str, rule: object) -> Rule:
    url = rule.get("url") if isinstance(rule, dict) else None
    status = rule.get("status", 301) if isinstance(rule, dict) else 0
    if not isinstance(url, str) or not url or status not in STATUSES:
        _bad(
            f'has a redirect of {path} that is not {{"url": …, "status": 301}}',
            f'"{path}": {json.dumps(rule)}\nstatus is one of {", ".join(map(str, STATUSES))}',
        )
    if "${" in url or re.search(r"[\x00-\x20\x7f]", url):
        _bad(
            f"redirects {path} to an address that is not known now",
            f'"url": {json.dumps(url)}\nvariables are not filled in here, and spaces are written %20',
        )
    return Rule(glob(path), value(url), status, True, f"{SETTINGS_FILE}: {path} to {url}")


def _route(path: str, target: object) -> Rule:
    if not isinstance(target, str) or not target:
        _bad(f"routes {path} to something that is no file", f'"{path}": {json.dumps(target)}')
    return Rule(glob(path), value("/" + target.lstrip("/")), 200, False, f"{SETTINGS_FILE}: {path} is {target}")


def _headers(table: Mapping[str, Any]) -> list[Header]:
    found = []
    for path, headers in table.items():
        if not isinstance(headers, dict):
            _bad(f"has headers of {path} that are no object", f'"{path}": {json.dumps(headers)}')
        for name, content in headers.items():
            if problem := check_header(name, content if isinstance(content, str) else ""):
                _bad(f"has a header of {path} that cannot be sent", f'"{name}": {json.dumps(content)}\n{problem}')
            found.append(Header(name, glob(path), content))
    return found


def _charset(said: Mapping[str, Any]) -> str:
    text = _text(said, "encoding") or "utf-8"
    if not re.fullmatch(r"[A-Za-z0-9_.:-]+", text):
        _bad("names an encoding that is none", f'"encoding": {json.dumps(text)}')
    return text.lower()


def _table(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = said.get(name, {})
    if not isinstance(table, dict):
        _bad(f"has {name!r}, but not as an object", f'"{name}": {json.dumps(table)[:200]}')
    return table


def _text(said: Mapping[str, Any], name: str) -> str:
    text = said.get(name, "")
    if not isinstance(text, str):
        _bad(f"has {name!r}, but not as a string", f'"{name}": {json.dumps(text)[:200]}')
    return text


def _flag(said: Mapping[str, Any], name: str, default: bool) -> bool:
    flag = said.get(name, default)
    if not isinstance(flag, bool):
        _bad(f"has {name!r}, but as neither true nor false", f'"{name}": {json.dumps(flag)[:200]}')
    return flag


def _bad(what: str, found: str) -> NoReturn:
    fail(
        "static.bad-settings",
        f"{SETTINGS_FILE} {what}.",
        found=found,
        fix=f"Correct {SETTINGS_FILE}; a small one that works:\n"
        '{"root": "dist", "routes": {"/**": "index.html"}, "https_only": true}',
    )
