"""uv run pytest"""

from fastapi.testclient import TestClient
from main import app

client = TestClient(app)


def test_a_new_moon_is_dark() -> None:
    assert client.get("/phase?day=2000-01-06").json()["lit"] < 0.01


def test_the_page_names_the_phase() -> None:
    assert "The moon is" in client.get("/").text
