# SPDX-License-Identifier: GPL-3.0-or-later
"""What a relighting leaves on disk: the picture at its full size and depth, the light ratio, a preview."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ...bridge.messages import NOTE
from ..errors import BadInput
from ..optics import exr
from ..optics.exposure import srgb_oetf
from ..optics.photo import strips
from ..optics.sixteen import encode_png
from .ratio import shown

#: Picture formats that can be written, and the bits of their values.
BITS = {".png": 16, ".tif": 16, ".tiff": 16, ".jpg": 8, ".jpeg": 8, ".exr": 32}
#: Pixels on the preview's longer side.
_PREVIEW = 512
_QUALITY = 95


def write_picture(path: Path, radiance: Tensor, alpha: Tensor | None, associated: bool) -> list[str]:
    """Write radiance (H, W, 3) and alpha (H, W) in the format that the name says; returns warnings.

    ``associated``: whether radiance is multiplied by alpha, as in EXR files. May change ``radiance`` in place.
    """
    suffix = path.suffix.lower()
    if suffix == ".exr":
        if alpha is not None and not associated:
            radiance *= alpha[..., None]
        layers = radiance if alpha is None else torch.cat([radiance, alpha[..., None]], -1)
        exr.write_image(path, layers, header={"limelightExposure": "radiance 1.0 = display white of the photo"})
        return []
    notes = []
    if suffix in (".jpg", ".jpeg"):
        notes += [f"{path.name} holds no transparency; write .png to keep it."] if alpha is not None else []
        alpha = None
    pixels, clipped = _display(radiance, alpha, associated, BITS[suffix])
    if clipped > 0.01:
        notes.append(f"{clipped:.0%} of {path.name} are brighter than white and were clipped; write .exr to keep them.")
    try:
        if suffix == ".png":
            path.write_bytes(encode_png(pixels))
        elif BITS[suffix] == 16:
            kept = [] if alpha is None else ["unassalpha"]
            tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", predictor=True, extrasamples=kept)
        else:
            Image.fromarray(pixels).save(path, "JPEG", quality=_QUALITY, subsampling=0)
    except OSError as error:
        text = f"Could not write {path.name} ({error.strerror})."
        raise BadInput(text, "Check space and permissions.", "disk") from error
    return notes


def write_ratio(path: Path, ratio: Tensor) -> None:
    """Write relit over source radiance (H, W, 3), linear, for compositing: multiply the source by it."""
    exr.write_image(path, ratio, header={"limelightRatio": "relit / source radiance, linear Rec.709"})


def write_preview(path: Path, radiance: Tensor, gain: float, settings: dict[str, Any]) -> None:
    """A small picture of radiance (H, W, 3), as it is shown with ``gain``.

    It holds, as the text :data:`NOTE`, the ``settings`` that the result was made with: not every format could.
    """
    height, width = radiance.shape[:2]
    share = min(1.0, _PREVIEW / max(height, width))
    small = shown(radiance, (max(1, round(height * share)), max(1, round(width * share))), gain)
    note = PngInfo()
    note.add_text(NOTE, json.dumps(settings))
    Image.fromarray((small.permute(1, 2, 0).numpy() * 255 + 0.5).astype(np.uint8)).save(path, pnginfo=note)


def _display(radiance: Tensor, alpha: Tensor | None, associated: bool, bits: int) -> tuple[np.ndarray, float]:
    """Display values (H, W, 3|4) as whole numbers of so many bits, and the share of pixels brighter than white."""
    height, width = radiance.shape[:2]
    most = 2**bits - 1
    pixels = np.empty((height, width, 3 if alpha is None else 4), np.uint8 if bits == 8 else np.uint16)
    clipped = 0
    for rows in strips(height, width):
        light = radiance[rows]
        if alpha is not None and associated:
            light = light / alpha[rows, :, None].clamp(min=1e-6)
        # What rounding leaves above white is white.
        clipped += int((light > 1.001).any(-1).sum())
        pixels[rows, :, :3] = (srgb_oetf(light).clamp(0, 1) * most + 0.5).numpy()
        if alpha is not None:
            pixels[rows, :, 3] = (alpha[rows] * most + 0.5).numpy()
    return pixels, clipped / (height * width)
