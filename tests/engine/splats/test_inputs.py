# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of others: the same camera whichever file tells of it, and a sentence for what cannot be used."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics.camera import Camera
from limelight.backend.splats.inputs import Scene, check_sights, read_poses, read_scene
from limelight.backend.splats.inputs.pictures import Distortion, straightened
from limelight.backend.splats.raster import SplatCamera
from limelight.tests.engine.splats.scenes import eyes, look_at
from PIL import Image
from torch import Tensor

SIZE, FOCAL = (40, 30), 50.0


def poses() -> list[Tensor]:
    return [look_at(eye) for eye in eyes(9)]


def pictures(folder: Path, alpha: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(9):
        pixels = rng.integers(0, 255, (SIZE[1], SIZE[0], 4 if alpha else 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"p{number}.png")


def transforms(folder: Path, **changed: object) -> Path:
    pictures(folder / "images", alpha=True)
    frames = [{"file_path": f"images/p{n}.png", "transform_matrix": p.tolist()} for n, p in enumerate(poses())]
    data = {"fl_x": FOCAL, "cx": 21.0, "w": SIZE[0], "h": SIZE[1], "frames": frames, **changed}
    (folder / "transforms.json").write_text(json.dumps(data))
    return folder


def transforms_of_windows(folder: Path) -> Path:
    path = transforms(folder) / "transforms.json"
    path.write_text(path.read_text().replace("images/p", r"images\\p"))
    return folder


def colmap_pose(pose: Tensor) -> tuple[list[float], list[float]]:
    """Quaternion and shift, world to camera, y down and z forward."""
    matrix = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0])) @ torch.linalg.inv(pose)
    m = matrix[:3, :3].double()
    # The eigenvector of 1 of the matrix that multiplies by the turn.
    k = torch.tensor([
        [m[0, 0] + m[1, 1] + m[2, 2], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
        [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1]],
        [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1]],
    ])  # fmt: skip
    return torch.linalg.eigh(k).eigenvectors[:, -1].tolist(), matrix[:3, 3].tolist()


def colmap_text(folder: Path) -> Path:
    pictures(folder / "images")
    sparse = folder / "sparse" / "0"
    sparse.mkdir(parents=True)
    (sparse / "cameras.txt").write_text(f"# cameras\n1 PINHOLE {SIZE[0]} {SIZE[1]} {FOCAL} {FOCAL} 21 15\n")
    lines = ["# images"]
    for number, pose in enumerate(poses()):
        quat, shift = colmap_pose(pose)
        lines += [f"{number + 1} {' '.join(map(repr, quat + shift))} 1 p{number}.png", "1 2 -1" if number % 2 else ""]
    (sparse / "images.txt").write_text("\n".join(lines) + "\n")
    (sparse / "points3D.txt").write_text("# points\n7 0.5 -1 2 255 0 51 0.3 1 2 3 4\n")
    return folder


def colmap_binary(folder: Path) -> Path:
    pictures(folder / "images")
    sparse = folder / "sparse"
    sparse.mkdir()
    (sparse / "cameras.bin").write_bytes(struct.pack("<QiiQQ4d", 1, 1, 1, *SIZE, FOCAL, FOCAL, 21, 15))
    data = struct.pack("<Q", 9)
    for number, pose in enumerate(poses()):
        quat, shift = colmap_pose(pose)
        name = f"p{number}.png".encode() + b"\0"
        data += struct.pack("<i7di", number + 1, *quat, *shift, 1) + name + struct.pack("<Qddq", 1, 1.0, 2.0, -1)
    (sparse / "images.bin").write_bytes(data)
    point = struct.pack("<Q3d3BdQii", 7, 0.5, -1.0, 2.0, 255, 0, 51, 0.3, 1, 3, 4)
    (sparse / "points3D.bin").write_bytes(struct.pack("<Q", 1) + point)
    return folder


def cameras(scene: Scene) -> dict[str, SplatCamera]:
    return {view.name: view.camera for view in [*scene.train, *scene.test]}


@pytest.mark.parametrize("write", [transforms, transforms_of_windows, colmap_text, colmap_binary])
def test_every_file_tells_the_same_cameras(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    scene = read_scene(write(tmp_path), 100)
    check_sights(tmp_path, scene.train)
    assert (len(scene.train), len(scene.test)) == (8, 1)
    for number, pose in enumerate(poses()):
        camera = cameras(scene)[f"p{number}.png"]
        torch.testing.assert_close(camera.world_to_camera, torch.linalg.inv(pose), atol=1e-5, rtol=1e-5)
        lens = camera.lens
        assert (lens.fx, lens.fy, lens.cx, lens.cy) == pytest.approx((FOCAL, FOCAL, 21.0, 15.0))
    if write in (colmap_text, colmap_binary):
        assert scene.points is not None
        torch.testing.assert_close(torch.cat(scene.points, 1), torch.tensor([[0.5, -1, 2, 1, 0, 0.2]]))


def test_pictures_are_made_small_with_their_lenses_and_lie_over_any_background(tmp_path: Path) -> None:
    scene = read_scene(transforms(tmp_path), 20)
    view = scene.train[0]
    assert scene.masked and tuple(view.colour.shape) == (16, 20, 3)
    assert view.camera.lens.fx == pytest.approx(FOCAL / 2)
    black, white = view.over(torch.zeros(3)), view.over(torch.ones(3))
    torch.testing.assert_close(white - black, (1 - view.mask(torch.device("cpu")))[..., None].expand(-1, -1, 3))


@pytest.mark.parametrize("turned", [False, True])
def test_photos_held_upright_lie_as_their_cameras_have_them(tmp_path: Path, turned: bool) -> None:
    """COLMAP and most others take pixels as they are stored; of a camera for the upright picture, EXIF counts."""
    size = SIZE[::-1] if turned else SIZE
    transforms(tmp_path, w=size[0], h=size[1], cx=size[0] / 2)
    data = json.loads((tmp_path / "transforms.json").read_text())
    held = Image.Exif()
    held[274] = 6
    for frame in data["frames"]:
        Image.new("RGB", SIZE, (90, 80, 70)).save(tmp_path / f"{frame['file_path'][:-4]}.jpg", exif=held)
        frame["file_path"] = f"{frame['file_path'][:-4]}.jpg"
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    view, pose = read_scene(tmp_path, 100).train[0], read_poses(tmp_path)[0][0]
    for lens in (view.camera.lens, pose.camera_lens()):
        assert (lens.width, lens.height) == size and lens.fx == lens.fy == pytest.approx(FOCAL)
    assert tuple(view.colour.shape[1::-1]) == size


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_a_lens_is_straightened(power: int) -> None:
    lens, bent = Camera(64, 64, 60, 60, 32, 32), Distortion(**{f"k{power}": 0.2})
    x, y = lens.unit_depth_points()[..., 0], -lens.unit_depth_points()[..., 1]
    # What the bent lens shows of a plane that is coloured by its coordinates: invert the distortion by iteration.
    ideal_x, ideal_y = x.clone(), y.clone()
    for _ in range(20):
        scale = 1 + 0.2 * (ideal_x**2 + ideal_y**2) ** power
        ideal_x, ideal_y = x / scale, y / scale
    shown = torch.stack([ideal_x, ideal_y, 0 * x], -1)
    got = straightened(((shown + 1) * 127.5).round().byte(), lens, bent).float() / 127.5 - 1
    inner = slice(8, 56)
    torch.testing.assert_close(got[inner, inner, 0], x[inner, inner], atol=0.01, rtol=0)


def changed_frame(**changed: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        transforms(folder)
        data = json.loads((folder / "transforms.json").read_text())
        data["frames"][2] |= changed
        (folder / "transforms.json").write_text(json.dumps(data))
        return folder

    return write


def two_frames(folder: Path) -> Path:
    transforms(folder)
    data = json.loads((folder / "transforms.json").read_text())
    data["frames"] = data["frames"][:2]
    (folder / "transforms.json").write_text(json.dumps(data))
    return folder


def one_place(folder: Path) -> Path:
    """A tripod's: cameras that only turn."""
    transforms(folder)
    data = json.loads((folder / "transforms.json").read_text())
    for frame in data["frames"]:
        for row, shift in zip(frame["transform_matrix"], (1.0, 2.0, 3.0), strict=False):
            row[3] = shift
    (folder / "transforms.json").write_text(json.dumps(data), encoding="utf-8-sig")
    return folder


def away(folder: Path) -> Path:
    """Cameras in a row, each of which looks another way."""
    transforms(folder)
    data = json.loads((folder / "transforms.json").read_text())
    data["frames"] = data["frames"][:3]
    for number, frame in enumerate(data["frames"]):
        pose = look_at(torch.tensor([math.cos(2.1 * number), math.sin(2.1 * number), 0.0]))
        pose[:3, [0, 2]] *= -1
        frame["transform_matrix"] = pose.tolist()
    (folder / "transforms.json").write_text(json.dumps(data))
    return folder


def empty_pictures(folder: Path) -> Path:
    transforms(folder)
    for number, path in enumerate(sorted((folder / "images").iterdir())):
        Image.new("RGB", SIZE, (0, 0, 25 * number)).save(path)
    return folder


def cut(folder: Path) -> Path:
    colmap_binary(folder)
    path = folder / "sparse" / "images.bin"
    path.write_bytes(path.read_bytes()[:200])
    return folder


def fisheye(folder: Path) -> Path:
    colmap_text(folder)
    (folder / "sparse" / "0" / "cameras.txt").write_text("1 OPENCV_FISHEYE 40 30 50 50 20 15 0 0 0 0\n")
    return folder


def words(folder: Path) -> Path:
    (folder / "transforms.json").write_text("not json")
    return folder


BAD = {
    "an empty folder": (lambda folder: folder, "There is no scene"),
    "no JSON": (words, "is not JSON"),
    "no frames": (lambda folder: transforms(folder, frames=[]), "has no frames"),
    "too few views": (two_frames, "has 2 views to learn from"),
    "cameras that only turn": (one_place, "stand in one place"),
    "cameras that look apart": (away, "No two cameras"),
    "pictures without a picture": (empty_pictures, "are each of one colour"),
    "a missing picture": (changed_frame(file_path="images/none"), "There is no picture"),
    "a matrix of words": (changed_frame(transform_matrix="left"), "Frame 2 of transforms.json is incomplete"),
    "a scaled matrix": (changed_frame(transform_matrix=(2 * torch.eye(4)).tolist()), "not a turn and a shift"),
    "a matrix of zeros": (changed_frame(transform_matrix=torch.zeros(4, 4).tolist()), "Frame 2"),
    "no lens": (lambda folder: transforms(folder, fl_x=None), "incomplete or malformed"),
    "a flat lens": (lambda folder: transforms(folder, fl_x=0), "must be positive"),
    "a cut-off model": (cut, "is damaged"),
    "a fisheye": (fisheye, "OPENCV_FISHEYE"),
    "nerfstudio's fisheye": (lambda folder: transforms(folder, camera_model="OPENCV_FISHEYE"), "OPENCV_FISHEYE"),
    "a frame's panorama": (changed_frame(camera_model="EQUIRECTANGULAR"), "EQUIRECTANGULAR of frame 2"),
    "instant-ngp's fisheye": (lambda folder: transforms(folder, is_fisheye=True), "FISHEYE"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_scene_is_a_sentence(tmp_path: Path, name: str) -> None:
    write, sentence = BAD[name]
    with pytest.raises(BadInput, match=sentence) as caught:
        check_sights(tmp_path, read_scene(write(tmp_path), 100).train)
    assert caught.value.remedy
