"""The app's own tests: `pylife slug buildpack test` runs them in the built app."""

import unittest

from app import app


class Page(unittest.TestCase):
    """What a visitor sees."""

    def test_names_the_light(self) -> None:
        """The config variable of app.json's test environment is on the page."""
        self.assertIn("The test light", app.test_client().get("/").text)


if __name__ == "__main__":
    unittest.main()
