from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.platform.bindings import BadBinding, UnreadableBinding, digest_of, read_bindings, secrets_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A binding as a cluster mounts it: each file is a link into a directory that is swapped as a whole."""
    directory = tmp_path / "db"
    (directory / "..2026").mkdir(parents=True)
    (directory / "..data").symlink_to("..2026")
    for name, content in (("type", "postgresql\n"), ("password", "hunter22\n"), ("pem", "one\ntwo\n")):
        (directory / "..2026" / name).write_text(content)
        (directory / name).symlink_to(f"..data/{name}")
    return directory


def test_binding_is_named_by_its_folder_or_in_the_option(folder: Path) -> None:
    (plain,) = read_bindings([str(folder)])
    assert (plain.name, plain.type, sorted(plain.files)) == ("db", "postgresql", ["password", "pem", "type"])
    assert [item.name for item in read_bindings([f"z={folder}", f"a={folder}"])] == ["a", "z"]


def test_files_are_for_one_user_and_never_shown(folder: Path) -> None:
    (binding,) = read_bindings([str(folder)])
    placed = {file.target: file for file in binding.placed("/platform/bindings", 1000, 1001)}
    file = placed["/platform/bindings/db/password"]
    assert (file.content, file.mode, file.uid, file.gid) == (b"hunter22\n", 0o400, 1000, 1001)
    assert "hunter22" not in repr(binding) + repr(file)


def test_values_of_one_line_are_masked_and_whole_files_are_not(folder: Path) -> None:
    assert list(secrets_of(read_bindings([str(folder)]))) == [b"hunter22"]


def test_digest_follows_names_and_contents(folder: Path) -> None:
    before = digest_of(read_bindings([str(folder)]))
    assert digest_of(read_bindings([f"other={folder}"])) != before
    assert digest_of([]) != before
    (folder / "..2026" / "password").write_text("hunter23\n")
    assert digest_of(read_bindings([str(folder)])) != before


def test_what_is_no_binding_is_refused_with_what_to_do(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "CA_certs").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "type").write_text(" \n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "more").mkdir()
    (tmp_path / "file").write_text("x")
    for text, says in (
        (str(tmp_path / "CA_certs"), "no name of a binding"),
        (f"x={tmp_path / 'CA_certs'}", "no file `type`"),
        (str(tmp_path / "empty"), "its file `type` is empty"),
        (str(tmp_path / "deep"), "is not a file"),
        (str(tmp_path / "file"), "it is not a directory"),
        (str(tmp_path / "nowhere"), "does not exist"),
    ):
        with pytest.raises(BadBinding) as caught:
            read_bindings([text])
        assert says in str(caught.value)
    with pytest.raises(BadBinding, match="Two bindings are named db"):
        read_bindings([str(folder), f"db={folder}"])


def test_a_link_that_leads_nowhere_cannot_be_read(folder: Path) -> None:
    (folder / "lost").symlink_to("nowhere")
    with pytest.raises(UnreadableBinding) as caught:
        read_bindings([str(folder)])
    assert "lost" in str(caught.value)


def test_a_binding_of_gigabytes_is_refused(folder: Path) -> None:
    with (folder / "big").open("wb") as file:
        file.truncate(9 << 20)
    with pytest.raises(BadBinding, match="too large"):
        read_bindings([str(folder)])
