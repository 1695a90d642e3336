# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of an object: read, made small, its mask laid on, its lens's distortion taken out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import BadInput
from ...optics.camera import Camera
from ...optics.exposure import srgb_oetf
from ...optics.photo import LINEAR, read_photo

#: Endings that are tried where a file's name has none, as NeRF's have.
_ENDINGS = ("", ".png", ".jpg", ".jpeg", ".webp", ".exr", ".PNG", ".JPG", ".JPEG")


@dataclass(frozen=True)
class Distortion:
    """OpenCV's: radial k1 to k4 and tangential p1, p2."""

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0

    def __bool__(self) -> bool:
        return any(abs(k) > 1e-6 for k in vars(self).values())


def found(folder: Path, name: str) -> Path:
    """The picture that a scene's file names, perhaps without its ending, or with the slashes of Windows."""
    for spelt, ending in product((name, name.replace("\\", "/")), _ENDINGS):
        path = folder / (spelt + ending)
        if path.is_file():
            return path
    raise BadInput(f"There is no picture {folder / name}.", "Keep the pictures where the scene's file names them.")


def read_picture(path: Path, mask: Path | None, largest: int, upright: bool = True) -> tuple[Tensor, Tensor | None]:
    """Display values (H, W, 3), times coverage, and coverage (H, W) or None, both bytes, with at most ``largest``
    pixels along a side; ``upright`` by EXIF, or as they are stored."""
    photo = read_photo(path, largest, upright=upright)
    colour, cover = photo.radiance, photo.alpha
    if mask is not None:
        # A mask is data, not light: what display values say.
        cover = srgb_oetf(read_photo(mask, largest, upright=upright).radiance).mean(-1)
        if cover.shape != colour.shape[:2]:
            raise BadInput(f"The mask {mask.name} has another shape than {path.name}.", "Give masks of equal size.")
    if path.suffix.lower() in LINEAR and photo.alpha is not None:
        # Renderers write colour times alpha.
        colour = colour / photo.alpha[..., None].clamp(min=1e-4)
    display = srgb_oetf(colour).clamp(0, 1)
    if cover is None or bool((cover > 0.999).all()):
        return _bytes(display), None
    return _bytes(display * cover[..., None]), _bytes(cover)


def _bytes(values: Tensor) -> Tensor:
    return (values * 255).round().to(torch.uint8)


def straightened(picture: Tensor, lens: Camera, distortion: Distortion) -> Tensor:
    """A picture (H, W, C), bytes, as the same lens without distortion sees it."""
    x, y = lens.unit_depth_points()[..., 0], -lens.unit_depth_points()[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (distortion.k1 + r2 * (distortion.k2 + r2 * (distortion.k3 + r2 * distortion.k4)))
    xd = x * radial + 2 * distortion.p1 * x * y + distortion.p2 * (r2 + 2 * x * x)
    yd = y * radial + distortion.p1 * (r2 + 2 * y * y) + 2 * distortion.p2 * x * y
    u, v = (lens.fx * xd + lens.cx) / lens.width, (lens.fy * yd + lens.cy) / lens.height
    grid = torch.stack([u, v], -1)[None] * 2 - 1
    values = picture.float().permute(2, 0, 1)[None]
    return F.grid_sample(values, grid, padding_mode="border", align_corners=False)[0].permute(1, 2, 0).round().byte()
