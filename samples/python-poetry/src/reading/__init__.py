"""How long does a text take to read? A form, a count, an answer."""

from flask import Flask, render_template, request

from reading.counting import count


def create_app() -> Flask:
    """The app, with its one page."""
    app = Flask(__name__)

    @app.route("/", methods=["GET", "POST"])
    def page() -> str:
        text = request.form.get("text", "")
        return render_template("page.html", text=text, counted=count(text))

    @app.get("/healthz")
    def health() -> tuple[str, dict[str, str]]:
        return "ok\n", {"Content-Type": "text/plain"}

    return app
