# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenEXR files: panoramas with their frame in the header, linear pictures, depth."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import OpenEXR
import torch
from torch import Tensor

from ..errors import BadInput
from .panorama import Frame

#: Ends of layers' names, the finished picture's and the depth's first. Composite is what Blender's compositor made.
_PICTURES = ("", "Composite.Combined", "ViewLayer.Combined", "Combined", "Image", "Composite")
_DEPTHS = ("ViewLayer.Depth", "Depth", "depth", "ViewLayer.Denoising Depth", "Denoising Depth", "")
#: What every OpenEXR file begins with.
_MAGIC = b"v/1\x01"
_TORN = "It may be truncated: write or download it again."


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
        # Files, not their names: the binding takes no name that is not UTF-8.
        with partial.open("wb") as file:
            OpenEXR.File(fields, data).write(file)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            partial.unlink()
        told = str(error).rstrip(".")
        raise BadInput(
            f"Could not write {path.name}: {told}.", "Check that the folder exists, is writable and has space.", "disk"
        ) from error


def read_layers(path: Path | str) -> dict[str, dict[str, np.ndarray]]:
    """Read the layers of an EXR in their order, each as its channels (H, W); "" is the layer of bare names."""
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"There is no file {path}.", "Check the path.")
    layers: dict[str, dict[str, np.ndarray]] = {}
    try:
        with path.open("rb") as stream, OpenEXR.File(stream, separate_channels=True) as file:
            if not file.parts:  # the binding prints why and leaves them out
                raise BadInput(f"The pixels of {path.name} are damaged.", _TORN)
            for part in cast(Any, file.parts):
                if part.type() in (OpenEXR.deepscanline, OpenEXR.deeptile):
                    raise BadInput(f"{path.name} holds deep pixels.", "Flatten it: write one colour a pixel.")
                # Blender 5 writes a part a pass; others leave the pass to the part's name alone.
                own = part.name() if len(file.parts) > 1 else ""
                for name, channel in part.channels.items():
                    layer, _, key = name.rpartition(".")
                    layers.setdefault(layer or own, {}).setdefault(key, np.asarray(channel.pixels, np.float32))
    except BadInput:
        raise
    except Exception as error:  # the binding raises bare Exceptions of several kinds for damaged files
        raise _unreadable(path, error) from error
    return layers


def _names(layers: dict[str, dict[str, np.ndarray]]) -> list[str]:
    return sorted(f"{layer}.{key}".lstrip(".") for layer, channels in layers.items() for key in channels)


def _first(layers: Iterable[str], order: Sequence[str]) -> str | None:
    """The layer whose name ends like the earliest of ``order``, or else the file's first; None without layers."""

    def rank(layer: str) -> int:
        return next((i for i, name in enumerate(order) if f".{layer}".endswith(f".{name}")), len(order))

    return min(layers, key=rank, default=None)


def read_image(path: Path | str) -> Tensor:
    """Read the colour (H, W, 3|4) or single channel (H, W, 1) of an EXR, linear; of many layers, the finished picture.

    That is the layer without a name, or Blender's Combined, or the first one that has all the channels.
    """
    layers = read_layers(path)
    for names in ("RGB", "Y", "Z", "V"):
        # A Y with chroma beside it is no grey picture.
        fit = (k for k, found in layers.items() if found.keys() >= set(names) and not found.keys() & {"RY", "BY"})
        layer = _first(fit, _PICTURES)
        if layer is not None:
            channels = layers[layer]
            alpha = "A" if names == "RGB" and "A" in channels else ""
            return torch.from_numpy(np.stack([channels[key] for key in names + alpha], -1))
    raise BadInput(f"{Path(path).name} has channels {_names(layers)}, expected R, G, B.", "Save it as an RGB EXR.")


def read_size(path: Path) -> tuple[int, int]:
    """Width and height in pixels of an EXR's data window, from the header alone."""
    return window_size(read_header(path)["dataWindow"])


def window_size(window: Any) -> tuple[int, int]:
    """Width and height in pixels of a header's ``dataWindow`` or ``displayWindow``."""
    low, high = window
    return int(high[0] - low[0]) + 1, int(high[1] - low[1]) + 1


def read_header(path: Path) -> dict[str, Any]:
    """The header of an EXR, its pixels unread."""
    try:
        with path.open("rb") as stream, OpenEXR.File(stream, header_only=True) as file:
            return dict(file.header())
    except Exception as error:  # as in read_layers
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadInput:
    """What is wrong with a file that the binding does not open: another format, or damage."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return BadInput(f"{path.name} is no OpenEXR file.", "Save it as one, with the ending .exr.")
    told = str(error).replace("<python_buffer>", path.name)
    return BadInput(f"{path.name} is not a readable OpenEXR file ({told}).", _TORN)


def write_depth(path: Path | str, depth: Tensor, *, header: dict[str, Any] | None = None) -> None:
    """Write planar depth (H, W) in metres, +inf = sky, as channel Z; as Y too, for what shows only pictures.

    Blender before 5.0 is of that kind: it reads an EXR with nothing but Z as black.
    """
    write_image(path, depth[..., None].expand(-1, -1, 2), ["Y", "Z"], header=header)


def read_depth(path: Path | str) -> Tensor:
    """Read planar depth (H, W) from the layer Depth, the one without a name, or the only one.

    Its channel is Z or V, or else Y or R of a grey picture. Blender's 1e10 background is +inf.
    """
    path = Path(path)
    layers = read_layers(path)
    found = {
        layer: values
        for layer, channels in layers.items()
        if (not layer or len(layers) == 1 or layer.lower().endswith("depth"))
        and (values := _distances(channels)) is not None
    }
    layer = _first(found, _DEPTHS)
    if layer is None:
        raise BadInput(
            f"{path.name} has no depth channel (found {_names(layers)}).",
            "Render it with the pass Depth, or name the channel Z.",
        )
    depth = torch.from_numpy(found[layer].copy())
    if not bool((depth > 0).any()):
        raise BadInput(
            f"The depth in {path.name} is nowhere positive.", "Give planar distances in metres, +inf for sky."
        )
    depth[depth >= 1e9] = torch.inf
    return depth


def _distances(channels: dict[str, np.ndarray]) -> np.ndarray | None:
    """What a layer's channels hold of distances; None if they are a vector, a UV map or a coloured picture."""
    for key, other in (("Z", "X"), ("V", "U")):
        if key in channels and other not in channels:
            return channels[key]
    for key in ("Y", "R"):
        colours = [channels[c] for c in "GB" if c in channels]
        # Half floats of lossy compression may differ in their last digit.
        if key in channels and "X" not in channels and all(
            np.allclose(channels[key], c, rtol=2e-3, equal_nan=True) for c in colours
        ):
            return channels[key]
    return None


def write_panorama(
    path: Path | str,
    panorama: Tensor,
    *,
    frame: Frame,
    probe_position: Sequence[float] | None = None,
    exposure_ev: float = 0.0,
    half: bool = False,
    header: dict[str, Any] | None = None,
) -> None:
    """Write an environment map (N, 2N, 3) with its frame, exposure reference and probe position in the header."""
    fields: dict[str, Any] = {
        **(header or {}),
        "limelightFrame": frame,
        "limelightExposure": f"radiance 1.0 = display white of the photo at EV {exposure_ev:+g}",
        "envmap": OpenEXR.ENVMAP_LATLONG,
    }
    if probe_position is not None:
        fields["limelightProbe"] = " ".join(f"{float(x):.6g}" for x in probe_position)
    write_image(path, panorama, half=half, header=fields)


def read_panorama(path: Path | str) -> tuple[Tensor, dict[str, Any]]:
    """Read an environment map (N, 2N, 3) and its header; refuses pictures that are not 2:1."""
    colour = read_image(path)[..., :3]
    height, width, channels = colour.shape
    if width != 2 * height or channels != 3:
        raise BadInput(
            f"{Path(path).name} is {width}×{height} with {channels} channels; a panorama is RGB and twice as wide as"
            " high.",
            "Use an equirectangular HDRI.",
        )
    return colour, read_header(Path(path))
