"""What the probe finds, and how it says what is missing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.sandbox import Isolation, kernel, probe, seccomp
from lifecycle.sandbox.doctor import examine
from lifecycle.sandbox.entering import lent_ranges
from lifecycle.sandbox.errors import BadIsolation, IsolationRefused
from lifecycle.sandbox.host import ca_bundle, proxy_environment
from lifecycle.sandbox.stubs import Stubs, resolve_inside

Runner = Callable[[Callable[[Any], Any]], Any]
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def in_child(body: Callable[[], int]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = body()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_probe_is_quick_and_leaves_nothing(tmp_path: Path) -> None:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        probe(Isolation.AUTO, tmp_path)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.1 and list(tmp_path.iterdir()) == []


def test_unknown_isolation_is_refused() -> None:
    with pytest.raises(BadIsolation):
        Isolation.parse("docker")
    assert Isolation.parse(" Chroot ") is Isolation.CHROOT


@root_only
def test_root_without_sys_admin_gets_a_lower_rung_and_the_reason(tmp_path: Path) -> None:
    def body() -> int:
        kernel.set_capabilities(kernel.effective_capabilities() & ~(1 << 21))
        rung = probe(Isolation.AUTO, tmp_path)
        told = any("CAP_SYS_ADMIN" in reason for reason in rung.reasons)
        return 7 if rung.name in ("userns", "chroot") and told and rung.improvements else 1

    assert in_child(body) == 7


@root_only
def test_ordinary_user_asking_for_chroot_is_told_what_it_needs(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    def body() -> int:
        os.setresuid(65534, 65534, 65534)
        try:
            probe(Isolation.CHROOT, "/tmp")
        except IsolationRefused as error:
            return 7 if "CAP_SYS_CHROOT" in error.fix and "not permitted" in str(error) else 2
        return 1

    assert in_child(body) == 7


def test_no_user_namespaces_left_is_told_with_the_setting(tmp_path: Path) -> None:
    """The filter that builds get denies namespaces, as a strict container does."""

    def body() -> int:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        code = seccomp.program()
        assert code is not None
        kernel.seccomp(code)
        try:
            probe(Isolation.AUTO, "/tmp")
        except Exception as error:
            fix = getattr(error, "fix", "")
            return 7 if getattr(error, "code", "") == "sandbox.no-isolation" and "seccomp" in fix else 2
        return 1

    assert in_child(body) == 7


def test_lent_ranges_are_read_by_name_and_number(tmp_path: Path) -> None:
    table = tmp_path / "subuid"
    table.write_text("# note\nnobody:100000:65536\n0:5:10\nroot:200000:7\nroot:bad:1\nroot:3\n")
    assert lent_ranges(str(table), 0) == ((5, 10), (200000, 7))
    assert lent_ranges(str(tmp_path / "none"), 0) == ()


def test_filter_knows_both_machines_and_no_other() -> None:
    assert seccomp.program("x86_64") and seccomp.program("aarch64") and seccomp.program("riscv64") is None
    assert 165 in seccomp.denied_numbers("x86_64") and 40 in seccomp.denied_numbers("aarch64")
    assert 165 not in seccomp.denied_numbers("aarch64")


def test_ca_bundle_is_the_variables_first(tmp_path: Path) -> None:
    own = tmp_path / "ca.pem"
    own.write_text("x")
    assert ca_bundle({"SSL_CERT_FILE": str(own)}) == str(own)
    assert ca_bundle({"SSL_CERT_FILE": str(tmp_path / "gone")}) != str(tmp_path / "gone")


def test_proxies_come_in_both_cases() -> None:
    assert proxy_environment({"HTTP_PROXY": "p", "no_proxy": "n"}) == {
        "http_proxy": "p",
        "HTTP_PROXY": "p",
        "no_proxy": "n",
        "NO_PROXY": "n",
    }


def test_paths_are_resolved_inside_a_root(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/b/../../c")
    (tmp_path / "loop").symlink_to("loop")
    root = str(tmp_path)
    assert resolve_inside(root, "/a/x") == "c/x"
    assert resolve_inside(root, "../../etc") == "etc"
    with pytest.raises(OSError, match="levels of symbolic links"):
        resolve_inside(root, "/loop/x")


def test_stub_directory_that_was_used_stays(tmp_path: Path) -> None:
    stubs = Stubs(str(tmp_path))
    stubs.directory("/a/b")
    stubs.file("/f/g", b"x")
    (tmp_path / "a/kept").write_text("by the step")
    stubs.remove()
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["a", "a/kept"]


def test_stub_is_not_made_through_a_link_put_there_meanwhile(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    stubs = Stubs(str(root))
    (root / "etc").symlink_to(outside)
    with (
        pytest.raises(OSError, match=r"(?i)not a directory|symbolic"),
        stubs._making("etc/resolv.conf") as (folder, name),
    ):
        os.mkdir(name, dir_fd=folder)
    assert list(outside.iterdir()) == []


def test_doctor_has_a_row_for_each_property_with_the_way_out(tmp_path: Path) -> None:
    rung, checks = examine(Isolation.AUTO, tmp_path)
    names = [check.name for check in checks]
    assert rung is not None
    assert {"isolation", "ids", "overlay", "memory", "network", "seccomp", "certificates", "space"} <= set(names)
    assert all(check.detail for check in checks) and len(names) == len(set(names))


@root_only
def test_doctor_tells_a_refusal_as_a_row(tmp_path: Path) -> None:
    def body() -> int:
        os.setresuid(65534, 65534, 65534)
        rung, checks = examine(Isolation.CHROOT, Path("/tmp"))
        return 7 if rung is None and checks[0].state == "missing" and checks[0].better else 1

    assert in_child(body) == 7
