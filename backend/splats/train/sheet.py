# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a training: truth, picture, and every part that the picture is made of."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ...optics.exposure import srgb_oetf
from ..render import Picture

_BAR = 14
#: Under what name the PNG says what its columns show.
_COLUMNS = "Limelight columns"


def parts(picture: Picture) -> dict[str, Tensor]:
    """(H, W, 3) display values by name, black where nothing is; normals as n/2 + 1/2 in the scene's frame."""
    maps, cover = picture.maps, picture.maps.alpha.clamp(0, 1)
    raw = maps.raw / maps.alpha.clamp(min=1e-6)
    normal = torch.nn.functional.normalize(maps.channel("normal"), dim=-1) / 2 + 0.5
    single = {name: maps.channel(name).expand(-1, -1, 3) for name in ("metallic", "roughness", "progress")}
    layers = {"raw": raw, "physical": picture.physical, "diffuse": picture.diffuse, "specular": picture.specular}
    layers |= {"albedo": srgb_oetf(maps.channel("albedo").clamp(0, 1)), **single, "normal": normal}
    return {name: layer.detach() * cover.detach() for name, layer in layers.items()}


def write(path: Path, rows: Sequence[Mapping[str, Tensor]]) -> None:
    """A PNG with a view a row and a part a column, named on top; whole or not at all."""
    names = list(rows[0])
    strips = []
    for row in rows:
        cells = [row[name].detach().clamp(0, 1).cpu() for name in names]
        strips.append(torch.cat(cells, 1))
    width = max(strip.shape[1] for strip in strips)
    padded = [torch.nn.functional.pad(strip, (0, 0, 0, width - strip.shape[1])) for strip in strips]
    pixels = (torch.cat(padded).numpy() * 255 + 0.5).astype(np.uint8)
    image = Image.new("RGB", (width, pixels.shape[0] + _BAR))
    image.paste(Image.fromarray(pixels), (0, _BAR))
    pen = ImageDraw.Draw(image)
    for number, name in enumerate(names):
        pen.text((number * rows[0][name].shape[1] + 2, 1), name, fill=(255, 255, 255))
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    told = PngInfo()
    told.add_text(_COLUMNS, ",".join(names))
    image.save(partial, "PNG", pnginfo=told)
    os.replace(partial, path)


def column(path: Path, name: str) -> Image.Image:
    """One part of every view, one below the other, of a sheet that :func:`write` wrote."""
    with Image.open(path) as image:
        names = str(image.info[_COLUMNS]).split(",")
        wide = image.width // len(names)
        left = names.index(name) * wide
        return image.crop((left, _BAR, left + wide, image.height))
