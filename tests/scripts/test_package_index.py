"""Which index, which certificates, what an index answers."""

from __future__ import annotations

from pathlib import Path

from bootstrap.child_environment import child_environment
from bootstrap.package_index import (
    PYPI,
    IndexSettings,
    read_index_settings,
)


def test_the_index_is_pypi_when_nothing_is_set(tmp_path: Path) -> None:
    settings = read_index_settings({}, tmp_path, tmp_path)

    assert settings == IndexSettings(PYPI)
    assert settings.is_pypi


def test_uv_settings_win_over_pip_settings_and_environment_over_files(tmp_path: Path) -> None:
    (tmp_path / ".config/uv").mkdir(parents=True)
    (tmp_path / ".config/pip").mkdir()
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://from-etc/simple\n")
    (tmp_path / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = https://from-pip-global/simple\n"
        "[install]\nindex_url = https://from-pip-install/simple\n"
    )
    uv_toml = tmp_path / ".config/uv/uv.toml"
    environment: dict[str, str] = {}
    found: list[str] = []

    def ask() -> None:
        found.append(read_index_settings(environment, tmp_path, tmp_path).url)

    ask()
    uv_toml.write_text('[[index]]\nurl = "https://from-uv-toml/simple"\ndefault = true\n')
    ask()
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        environment[name] = f"https://from-{name}/simple"
        ask()

    assert found == [
        "https://from-pip-install/simple",
        "https://from-uv-toml/simple",
        "https://from-PIP_INDEX_URL/simple",
        "https://from-UV_INDEX_URL/simple",
        "https://from-UV_DEFAULT_INDEX/simple",
    ]


def test_an_index_may_be_named_as_uv_allows(tmp_path: Path) -> None:
    environment = {"UV_DEFAULT_INDEX": "company=https://index.invalid/simple?a=b"}

    settings = read_index_settings(environment, tmp_path, tmp_path)

    assert settings.url == "https://index.invalid/simple?a=b"


def test_certificates_and_proxy_come_from_pips_settings_too(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\ncert = /ca.pem\nproxy = http://proxy:3128\n")

    from_file = read_index_settings({}, tmp_path, tmp_path)
    from_pip = read_index_settings({"PIP_CERT": "/pip.pem"}, tmp_path, tmp_path)
    from_ssl = read_index_settings(
        {"PIP_CERT": "/pip.pem", "SSL_CERT_FILE": "/ssl.pem"}, tmp_path, tmp_path
    )

    assert (from_file.ca, from_file.proxy) == ("/ca.pem", "http://proxy:3128")
    assert (from_pip.ca, from_ssl.ca) == ("/pip.pem", "/ssl.pem")


def test_uv_and_npm_get_network_settings_but_nothing_that_bends_what_they_do(
    tmp_path: Path,
) -> None:
    environment = {
        "PATH": "/bin",
        "UV_HTTP_TIMEOUT": "7",
        "UV_NO_DEV": "1",
        "UV_PROJECT": "/else",
        "UV_PYTHON": "3.9",
        "VIRTUAL_ENV": "/else",
        "PYTHONPATH": "/else",
    }
    settings = IndexSettings("https://index.invalid/simple", ca="/ca.pem", proxy="http://p:1")

    child = child_environment(environment, settings, tmp_path, tmp_path)

    assert set(environment) & set(child) == {"PATH", "UV_HTTP_TIMEOUT"}
    assert child["UV_PYTHON_DOWNLOADS"] == "never"
    assert child["UV_DEFAULT_INDEX"] == "https://index.invalid/simple"
    assert child["SSL_CERT_FILE"] == child["NODE_EXTRA_CA_CERTS"] == "/ca.pem"
    assert child["HTTPS_PROXY"] == "http://p:1"
