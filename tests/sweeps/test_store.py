"""Where studies are kept, and what of an address is shown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from recsys_cli.errors import ConfigError
from recsys_cli.sweeps.locks import Alone, FileLocks
from recsys_cli.sweeps.store import FILE, NAME, FileStore, ServerStore, locate

PASSWORD = "s3cr3t-c4n4ry"  # noqa: S105


def test_without_an_address_it_is_a_file_of_the_sweep_s_own(tmp_path):
    store = locate(None, tmp_path, "s")

    assert store == FileStore(tmp_path / FILE, NAME)
    assert isinstance(store.locks(alone=True), Alone)
    assert isinstance(store.locks(alone=False), FileLocks)
    assert store.has_study() is False


def test_a_file_by_address_holds_studies_by_their_names(tmp_path):
    assert locate(f"sqlite:///{tmp_path}/x.db", Path("elsewhere"), "s") == FileStore(
        tmp_path / "x.db", "s"
    )


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "",
        "sqlite://",
        "sqlite:///x.db?mode=ro",
        f"mysql://me:{PASSWORD}@host/db",
        f"http://me:{PASSWORD}@host",
    ],
)
def test_other_addresses_are_refused_without_their_password(url):
    with pytest.raises(ConfigError) as caught:
        locate(url, Path(), "s")
    assert "is no address of a store; give sqlite:////FOLDER/FILE.db" in caught.value.line
    assert PASSWORD not in caught.value.line


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match=r"there is no folder .*/away; make it|there is no folder"
    ):
        locate(f"sqlite:///{tmp_path}/away/x.db", Path(), "s").has_study()


def test_postgresql_needs_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ConfigError) as caught:
        locate(f"postgresql://me:{PASSWORD}@host/db", Path(), "s")
    assert caught.value.line == (
        "--storage postgresql://... needs the package psycopg; pip install 'recsys-cli[postgres]'"
    )


def test_a_server_that_cannot_be_reached_is_told_of_in_a_line_without_the_password(monkeypatch):
    from sqlalchemy import make_url
    from sqlalchemy.exc import OperationalError

    from recsys_cli.sweeps import store as stores

    def refuse(*_, **__):
        raise OperationalError("connect", {}, ConnectionError(f"no route\npassword={PASSWORD}"))

    monkeypatch.setattr(stores, "RDBStorage", refuse)
    store = ServerStore(make_url(f"postgresql://me:{PASSWORD}@host/db"), "s")
    with pytest.raises(ConfigError) as caught, store.opened():
        pass
    assert "--storage postgresql://***@host/db cannot be used: no route;" in caught.value.line
    assert PASSWORD not in caught.value.line
