"""RUN: a command in a root filesystem, with its user, its mounts and its secrets.

``run_step(order, root, tools, on_line)`` does one; everything that is mounted for it is gone when it returns.
"""

from lifecycle.lazy import exports

__all__ = [
    "BindMount",
    "CacheMount",
    "RunMount",
    "RunOrder",
    "RunTools",
    "Script",
    "Secret",
    "SecretMount",
    "SshMount",
    "SshSource",
    "StepFailed",
    "TmpfsMount",
    "parse_secret",
    "parse_ssh",
    "run_step",
]

__getattr__ = exports(
    __name__,
    {
        "errors": ("StepFailed",),
        "order": ("BindMount", "CacheMount", "RunMount", "RunOrder", "Script", "SecretMount", "SshMount", "TmpfsMount"),
        "secrets": ("Secret", "parse_secret"),
        "ssh": ("SshSource", "parse_ssh"),
        "step": ("run_step",),
        "tools": ("RunTools",),
    },
)
