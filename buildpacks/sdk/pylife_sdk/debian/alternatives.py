"""What update-alternatives would link, read from maintainer scripts without running them."""

from __future__ import annotations

import os
import re
import shlex

from pylife_sdk.process import run

_CALL = re.compile(r"update-alternatives\s+((?:[^;&|\n]|\\\n)*)")
_ASSIGNMENT = re.compile(r"^\s*(?:local\s+)?([A-Za-z_][A-Za-z0-9_]*)=(\"[^\"$`]*\"|'[^']*'|[^\s\"'$`;]+)\s*$", re.M)


def script_of(archive: str, cwd: str) -> str:
    """A package's postinst, "" when it has none."""
    ran = run(["dpkg-deb", "-I", archive, "postinst"], env={**os.environ, "LC_ALL": "C"}, cwd=cwd, show=None)
    return "" if ran.code else ran.output


def make_alternatives(script: str, root: str) -> list[str]:
    """Makes the links below ``root`` that a script's plain calls ask for; "convert -> convert-im6.q16" for each.

    A call whose words depend on anything but plain assignments before it is passed over. The first call wins, as all
    packages of a layer are as much wanted.
    """
    values = {match[1]: match[2].strip("\"'") for match in _ASSIGNMENT.finditer(script)}
    made = []
    for call in _CALL.finditer(script.replace("\\\n", " ")):
        text = re.sub(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", lambda match: values.get(match[1], match[0]), call[1])
        try:
            words = shlex.split(text)
        except ValueError:
            continue
        position = 0
        while position < len(words):
            option = words[position]
            if option == "--install" and len(words) >= position + 5:
                made += _link(root, words[position + 1], words[position + 3])
                position += 5
            elif option == "--slave" and len(words) >= position + 4:
                made += _link(root, words[position + 1], words[position + 3])
                position += 4
            else:
                position += 1
    return made


def _link(root: str, link: str, target: str) -> list[str]:
    if "$" in link + target or not link.startswith("/usr/") or ".." in link.split("/") or "/man/" in link:
        return []
    path, aim = root + link, root + target
    if os.path.lexists(path) or not os.path.lexists(aim):
        return []
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.symlink(os.path.relpath(aim, os.path.dirname(path)), path)
    return [f"{os.path.basename(link)} -> {os.path.basename(target)}"]
