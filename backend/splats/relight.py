# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats with material under another light, as pictures from the cameras of a scene or from all around."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..devices import pick_device
from ..errors import BadInput
from ..limo.report import Report
from ..optics import exr
from ..optics.camera import Camera
from . import render
from .files import formats
from .inputs import has_z_up, read_poses
from .place import as_cameras_see, standing
from .raster import SplatCamera
from .raster.dense import rotations
from .shading.environment import Light, from_panorama
from .shading.physical import TONES
from .shading.visibility import bake

_TEXELS = 128
_FOV, _HEIGHT = 40.0, 0.35


@dataclass(frozen=True)
class Relighting:
    """``splats``: a file with material; ``environment``: an HDRI (2:1, world frame); ``out``: a folder for pictures.

    ``cameras``: a scene whose cameras are used, without its pictures' light; else ``views`` places all around, upright
    by the file's axes.
    ``raw``: 0 shows physical shading alone, 1 blends by the progress as training does. ``exposure`` in stops.
    """

    splats: Path
    environment: Path
    out: Path
    cameras: Path | None = None
    views: int = 8
    size: int = 512
    raw: float = 0.0
    exposure: float = 0.0
    tone: str = "srgb"
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.tone not in TONES:
            raise BadInput(f"The tone curve is '{self.tone}'.", f"Use one of {', '.join(TONES)}.")
        if not (1 <= self.views <= 10_000 and 16 <= self.size <= 8192):
            raise BadInput(
                f"{self.views} views of {self.size} pixels cannot be made.", "Give 1 to 10 000 of 16 to 8192."
            )
        if not (0 <= self.raw <= 1 and abs(self.exposure) <= 30):
            raise BadInput("The blend or the exposure is out of range.", "Blend 0 to 1, exposure −30 to 30 stops.")


def run_relighting(job: Relighting, report: Report) -> dict[str, Any]:
    """Draw all views; returns what is printed."""
    device = pick_device(job.device)
    loaded = formats.read(job.splats)
    if loaded.splats.material is None:
        raise BadInput(f"{job.splats.name} has no material.", "Train it with 'limelight splat train'.", "no_material")
    panorama, header = exr.read_panorama(job.environment)
    notes = list(loaded.notes)
    if header.get("limelightFrame") == "camera":
        notes.append("The environment is in a camera's frame; it is used as if that were the world's.")
    report.progress(0.05, "Looking where light can reach")
    splats = loaded.splats
    if job.cameras is None:
        splats = standing(splats, loaded.format.y_up)
    else:
        splats = as_cameras_see(splats, loaded.format.y_up, has_z_up(job.cameras))
    cloud = splats.tensors(device)
    cameras = scene_cameras(job.cameras, job.size) if job.cameras else orbit(cloud, job.views, job.size)
    try:
        job.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"The folder {job.out} cannot be written ({error.strerror}).", "Choose another folder."
        ) from error
    axes = rotations(F.normalize(cloud["quats"], dim=-1))
    seen = bake(cloud["means"], axes, cloud["scales"], cloud["opacity"])
    cloud["progress"] = 1 - job.raw * (1 - cloud["progress"])
    light = Light(from_panorama(panorama * 2.0**job.exposure, _TEXELS).to(device))
    files = []
    for number, (name, camera) in enumerate(cameras.items()):
        report.check()
        report.progress(0.1 + 0.9 * number / len(cameras), f"View {number + 1} of {len(cameras)}")
        with torch.no_grad():
            maps = render.draw(cloud, camera, material=True)
            image = render.physical(maps, camera, light, torch.zeros(3, device=device), visibility=seen, tone=job.tone)
        files.append(str(_write(job.out / f"{name}.png", image.image.cpu(), maps.alpha.cpu())))
        report.preview(Path(files[-1]))
    return {"pictures": files, "notes": notes}


def scene_cameras(path: Path, size: int) -> Mapping[str, SplatCamera]:
    """Cameras of a scene by the names of their pictures, at most ``size`` pixels along a side.

    Pictures of one name, as those of a rig's folders, are told apart by folder and format.
    """
    found = {}
    train, test, _ = read_poses(path)
    poses = test or train
    stems = Counter(pose.picture.stem for pose in poses)
    shared = os.path.commonpath([pose.picture.parent.absolute() for pose in poses])
    for pose in poses:
        lens = pose.camera_lens()
        scale = min(1.0, size / max(lens.width, lens.height))
        small = lens.resized(max(16, round(lens.width * scale)), max(16, round(lens.height * scale)))
        name = pose.picture.stem
        if stems[name] > 1:
            name = "_".join(pose.picture.absolute().relative_to(shared).parts).replace(".", "_")
        found[name] = SplatCamera(small, pose.world_to_camera)
    return found


def orbit(cloud: Mapping[str, Tensor], count: int, size: int) -> Mapping[str, SplatCamera]:
    """Cameras all around a cloud, z up, a little from above, that see nearly all of it."""
    means = cloud["means"].cpu()
    middle = means.median(0).values
    radius = float(torch.quantile((means - middle).norm(dim=-1)[: 2**24], 0.98)) or 3 * float(cloud["scales"].max())
    distance = 1.15 * radius / math.sin(math.radians(_FOV / 2))
    found = {}
    for number in range(count):
        angle = 2 * math.pi * number / count - math.pi / 2
        back = F.normalize(torch.tensor([math.cos(angle), math.sin(angle), _HEIGHT]), dim=0)
        right = torch.tensor([-math.sin(angle), math.cos(angle), 0.0])
        pose = torch.eye(4)
        pose[:3, :3] = torch.stack([right, torch.linalg.cross(back, right), back], 1)
        pose[:3, 3] = middle + distance * back
        found[f"view_{number:03d}"] = SplatCamera.from_pose(Camera.from_fov(size, size, _FOV), pose)
    return found


def _write(path: Path, image: Tensor, alpha: Tensor) -> Path:
    """A PNG with alpha, colours not multiplied by it."""
    straight = image / alpha.clamp(min=1e-4)
    pixels = (torch.cat([straight, alpha], -1).clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    partial = path.with_suffix(".partial")
    Image.fromarray(pixels).save(partial, "PNG")
    partial.replace(path)
    return path
