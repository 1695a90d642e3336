# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth as pictures: near is bright, far is dark, the sky is blue; each picture's range is the truth's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ...backend.optics.exposure import srgb_oetf
from .score import Scores

_STOPS = torch.tensor([[0.99, 0.97, 0.75], [0.99, 0.6, 0.35], [0.72, 0.2, 0.47], [0.27, 0.06, 0.44], [0.02, 0, 0.05]])
_SKY = torch.tensor([0.35, 0.6, 0.9])
_TILE, _GAP, _TEXT = 208, 6, 14


@dataclass(frozen=True, eq=False)
class Row:
    """One view: radiance (H, W, 3), true depth (H, W) and the depths by model with their scores."""

    name: str
    radiance: Tensor
    truth: Tensor
    depths: dict[str, Tensor]
    scores: dict[str, Scores]


def colours(depth: Tensor, low: float, high: float) -> Tensor:
    """Depth (H, W) as display colours (H, W, 3), by its logarithm between ``low`` and ``high`` metres."""
    share = (depth.clamp(low, high).log() - np.log(low)) / max(np.log(high / low), 1e-3)
    place = share.nan_to_num(0).clamp(0, 1) * (len(_STOPS) - 1)
    first = place.long().clamp(max=len(_STOPS) - 2)
    part = (place - first)[..., None]
    mixed = _STOPS[first] * (1 - part) + _STOPS[first + 1] * part
    return torch.where(torch.isinf(depth)[..., None], _SKY, mixed)


def write_sheet(path: Path, title: str, rows: list[Row]) -> None:
    """One line a view: photo, truth, then every model's depth, aligned, with its AbsRel and field-of-view error."""
    columns = 2 + max(len(row.depths) for row in rows)
    sheet = Image.new("RGB", (columns * (_TILE + _GAP) + _GAP, 24 + len(rows) * (_TILE + _TEXT + _GAP)), (28, 28, 30))
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 6), title, (236, 234, 228))
    for i, row in enumerate(rows):
        y = 24 + i * (_TILE + _TEXT + _GAP)
        solid = row.truth[torch.isfinite(row.truth)]
        span = [float(solid.quantile(q)) for q in (0.01, 0.99)] if solid.numel() else [1.0, 10.0]
        tiles = {row.name: srgb_oetf(row.radiance.clamp(0, 1)), "truth": colours(row.truth, *span)}
        for name, depth in row.depths.items():
            found = depth[torch.isfinite(depth) & torch.isfinite(row.truth)]
            factor = float(solid.median() / found.median()) if found.numel() else 1.0
            told = f"{name}: {row.scores[name].absrel:.2f}, FoV {row.scores[name].fov:.0f}° off"
            tiles[told] = colours(depth * factor, *span)
        for j, (text, picture) in enumerate(tiles.items()):
            x = _GAP + j * (_TILE + _GAP)
            image = Image.fromarray((picture * 255 + 0.5).to(torch.uint8).numpy())
            share = _TILE / max(image.size)
            sheet.paste(image.resize((round(image.width * share), round(image.height * share))), (x, y + _TEXT))
            draw.text((x, y), text, (236, 234, 228))
    sheet.save(path)
