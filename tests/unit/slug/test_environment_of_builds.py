"""Config variables: what is one, how it reaches buildpacks, what they import."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest

from lifecycle.buildpack.tree import BuildRoot
from lifecycle.slug.environment import (
    BadConfigVariable,
    BadSshKey,
    config_vars,
    parse_dotenv,
    process_variables,
    read_env_dir,
    ssh_command,
    ssh_key,
    write_env_dir,
)

PEM = b"-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"

# What a build pod of the platform has that is none of the app's.
# Source: BlueKing cnb-builder-shim, the variables that are not written to /platform/env; slug-pilot; deis/builder.
_NOT_THE_APPS = """
CNB_REGISTRY_AUTH OUTPUT_IMAGE CNB_RUN_IMAGE SOURCE_GET_URL GIT_REVISION S3CMD_CONF BKREPO_CONF CACHE_PATH CACHE_GET_URL
CACHE_SET_URL TAR_PATH PUT_PATH SOURCE_SET_URL SLUG_URL SLUG_GET_URL PILOT_SENTRY_DSN REQUIRED_BUILDPACKS SLUG_SET_URL
PILOT_BUILDER_TIMEOUT BUILDER_STORAGE DEIS_DEBUG BUILDPACK_URL CNB_PLATFORM_API PYLIFE_HOME HEROKUISH_SETUIDGUID
KUBERNETES_SERVICE_HOST APP_PATH ENV_PATH BUILD_PATH IMPORT_PATH BUILDPACK_PATH STACK SOURCE_VERSION REQUEST_ID TRACE
CURL_TIMEOUT PATH HOME HOSTNAME PWD SHLVL LANG TERM HTTP_PROXY https_proxy no_proxy SSL_CERT_FILE
"""


@pytest.mark.parametrize("name", _NOT_THE_APPS.split())
def test_builders_own_variables_are_no_config_variables(name: str) -> None:
    assert config_vars({name: "x", "DATABASE_URL": "db"}) == {"DATABASE_URL": "db"}


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "PIP_INDEX_HOST", "BK_APP_ID", "NODE_ENV", "PORT", "lower", "a-b.c"])
def test_everything_else_is_the_apps(name: str) -> None:
    assert config_vars({name: "x"}) == {name: "x"}


def test_keys_of_object_storage_are_the_apps_unless_the_builder_works_on_one() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert config_vars(keys) == keys
    assert config_vars({**keys, "BUILDER_STORAGE": "s3", "PUT_PATH": "p"}) == {}


def test_processes_get_proxies_in_both_cases_and_no_config_variable() -> None:
    given = {"PATH": "/bin", "HTTPS_PROXY": "proxy:1", "SECRET": "s", "CNB_REGISTRY_AUTH": "{}", "LANG": "C.UTF-8"}
    expected = {"PATH": "/bin", "HTTPS_PROXY": "proxy:1", "https_proxy": "proxy:1", "LANG": "C.UTF-8"}
    assert process_variables(given) == expected


@pytest.mark.parametrize("name", ["TRACE", "DEIS_DEBUG", "BUILDPACK_XTRACE"])
def test_tracing_is_passed_on(name: str) -> None:
    assert process_variables({name: "1"})["BUILDPACK_XTRACE"] == "1"
    assert "BUILDPACK_XTRACE" not in process_variables({name: ""})


def test_one_bundle_of_certificates_is_for_every_program_but_those_that_were_given_another() -> None:
    found = process_variables({"SSL_CERT_FILE": "/ca.pem", "PIP_CERT": "/pip.pem"})
    assert found.pop("PIP_CERT") == "/pip.pem"
    names = ("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    assert found == dict.fromkeys(names, "/ca.pem")
    assert process_variables({"PIP_CERT": "/pip.pem"}) == {"PIP_CERT": "/pip.pem"}


# -- the env directory -------------------------------------------------------------------------------------------


def test_env_directory_round_trips_bytes(tmp_path: Path) -> None:
    root = BuildRoot(tmp_path)
    values = {"A": "x\n", "B": "", "RAW": os.fsdecode(b"\xff\0"[:1]), "N": "a\nb"}
    write_env_dir(root, "/tmp/env", values)
    assert read_env_dir(root, "/tmp/env") == values
    assert (tmp_path / "tmp/env/RAW").read_bytes() == b"\xff"
    assert (tmp_path / "tmp/env").stat().st_mode & 0o777 == 0o700


def test_mounted_secret_is_read_through_its_links_and_left_as_it_is(tmp_path: Path) -> None:
    env = tmp_path / "env"
    (env / "..2026").mkdir(parents=True)
    (env / "..2026/KEY").write_text("v")
    (env / "..data").symlink_to("..2026")
    (env / "KEY").symlink_to("..data/KEY")
    (env / ".hidden").write_text("no")
    (env / "folder").mkdir()
    root = BuildRoot(tmp_path)
    assert read_env_dir(root, "/env") == {"KEY": "v"}
    write_env_dir(root, "/env", {"KEY": "v"})
    assert (env / "KEY").is_symlink()
    assert (env / ".hidden").exists()


def test_changed_value_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "precious").write_text("p")
    (tmp_path / "env/KEY").symlink_to("/precious")
    write_env_dir(BuildRoot(tmp_path), "/env", {"KEY": "v"})
    assert (tmp_path / "precious").read_text() == "p"
    assert (tmp_path / "env/KEY").read_text() == "v"


def test_missing_env_directory_is_empty(tmp_path: Path) -> None:
    assert read_env_dir(BuildRoot(tmp_path), "/env") == {}


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a=b", ".hidden", "a\0b"])
def test_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadConfigVariable, match="its name is no file's name"):
        write_env_dir(BuildRoot(tmp_path), "/env", {name: "x"})
    assert not (tmp_path / "env").exists()


def test_value_with_a_nul_byte_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(BadConfigVariable) as caught:
        write_env_dir(BuildRoot(tmp_path), "/env", {"KEY": "s3cret\0"})
    assert "s3cret" not in str(caught.value)


# -- .env --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("K=v", "v"),
        ("  K = v  ", "v"),
        ("export K=v", "v"),
        ("export   K=v", "v"),
        ("K=", ""),
        ("K=a=b", "a=b"),
        ("K=a b # kept, as herokuish keeps it", "a b # kept, as herokuish keeps it"),
        ("K='a # b' # comment", "a # b"),
        ('K="a \\"b\\" \\$x \\n"', 'a "b" $x \\n'),
        ("K='$(rm -rf /)'", "$(rm -rf /)"),
        ("K=$(rm -rf /)", "$(rm -rf /)"),
        ("K='open", "'open"),
        ("\ufeffK=v", "v"),
        ("K=v\r", "v"),
        ("K=a\x0cb\u2028c", "a\x0cb\u2028c"),
    ],
)
def test_dotenv_line(line: str, value: str) -> None:
    assert parse_dotenv(f"{line}\n".encode()).variables == {"K": value}


@pytest.mark.parametrize("line", ["nonsense", "=v", "1K=v", "K2=a\0b", "a-b=c", "<<<<<<< HEAD"])
def test_dotenv_line_that_says_nothing_is_told(line: str) -> None:
    found = parse_dotenv(f"# c\n\n{line}\nK=v\n".encode())
    assert found.variables == {"K": "v"}
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(".env, line 3:")


def test_dotenv_warning_shows_no_value() -> None:
    for raw in (b"a-b=s3cret\nPATH=s3cret\n", b'KEY="-----BEGIN\ns3cret+key/s3cret\ns3cret/==\n-----END"\n'):
        warnings = parse_dotenv(raw).warnings
        assert warnings
        assert "s3cret" not in " ".join(warnings)


# -- SSH_KEY -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [base64.b64encode(PEM).decode(), base64.encodebytes(PEM).decode(), PEM.decode(), PEM.decode().strip()]
)
def test_ssh_key_in_every_form(text: str) -> None:
    assert ssh_key({"SSH_KEY": text}) == PEM


def test_no_ssh_key_is_none() -> None:
    assert ssh_key({}) is None
    assert ssh_key({"SSH_KEY": " "}) is None


@pytest.mark.parametrize("text", ["no base64!", base64.b64encode(b"ssh-ed25519 AAAA me@host").decode()])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(BadSshKey) as caught:
        ssh_key({"SSH_KEY": text})
    assert text not in str(caught.value)


def test_ssh_command_uses_that_key_alone() -> None:
    command = ssh_command("/k").split()
    assert command[:3] == ["ssh", "-i", "/k"]
    assert "IdentitiesOnly=yes" in command


def test_a_mounted_variable_that_cannot_be_read_says_who_has_to_read_it(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    with open(tmp_path / "env/HUGE", "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(BadConfigVariable, match="/env/HUGE") as caught:
        read_env_dir(BuildRoot(tmp_path), "/env")
    assert "2000:2000" in caught.value.fix
