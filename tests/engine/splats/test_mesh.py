# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh for a cloud lies where its Gaussians are, faces outwards, closes, and reads back from both kinds of file."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics.exposure import srgb_oetf
from limelight.backend.splats import cloud, mesh, viewpoints
from limelight.backend.splats.files import formats
from limelight.backend.splats.fusion import Surface, Volume
from limelight.bridge.batch import is_there
from limelight.tests.engine.splats.scenes import ball, write_scene

CELLS = 32


def balls(*placed: tuple[tuple[float, float, float], float]) -> cloud.Splats:
    """Balls of flat Gaussians at (centre, radius)."""
    parts = []
    for centre, radius in placed:
        one = ball(600)
        one["means"] = one["means"] * radius + torch.tensor(centre)
        one["scales"] = one["scales"] * radius
        parts.append(one)
    return cloud.from_tensors({name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def of(splats: cloud.Splats, **changed: object) -> Surface:
    given = {"cells": CELLS, "views": 20, "cameras": None, "least_part": 0.01, "device": "cpu"} | changed
    return mesh.surface_of(splats, report=SilentReport(), **given)  # type: ignore[arg-type]


def volume(found: Surface) -> float:
    """Of a closed mesh, by its triangles' signed tetrahedra."""
    a, b, c = (found.points[found.faces[:, k]].astype(float) for k in range(3))
    return float(np.einsum("fc,fc->f", a, np.cross(b, c)).sum() / 6)


def test_a_ball_becomes_a_closed_ball_that_faces_outwards() -> None:
    found = of(balls(((1.0, 2.0, -1.0), 1.0)))
    cell = 2.4 / CELLS
    away = found.points - np.array([1.0, 2.0, -1.0], np.float32)
    radius = np.linalg.norm(away, axis=1)
    # Flat Gaussians that touch a ball stand out of it a little.
    assert np.abs(radius - 1).max() < cell and np.abs(radius - 1).mean() < 0.6 * cell
    assert found.closed and volume(found) == pytest.approx(4 / 3 * np.pi * 1.03**3, rel=0.06)
    assert float(((away / radius[:, None]) * found.normals).sum(1).mean()) > 0.98


def test_what_floats_about_goes_and_what_belongs_there_stays() -> None:
    whole = balls(((0, 0, 0), 1.0), ((2.2, 0, 0), 0.6), ((1.2, 1.5, 0), 0.16))
    kept = of(whole, cells=48, least_part=0.05)
    assert kept.points[:, 0].max() == pytest.approx(2.8, abs=0.1)
    assert not ((np.abs(kept.points - [1.2, 1.5, 0.0]) < 0.3).all(1)).any()
    assert ((np.abs(of(whole, cells=48, least_part=0.0).points - [1.2, 1.5, 0.0]) < 0.3).all(1)).any()


def test_a_thin_plate_has_two_sides() -> None:
    g = torch.Generator().manual_seed(0)
    plate = ball(900)
    plate["means"] = torch.cat([2 * torch.rand(900, 2, generator=g) - 1, torch.zeros(900, 1)], 1)
    plate["quats"] = torch.tensor([1.0, 0, 0, 0]).expand(900, 4).contiguous()
    plate["scales"] = torch.tensor([0.06, 0.06, 0.005]).expand(900, 3).contiguous()
    found = of(cloud.from_tensors(plate))
    flat = found.normals[np.abs(found.normals[:, 2]) > 0.9][:, 2]
    assert found.closed and flat.min() < 0 < flat.max()
    inner = found.points[(np.abs(found.points[:, :2]) < 0.8).all(1)]
    assert np.abs(inner[:, 2]).max() < 0.12 and np.ptp(inner[:, 0]) * np.ptp(inner[:, 1]) > 2.1


def test_cameras_of_a_scene_leave_open_what_none_saw(tmp_path: Path) -> None:
    whole = balls(((0, 0, 0), 1.0))
    above = [camera for camera in viewpoints.all_around(torch.zeros(3), 1.2, 24, 64) if camera.position[2] > 2.5]
    found = of(whole, cameras=above)
    assert not found.closed and found.points[:, 2].min() > -0.7
    top = np.linalg.norm(found.points[found.points[:, 2] > 0.3], axis=1)
    assert np.abs(top - 1).max() < 2.4 / CELLS


def test_colours_are_the_albedo() -> None:
    whole = balls(((0, 0, 0), 1.0))
    found = of(whole)
    colours = torch.from_numpy(mesh.vertex_colours(whole, found.points))
    gold = colours[torch.from_numpy(found.points[:, 2] > 0.3)]
    torch.testing.assert_close(gold, srgb_oetf(torch.tensor([0.9, 0.6, 0.2])).expand_as(gold), atol=1e-3, rtol=0)


def test_what_lies_all_at_the_rim_of_what_is_known_is_no_surface() -> None:
    known = Volume(np.zeros(3), np.ones(3), 16)
    known.weight[:, :, 7:9], known.total[:, :, 7], known.total[:, :, 8] = 1, -1, 1
    assert known.surface(unseen_is_inside=False, least_part=0.01) is None


def read_ply(path: Path) -> tuple[np.ndarray, np.ndarray]:
    head, _, data = path.read_bytes().partition(b"end_header\n")
    count = int(head.split(b"element vertex ")[1].split()[0])
    return np.frombuffer(data[: 27 * count], "u1").reshape(count, 27)[:, :12].copy().view("<f4"), np.frombuffer(
        data[27 * count :], [("n", "u1"), ("corners", "<i4", 3)]
    )["corners"]


def read_glb(path: Path) -> tuple[np.ndarray, np.ndarray]:
    data = path.read_bytes()
    length = struct.unpack("<I", data[12:16])[0]
    told, binary = json.loads(data[20 : 20 + length]), data[28 + length :]

    def array(index: int, kind: str) -> np.ndarray:
        entry = told["accessors"][index]
        start = told["bufferViews"][entry["bufferView"]]["byteOffset"]
        return np.frombuffer(binary, kind, entry["count"] * (3 if entry["type"] == "VEC3" else 1), start)

    part = told["meshes"][0]["primitives"][0]
    return array(part["attributes"]["POSITION"], "<f4").reshape(-1, 3), array(part["indices"], "<u4").reshape(-1, 3)


def test_both_files_hold_the_same_mesh_each_upright(tmp_path: Path) -> None:
    formats.write(balls(((0, 0, 2.0), 1.0)), tmp_path / "s.ply")
    told = {}
    for name in ("m.ply", "m.glb"):
        job = mesh.MeshJob(tmp_path / "s.ply", tmp_path / name, cells=CELLS, views=12, device="cpu")
        told[name] = mesh.run_mesh(job, SilentReport())
    points, faces = read_ply(tmp_path / "m.ply")
    turned, same = read_glb(tmp_path / "m.glb")
    assert len(points) == told["m.ply"]["vertices"] and np.array_equal(faces, same)
    np.testing.assert_allclose(turned, points * [1, -1, -1], atol=1e-6)
    assert points[:, 2].mean() == pytest.approx(2.0, abs=0.05) and told["m.glb"]["notes"]


def test_the_command_takes_a_scenes_cameras(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene", views=8, tests=2)
    formats.write(balls(((0, 0, 0), 1.0)), tmp_path / "s.ply")
    params = {"file": str(tmp_path / "s.ply"), "out": str(tmp_path / "m.ply"), "cells": 24, "cameras": str(scene)}
    answer = mesh.run_mesh(mesh.MeshJob.from_params({**params, "device": "cpu"}), SilentReport())
    assert answer["faces"] > 500 and (tmp_path / "m.ply").is_file()
    assert is_there("splat_mesh", params) and not is_there("splat_mesh", {**params, "cameras": None})
    assert not is_there("splat_mesh", {**params, "cells": 32})


def test_a_scenes_cameras_see_the_same_whatever_the_files_axes(tmp_path: Path) -> None:
    scene = write_scene(tmp_path / "scene", views=1, tests=2)
    frames = json.loads((scene / "transforms_test.json").read_text())
    frames["frames"] = [frame for frame in frames["frames"] if frame["transform_matrix"][2][3] > 0]
    (scene / "transforms_test.json").write_text(json.dumps(frames))
    z_up = replace(balls(((0, 0.2, 0.3), 0.8)), z_up=True)
    formats.write(z_up, tmp_path / "z_up.ply")
    formats.write(z_up, tmp_path / "y_up.glb", turn_from=formats.PLAIN)
    found = []
    for name in ("z_up.ply", "y_up.glb"):
        out = tmp_path / f"{name}.glb"
        mesh.run_mesh(mesh.MeshJob(tmp_path / name, out, cells=24, cameras=scene, device="cpu"), SilentReport())
        found.append(read_glb(out)[0])
    # The one camera that is left sees a side of the ball; its rim depends on how the cells lie.
    np.testing.assert_allclose(found[1].mean(0), found[0].mean(0), atol=0.15)
