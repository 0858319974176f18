"""The classic buildpacks that are made here: what each calls an app, and the CNB buildpacks that do its work."""

from __future__ import annotations

# What no buildpack takes from the config variables: it would break the build's own programs.
# Source: the export filters of Heroku's buildpacks, the table "ENV filter" of the buildpack API.
_PYTHON = "PATH CPATH CPPATH LD_PRELOAD LIBRARY_PATH LD_LIBRARY_PATH PYTHONHOME"
_NODE = "PATH GIT_DIR CPATH CPPATH LD_PRELOAD LIBRARY_PATH LANG BUILD_DIR"
_JAVA = "PATH GIT_DIR CPATH CPPATH LD_PRELOAD LIBRARY_PATH JAVA_OPTS JAVA_TOOL_OPTIONS"


class Kind:
    """A kind of app.

    ``name`` is what bin/detect prints. ``main`` is the CNB buildpack that makes it; those of ``before`` take part
    when it requires what they provide, those of ``after`` when they detect something. ``refused`` are config variables
    that stay out of the build's environment.
    """

    __slots__ = ("after", "before", "main", "name", "refused")

    def __init__(
        self, name: str, main: str, refused: str, *, before: tuple[str, ...] = (), after: tuple[str, ...] = ()
    ) -> None:
        self.name, self.main, self.before, self.after = name, main, before, after
        self.refused = frozenset(refused.split())

    def takes(self, name: str) -> bool:
        """Whether a config variable becomes part of the build's environment."""
        return name not in self.refused


KINDS = {
    kind.main: kind
    for kind in (
        Kind("Python", "python", _PYTHON, after=("django",)),
        Kind("Node.js", "nodejs", _NODE, after=("static",)),
        Kind("Java", "java", _JAVA),
        Kind("Static", "static", _NODE, before=("nodejs",)),
    )
}
