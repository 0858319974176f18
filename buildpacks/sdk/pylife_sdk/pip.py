"""The build image's own pip, for what has to be there before an app's own tools: it asks no questions.

It takes a server that refuses to answer for one that has nothing, and says why in its log alone: that is read here.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping

from pylife_sdk.context import read_bytes
from pylife_sdk.process import Ran, run

_OPTIONS = ("--no-cache-dir", "--disable-pip-version-check", "--no-input", "--no-color")
_UNFETCHED = re.compile(r"Could not fetch URL .*(?= - skipping$)", re.M)


def run_pip(*arguments: str, env: Mapping[str, str], cwd: str) -> Ran:
    """Runs pip silently. After a failure the output ends with the addresses that it could not fetch, and why."""
    with tempfile.TemporaryDirectory() as scratch:
        log = os.path.join(scratch, "log")
        command = [sys.executable, "-m", "pip", *arguments, *_OPTIONS, "--log", log]
        # Fewer than pip's own five retries: they are long where there is no network.
        ran = run(command, env={"PIP_RETRIES": "2", **env}, cwd=cwd, show=None)
        if not ran.code or not os.path.exists(log):
            return ran
        unfetched = dict.fromkeys(_UNFETCHED.findall(read_bytes(log).decode(errors="replace")))
    return Ran(ran.code, "\n".join([ran.output.rstrip("\n"), *unfetched]) + "\n")
