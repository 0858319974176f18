"""The system calls that a build process may not make, as a BPF program.

A deny list with the scope of what ordinary container engines withhold from a container without extra privileges:
calls that reach past the namespaces (modules, kexec, clocks, swap, accounting), that make new ones (mounts, user
namespaces) or that have a record of kernel faults (bpf, userfaultfd, io_uring, keyrings). They answer EPERM, as if
the capability were missing, so programs take their ordinary fallback. ptrace stays allowed: build tools trace.
Source: linux/filter.h, linux/seccomp.h, linux/audit.h; syscall tables of x86_64 and asm-generic (aarch64).
"""

from __future__ import annotations

import errno
import functools
import struct

from lifecycle.sandbox import kernel

_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag that clone() takes
_TIOCSTI = 0x5412
_TIOCLINUX = 0x541C

# name -> (x86_64, aarch64); None where the architecture never had the call
_DENIED: dict[str, tuple[int | None, int]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "lookup_dcookie": (212, 18),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
_DENIED_X86 = {
    "create_module": 174,
    "get_kernel_syms": 177,
    "ioperm": 173,
    "iopl": 172,
    "query_module": 178,
    "_sysctl": 156,
    "sysfs": 139,
    "uselib": 134,
    "ustat": 136,
}
_CLONE = {"x86_64": 56, "aarch64": 220}
_IOCTL = {"x86_64": 16, "aarch64": 29}
_CLONE3 = 435
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24


def _step(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


def denied_numbers(machine: str) -> list[int]:
    """The numbers of the denied calls on ``machine``, sorted."""
    column = 0 if machine == "x86_64" else 1
    numbers = {row[column] for row in _DENIED.values()} - {None}
    if machine == "x86_64":
        numbers |= set(_DENIED_X86.values())
    return sorted(number for number in numbers if number is not None)


@functools.cache
def program(machine: str = kernel.MACHINE) -> bytes | None:
    """The filter for ``machine``, or None where no table is known (the caller then runs without one).

    Foreign system call tables (32-bit binaries, x32) answer ENOSYS: their numbers would slip past this list.
    """
    arch = _AUDIT_ARCH.get(machine)
    if arch is None:
        return None
    denied = _step(_RETURN, _ERRNO | errno.EPERM)
    missing = _step(_RETURN, _ERRNO | errno.ENOSYS)
    allowed = _step(_RETURN, _ALLOW)
    code = [_step(_LOAD, _ARCH), _step(_EQUAL, arch, 1, 0), missing, _step(_LOAD, _NUMBER)]
    if machine == "x86_64":
        code += [_step(_AT_LEAST, _X32_BIT, 0, 1), missing]
    for number in denied_numbers(machine):
        code += [_step(_EQUAL, number, 0, 1), denied]
    # glibc and others fall back to clone, whose flags a filter can see, when clone3 is missing
    code += [_step(_EQUAL, _CLONE3, 0, 1), missing]
    code += [_step(_EQUAL, _CLONE[machine], 0, 4), _step(_LOAD, _ARGUMENT_0)]
    code += [_step(_ANY_BIT, _NAMESPACES, 0, 1), denied, allowed]
    # typing into the terminal of whoever started pylife
    code += [_step(_EQUAL, _IOCTL[machine], 0, 5), _step(_LOAD, _ARGUMENT_1)]
    code += [_step(_EQUAL, _TIOCSTI, 1, 0), _step(_EQUAL, _TIOCLINUX, 0, 1), denied, allowed]
    code += [allowed]
    return b"".join(code)
