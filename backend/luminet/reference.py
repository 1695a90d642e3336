# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of a reference: a photo's as the relighter sees it, an HDRI's by way of a grey room that it lights."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from ..errors import BadInput, MissingPart
from ..optics import exr
from ..optics import panorama as pano
from ..optics.exposure import auto_exposure_gain, srgb_oetf
from ..optics.photo import LINEAR, picture_size, read_photo
from . import rig
from .estimate import light_code
from .ratio import exposure_gain, shown, shrink
from .relighter import Relighter

KINDS = ("auto", "photo", "hdri")
#: A grey room under each lamp of the rig alone: ``lights`` (8, 3, 96, 96) float16, linear.
GREY_ROOM = Path(__file__).resolve().parent / "weights" / "grey_room.safetensors"
#: Concentration of a lamp's share of the directions about it; half of its height is 24 degrees from the lamp.
_CONCENTRATION = 8.0
#: Rows of the panorama whose light is divided among the lamps.
_ROWS = 64
#: Rows to which a panorama is averaged first, whatever its size.
_LARGEST = 256


def is_panorama(path: Path, kind: str) -> bool:
    """Whether a reference of this ``kind`` is an HDRI: with ``auto`` a linear picture twice as wide as high is."""
    if kind != "auto" or path.suffix.lower() not in LINEAR:
        return kind == "hdri"
    width, height = picture_size(path)
    return width == 2 * height


def reference_code(path: Path, kind: str, relighter: Relighter) -> tuple[Tensor, list[str]]:
    """The light code (16,) of a reference file, and warnings."""
    size = (relighter.size, relighter.size)
    if not is_panorama(path, kind):
        photo = read_photo(path, None)
        gain = exposure_gain(photo.radiance) if path.suffix.lower() in LINEAR else 1.0
        return light_code(shown(photo.radiance, size, gain), relighter), photo.warnings
    panorama, notes = _read_panorama(path)
    room = lit_room(rig_weights(panorama), load_room())
    picture = F.interpolate(room[None], size, mode="bilinear", antialias=True, align_corners=False)[0]
    return light_code(picture.clamp(0, 1), relighter), notes


def rig_weights(panorama: Tensor) -> Tensor:
    """Irradiance (8, 3) that each lamp of the rig is to give: the light of (N, 2N, 3), whose middle is ahead of the
    camera, divided among the lamps by how near they are. Their sum is all of the panorama's light."""
    rows = min(_ROWS, panorama.shape[0])
    flux = pano.resize(panorama, rows) * pano.solid_angles(rows)[..., None]
    shares = (_CONCENTRATION * pano.directions(rows) @ rig.directions().T).softmax(-1)
    return torch.einsum("hwk,hwc->kc", shares, flux)


def lit_room(weights: Tensor, lights: Tensor) -> Tensor:
    """Display values (3, S, S) of the room whose ``lights`` (8, 3, S, S) are mixed by ``weights`` (8, 3), exposed."""
    radiance = torch.einsum("kc,kchw->chw", weights, lights)
    radiance /= radiance.max().clamp(min=1e-20)
    return srgb_oetf(radiance * auto_exposure_gain(radiance.permute(1, 2, 0))).clamp(0, 1)


def _read_panorama(path: Path) -> tuple[Tensor, list[str]]:
    """An HDRI (N, 2N, 3) whose middle is ahead of the camera, and warnings."""
    photo = read_photo(path, None)
    height, width = photo.radiance.shape[:2]
    if width != 2 * height:
        raise BadInput(
            f"{path.name} is {width}×{height} pixels; an HDRI is twice as wide as high.",
            "Use an equirectangular panorama, or take it as a photo.",
        )
    if float(photo.radiance.max()) <= 0:
        raise BadInput(f"The HDRI {path.name} is black.", "Use one that holds light.")
    notes = list(photo.warnings)
    header = exr.read_header(path) if path.suffix.lower() == ".exr" else {}
    if header.get("limelightFrame") == "world":
        notes.append(f"{path.name} is in the world's frame; its middle (+X) is taken as where the camera looks.")
    rows = min(_LARGEST, height)
    return shrink(photo.radiance, (rows, 2 * rows)).permute(1, 2, 0), notes


@lru_cache(maxsize=1)
def load_room(path: Path = GREY_ROOM) -> Tensor:
    """The grey room's pictures (8, 3, 96, 96), linear radiance under each lamp of the rig."""
    if not path.is_file():
        raise MissingPart(f"The grey room for HDRIs is missing ({path.name}).", "Install the extension again.")
    try:
        with safe_open(path, "pt") as file:
            lights = file.get_tensor("lights").float()
    except (SafetensorError, OSError) as error:
        raise MissingPart(f"The grey room {path.name} is damaged ({error}).", "Install the extension again.") from error
    if lights.ndim != 4 or lights.shape[:2] != (len(rig.RIG), 3):
        raise MissingPart(f"The grey room {path.name} has shape {tuple(lights.shape)}.", "Install the extension again.")
    return lights
