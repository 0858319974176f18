"""How much of the moon is lit: a page for people, an answer in JSON for programs."""

from datetime import UTC, date, datetime, time

import moon
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

app = FastAPI(title="Moon", version="1.0.0")

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Moon</title>
<style>
  body {{ max-width: 36rem; margin: 4rem auto; padding: 0 1rem; font: 17px/1.5 system-ui, sans-serif;
         background: #10141f; color: #e6e9f2; }}
  meter {{ width: 100%; height: 2rem; }}
  a {{ color: #9db8ff; }}
</style>
<h1>The moon is {name}</h1>
<meter min="0" max="1" value="{lit:.3f}">{lit:.0%}</meter>
<p>{lit:.0%} of its disc is lit, {age:.1f} days after the new moon.</p>
<p>For programs: <a href="/phase?day=2026-12-24">/phase?day=2026-12-24</a>, described at <a href="/docs">/docs</a>.</p>
<p><small>FastAPI and uvicorn, locked by uv, built into an image by pylife.</small></p>
</html>
"""


class Phase(BaseModel):
    """The moon at noon (UTC) of a day."""

    day: date
    name: str
    lit: float
    age: float


@app.get("/", response_class=HTMLResponse)
def tonight() -> str:
    """The page of this moment."""
    now = datetime.now(UTC)
    return PAGE.format(name=moon.name(now), lit=moon.lit(now), age=moon.age(now))


@app.get("/phase")
def phase(day: date) -> Phase:
    """The phase on a day."""
    noon = datetime.combine(day, time(12), UTC)
    return Phase(day=day, name=moon.name(noon), lit=round(moon.lit(noon), 3), age=round(moon.age(noon), 1))
