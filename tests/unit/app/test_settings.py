"""Settings: precedence, origins and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.app.errors import BadSetting, BadSettingsFile
from lifecycle.app.settings import load_settings, settings_file


def write(path: Path, text: str) -> dict[str, str]:
    path.write_text(text)
    return {"PYLIFE_CONFIG": str(path), "HOME": str(path.parent)}


def test_defaults_follow_the_users_data_folder() -> None:
    settings = load_settings(environ={"XDG_DATA_HOME": "/data", "XDG_CONFIG_HOME": "/nowhere"})
    assert settings.home.value == Path("/data/pylife")
    assert settings.home.origin == "default"
    assert settings.compression.value == "gzip"


def test_settings_file_is_found_in_the_users_config_folder(tmp_path: Path) -> None:
    (tmp_path / "pylife").mkdir()
    (tmp_path / "pylife" / "config.toml").write_text('compression = "zstd"\n')
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert settings_file(environ) == tmp_path / "pylife" / "config.toml"
    assert load_settings(environ=environ).compression.value == "zstd"


def test_flag_wins_over_variable_wins_over_file(tmp_path: Path) -> None:
    environ = write(tmp_path / "config.toml", 'compression = "none"\n')
    assert load_settings(environ=environ).compression.origin == f"compression in {tmp_path / 'config.toml'}"
    environ["PYLIFE_COMPRESSION"] = "gzip"
    assert load_settings(environ=environ).compression.origin == "PYLIFE_COMPRESSION"
    flagged = load_settings({"compression": "zstd"}, environ)
    assert (flagged.compression.value, flagged.compression.origin) == ("zstd", "--compression")


def test_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    environ = write(tmp_path / "config.toml", 'insecure-registry = ["reg.local:5000"]\n')
    settings = load_settings({"insecure_registry": (), "ca_file": None}, environ)
    assert settings.insecure_registry.value == ("reg.local:5000",)
    assert settings.ca_file.value == ()


def test_mirrors_read_alike_from_file_variable_and_flag(tmp_path: Path) -> None:
    expected = {"docker.io": ("a.example/hub", "b.example"), "quay.io": ("c.example",)}
    environ = write(
        tmp_path / "config.toml",
        '[registry-mirror]\n"docker.io" = ["a.example/hub", "b.example"]\n"quay.io" = "c.example"\n',
    )
    assert load_settings(environ=environ).registry_mirror.value == expected
    text = "a.example/hub,docker.io=b.example quay.io=c.example"
    assert load_settings(environ={"PYLIFE_REGISTRY_MIRROR": text}).registry_mirror.value == expected
    flag = ("a.example/hub", "b.example", "quay.io=c.example")
    assert load_settings({"registry_mirror": flag}, {}).registry_mirror.value == expected


def test_map_needs_both_sides() -> None:
    good = load_settings(environ={"PYLIFE_REGISTRY_MAP": "gcr.io=reg.example/gcr;quay.io=reg.example/quay"})
    assert good.registry_map.value == {"gcr.io": "reg.example/gcr", "quay.io": "reg.example/quay"}
    with pytest.raises(BadSetting, match="FROM=TO"):
        load_settings({"registry_map": ("gcr.io",)}, {})


def test_unknown_key_is_refused_with_the_near_one(tmp_path: Path) -> None:
    environ = write(tmp_path / "config.toml", 'compresion = "gzip"\n')
    with pytest.raises(BadSettingsFile) as caught:
        load_settings(environ=environ)
    assert caught.value.fix == "Did you mean 'compression'?"
    assert caught.value.where == str(tmp_path / "config.toml")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["a = ", "\xff"])
def test_file_that_is_not_toml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadSettingsFile, match="not TOML"):
        load_settings(environ={"PYLIFE_CONFIG": str(path)})


def test_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BadSettingsFile, match="There is no settings file"):
        load_settings(environ={"PYLIFE_CONFIG": str(tmp_path / "absent.toml")})


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PYLIFE_PROGRESS", "fancy"),
        ("PYLIFE_ISOLATION", "docker"),
        ("PYLIFE_INSECURE_REGISTRY", "http://reg.local"),
        ("PYLIFE_INSECURE_REGISTRY", "reg local/x"),
        ("PYLIFE_REGISTRY_MIRROR", "docker.io=https://mirror.example"),
    ],
)
def test_bad_value_names_its_variable(variable: str, text: str) -> None:
    with pytest.raises(BadSetting, match=variable):
        load_settings(environ={variable: text})


def test_certificate_files_become_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({"ca_file": ("a.pem",)}, {}).ca_file.value == (tmp_path / "a.pem",)
    assert load_settings(environ={"PYLIFE_CA_FILE": "/a.pem:/b.pem"}).ca_file.value == (Path("/a.pem"), Path("/b.pem"))


def test_wrong_type_in_the_file_is_refused(tmp_path: Path) -> None:
    environ = write(tmp_path / "config.toml", "insecure-registry = 5\n")
    with pytest.raises(BadSetting, match="list of strings"):
        load_settings(environ=environ)


def test_rows_show_every_setting_with_its_origin() -> None:
    rows = load_settings(environ={"PYLIFE_REGISTRY_MIRROR": "m.example", "HOME": "/home/u"}).rows()
    assert ("registry-mirror", "docker.io=m.example", "PYLIFE_REGISTRY_MIRROR") in rows
    assert ("ca-file", "-", "default") in rows
