# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour pictures of 16 bits a channel, PNG and TIFF, of which Pillow reads 8 and writes none."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

from ..errors import MissingPart

_ORIENTATION, _BITS, _PHOTOMETRIC, _EXTRA, _FORMAT = 274, 258, 262, 338, 339
_RGB, _ASSOCIATED, _UNSIGNED = 2, 1, 1


def has_sixteen(image: Image.Image) -> bool:
    """Whether an opened picture, not yet loaded, has 16 bits in each of several channels."""
    if image.mode not in {"RGB", "RGBA", "RGBX"}:
        return False
    if image.format == "PNG":
        return any("16" in str(tile.args) for tile in getattr(image, "tile", ()))
    tags = getattr(image, "tag_v2", {})
    formats = tags.get(_FORMAT) or (_UNSIGNED,)
    return set(tags.get(_BITS, ())) == {16} and tags.get(_PHOTOMETRIC) == _RGB and set(formats) == {_UNSIGNED}


def read_sixteen(path: Path, image: Image.Image, notes: list[str], upright: bool = True) -> np.ndarray:
    """sRGB values (H, W, C) uint16, alpha last and not multiplied in; ``upright`` or as they are stored.

    ``image`` is the opened file.

    Raises OSError for a damaged file; ``notes`` hears of a colour profile that could not be used.
    """
    codecs = _codecs()
    try:
        pixels = codecs.png_decode(path.read_bytes()) if image.format == "PNG" else _tiff(path)
    except (RuntimeError, ValueError) as error:
        raise OSError(str(error)) from error
    profile = image.info.get("icc_profile")
    if profile and pixels.shape[-1] in (3, 4):
        try:
            colour, to = np.ascontiguousarray(pixels[..., :3]), codecs.cms_profile("srgb")
            pixels[..., :3] = codecs.cms_transform(colour, profile, to, colorspace="rgb", outcolorspace="rgb")
        except (RuntimeError, ValueError):
            notes.append("The embedded colour profile could not be used; sRGB was assumed.")
    return _upright(pixels, image.getexif().get(_ORIENTATION, 1)) if upright else pixels


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file of (H, W, C) uint16 values."""
    return bytes(_codecs().png_encode(pixels))


def _codecs() -> ModuleType:
    """The codecs' library, which only pictures of this kind need."""
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingPart("The package imagecodecs is missing.", "Set the engine up again.") from error
    return imagecodecs


def _tiff(path: Path) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        pixels = page.asarray()
        if page.axes == "SYX":
            pixels = np.moveaxis(pixels, 0, -1)
        extra = page.tags.get(_EXTRA)
    if pixels.shape[-1] < 4:
        return pixels
    kind = 0 if extra is None else np.atleast_1d(extra.value)[0]
    if kind == _ASSOCIATED:
        alpha = np.maximum(pixels[..., 3:4], 1)
        pixels[..., :3] = np.minimum(pixels[..., :3] * np.float32(65535) / alpha + 0.5, 65535)
    # Of unspecified data beside the colours nothing says that they are an alpha.
    return pixels[..., :4] if kind else pixels[..., :3]


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """The array that EXIF's ``orientation`` says is meant: 5 to 8 are on their side, the even ones and 5 mirrored."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
