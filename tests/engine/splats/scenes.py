# SPDX-License-Identifier: GPL-3.0-or-later
"""A small scene with known truth: a ball of flat Gaussians, half metal and half not, seen from all around."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from limelight.backend.errors import Cancelled
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics.camera import Camera
from limelight.backend.splats import render
from limelight.backend.splats.inputs import read_poses
from limelight.backend.splats.raster import SplatCamera
from limelight.backend.splats.shading import cubemap, environment
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

FOV = 40.0


class Stopping(SilentReport):
    """Cancels after so many looks for a cancel: one a picture of the ``scene`` that is read first, one an iteration."""

    def __init__(self, left: int, scene: Path | None = None) -> None:
        super().__init__()
        train, test, _ = ([], [], None) if scene is None else read_poses(scene)
        self.left = left + len(train) + len(test)

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled()


def look_at(eye: Tensor) -> Tensor:
    """Camera to world (4, 4) from a place, towards the origin, z up."""
    back = F.normalize(eye, dim=0)
    right = F.normalize(torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]), back), dim=0)
    pose = torch.eye(4)
    pose[:3, :3] = torch.stack([right, torch.linalg.cross(back, right), back], 1)
    pose[:3, 3] = eye
    return pose


def eyes(count: int) -> Tensor:
    """Places on a sphere of radius 4, none above a pole."""
    index = torch.arange(count) + 0.5
    z, angle = 0.9 - 1.8 * index / count, index * 2.399963
    flat = (1 - z * z).sqrt()
    return 4 * torch.stack([flat * angle.cos(), flat * angle.sin(), z], -1)


def ball(count: int = 400) -> dict[str, Tensor]:
    """The truth, by the names of ``Splats.tensors``: fully distilled, gold above and dull blue below."""
    index = torch.arange(count) + 0.5
    z, angle = 1 - 2 * index / count, index * 2.399963
    flat = (1 - z * z).sqrt()
    normal = torch.stack([flat * angle.cos(), flat * angle.sin(), z], -1)
    quats = F.normalize(torch.stack([1 + z, -normal[:, 1], normal[:, 0], 0 * z], -1), dim=-1)
    size = 1.6 * math.sqrt(4 * math.pi / count) / 2
    upper = (z > 0).float()
    gold, blue = torch.tensor([0.9, 0.6, 0.2]), torch.tensor([0.1, 0.2, 0.7])
    return {
        "means": normal,
        "quats": quats,
        "scales": torch.tensor([size, size, 0.01]).expand(count, 3).contiguous(),
        "opacity": torch.full((count,), 0.95),
        "sh": torch.zeros(count, 16, 3),
        "albedo": upper[:, None] * gold + (1 - upper[:, None]) * blue,
        "metallic": upper,
        "roughness": 0.3 + 0.5 * (1 - upper),
        "progress": torch.ones(count),
    }


def sky(size: int = 16) -> Tensor:
    """(6, R, R, 3): blue above, brown below, a soft white lamp at one side."""
    d = cubemap.directions(size)
    lamp = torch.exp(8 * (d @ F.normalize(torch.tensor([1.0, 0.5, 0.7]), dim=0) - 1))[..., None]
    up = (d[..., 2:] + 1) / 2
    return up * torch.tensor([0.4, 0.6, 0.9]) + (1 - up) * torch.tensor([0.4, 0.25, 0.15]) + 5 * lamp


def write_scene(
    folder: Path, views: int = 12, tests: int = 2, size: int = 40, cloud: dict[str, Tensor] | None = None
) -> Path:
    """Pictures of ``cloud``, or of the ball, with alpha, transforms_train.json and transforms_test.json, as NeRF's
    Blender scenes are."""
    lens, light, cloud = Camera.from_fov(size, size, FOV), environment.Light(sky()), cloud or ball()
    for name, places in (("train", eyes(views)), ("test", eyes(2 * tests)[1::2])):
        (folder / name).mkdir(parents=True)
        frames = []
        for number, eye in enumerate(places):
            pose = look_at(eye)
            camera = SplatCamera.from_pose(lens, pose)
            maps = render.draw(cloud, camera, material=True)
            image = render.physical(maps, camera, light, torch.zeros(3), tone="srgb").image
            straight = image / maps.alpha.clamp(min=1e-4)
            pixels = torch.cat([straight, maps.alpha], -1).clamp(0, 1).numpy()
            Image.fromarray((pixels * 255 + 0.5).astype(np.uint8)).save(folder / name / f"r_{number}.png")
            frames.append({"file_path": f"./{name}/r_{number}", "transform_matrix": pose.tolist()})
        text = json.dumps({"camera_angle_x": math.radians(FOV), "frames": frames})
        (folder / f"transforms_{name}.json").write_text(text)
    return folder


def sphere(rings: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Points and triangles of a ball of radius 1."""
    polar, around = np.linspace(0, np.pi, rings + 1), np.arange(2 * rings) * np.pi / rings
    grid = np.stack(np.broadcast_arrays(polar[:, None], around), -1).reshape(-1, 2)
    points = np.stack([np.sin(grid[:, 0]) * np.cos(grid[:, 1]), np.sin(grid[:, 0]) * np.sin(grid[:, 1]),
                       np.cos(grid[:, 0])], -1)  # fmt: skip
    row, column = (part.ravel() for part in np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij"))
    a, b = row * 2 * rings + column, row * 2 * rings + (column + 1) % (2 * rings)
    c, d = a + 2 * rings, b + 2 * rings
    return points, np.concatenate([np.stack([a, c, b], -1), np.stack([b, c, d], -1)])


def write_obj(path: Path, uv: bool = False) -> Path:
    """The ball as a mesh, with or without places in a texture: its back beside its front."""
    points, faces = sphere()
    lines = [f"v {x} {y} {z}" for x, y, z in points]
    if uv:
        lines += [f"vt {(x + 1) / 4 + half} {(z + 1) / 2}" for half in (0, 0.5) for x, _, z in points]
    for face in faces:
        half = len(points) if points[face, 1].sum() > 0 else 0
        lines.append("f " + " ".join(f"{k + 1}/{half + k + 1}" if uv else str(k + 1) for k in face))
    path.write_text("\n".join(lines) + "\n")
    return path
