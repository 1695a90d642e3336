# SPDX-License-Identifier: GPL-3.0-or-later
"""Known splats under known light: their own gives the pictures back, another moves the highlights with the lamp."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics import exr
from limelight.backend.optics import panorama as pano
from limelight.backend.splats import relight
from limelight.backend.splats.cloud import from_tensors
from limelight.backend.splats.files import formats
from limelight.backend.splats.relight import Relighting, run_relighting
from limelight.backend.splats.shading.environment import to_panorama
from limelight.tests.engine.splats.scenes import ball, sky, write_scene
from PIL import Image
from torch.nn import functional as F


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("relight")
    write_scene(folder / "scene", views=3, tests=2)
    formats.write(from_tensors(ball()), folder / "ball.ply")
    exr.write_panorama(folder / "own.exr", to_panorama(sky(), 64), frame="world")
    return folder


def pixels(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path), np.float32) / 255


def test_its_own_light_gives_the_pictures_back(folder: Path) -> None:
    job = Relighting(folder / "ball.ply", folder / "own.exr", folder / "out", folder / "scene", size=40)
    answer = run_relighting(job, SilentReport())
    assert len(answer["pictures"]) == 2
    for path in answer["pictures"]:
        got, truth = pixels(path), pixels(folder / "scene" / "test" / Path(path).name)
        assert got.shape == truth.shape
        error = ((got[..., :3] * got[..., 3:] - truth[..., :3] * truth[..., 3:]) ** 2).mean()
        assert -10 * np.log10(error) > 28


def test_the_lit_side_is_the_lamps(folder: Path) -> None:
    d = pano.directions(32, "world")
    for name, side in (("right", 1.0), ("left", -1.0)):
        lamp = torch.exp(20 * ((d * F.normalize(torch.tensor([side, -0.3, 0.2]), dim=0)).sum(-1, keepdim=True) - 1))
        exr.write_panorama(folder / f"{name}.exr", (3 * lamp).expand(-1, -1, 3).contiguous(), frame="world")
        out = folder / name
        # The first of the views around looks along +y: +x is to its right.
        run_relighting(Relighting(folder / "ball.ply", folder / f"{name}.exr", out, views=1, size=32), SilentReport())
        shown = pixels(out / "view_000.png")
        light = (shown[..., :3] * shown[..., 3:]).sum(-1)
        assert np.sign(light[:, 16:].sum() - light[:, :16].sum()) == side


def test_the_same_is_seen_whatever_the_files_axes(folder: Path) -> None:
    cloud = ball()
    cloud["albedo"] = cloud["albedo"] * (cloud["means"][:, 2:] > 0)
    formats.write(replace(from_tensors(cloud), z_up=True), folder / "z_up.ply")
    formats.write(formats.read(folder / "z_up.ply").splats, folder / "y_up.glb", turn_from=formats.PLAIN)
    y_up = formats.read(folder / "y_up.glb")
    formats.write(y_up.splats, folder / "y_down.ply", turn_from=y_up.format)
    for cameras, files in (
        (None, ("z_up.ply", "y_up.glb", "y_down.ply")),
        (folder / "scene", ("z_up.ply", "y_up.glb")),
    ):
        seen = []
        for name in files:
            job = Relighting(folder / name, folder / "own.exr", folder / f"{name}.out", cameras, views=1, size=40)
            seen.append(pixels(run_relighting(job, SilentReport())["pictures"][0]))
        first, *others = seen
        assert first[:20, :, :3].sum() > 1.5 * first[20:, :, :3].sum()
        assert all(abs(other - first).mean() < 0.02 for other in others)


def test_gaussians_in_one_place_are_lit(folder: Path) -> None:
    cloud = ball()
    formats.write(from_tensors({name: values[:1] for name, values in cloud.items()}), folder / "one.ply")
    job = Relighting(folder / "one.ply", folder / "own.exr", folder / "one", views=4, size=40)
    seen = [pixels(path) for path in run_relighting(job, SilentReport())["pictures"]]
    assert max(float(picture[..., 3].max()) for picture in seen) > 0.5
    assert all(picture[0, :, 3].max() == 0 for picture in seen)


def test_a_rigs_pictures_of_one_name_are_cameras_of_their_own(tmp_path: Path) -> None:
    frames = []
    for number, name in enumerate(("left/0001.png", "right/0001.png", "right/0002.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (32, 32)).save(tmp_path / name)
        matrix = np.eye(4)
        matrix[0, 3] = number
        frames.append({"file_path": name, "transform_matrix": matrix.tolist()})
    (tmp_path / "transforms.json").write_text(json.dumps({"camera_angle_x": 1.0, "frames": frames}))
    found = relight.scene_cameras(tmp_path, 32)
    places = {name: round(float(camera.position[0])) for name, camera in found.items()}
    assert places == {"left_0001_png": 0, "right_0001_png": 1, "0002": 2}


def test_splats_without_material_are_told(folder: Path) -> None:
    plain = {name: value for name, value in ball(50).items() if name in ("means", "quats", "scales", "opacity", "sh")}
    formats.write(from_tensors(plain), folder / "plain.ply")
    with pytest.raises(BadInput, match="has no material"):
        run_relighting(Relighting(folder / "plain.ply", folder / "own.exr", folder / "none"), SilentReport())
    assert not (folder / "none").exists()


def test_what_cannot_be_written_or_read_is_told_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relight, "bake", lambda *cloud: pytest.fail("the visibility is baked"))
    (folder / "text.png").write_text("none")
    for out in (folder / "text.png", folder / "text.png" / "views"):
        with pytest.raises(BadInput, match="cannot be written"):
            run_relighting(Relighting(folder / "ball.ply", folder / "own.exr", out), SilentReport())
    with pytest.raises(BadInput):
        job = Relighting(folder / "ball.ply", folder / "own.exr", folder / "none", cameras=folder / "nowhere")
        run_relighting(job, SilentReport())
    assert not (folder / "none").exists()
