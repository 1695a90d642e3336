# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets of objects for splats: cameras, what is refused, and that the two sides of Blender agree on names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics import exr
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.exposure import luminance
from limelight.synthesis import splat_sets

ROOT = Path(__file__).resolve().parents[3]


def test_cameras_look_at_the_origin_from_all_around_upright() -> None:
    poses = torch.stack(splat_sets.orbit(30, 0.0))
    back, eyes = poses[:, :3, 2], poses[:, :3, 3]
    torch.testing.assert_close(eyes, 4 * back)
    torch.testing.assert_close(poses[:, :3, :3] @ poses[:, :3, :3].transpose(1, 2), torch.eye(3).expand(30, 3, 3))
    assert bool((torch.linalg.det(poses[:, :3, :3]) > 0).all()) and bool((poses[:, 2, 1] > 0).all())
    assert float(eyes.mean(0).norm()) < 1.2
    other = torch.stack(splat_sets.orbit(30, 0.5))[:, :3, 3]
    assert float(torch.cdist(eyes, other).min()) > 0.2


def test_every_light_has_one_level(tmp_path: Path) -> None:
    exr.write_panorama(tmp_path / "a.exr", 7 * torch.rand(32, 64, 3), frame="world")
    splat_sets._write_light(tmp_path / "a.exr", tmp_path / "b.exr")
    found, header = exr.read_panorama(tmp_path / "b.exr")
    assert float(luminance(pano.mean_radiance(found))) == pytest.approx(0.5, rel=1e-3)
    assert header["limelightFrame"] == "world"


def test_too_few_lights_and_too_many_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds 0 panoramas"):
        splat_sets.write_splat_set(tmp_path / "set", 1, tmp_path, Path("python"))
    for k in range(6):
        (tmp_path / f"{k}.exr").touch()
    with pytest.raises(BadInput, match="9 objects"):
        splat_sets.write_splat_set(tmp_path / "set", 9, tmp_path, Path("python"))


def test_an_object_that_was_begun_takes_no_pictures_of_other_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(7):
        exr.write_panorama(tmp_path / "maps" / f"{k}.exr", torch.rand(8, 16, 3), frame="world")

    def broken(task: dict[str, object], raw: Path, stage: str) -> None:
        (raw / "job.json").write_text(json.dumps(task))
        raise RuntimeError("killed")

    monkeypatch.setattr(splat_sets, "render", broken)

    def make(size: int = 32, views: int = 100) -> None:
        splat_sets.write_splat_set(tmp_path / "set", 1, tmp_path / "maps", Path("python"), size=size, views=views)

    for _ in range(2):
        with pytest.raises(RuntimeError, match="killed"):
            make()
    with pytest.raises(BadInput, match="another size, views"):
        make(size=64, views=3)
    (tmp_path / "maps" / "0.exr").unlink()
    with pytest.raises(BadInput, match="another light, relit"):
        make()


def test_both_sides_know_the_same_objects() -> None:
    source = (ROOT / "synthesis" / "blender" / "splat_objects.py").read_text(encoding="utf-8")
    assert re.findall(r'"(\w+)": \1,', source) == list(splat_sets.OBJECTS)
