"""What can go wrong with a RUN: the command itself, or what it asked for."""

from __future__ import annotations

from lifecycle.errors import PylifeError


class StepFailed(PylifeError):
    """The command of a RUN ended with something other than 0.

    ``exit_code`` is the command's own; ``details`` are its last lines of output, secrets masked.
    """

    code = "dockerfile.step-failed"
    fix = "Look at the command's last lines above; --keep-failed keeps the root filesystem for a look around."


class UnknownUser(PylifeError):
    """USER names somebody whom the image's /etc/passwd or /etc/group does not know."""

    code = "dockerfile.unknown-user"
    fix = "Make the user or group in an earlier RUN (useradd, adduser), or give its number."


class BadMount(PylifeError):
    """A RUN --mount cannot be made as it stands: its target or its source is not one."""

    code = "dockerfile.bad-mount"
    fix = "Correct the mount's target or source; sources are found beneath the context, the stage or the image."


class NotAllowed(PylifeError):
    """A RUN asks for more than a build may have unless it is allowed: the host's network, or all privileges."""

    code = "dockerfile.not-allowed"
    fix = "Give --allow network.host or --allow security.insecure when you trust this Dockerfile."


class NotPossibleHere(PylifeError):
    """A RUN asks for something that this host's sandbox cannot give."""

    code = "dockerfile.not-possible-here"
    fix = "Run `pylife doctor` to see what is missing, or accept the loss with --allow-degraded."


class BadSecret(PylifeError):
    """A --secret option is not written as one, or names a file or variable that is not there."""

    code = "secret.bad-option"
    exit_code = 2
    fix = "Write --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE."


class SecretMissing(PylifeError):
    """A RUN requires a secret that the command line does not give."""

    code = "secret.missing"
    fix = "Give it: --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE."


class BadSsh(PylifeError):
    """A --ssh option is not written as one, or what it names is neither an agent's socket nor usable keys."""

    code = "ssh.bad-option"
    exit_code = 2
    fix = "Start an agent (eval $(ssh-agent); ssh-add) and give --ssh default, or name its socket or a key file."


class SshMissing(PylifeError):
    """A RUN requires an ssh agent that the command line does not give."""

    code = "ssh.missing"
    fix = "Give it: --ssh default, --ssh NAME=SOCKET or --ssh NAME=KEYFILE."


class BadCacheArchive(PylifeError):
    """An archive of a cache mount cannot be read back."""

    code = "cache.bad-mount-archive"
    fix = "Export the cache mount again; without it the build works, only slower."
