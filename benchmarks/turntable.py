# SPDX-License-Identifier: GPL-3.0-or-later
"""A head that ``limelight face`` wrote, seen from all round its front under three lights and that of its photo.

``python bridge/launch.py benchmarks.turntable FOLDER --out turntable.png``
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..backend.optics import panorama as pano
from ..backend.optics.camera import Camera
from ..backend.optics.exposure import expose
from ..backend.relightify import head as heads
from ..backend.relightify import maps
from ..backend.relightify.lighting import Lamp, Lighting, studio
from ..backend.relightify.output import FILES
from ..backend.relightify.render import Pose, View

#: Degrees by which the head is turned.
ANGLES = (-75, -40, 0, 40, 75)
#: Head frame to the frame of a camera that looks it in the face.
FACING = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_AWAY, _FOV_DEG, _BACKGROUND = 1.1, 14.5, 0.03
#: About where the head is turned, head frame.
_MIDDLE = torch.tensor([0.0, 0.06, -0.015])


def lights(photo: Tensor | None = None) -> dict[str, Lighting]:
    """A soft studio; one hard lamp from the side in a dark room; evening: low warm sun, blue sky. And the photo's."""
    room = torch.full((16, 32, 3), 0.04)
    hard = Lamp(F.normalize(torch.tensor([1.0, 0.25, 0.35]), dim=0), torch.tensor([2.6, 2.6, 2.6]))
    up = pano.directions(32)[..., 1:2]
    sky = torch.tensor([0.16, 0.26, 0.5]) * (0.6 + 0.4 * up) * (up > 0) + torch.tensor([0.1, 0.07, 0.05]) * (up <= 0)
    sun = Lamp(F.normalize(torch.tensor([-0.9, 0.3, 0.2]), dim=0), torch.tensor([3.2, 1.7, 0.7]))
    chosen = {"studio": studio(), "hard lamp": Lighting(room, (hard,)), "evening": Lighting(sky, (sun,))}
    return chosen if photo is None else {**chosen, "photo": Lighting.of_harmonics(photo, FACING)}


def turntable(folder: Path, width: int = 260) -> Image.Image:
    """A sheet: a row for each light, a column for each angle."""
    stack, roughness = read_maps(folder), read_planes(folder / FILES["roughness"])
    head = heads.load()
    with np.load(folder / FILES["head"], allow_pickle=False) as file:
        worn = np.tensordot(file["expression_value"], file["expression"].astype(np.float32), 1)
        points = torch.from_numpy(file["points"] + worn)
    chosen = lights(torch.tensor(json.loads((folder / "result.json").read_text())["light"]))
    height = round(1.35 * width)
    camera = Camera.from_fov(width, height, _FOV_DEG)
    columns = []
    for angle in ANGLES:
        turn = math.radians(angle)
        yaw = torch.tensor([[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]])
        place = torch.tensor([0.0, 0.0, -_AWAY]) - FACING @ yaw @ _MIDDLE
        view = View(head, points, Pose(FACING @ yaw, place, camera))
        rows = []
        for light in chosen.values():
            radiance, alpha = view.render(stack, light, roughness)
            rows.append(expose(radiance + _BACKGROUND * (1 - alpha[..., None]), 0))
        columns.append(torch.cat(rows))
    pixels = torch.cat(columns, 1)
    return Image.fromarray((pixels * 255 + 0.5).byte().numpy())


def read_maps(folder: Path) -> Tensor:
    """The stack (10, R, R) of the pictures in a folder."""
    return torch.cat([read_planes(folder / FILES[name]) for name in maps.MAPS])


def read_planes(path: Path) -> Tensor:
    """A picture (C, H, W) as a file of 8 bits holds it, 0..1."""
    pixels = np.asarray(Image.open(path), np.float32) / 255
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1)).permute(2, 0, 1)


def maps_sheet(folder: Path, side: int = 320) -> Image.Image:
    """Overlay, maps and mask in one row."""
    names = ("overlay", *maps.MAPS, "normal_object", "mask", "eye")
    sheet = Image.new("RGB", (side * len(names), side))
    for i, name in enumerate(names):
        picture = Image.open(folder / FILES[name]).convert("RGB")
        picture.thumbnail((side, side))
        sheet.paste(picture, (i * side, 0))
    return sheet


def main() -> None:
    """Make the sheet of one folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    turntable(options.folder).save(options.out)


if __name__ == "__main__":
    main()
