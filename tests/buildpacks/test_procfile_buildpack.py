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
    assert (ran.code, plan) == (0, {})


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
