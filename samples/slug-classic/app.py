"""A lighthouse keeper's page: which light it is, what it was built from, and what was left ashore."""

import os
from pathlib import Path

from flask import Flask, render_template

HERE = Path(__file__).parent

app = Flask(__name__)


def facts() -> dict[str, str]:
    """What the page says about this slug."""
    built = HERE / "built.txt"
    return {
        "Light": os.environ.get("LIGHT", "(LIGHT is not set)"),
        "Signal": os.environ.get("SIGNAL", "(.profile was not read)"),
        "Built from": built.read_text().strip() if built.exists() else "(bin/post-compile did not run)",
        "Keeper's notes": "aboard" if (HERE / "notes").exists() else "left ashore by .slugignore",
        "Process": f"{os.environ.get('WEB_CONCURRENCY', 'one')} workers in {HERE}",
    }


@app.get("/")
def page() -> str:
    """The page."""
    return render_template("light.html", facts=facts())


@app.get("/healthz")
def health() -> tuple[str, dict[str, str]]:
    """Says that the process answers."""
    return "ok\n", {"Content-Type": "text/plain"}
