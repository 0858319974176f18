"""Which hour is it where? One page, one template, one style sheet."""

from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Flask, render_template

PLACES = {
    "Honolulu": "Pacific/Honolulu",
    "São Paulo": "America/Sao_Paulo",
    "Lagos": "Africa/Lagos",
    "Berlin": "Europe/Berlin",
    "Kolkata": "Asia/Kolkata",
    "Tokyo": "Asia/Tokyo",
}

app = Flask(__name__)


@app.get("/")
def hours() -> str:
    """The page with the hour of each place."""
    now = {place: datetime.now(ZoneInfo(zone)) for place, zone in PLACES.items()}
    return render_template("hours.html", now=now)


@app.get("/healthz")
def health() -> tuple[str, dict[str, str]]:
    """Says that the process answers."""
    return "ok\n", {"Content-Type": "text/plain"}
