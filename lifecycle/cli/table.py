"""The table of commands: adding one is one row here and one file in ``commands/``.

The summaries live here, so that ``pylife --help`` imports no command.
"""

from __future__ import annotations

from lifecycle.record import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A command: its name, its task in ``pylife --help`` and one line about it."""

    name: str
    task: str
    summary: str

    @property
    def module(self) -> str:
        """The module that holds it, as an attribute of the same name."""
        return f"lifecycle.cli.commands.{self.name}"


ROWS = (
    Row("build", "Make images", "Build an image from source code with buildpacks."),
    Row("slug", "Make images", "Build and run slugs with Heroku-classic buildpacks."),
    Row("detect", "Make images", "Show which buildpacks match an app, and why."),
    Row("rebase", "Make images", "Put a new run image under an app image, without a build."),
    Row("stack", "Make images", "Make and look at build and run images."),
    Row("builder", "Make images", "Make and look at builder images."),
    Row("run", "Run them", "Run a process of an image in the sandbox."),
    Row("images", "Keep and move them", "List the images in the local store."),
    Row("tag", "Keep and move them", "Give an image in the local store another name."),
    Row("rmi", "Keep and move them", "Remove names from the local store."),
    Row("gc", "Keep and move them", "Delete what no image in the local store needs."),
    Row("copy", "Keep and move them", "Copy an image from one place to another."),
    Row("push", "Keep and move them", "Send an image from the local store to a registry."),
    Row("pull", "Keep and move them", "Fetch an image from a registry into the local store."),
    Row("inspect", "Look into them", "Show what an image is and how it starts."),
    Row("diff", "Look into them", "Show how two images differ."),
    Row("validate", "Look into them", "Check an image against the specification."),
    Row("export", "Look into them", "Write an image's filesystem as a tar archive."),
    Row("dockerfile", "Look into them", "Look into a Dockerfile: parse it, check it, list what it takes."),
    Row("login", "Registries", "Keep credentials for a registry."),
    Row("logout", "Registries", "Forget the credentials for a registry."),
    Row("registry", "Registries", "Serve a small registry for development and tests."),
    Row("doctor", "This host", "Show what this host allows and how to get more."),
    Row("explain", "This host", "Show the page of an error code."),
)
BY_NAME = {row.name: row for row in ROWS}
