"""What a failed install means: the package manager's words turned into an id, the evidence and a next step."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NoReturn

from pylife_sdk.network_failures import REFUSED, UNCACHED, UNREACHED, UNTRUSTED
from pylife_sdk.output import fail
from pylife_sdk.process import Ran

from pylife_nodejs.failures_common import evidence, explain_common
from pylife_nodejs.project import Project
from pylife_nodejs.tools import Tool

_OUTDATED = re.compile(
    r"can only install (?:packages )?(?:when|with)|Your lockfile needs to be updated|lockfile would have been "
    r"(?:modified|created)|ERR_PNPM_OUTDATED_LOCKFILE|ERR_PNPM_LOCKFILE_CONFIG_MISMATCH|"
    r"package\.json and package-lock\.json .* are (?:not )?in sync|Cannot install with \"frozen-lockfile\"",
    re.I,
)
_BROKEN = re.compile(
    r"ERR_PNPM_BROKEN_LOCKFILE|ERR_PNPM_LOCKFILE_MISSING_DEPENDENCY|ERR_PNPM_LOCKFILE_BREAKING_CHANGE|"
    r"not compatible with (?:current )?pnpm|Unknown token: .*yarn\.lock|Invalid value type .*yarn\.lock|"
    r"YN0062|Parse Error.*lockfile|EJSONPARSE|ERR_PNPM_LOCKFILE_IMPORTER",
    re.I,
)
_NO_VERSION = re.compile(
    r"No matching version found for (\S+?)[.\s]|Couldn't find any versions for \"([^\"]+)\" that matches \"([^\"]+)\"|"
    r"(?:YN0082|No candidates found)[^\n]*?([@\w./-]+@npm:[^\s:]+)?|ETARGET|ERR_PNPM_NO_MATCHING_VERSION"
)
_TOO_NEW = re.compile(
    r"are quarantined|ERR_PNPM_NO_MATURE_MATCHING_VERSION|"
    r"ERR_PNPM_MINIMUM_RELEASE_AGE_VIOLATION|with a date before"
)
_NOT_FOUND = re.compile(
    r"E404|ERR_PNPM_FETCH_404|Couldn't find package \"([^\"]+)\"|Package not found|Response Code: 404|: Not [Ff]ound\b"
)
_NAMED_404 = re.compile(
    r"404\s+'?((?:@[\w.-]+/)?[\w.-]+)@[^\s']*'?\s+(?:is not in|could not be found)|"
    r"GET \S*?/((?:(?:@|%40)[\w.-]+(?:/|%2[fF]))?[\w.-]+)(?:/-/\S*)?: Not Found|"
    r"Couldn't find package \"([^\"]+)\"|[^\n]*?((?:@[\w.-]+/)?[\w.-]+)@npm:[^\n]*Package not found"
)
_GIT = re.compile(
    r"Host key verification failed|Permission denied \(publickey|could not read Username|"
    r"fatal: Could not read from remote repository|terminal prompts disabled"
)
_INTEGRITY = re.compile(
    r"EINTEGRITY|Integrity check failed|ERR_PNPM_TARBALL_INTEGRITY|YN0018|integrity checksum failed", re.I
)
_ENGINE = re.compile(r"EBADENGINE|ERR_PNPM_UNSUPPORTED_ENGINE|engine \"(?:node|npm|yarn|pnpm)\" is incompatible")
_VARIABLE = re.compile(r"Failed to replace env in config: (\$\{[^}]+\})|Environment variable not found \(([^)]+)\)")
_EXCEPTION = {
    "npm": "min-release-age=0 in .npmrc",
    "pnpm": 'minimumReleaseAgeExclude: ["@scope/*"] in pnpm-workspace.yaml',
    "yarn": 'npmPreapprovedPackages: ["@scope/*"] in .yarnrc.yml',
}
# The address of a dependency from git, which hosts of git repositories serve as an archive of one commit.
_ARCHIVE = re.compile(r"\b(https?://([^/\s]+)/\S+/(?:tar\.gz|archive|-/archive|get)/[^\s,)]+)")


def explain_install(ran: Ran, command: list[str], tool: Tool, project: Project, env: Mapping[str, str]) -> NoReturn:
    """Raises the ``Failure`` that fits what a package manager printed while it installed."""
    output, shown = ran.output, " ".join(command)
    lock = tool.manager.lockfile or "the lockfile"
    missing = _VARIABLE.search(output)
    names = [(missing[1] or missing[2]).strip("${}")] if missing else _unset(project, env)
    if names and (missing or REFUSED.search(output) or _NOT_FOUND.search(output) or "INVALID_URL" in output):
        fail(
            "node.npmrc-variable",
            f"The settings of {tool.manager.title} name variables that the build does not have: {', '.join(names)}.",
            found=evidence(output, *names, "ERR_INVALID_URL", "E401", "E403", "E404"),
            fix=f"Give it to the build: pylife build --env {names[0]} ...\n"
            "or give a whole .npmrc as a service binding of the type npmrc.",
        )
    if _OUTDATED.search(output):
        _outdated(output, tool, lock)
    if _BROKEN.search(output) and "package.json" not in evidence(output, "EJSONPARSE"):
        fail(
            "node.lockfile-broken",
            f"{lock} cannot be read by {tool.manager.title} {tool.version}.",
            found=evidence(output, "ERR", "error", "YN0"),
            fix=f"Make it anew with the same version, and commit it:\n{_remake(tool)} && git add {lock}",
        )
    if _GIT.search(output):
        fail(
            "node.git-dependency",
            "A dependency comes from a git repository that the build cannot read.",
            found=evidence(output, "git", "Host key", "Permission", "Username"),
            fix="Name it by an https address that needs no password, or publish it to a registry:\n"
            "npm pkg set dependencies.NAME=git+https://...",
        )
    if _INTEGRITY.search(output):
        fail(
            "node.integrity",
            f"A package is not the file that {lock} names by its hash.",
            found=evidence(output, "EINTEGRITY", "integrity", "YN0018"),
            fix="If the package was published anew, take its present hash: "
            f"{_remake(tool)}\nIf it was not, the registry or a proxy altered it: do not install it.",
        )
    if "ERESOLVE" in output:
        fail(
            "node.peer-conflict",
            "Two packages ask for versions of a third that exclude each other.",
            found=evidence(output, "npm error", limit=16),
            fix="Change one of the versions that are named, and make the lockfile anew with npm install.\n"
            "To keep them as npm 6 did: echo legacy-peer-deps=true >> .npmrc",
        )
    if _ENGINE.search(output):
        fail(
            "node.engine-mismatch",
            "A package does not run on this Node.js or package manager.",
            found=evidence(output, "engine", "Required", "Wanted", "Expected", "Not compatible", "Got", "EBADENGINE"),
            fix='Ask for a version that it runs on, in package.json: "engines": {"node": "24.x"}',
        )
    if _TOO_NEW.search(output):
        fail(
            "node.version-too-new",
            f"The settings of {tool.manager.title} refuse versions that were published a short time ago, and no other "
            "one fits.",
            found=evidence(output, "quarantined", "published at", "NO_MATURE", "RELEASE_AGE", "date before"),
            fix="Ask for an older version, wait, or make an exception for your own packages:\n" + _EXCEPTION[tool.name],
        )
    if REFUSED.search(output):
        fail(
            "node.registry-refused",
            "The package registry refused the request: a token or password is missing or wrong.",
            found=evidence(output, "E401", "E403", "ENEEDAUTH", "401", "403", "YN0033", "YN0041", "auth"),
            fix=_credentials(tool),
        )
    if _NOT_FOUND.search(output) and not _offline(output):
        named = next((group for match in _NAMED_404.finditer(output) for group in match.groups() if group), "")
        name = re.sub("%40", "@", re.sub("%2[fF]", "/", named)) if named else "A package"
        fail(
            "node.package-not-found",
            f"{name} is not in the package registry.",
            found=_where(project, name) + evidence(output, "404", "not found", "Couldn't find"),
            fix="Correct its name in package.json. If it is private, name its registry in .npmrc:\n"
            "@scope:registry=https://... with a token, as docs/errors/node.registry-refused.md shows.",
        )
    if (no := _NO_VERSION.search(output)) and not _offline(output):
        wanted = no[1] or (f"{no[2]}@{no[3]}" if no[2] else no[4] or "a package")
        name = wanted.rpartition("@")[0] or wanted
        fail(
            "node.no-matching-version",
            f"The package registry has no version {wanted}.",
            found=_where(project, name) + evidence(output, "No matching", "Couldn't find any", "YN0082", "candidates"),
            fix=f"npm view {name} versions\nand write one of these versions into package.json.",
        )
    explain_common(ran, shown, project.root)
    if UNTRUSTED.search(output):
        fail(
            "node.network",
            "The packages could not be fetched: the server's certificate is not trusted here.",
            found=evidence(output, "cert", "CERT", "UNABLE"),
            fix="If a proxy of your company signs certificates, give its CA file to the build:\n"
            "pylife build --ca-file /path/to/company-ca.pem ...\n"
            "Where the build is a container of its own, mount a bundle that has it and set SSL_CERT_FILE and "
            "NODE_EXTRA_CA_CERTS to its path.",
        )
    if UNREACHED.search(output) or UNCACHED.search(output):
        if archive := _ARCHIVE.search(output):
            host, repository = archive[2], "/".join(archive[1].split("/")[3:5])
            fail(
                "node.network",
                f"A dependency that comes from no package registry could not be fetched: {host} cannot be reached.",
                found=_line_with(project, repository) + evidence(output, host),
                fix=f"Let builds reach {host} (HTTPS_PROXY, NO_PROXY), or build once where they can, so that the cache "
                "is filled.\nElse take the package from a registry: npm install NAME@VERSION",
            )
        fail(
            "node.network",
            "The packages could not be fetched: the package registry cannot be reached, and the cache has not all.",
            found=evidence(output, "ENOT", "EAI", "ECONN", "ETIMEDOUT", "network", "getaddrinfo", "OFFLINE", "request"),
            fix="Build once with a network, so that the cache is filled; check HTTPS_PROXY and NO_PROXY, and the "
            "registry in .npmrc.\nWithout any network, commit an offline cache: docs/errors/node.network.md",
        )
    fail(
        "node.install-failed",
        f"{shown} failed.",
        found=ran.tail or f"it ended with {ran.code} and said nothing",
        fix=f"The last lines above name the cause. The same happens outside a build with\n{shown}",
    )


def _unset(project: Project, env: Mapping[str, str]) -> list[str]:
    """Variables that .npmrc names and that are not set; npm takes such a name as it is written."""
    try:
        with open(os.path.join(project.root.directory, ".npmrc"), encoding="utf-8-sig", errors="replace") as file:
            lines = [line for line in file if not line.lstrip().startswith(("#", ";"))]
    except OSError:
        return []
    return [name for name in dict.fromkeys(re.findall(r"\$\{(\w+)\}", "".join(lines))) if name not in env]


def _outdated(output: str, tool: Tool, lock: str) -> NoReturn:
    rows = [
        line.split("npm error ")[-1].strip() for line in output.splitlines() if re.search(r"Missing: |Invalid: ", line)
    ]
    absent = "lock" in output and "existing package-lock" in output
    fail(
        "node.lockfile-outdated",
        f"package.json and {lock} do not agree: {lock} was not made from this package.json."
        if not absent
        else "npm ci needs a package-lock.json that npm 5 or later has made.",
        found="\n".join(rows[:12]) or evidence(output, "lockfile", "lock file", "specifiers", "YN0028", "ERR_PNPM"),
        fix=f"{_remake(tool)} && git add {lock} && git commit",
    )


def _remake(tool: Tool) -> str:
    return {"npm": "npm install", "yarn": "yarn install", "pnpm": "pnpm install --no-frozen-lockfile"}[tool.name]


def _credentials(tool: Tool) -> str:
    if tool.berry:
        return (
            "Give the token to the build, and name it in .yarnrc.yml as npmAuthToken: ${NPM_TOKEN}:\n"
            "pylife build --env NPM_TOKEN ...\nor give a .yarnrc.yml as a service binding of the type yarnrc; "
            "npmAlwaysAuth: true if packages without a scope need it too."
        )
    classic = (
        "\nYarn 1 sends it for packages without a scope only with always-auth=true." if tool.name == "yarn" else ""
    )
    return (
        "Give the token to the build, and name it in .npmrc as ${NPM_TOKEN}:\n"
        f"pylife build --env NPM_TOKEN ...\nor give a .npmrc as a service binding of the type npmrc.{classic}"
    )


def _offline(output: str) -> bool:
    return bool(UNREACHED.search(output) or UNCACHED.search(output))


def _where(project: Project, name: str) -> str:
    """The line of a package.json that names a package, as ``file:line: text``; empty when it is in none."""
    return _line_with(project, f'"{name}"')


def _line_with(project: Project, text: str) -> str:
    for manifest in (project.root, *project.members.values()):
        for number, line in enumerate(manifest.raw.decode("utf-8", "replace").splitlines(), 1):
            if text in line and ":" in line:
                return f"{manifest.shown}:{number}: {line.strip()}\n"
    return ""


def check_lockfile(project: Project, name: str) -> None:
    """Raises ``Failure`` for a lockfile that is visibly broken, before anything is fetched."""
    import json

    path = os.path.join(project.root.directory, name)
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read()
    shown = project.shown(path)
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<<<<<<<", ">>>>>>>")):
            fail(
                "node.lockfile-broken",
                f"{shown} holds an unfinished merge.",
                found=f"{shown}:{number}: {line}",
                fix=f"git checkout --theirs {shown} && git add {shown}\nthen let the package manager mend it "
                "(npm install, yarn install or pnpm install), and commit.",
            )
    if name.endswith(".json"):
        try:
            json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "it"
            fail(
                "node.lockfile-broken",
                f"{shown} is no JSON: {error} .".replace(" .", "."),
                found=f"{shown}, {where}; {len(text)} characters",
                fix=f"rm {shown} && npm install && git add {shown}",
            )
