"""What can be wrong with the source of a build."""

from __future__ import annotations

from lifecycle.errors import PylifeError


class SourceNotFound(PylifeError):
    """The app's source is not where it was said to be."""

    code = "source.not-found"
    exit_code = 2
    fix = "Give the app's directory or archive with --app; a relative path starts at the current directory."


class SourceUnsupported(PylifeError):
    """The source is of a kind that pylife cannot take."""

    code = "source.unsupported"
    exit_code = 2
    fix = "Give a directory, a tar or zip archive, or - for an archive on standard input."


class SourceUnreadable(PylifeError):
    """A file of the source cannot be read."""

    code = "source.unreadable"
    fix = "Make it readable (chmod u+r FILE), or leave it out with `exclude` in project.toml."


class SourceChanged(PylifeError):
    """A file of the source vanished or shrank while it was copied."""

    code = "source.changed"
    fix = "Stop what is changing the directory (a watcher, a running server) and build again."


class CopyFailed(PylifeError):
    """The source could be read, but its copy could not be written."""

    code = "source.copy-failed"
    fix = "Free some space (`pylife gc` removes what no image needs), or put $PYLIFE_HOME on a larger disk."


class BadArchive(PylifeError):
    """A source archive is damaged, or holds entries that would leave the source directory."""

    code = "source.bad-archive"
    fix = "Make the archive again from inside the app's directory, for example: tar -czf app.tgz -C APP ."


class BadProjectDescriptor(PylifeError):
    """A project.toml breaks the rules of the project descriptor."""

    code = "source.bad-project-descriptor"
    exit_code = 2
    fix = "Correct the key that is named; `pylife explain source.bad-project-descriptor` shows a whole file."
