"""The Procfile buildpack."""

from __future__ import annotations

import pytest
from workbench import Bench


def test_processes_run_in_bash_and_web_is_the_default(bench: Bench) -> None:
    text = "\ufeff# ours\r\nweb:\tgunicorn app:app --bind 0.0.0.0:$PORT  \r\n\r\n  worker-2 : python work.py # now\r\n"
    ran = bench.write({"Procfile": text}).build("procfile")
    assert ran.code == 0, ran.err
    assert bench.launch("procfile")["processes"] == [
        {"type": "web", "command": ["bash", "-c", "gunicorn app:app --bind 0.0.0.0:$PORT"], "default": True},
        {"type": "worker-2", "command": ["bash", "-c", "python work.py # now"]},
    ]


def test_detect_takes_a_procfile_and_nothing_like_it(bench: Bench) -> None:
    ran, _ = bench.write({"procfile": "web: x"}).detect("procfile")
    assert ran.code == 100
    assert "git mv procfile Procfile" in ran.out
    ran, plan = bench.write({"Procfile": "web: x"}).detect("procfile")
    assert (ran.code, plan["provides"]) == (0, [{"name": "procfile"}])


def test_detect_tells_what_the_processes_will_be(bench: Bench) -> None:
    _, plan = bench.write({"Procfile": "web: serve\nworker: work --all\n"}).detect("procfile")
    said = plan["requires"][0]["metadata"]["pylife"]
    assert said["files"] == ["Procfile"]
    assert said["processes"] == [
        {"type": "web", "command": "serve", "why": "asked for by Procfile:1; it is what the image starts"},
        {"type": "worker", "command": "work --all", "why": "asked for by Procfile:2"},
    ]


def test_detect_tells_why_the_build_will_stop_and_lets_it_say_so(bench: Bench) -> None:
    ran, plan = bench.write({"Procfile": "web serve\n"}).detect("procfile")
    assert ran.code == 0
    assert [problem["id"] for problem in plan["requires"][0]["metadata"]["pylife"]["problems"]] == ["procfile.syntax"]


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("worker: a\n", ["worker"]),
        ("worker: a\nclock: b\n", []),
        ("worker: a\nrelease: b\nweb: c\n", ["web"]),
    ],
)
def test_processes_without_web(bench: Bench, text: str, default: list[str]) -> None:
    ran = bench.write({"Procfile": text}).build("procfile")
    assert ran.code == 0, ran.err
    processes = bench.processes("procfile")
    assert [name for name, process in processes.items() if process.get("default")] == default
    assert ("pylife run --process worker" in ran.out) == (not default)


@pytest.mark.parametrize(
    ("text", "id", "said"),
    [
        ("web: a\n<<<<<<< HEAD\nweb: b\n", "procfile.merge-marker", "Procfile:2"),
        ("web: a\nworker: b\nweb: c\n", "procfile.duplicate", "Delete line 1 or line 3"),
        ("web: a\ngunicorn app\n", "procfile.syntax", "Procfile:2 is not of the form"),
        ("web:\n", "procfile.syntax", "Procfile:1"),
        ("my/web: a\n", "procfile.name", "my-web: a"),
        ("# nothing\n", "procfile.empty", "names no process"),
        ("web: a\n".encode("utf-16"), "procfile.encoding", "iconv"),
        (b"web: \xff\xff\n", "procfile.encoding", "UTF-8"),
    ],
)
def test_a_procfile_that_cannot_be_meant(bench: Bench, text: str | bytes, id: str, said: str) -> None:
    ran = bench.write({"Procfile": text}).build("procfile")
    assert ran.code == 1
    assert ran.failure == id
    assert said in ran.err
