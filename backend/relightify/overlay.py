# SPDX-License-Identifier: GPL-3.0-or-later
"""The fitted head's mesh and the landmarks over the photo: what an artist looks at to see whether the fit holds."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..optics.exposure import expose
from .head import HeadModel
from .raster import project
from .records import FaceFit
from .unwrap import visible

#: Pixels on the longer side at least, so that lines stay apart.
_SIDE = 1600
_MESH, _FOUND, _FITTED = (90, 220, 255, 110), (255, 220, 60, 255), (255, 70, 90, 255)


def overlay(photo: Tensor, fit: FaceFit, head: HeadModel, fitted: Tensor | None = None) -> Image.Image:
    """The photo (H, W, 3), linear, under the mesh's visible edges and the landmarks found in it (yellow).

    ``fitted`` (N, 2): (u, v) of the head's landmarks (red), a line from each to the one found.
    """
    height, width = photo.shape[:2]
    scale = max(1, math.ceil(_SIDE / max(height, width)))
    pixels = (expose(photo, 0).numpy() * 255 + 0.5).astype(np.uint8)
    picture = Image.fromarray(pixels).resize((width * scale, height * scale), Image.Resampling.BICUBIC).convert("RGBA")
    lines = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(lines)
    points = head.corners(fit.camera_points(head))
    places = (project(points, fit.camera)[0] * scale).tolist()
    for a, b in _visible_edges(points, fit, head).tolist():
        draw.line([tuple(places[a]), tuple(places[b])], fill=_MESH)
    size = torch.tensor([width * scale, height * scale])
    found = (fit.landmarks * size).tolist()
    for k, to in enumerate([] if fitted is None else (fitted * size).tolist()):
        draw.line([tuple(found[k]), tuple(to)], fill=_FITTED)
        _dot(draw, to, _FITTED)
    for place in found:
        _dot(draw, place, _FOUND)
    return Image.alpha_composite(picture, lines).convert("RGB")


def save_overlay(path: Path, photo: Tensor, fit: FaceFit, head: HeadModel, fitted: Tensor | None = None) -> None:
    """Write :func:`overlay` as a PNG."""
    # Packing it more tightly would take a second of the ten that a head takes.
    overlay(photo, fit, head, fitted).save(path, compress_level=2)


def _visible_edges(points: Tensor, fit: FaceFit, head: HeadModel) -> Tensor:
    """(N, 2) corners: the edges of skin whose ends face the camera with nothing before them."""
    quads = head.faces[torch.isin(head.faces, head.triangles("skin").unique()).all(-1)]
    edges = torch.unique(torch.cat([quads[:, [k, (k + 1) % 4]] for k in range(4)]).sort(-1).values, dim=0)
    seen = visible(points, points, head.triangles(), fit.camera)
    a, b = points[quads[:, 2]] - points[quads[:, 0]], points[quads[:, 3]] - points[quads[:, 1]]
    facing = (torch.linalg.cross(a, b) * points[quads[:, 0]]).sum(-1) < 0
    front = torch.zeros(len(points), dtype=torch.bool).index_fill(0, quads[facing].unique(), True)
    return edges[(seen & front)[edges].all(-1)]


def _dot(draw: ImageDraw.ImageDraw, place: list[float], colour: tuple[int, int, int, int]) -> None:
    x, y = place
    draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=colour)
