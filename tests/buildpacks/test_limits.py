"""What a container may use, as the scripts of a launch read it from control groups."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from pylife_sdk.context import Build
from pylife_sdk.execd import write_execd
from pylife_sdk.layer import open_layer
from workbench import BUILDPACKS

MIB = 1 << 20
UNLIMITED_V1 = "9223372036854771712"
HERE = len(os.sched_getaffinity(0))


def ask(root: Path, files: Mapping[str, str], function: str, **env: str) -> str:
    """What a function of limits.sh prints where these files are the control groups."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    script = f"set -eu; . {BUILDPACKS}/sdk/pylife_sdk/limits.sh; {function}"
    environment = {"PATH": "/usr/bin:/bin", "PYLIFE_LIMITS_ROOT": str(root), **env}
    ran = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=10)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.strip()


V2 = {"sys/fs/cgroup/cgroup.controllers": "cpu memory"}
DOCKER_V1 = "12:pids:/docker/abc\n5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/docker/abc"


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        pytest.param({}, "", id="no control groups at all"),
        pytest.param({**V2, "proc/self/cgroup": "0::/"}, "", id="v2, a host"),
        pytest.param(
            {**V2, "proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": f"{512 * MIB}"},
            f"{512 * MIB}",
            id="v2, a namespace of its own",
        ),
        pytest.param(
            {**V2, "proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max"}, "", id="v2, no limit is said"
        ),
        pytest.param(
            {
                **V2,
                "proc/self/cgroup": "0::/pod/app",
                "sys/fs/cgroup/pod/memory.max": f"{256 * MIB}",
                "sys/fs/cgroup/pod/app/memory.max": f"{512 * MIB}",
            },
            f"{256 * MIB}",
            id="v2, nested, the outer one is less",
        ),
        pytest.param(
            {
                **V2,
                "proc/self/cgroup": "0::/pod/app",
                "sys/fs/cgroup/pod/memory.max": "max",
                "sys/fs/cgroup/pod/app/memory.max": f"{128 * MIB}",
            },
            f"{128 * MIB}",
            id="v2, nested, only the inner one limits",
        ),
        pytest.param(
            {**V2, "proc/self/cgroup": "0::/pod.slice:cri:77", "sys/fs/cgroup/pod.slice:cri:77/memory.max": "1048576"},
            "1048576",
            id="v2, colons in a group's name",
        ),
        pytest.param(
            {**V2, "proc/self/cgroup": "0::/elsewhere", "sys/fs/cgroup/memory.max": f"{64 * MIB}"},
            f"{64 * MIB}",
            id="v2, the path is the host's",
        ),
        pytest.param(
            {**V2, "proc/self/cgroup": "0::/../..", "sys/fs/cgroup/memory.max": f"{64 * MIB}"},
            f"{64 * MIB}",
            id="v2, the path leads out",
        ),
        pytest.param(
            {"proc/self/cgroup": DOCKER_V1, "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{300 * MIB}"},
            f"{300 * MIB}",
            id="v1, in a container",
        ),
        pytest.param(
            {
                "proc/self/cgroup": DOCKER_V1,
                "sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED_V1,
                "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": f"{300 * MIB}",
            },
            f"{300 * MIB}",
            id="v1, the host's view",
        ),
        pytest.param(
            {"proc/self/cgroup": DOCKER_V1, "sys/fs/cgroup/memory/memory.limit_in_bytes": UNLIMITED_V1},
            "",
            id="v1, no limit is a number near 2^63",
        ),
        pytest.param(
            {
                "proc/self/cgroup": f"0::/user.slice\n{DOCKER_V1}",
                "sys/fs/cgroup/unified/cgroup.controllers": "",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{90 * MIB}",
            },
            f"{90 * MIB}",
            id="both at once, v1 has the memory",
        ),
    ],
)
def test_memory_limit(tmp_path: Path, files: dict[str, str], limit: str) -> None:
    assert ask(tmp_path, files, "memory_limit") == limit


def quota(count: float) -> str:
    return f"{int(count * 100000)} 100000"


@pytest.mark.parametrize(
    ("files", "count"),
    [
        pytest.param({}, HERE, id="no control groups at all"),
        pytest.param({**V2, "sys/fs/cgroup/cpu.max": "max 100000"}, HERE, id="v2, no limit is said"),
        pytest.param({**V2, "sys/fs/cgroup/cpu.max": quota(1)}, 1, id="v2, one"),
        pytest.param({**V2, "sys/fs/cgroup/cpu.max": quota(0.1)}, 1, id="v2, a tenth is still one"),
        pytest.param({**V2, "sys/fs/cgroup/cpu.max": quota(1.5)}, min(2, HERE), id="v2, one and a half is two"),
        pytest.param({**V2, "sys/fs/cgroup/cpu.max": quota(4096)}, HERE, id="v2, more than there are"),
        pytest.param(
            {
                **V2,
                "proc/self/cgroup": "0::/pod/app",
                "sys/fs/cgroup/pod/cpu.max": quota(1),
                "sys/fs/cgroup/pod/app/cpu.max": "max 100000",
            },
            1,
            id="v2, nested, the outer one limits",
        ),
        pytest.param(
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            HERE,
            id="v1, no limit is -1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": DOCKER_V1,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "50000",
            },
            1,
            id="v1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": DOCKER_V1,
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "100000",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
            },
            1,
            id="v1, mounted with both names",
        ),
    ],
)
def test_cpu_count(tmp_path: Path, files: dict[str, str], count: int) -> None:
    assert ask(tmp_path, files, "cpu_count") == str(count)


def test_cpu_count_is_about_the_container_and_not_about_one_library(tmp_path: Path) -> None:
    assert ask(tmp_path, {}, "cpu_count", OMP_NUM_THREADS="77") == str(HERE)


def test_memory_of_the_machine(tmp_path: Path) -> None:
    files = {"proc/meminfo": "MemFree:         10 kB\nMemTotal:       16384256 kB\nBuffers: 1 kB"}
    assert ask(tmp_path, files, "memory_total") == str(16384256 * 1024)
    assert ask(tmp_path / "none", {}, "memory_total") == ""


def test_the_limits_of_this_very_process_are_readable(tmp_path: Path) -> None:
    count, limit = ask(Path("/"), {}, "cpu_count; memory_limit", PYLIFE_LIMITS_ROOT="").partition("\n")[::2]
    assert 1 <= int(count) <= HERE
    assert limit == "" or int(limit) > 0


def test_an_exec_d_program_sets_what_the_user_did_not(tmp_path: Path) -> None:
    layer = open_layer(Build(str(tmp_path), str(tmp_path), str(tmp_path), "", {}), "limits", launch=True)
    script = 'set_default SAID "it\'s \\"so\\" \\\\ done"\nset_default MINE theirs\nset_default NOTHING theirs\n'
    write_execd(layer, "limits", script + 'set_default WORKERS "$(cpu_count)"\n')
    program = f"{layer.path}/exec.d/limits"
    out = tmp_path / "out.toml"
    with out.open("wb") as file:
        command = f'exec "$0" 3>&{file.fileno()}'
        env = {"PATH": "/usr/bin:/bin", "MINE": "mine", "NOTHING": ""}
        subprocess.run(["bash", "-c", command, program], env=env, pass_fds=[file.fileno()], check=True, timeout=10)
    assert tomllib.loads(out.read_text()) == {"SAID": 'it\'s "so" \\ done', "WORKERS": ask(Path("/"), {}, "cpu_count")}
    before = os.stat(program)
    write_execd(layer, "limits", script + 'set_default WORKERS "$(cpu_count)"\n')
    assert os.stat(program).st_mtime_ns == before.st_mtime_ns
    assert before.st_mode & 0o777 == 0o755
