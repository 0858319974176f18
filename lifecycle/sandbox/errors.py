"""What can keep a process from running in a root filesystem."""

from __future__ import annotations

from lifecycle.errors import PylifeError


class NoIsolation(PylifeError):
    """This host allows none of the ways in which pylife keeps a build apart from it."""

    code = "sandbox.no-isolation"
    fix = "`pylife doctor` lists what each way needs; allowing user namespaces is usually the shortest path."


class IsolationRefused(PylifeError):
    """The rung that was asked for by name does not work on this host."""

    code = "sandbox.isolation-refused"
    fix = "Leave --isolation at auto, or change what the reason names."


class BadIsolation(PylifeError):
    """The value of --isolation is not one of the rungs."""

    code = "sandbox.bad-isolation"
    exit_code = 2
    fix = "Use one of auto, userns, mountns, chroot."


class AlreadyThreaded(PylifeError):
    """Namespaces were to be entered after threads had been started."""

    code = "sandbox.already-threaded"
    fix = "When pylife is used as a library, call sandbox.enter() before anything that starts a thread."


class SetupFailed(PylifeError):
    """The kernel refused a step of preparing a process's surroundings."""

    code = "sandbox.setup-failed"
    fix = "Run `pylife doctor`; try --isolation with a lower rung (userns, mountns, chroot)."


class ExecFailed(PylifeError):
    """The program of a step cannot be started in its root filesystem.

    ``exit_code`` is what a shell gives: 127 for a program that is not there, 126 for one that cannot be executed.
    """

    code = "sandbox.exec-failed"
    exit_code = 127
    fix = "Check the program's name, its mode bits and its first line (#!) in the image."


class UserNotMapped(PylifeError):
    """A step has to run as a user or group id that this host does not lend to pylife."""

    code = "sandbox.user-not-mapped"
    fix = "Give your user a range that holds the id in /etc/subuid and /etc/subgid, or build as root."


class NetworkNotIsolated(PylifeError):
    """--network none was asked for where no network namespace can be made."""

    code = "sandbox.network-not-isolated"
    fix = "Drop --network none, or let pylife have namespaces: `pylife doctor` says how."


class MountsNotPossible(PylifeError):
    """A step asks for volumes where nothing can be mounted."""

    code = "sandbox.mounts-not-possible"
    fix = "Drop the volume, or let pylife have a mount namespace: `pylife doctor` says how."


class SpawnerLost(PylifeError):
    """The process that starts build processes has ended before its time."""

    code = "sandbox.spawner-lost"
    fix = "Look for an out-of-memory kill (dmesg) and run the command again."


class TimedOut(PylifeError):
    """The processes of a build took longer than they may."""

    code = "build.timeout"
    exit_code = 51
    fix = (
        "Give the build more time (--timeout; for slugs also PILOT_BUILDER_TIMEOUT); the last lines of output tell "
        "what it was busy with."
    )
