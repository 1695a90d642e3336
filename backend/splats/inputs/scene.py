# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene to learn from: views with cameras, apart those kept for testing, and points where surfaces are, if known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from scipy.optimize import linprog
from torch import Tensor

from ...errors import BadInput
from ...optics.camera import Camera
from ..raster import SplatCamera
from . import colmap, transforms
from .pictures import read_picture, straightened
from .pose import Pose

#: Every so manieth view is kept for testing where the scene does not say which, as is usual.
HELD = 8
_FEWEST = 3
#: Levels of 255 within which a picture is of one colour, whatever its compression left.
_SAME = 3


@dataclass(frozen=True)
class View:
    """``colour`` (H, W, 3), display values times coverage, and ``cover`` (H, W) or None, bytes; the ``camera``."""

    name: str
    camera: SplatCamera
    colour: Tensor
    cover: Tensor | None

    def over(self, background: Tensor) -> Tensor:
        """(H, W, 3): display values 0..1 over a background (3,)."""
        colour = self.colour.to(background.device).float() / 255
        if self.cover is None:
            return colour
        return colour + (1 - self.cover.to(background.device).float() / 255)[..., None] * background

    def mask(self, device: torch.device) -> Tensor:
        """(H, W): how much of each pixel the object covers; 1 where nothing is known."""
        if self.cover is None:
            return torch.ones(self.colour.shape[:2], device=device)
        return self.cover.to(device).float() / 255


@dataclass(frozen=True)
class Scene:
    """Views for ``train`` and ``test``; ``points`` (P, 3) and their display colours (P, 3), or None; frame: the
    file's own, x y z as cameras are given. ``masked``: views tell object from background."""

    train: list[View]
    test: list[View]
    points: tuple[Tensor, Tensor] | None

    @property
    def masked(self) -> bool:
        """Whether all views have masks."""
        return all(view.cover is not None for view in self.train)

    def middle_and_extent(self) -> tuple[Tensor, float]:
        """The point (3,) that cameras look at, and how far around it they stand at most."""
        eyes = torch.stack([view.camera.position for view in self.train]).double()
        ahead = torch.stack([-view.camera.world_to_camera[2, :3] for view in self.train]).double()
        # Nearest to all optical axes; a little pull to the eyes' mean keeps parallel axes solvable.
        across = torch.eye(3, dtype=torch.float64) - ahead[:, :, None] * ahead[:, None, :]
        pull = 1e-3 * len(eyes) * torch.eye(3, dtype=torch.float64)
        matrix, right = across.sum(0) + pull, (across @ eyes[..., None]).sum(0)[:, 0] + pull @ eyes.mean(0)
        middle = torch.linalg.solve(matrix, right)
        return middle.float(), float((eyes - middle).norm(dim=-1).max())


def _reader(path: Path) -> ModuleType:
    for module in (transforms, colmap):
        if module.is_scene(path):
            return module
    raise BadInput(
        f"There is no scene in {path}.",
        "Give a folder with transforms.json (or transforms_train.json), or with images and COLMAP's sparse model.",
    )


def has_z_up(path: Path) -> bool:
    """Whether a scene's frame is as Blender's and NeRF's cameras have it; COLMAP's is not."""
    return _reader(path) is transforms


def read_poses(path: Path) -> tuple[list[Pose], list[Pose], tuple[Tensor, Tensor] | None]:
    """The cameras of a scene without its pictures' pixels: for training, for testing (may be empty); and points."""
    train, test, points = _reader(path).read_poses(path)
    return train, test, points


def read_scene(path: Path, largest: int, progress: Callable[[float], None] = lambda fraction: None) -> Scene:
    """A folder with transforms.json or transforms_train.json, such a file, or a folder of COLMAP's."""
    train, test, points = read_poses(path)
    if not test:
        test = train[HELD // 2 :: HELD] if len(train) >= HELD else []
        train = [pose for pose in train if pose not in test]
    if len(train) < _FEWEST:
        raise BadInput(f"The scene {path.name} has {len(train)} views to learn from.", f"Give at least {_FEWEST}.")
    eyes = torch.stack([torch.linalg.inv(pose.world_to_camera.double())[:3, 3] for pose in train])
    if float((eyes - eyes[0]).norm(dim=-1).max()) <= 1e-6 * float(eyes[0].norm()):
        raise BadInput(
            f"All cameras to learn from in {path.name} stand in one place.", "Give photos taken from places all around."
        )
    total = len(train) + len(test)
    views: list[View] = []
    for number, pose in enumerate([*train, *test]):
        progress(number / total)
        views.append(read_view(pose, largest))
    return Scene(views[: len(train)], views[len(train) :], points)


def check_sights(path: Path, views: list[View]) -> None:
    """Refuse views of a scene that show no shape: pictures of one colour all over, cameras that share no place."""
    layers = [layer for view in views for layer in (view.colour, view.cover) if layer is not None]
    if all(int((layer.amax((0, 1)).int() - layer.amin((0, 1)).int()).max()) <= _SAME for layer in layers):
        raise BadInput(
            f"The pictures to learn from in {path.name} are each of one colour all over.",
            "Look at them: they may be black, overexposed or without coverage.",
        )
    if not any(_share_a_place(one.camera, other.camera) for one, other in combinations(views, 2)):
        raise BadInput(
            f"No two cameras to learn from in {path.name} see the same place.",
            "Check which way they look: in a transforms.json along their −z, with y up.",
        )


def _share_a_place(one: SplatCamera, other: SplatCamera) -> bool:
    """Whether what the cameras see overlaps anywhere, however far away."""
    edges = torch.cat([_corners(one), -_corners(other)]).T.double()
    apart = (other.position - one.position).double()
    return bool(linprog(np.zeros(8), A_eq=edges.numpy(), b_eq=apart.numpy(), method="highs").status == 0)


def _corners(camera: SplatCamera) -> Tensor:
    """Where the four corners of the picture look, (4, 3), in the world."""
    lens = camera.lens
    x = torch.tensor([0.0, lens.width, 0.0, lens.width]) - lens.cx
    y = lens.cy - torch.tensor([0.0, 0.0, lens.height, lens.height])
    rays = torch.stack([x / lens.fx, y / lens.fy, -torch.ones(4)], -1)
    return rays @ camera.world_to_camera[:3, :3]


def read_view(pose: Pose, largest: int) -> View:
    """The picture of a pose at working size, without its lens's distortion."""
    colour, cover = read_picture(pose.picture, pose.mask, largest, pose.upright)
    height, width = colour.shape[:2]
    lens = Camera(width, height, *pose.lens_for(width, height))
    if pose.distortion:
        colour = straightened(colour, lens, pose.distortion)
        cover = None if cover is None else straightened(cover[..., None], lens, pose.distortion)[..., 0]
    return View(pose.picture.name, SplatCamera(lens, pose.world_to_camera), colour, cover)
