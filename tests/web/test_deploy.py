"""The files of deploy/ as the programs they are for read them."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.web.proxies import DEPLOY, Site, found, make_certificate, needs, nginx_command

_README = DEPLOY.parent / "README.md"


@needs("nginx")
def test_nginx_takes_its_file(tmp_path: Path) -> None:
    site = Site("127.0.0.1:8075", "127.0.0.1:8065", tmp_path)
    make_certificate(site)

    done = subprocess.run([*nginx_command(site, 8443), "-t"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "test is successful" in done.stderr


@needs("caddy")
def test_caddy_takes_its_file(tmp_path: Path) -> None:
    caddy = found("caddy") or "caddy"
    command = [caddy, "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]

    done = subprocess.run(
        command, env={"HOME": str(tmp_path), "PATH": "/usr/bin"}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "Valid configuration" in done.stdout + done.stderr


@needs("systemd-analyze")
def test_systemd_takes_its_units(tmp_path: Path) -> None:
    units = _units(tmp_path)

    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@needs("systemd-analyze")
def test_the_service_is_shut_in(tmp_path: Path) -> None:
    """As systemd judges a unit, in tenths: 0 is nothing exposed, 100 everything."""
    service, _ = _units(tmp_path)
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", service]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_the_readme_shows_where_the_files_are() -> None:
    shown = set(re.findall(r"\]\(deploy/([\w.]+)\)", _README.read_text(encoding="utf-8")))

    assert shown == {file.name for file in DEPLOY.iterdir()}


def test_the_units_ask_for_the_credentials_that_the_settings_name() -> None:
    unit = (DEPLOY / "mmconsole.service").read_text(encoding="utf-8")

    assert set(re.findall(r"^LoadCredentialEncrypted=([\w-]+):", unit, re.MULTILINE)) == {
        "mmconsole-admin-token",
        "mmconsole-seal-keys",
    }
    assert "--listen systemd" in unit


def _units(folder: Path) -> list[str]:
    """The units with a program that is there."""
    for unit in DEPLOY.glob("mmconsole.*"):
        shutil.copy(unit, folder)
    service = folder / "mmconsole.service"
    text = service.read_text(encoding="utf-8")
    assert "/opt/mmconsole/bin/mmconsole" in text
    service.write_text(text.replace("/opt/mmconsole/bin/mmconsole", sys.executable), encoding="utf-8")
    return [str(service), str(folder / "mmconsole.socket")]
