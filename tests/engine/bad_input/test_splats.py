# SPDX-License-Identifier: GPL-3.0-or-later
"""Every bad input of reading or converting splats is one sentence with its remedy, and loses nothing that was there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from limelight.backend.errors import BadInput
from limelight.backend.limo.report import SilentReport
from limelight.backend.splats.describe import converted
from limelight.backend.splats.mesh import MeshJob, run_mesh
from limelight.tests.engine.splats import other_files
from limelight.tests.engine.splats.other_files import cloud, encoded


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def opaque(folder: Path) -> Path:
    return written(folder, "whole.ply", encoded(cloud(), "whole.ply"))


CASES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "missing file": lambda f: {"source": f / "none.ply"},
    "a folder": lambda f: {"source": f},
    "empty file": lambda f: {"source": written(f, "empty.ply", b"")},
    "text file": lambda f: {"source": written(f, "text.ply", b"hello" * 100)},
    "cut-off file": lambda f: {"source": written(f, "cut.ply", opaque(f).read_bytes()[:-1])},
    "cut-off glTF": lambda f: {"source": written(f, "cut.glb", encoded(cloud(), "a.glb")[:-1])},
    "cut-off spz": lambda f: {"source": written(f, "cut.spz", encoded(cloud(), "a.spz")[:-20])},
    "point cloud": lambda f: {"source": written(f, "points.ply", other_files.ply(cloud(), left_out=("scale_0",)))},
    "unknown format to read": lambda f: {"source": written(f, "a.obj", b"v 0 0 0\n" * 20)},
    "unknown format to write": lambda f: {"out": f / "a.obj"},
    "a format that is only read": lambda f: {"out": f / "a.ksplat"},
    "glTF in parts": lambda f: {"out": f / "a.gltf"},
    "a file that is there": lambda f: {"out": f.parent / "out" / "a.ply"},
    "result in place of the source": lambda f: {"out": opaque(f), "overwrite": True},
    "no source": lambda f: {"source": f / "no.ply", "out": f.parent / "out" / "a.ply", "overwrite": True},
    "a file in the way": lambda f: {"out": written(f, "in_the_way", b"x") / "a.ply"},
    "unknown axes": lambda f: {"axes": "up"},
    "nothing opaque enough": lambda f: {"least_opacity": 0.99},
}


@pytest.mark.parametrize("name", CASES)
def test_bad_splats_are_a_sentence_and_lose_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.ply").write_text("earlier")
    given = {"source": opaque(tmp_path / "in"), "out": tmp_path / "out" / "b.ply", "degree": None, "axes": "turn"}
    given |= {"least_opacity": 0.0, "overwrite": False, **CASES[name](tmp_path / "in")}
    before = {path: path.read_bytes() for path in (tmp_path / "in").iterdir()}
    with pytest.raises(BadInput) as caught:
        converted(**given)
    assert caught.value.text.endswith(".") and len(caught.value.text) < 400 and caught.value.remedy
    assert {path: path.read_bytes() for path in (tmp_path / "in").iterdir()} == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.ply"]
    assert (tmp_path / "out" / "a.ply").read_text() == "earlier"


MESHES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "missing file": lambda f: {"file": str(f / "none.ply")},
    "unknown kind of mesh": lambda f: {"out": str(f / "m.obj")},
    "too many cells": lambda f: {"cells": 4096},
    "no views": lambda f: {"views": 0},
    "part beyond the whole": lambda f: {"least_part": 2.0},
    "unknown axes": lambda f: {"axes": "up"},
    "a mesh that is there": lambda f: {"out": str(written(f, "there.ply", b"earlier"))},
    "the splats themselves": lambda f: {"out": str(opaque(f)), "overwrite": True},
    "cameras of nothing": lambda f: {"cameras": str(f)},
    "an unknown name": lambda f: {"voxels": 3},
    "nothing opaque": lambda f: {"file": str(faint(f))},
}


def faint(folder: Path) -> Path:
    return written(folder, "faint.ply", encoded(replace(cloud(), opacity=0.01 + 0 * cloud().opacity), "faint.ply"))


@pytest.mark.parametrize("name", MESHES)
def test_bad_meshes_are_a_sentence(name: str, tmp_path: Path) -> None:
    given = {"file": str(opaque(tmp_path)), "out": str(tmp_path / "m.ply"), "cells": 16, "views": 6, "device": "cpu"}
    given |= MESHES[name](tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(BadInput) as caught:
        run_mesh(MeshJob.from_params(given), SilentReport())
    assert caught.value.text.endswith(".") and len(caught.value.text) < 400 and caught.value.remedy
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
