# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's environment: found, made, verified, removed; a folder of others stays untouched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from limelight.bridge import setup


def finish(work: setup.SetUp) -> setup.SetUp:
    """Step until it is over."""
    end = time.monotonic() + 90
    while not work.over:
        work.step()
        assert time.monotonic() < end
        time.sleep(0.02)
    return work


@pytest.fixture
def python() -> Path:
    """A Python that suits the engine."""
    found = setup.find_pythons()
    assert found, "no Python from 3.11 to 3.13 with venv is installed"
    return found[0][0]


def test_found_pythons_suit(python: Path) -> None:
    version = setup.ask_version(python)
    assert version and setup.OLDEST <= setup._numbers(version)[:2] <= setup.NEWEST


@pytest.mark.skipif(sys.platform == "win32", reason="links and shell scripts")
def test_every_interpreter_is_found_once_by_its_real_path(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = setup.ask_version(python)
    home, shims, links = tmp_path / "home ä", tmp_path / "home ä" / ".pyenv" / "shims", tmp_path / "links"
    own = home / ".pyenv" / "versions" / f"{version}" / "bin"
    for folder in (shims, links, own):
        folder.mkdir(parents=True)
    subprocess.run([python, "-I", "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    name = f"python{'.'.join(str(version).split('.')[:2])}"
    (own / "python").symlink_to(python)
    (links / "python").symlink_to(python)
    for shim in (shims / name, shims / "python3"):
        shim.write_text(f'#!/bin/sh\nexec "{own}/python" "$@"\n')
        shim.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    found = []
    for path in ([shims], [links, shims], [tmp_path / "venv" / "bin", shims, links]):
        monkeypatch.setenv("PATH", ":".join(map(str, path)))
        found = [where for where, _version in setup.find_pythons()]
        assert found.count(python) == 1
        assert len({os.path.realpath(where) for where in found}) == len(found)
        assert not [where for where in found if tmp_path in where.parents]


def test_made_and_removed(python: Path, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("# nothing\n")
    place = tmp_path / "eine Umgebung für Licht"
    work = finish(setup.SetUp(python, place, tmp_path / "none.txt"))
    assert work.error == "" and work.fraction == 1.0
    assert setup.ask_version(setup.python_in(place)) is not None
    assert json.loads((place / setup.STAMP).read_text())["complete"]
    setup.remove(place)
    assert not place.exists()


def test_a_package_that_a_broken_run_left_half_way_is_installed_again(python: Path, tmp_path: Path) -> None:
    wheel, lines = tmp_path / "shade-1.0-py3-none-any.whl", tmp_path / "lines.txt"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("shade.py", "light = 1")
        file.writestr("shade-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: shade\nVersion: 1.0\n")
        file.writestr("shade-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr("shade-1.0.dist-info/RECORD", "")
    lines.write_text(f"{wheel}\n")
    assert finish(setup.SetUp(python, tmp_path / "env", lines)).error == ""
    (module,) = (tmp_path / "env").rglob("shade.py")
    # A kill or a full disk: pip writes the installer's name once all files are there.
    module.unlink()
    (module.parent / "shade-1.0.dist-info" / "INSTALLER").unlink()
    assert finish(setup.SetUp(python, tmp_path / "env", lines)).error == "" and module.is_file()


def test_a_failed_download_names_the_reason_and_can_go_on(python: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_text("./not-there.whl\n")
    work = finish(setup.SetUp(python, tmp_path / "env", tmp_path / "bad.txt"))
    assert "not-there.whl" in work.error and "run it again" in work.error
    assert not json.loads((tmp_path / "env" / setup.STAMP).read_text())["complete"]
    (tmp_path / "bad.txt").write_text("")
    assert finish(setup.SetUp(python, tmp_path / "env", tmp_path / "bad.txt")).error == ""


def test_cancelled_and_gone_on(python: Path, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("")
    work = setup.SetUp(python, tmp_path / "env", tmp_path / "none.txt")
    work.step()
    work.cancel()
    assert work.over and "Cancelled" in work.error
    assert finish(setup.SetUp(python, tmp_path / "env", tmp_path / "none.txt")).error == ""


@pytest.mark.skipif(sys.platform == "win32", reason="links")
def test_two_that_set_up_one_folder_do_not_meet(python: Path, tmp_path: Path) -> None:
    environment, requirements = tmp_path / "engine", tmp_path / "none.txt"
    requirements.write_text("")
    first = setup.SetUp(python, environment, requirements)
    for act in (lambda: setup.SetUp(python, environment, requirements), lambda: setup.remove(environment)):
        with pytest.raises(OSError, match=r"Another Blender is setting up .*engine: wait"):
            act()
    assert not finish(first).error and setup.is_complete(environment)
    again = setup.SetUp(python, environment, requirements)
    again.cancel()
    setup.remove(environment)
    assert not environment.exists()


def test_an_environment_whose_python_is_gone_is_made_anew(python: Path, tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("")
    for gone in (False, True):
        if gone:
            for link in (tmp_path / "env" / "bin").glob("python*"):
                link.unlink()
                link.symlink_to("/opt/gone/python3")
        assert finish(setup.SetUp(python, tmp_path / "env", tmp_path / "none.txt")).error == ""
    assert setup.ask_version(setup.python_in(tmp_path / "env")) == setup.ask_version(python)


@pytest.mark.skipif(len(setup.find_pythons()) < 2, reason="needs two Pythons")
def test_another_python_replaces_the_one_of_an_environment(tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("")
    for python, version in setup.find_pythons()[:2]:
        assert finish(setup.SetUp(python, tmp_path / "env", tmp_path / "none.txt")).error == ""
        assert setup.ask_version(setup.python_in(tmp_path / "env")) == version


def test_a_disk_that_is_full_at_the_end_is_told_in_a_sentence(python: Path, tmp_path: Path) -> None:
    requirements, environment = tmp_path / "none.txt", tmp_path / "env"
    requirements.write_text("")
    work = setup.SetUp(python, environment, requirements)
    # Nothing can be written there, whoever tries.
    (environment / setup.STAMP).unlink()
    (environment / setup.STAMP).mkdir()
    assert "cannot be written" in finish(work).error
    (environment / setup.STAMP).rmdir()
    (environment / setup.STAMP).touch()
    assert not finish(setup.SetUp(python, environment, requirements)).error and setup.is_complete(environment)


@pytest.mark.parametrize("stamp", [b"\0\0\0", b"[]", b'{"compl'])
def test_a_stamp_that_was_cut_off_is_no_complete_environment(tmp_path: Path, stamp: bytes) -> None:
    (tmp_path / setup.STAMP).write_bytes(stamp)
    assert not setup.is_complete(tmp_path) and setup.is_ours(tmp_path)


def test_a_folder_that_cannot_be_made_is_told_in_a_sentence(python: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "env"):
        with pytest.raises(OSError, match=r"The folder .* cannot be used .*: choose another"):
            setup.SetUp(python, place)


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_cancelling_ends_what_the_command_started_too(tmp_path: Path) -> None:
    (tmp_path / "none.txt").write_text("")
    mark = tmp_path / "child"
    slow = tmp_path / "python"
    slow.write_text(f"#!/bin/sh\nsh -c 'sleep 1; echo late > \"{mark}\"' &\necho on; wait\n")
    slow.chmod(0o755)
    work = setup.SetUp(slow, tmp_path / "env", tmp_path / "none.txt")
    while len(work.log) < 2:
        work.step()
        time.sleep(0.01)
    work.cancel()
    time.sleep(1.5)
    assert not mark.exists()


def test_folders_of_others_are_left_alone(python: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OSError, match="not made by Limelight"):
        setup.SetUp(python, tmp_path)
    with pytest.raises(OSError, match="left alone"):
        setup.remove(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_requirements_are_pinned_and_torch_comes_first() -> None:
    lines = [line for line in setup.REQUIREMENTS.read_text().splitlines() if line and line[0] != "#"]
    assert lines[0].startswith("torch==") and all("==" in line for line in lines)
