# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenEXR files: panoramas with their frame in the header, linear pictures, depth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import OpenEXR
import torch
from torch import Tensor

from ..errors import BadInput
from .panorama import Frame


def write_image(
    path: Path | str,
    pixels: Tensor,
    channels: Sequence[str] | None = None,
    *,
    half: bool = False,
    header: dict[str, Any] | None = None,
) -> None:
    """Write (H, W, C) linear values; channel names default to RGB(A) or Y. The file appears whole or not at all."""
    path = Path(path)
    values = pixels.detach().cpu().float().numpy()
    names = list(channels or {1: "Y", 3: "RGB", 4: "RGBA"}[values.shape[-1]])
    if half:
        values = values.clip(-65504, 65504).astype(np.float16)
    data = {name: np.ascontiguousarray(values[..., i]) for i, name in enumerate(names)}
    fields = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **(header or {})}
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        OpenEXR.File(fields, data).write(str(partial))
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise BadInput(
            f"Could not write {path.name}: {error}.", "Check that the folder exists, is writable and has space."
        ) from error


def _open(path: Path | str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"There is no file {path}.", "Check the path.")
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            pixels = {k: np.asarray(c.pixels, np.float32) for k, c in cast(Any, file.channels()).items()}
            return dict(file.header()), pixels
    except Exception as error:  # the binding raises bare Exceptions of several kinds for damaged files
        raise BadInput(
            f"{path.name} is not a readable OpenEXR file ({error}).", "It may be truncated: write or download it again."
        ) from error


def read_image(path: Path | str) -> Tensor:
    """Read the colour (H, W, 3|4) or single channel (H, W, 1) of an EXR, linear; layer prefixes are accepted."""
    _, pixels = _open(path)
    for names in (("R", "G", "B", "A"), ("R", "G", "B"), ("Y",), ("Z",), ("V",)):
        found = [next((k for k in pixels if k.split(".")[-1] == n), None) for n in names]
        if all(found):
            return torch.from_numpy(np.stack([pixels[cast(str, k)] for k in found], -1))
    raise BadInput(f"{Path(path).name} has channels {sorted(pixels)}, expected R, G, B.", "Save it as an RGB EXR.")


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of an EXR's data window, from the header alone."""
    low, high = read_header(path)["dataWindow"]
    return int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1


def read_header(path: Path) -> dict[str, Any]:
    """The header of an EXR, its pixels unread."""
    try:
        with OpenEXR.File(str(path), header_only=True) as file:
            return dict(file.header())
    except Exception as error:  # as in _open
        raise BadInput(
            f"{path.name} is not a readable OpenEXR file ({error}).", "It may be truncated: write or download it again."
        ) from error


def write_depth(path: Path | str, depth: Tensor) -> None:
    """Write planar depth (H, W) in metres, +inf = sky, as channel Z; as Y too, for what shows only pictures.

    Blender before 5.0 is of that kind: it reads an EXR with nothing but Z as black.
    """
    write_image(path, depth[..., None].expand(-1, -1, 2), ["Y", "Z"])


def read_depth(path: Path | str) -> Tensor:
    """Read planar depth (H, W): channel Z, or else the first of Depth.*, V, Y, R. Blender's 1e10 background is +inf."""
    _, pixels = _open(path)
    for name in ("Z", "V", "Y", "R"):
        key = next((k for k in pixels if k.split(".")[-1] == name), None)
        if key:
            depth = torch.from_numpy(pixels[key].copy())
            depth[depth >= 1e9] = torch.inf
            return depth
    raise BadInput(f"{Path(path).name} has no depth channel (found {sorted(pixels)}).", "Name the channel Z.")


def write_panorama(
    path: Path | str,
    panorama: Tensor,
    *,
    frame: Frame,
    probe_position: Sequence[float] | None = None,
    exposure_ev: float = 0.0,
    half: bool = False,
) -> None:
    """Write an environment map (N, 2N, 3) with its frame, exposure reference and probe position in the header."""
    header: dict[str, Any] = {
        "limelightFrame": frame,
        "limelightExposure": f"radiance 1.0 = display white of the photo at EV {exposure_ev:+g}",
        "envmap": OpenEXR.ENVMAP_LATLONG,
    }
    if probe_position is not None:
        header["limelightProbe"] = " ".join(f"{float(x):.6g}" for x in probe_position)
    write_image(path, panorama, half=half, header=header)


def read_panorama(path: Path | str) -> tuple[Tensor, dict[str, Any]]:
    """Read an environment map (N, 2N, 3) and its header; refuses pictures that are not 2:1."""
    header, _ = _open(path)
    colour = read_image(path)[..., :3]
    height, width, channels = colour.shape
    if width != 2 * height or channels != 3:
        raise BadInput(
            f"{Path(path).name} is {width}×{height} with {channels} channels; a panorama is RGB and twice as wide as"
            " high.",
            "Use an equirectangular HDRI.",
        )
    return colour, header
