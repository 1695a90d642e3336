# SPDX-License-Identifier: GPL-3.0-or-later
"""Read any picture as linear radiance: 8 and 16 bit, grey, palette, CMYK, alpha, EXIF rotation, ICC, EXR and HDR."""

from __future__ import annotations

import io
import math
import shlex
import warnings as python_warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from ..errors import BadInput
from . import exr, radiance_hdr
from .exposure import srgb_eotf
from .sixteen import has_sixteen, read_sixteen

SMALLEST = 16
#: Pictures of more pixels are refused before they are decoded.
MOST_PIXELS = 200_000_000
#: Pictures are worked on at no more than this many pixels on their longer side, unless asked for whole.
LARGEST_SIDE = 2048
#: What holds linear radiance; every other picture holds display values.
LINEAR = {".exr", ".hdr"}
#: Pixels that are worked on at once, where a whole picture's intermediate values would fill the memory.
STRIP = 2**20
_VIDEO = {".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".mxf", ".ogv"}
#: Cameras' own files. Most begin like a TIFF, in which only a tiny preview would be found.
_RAW = {".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".srw", ".iiq", ".3fr"}
_FOCAL_35MM, _EXIF_IFD, _ORIENTATION = 41989, 34665, 274
#: What phones, the web and painting programs write, of which a folder's other pictures are read.
_OTHER = {".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".gif", ".psd"}
_READABLE = "Use a JPEG, PNG, TIFF, WebP, HDR or EXR picture."


@dataclass(frozen=True)
class Photo:
    """A picture as light: radiance (H, W, 3) linear Rec.709, display white 1.0; alpha (H, W) in [0, 1] or None;
    ``focal_35mm`` from EXIF in millimetres or None; ``warnings`` say what was changed on reading."""

    radiance: Tensor
    alpha: Tensor | None = None
    focal_35mm: float | None = None
    warnings: list[str] = field(default_factory=list)


def read_photo(path: Path | str, largest_side: int | None = LARGEST_SIDE, *, upright: bool = True) -> Photo:
    """Read a picture upright, scaled down to ``largest_side`` pixels on its longer side; None keeps all its pixels.

    Without ``upright`` it lies as it is stored, whatever EXIF says of how the camera was held.

    Raises :class:`BadInput` with the reason and the remedy.
    """
    path = Path(path)
    _check_file(path)
    linear = path.suffix.lower() in LINEAR
    photo = _read_linear(path, largest_side) if linear else _read_display(path, largest_side, upright)
    height, width = photo.radiance.shape[:2]
    if min(height, width) < SMALLEST:
        raise BadInput(f"{path.name} is {width}×{height} pixels.", f"Use a picture of at least {SMALLEST} pixels.")
    return photo


def picture_size(path: Path, *, upright: bool = True) -> tuple[int, int]:
    """Width and height in pixels of a picture, upright or as it is stored, from its header where that is quick to read.

    Raises :class:`BadInput` for what is not a picture; damage behind the header stays unseen.
    """
    _check_file(path)
    suffix = path.suffix.lower()
    if suffix == ".exr":
        return exr.read_size(path)
    if suffix == ".hdr":
        height, width = _read_linear(path, None).radiance.shape[:2]
        return width, height
    try:
        with Image.open(path) as image:
            turned = upright and image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else (image.width, image.height)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path.name} is not a picture that can be read.", _READABLE) from error


def extract_frames(video: Path, wanted: str = "their folder") -> str:
    """The sentence that helps who has a video: how to make pictures of it, and what of them is ``wanted``."""
    folder = video.stem
    make, extract = shlex.join(["mkdir", folder]), shlex.join(["ffmpeg", "-i", str(video), f"{folder}/%04d.png"])
    return f"Extract its frames ({make} && {extract}) and give {wanted} instead."


def is_video(path: Path) -> bool:
    """Whether the name is a video's."""
    return path.suffix.lower() in _VIDEO


def is_unread(path: Path) -> bool:
    """Whether the name is a video's, a raw photo's or a picture's of a format that folders are not searched for."""
    return path.suffix.lower() in _VIDEO | _RAW | _OTHER


def _check_file(path: Path) -> None:
    """Refuse what cannot be a picture before it is opened."""
    if not path.exists():
        raise BadInput(f"There is no file {path}.", "Check the path.")
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a picture.", "Name a picture file.")
    if is_video(path):
        raise BadInput(f"{path.name} is a video.", extract_frames(path, "one of them"))
    if path.suffix.lower() in _RAW:
        raise BadInput(f"{path.name} is a raw photo.", "Develop it: export a JPEG, a TIFF or an EXR of it.")
    if path.stat().st_size == 0:
        raise BadInput(f"{path.name} is empty.", "Export the picture again.")


def strips(height: int, width: int) -> Iterator[slice]:
    """The rows of a picture from the top, in pieces of about :data:`STRIP` pixels."""
    count = max(1, STRIP // width)
    for first in range(0, height, count):
        yield slice(first, min(first + count, height))


def _read_linear(path: Path, largest_side: int | None) -> Photo:
    notes: list[str] = []
    if path.suffix.lower() == ".hdr":
        try:
            _check_pixels(path, *radiance_hdr.read_size(path))
            pixels = torch.from_numpy(radiance_hdr.read_hdr(path))
        except ValueError as error:
            raise BadInput(f"{path.name} is not a readable HDR picture ({error}).", _READABLE) from error
    else:
        header = exr.read_header(path)
        (width, height), frame = exr.window_size(header["dataWindow"]), exr.window_size(header["displayWindow"])
        _check_pixels(path, width, height)
        if (width, height) != frame:
            notes.append(
                f"{path.name} stores {width}×{height} pixels of a frame of {frame[0]}×{frame[1]}; points and the field "
                "of view count in what it stores. Write the data window as large as the frame to have them count there."
            )
        pixels = exr.read_image(path)
    if pixels.shape[-1] == 1:
        pixels = pixels.expand(-1, -1, 3)
    # Where a renderer failed, alpha is none either; such a pixel is black, not missing.
    alpha = pixels[..., 3].nan_to_num(1.0).clamp(0, 1) if pixels.shape[-1] == 4 else None
    radiance = pixels[..., :3].contiguous()
    height, width = radiance.shape[:2]
    unfit = values = 0
    for rows in strips(height, width):
        bad = ~torch.isfinite(radiance[rows])
        unfit, values = unfit + int(bad.any(-1).sum()), values + int(bad.sum())
        radiance[rows] = radiance[rows].masked_fill(bad, 0.0).clamp(min=0)
    if values > 1.5 * height * width:
        raise BadInput(f"{path.name} is mostly NaN or infinite.", "Render or export it again.")
    if unfit:
        notes.append(f"{unfit} pixels of {path.name} were NaN or infinite and were set to black.")
    return Photo(
        _limit(radiance, largest_side, notes, path),
        None if alpha is None else _limit(alpha[..., None], largest_side, [], path)[..., 0],
        None,
        notes,
    )


def _check_pixels(path: Path, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise BadInput(f"{path.name} has {width}×{height} pixels.", "Scale it down first.")


def _read_display(path: Path, largest_side: int | None, upright: bool) -> Photo:
    notes: list[str] = []
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image: Image.Image = Image.open(path)
            _check_pixels(path, image.width, image.height)
            # Grey ones alone are opened: floats, which are light rather than display values, and 32 bits.
            if image.format == "TIFF" and image.mode in {"F", "I"}:
                raise UnidentifiedImageError
            if getattr(image, "n_frames", 1) > 1:
                # An animation, pages of a TIFF, or a phone's photo with a depth or gain map behind it.
                notes.append(f"{path.name} holds several pictures; the first is used.")
            # Asked first: a PNG's EXIF is known only once all of it was read.
            deep = has_sixteen(image)
            focal = image.getexif().get_ifd(_EXIF_IFD).get(_FOCAL_35MM)
            if deep:
                pixels = read_sixteen(path, image, notes, upright)
            else:
                image.load()
                turned = ImageOps.exif_transpose(image) if upright else image
                pixels = np.asarray(_to_srgb(turned, image.info.get("icc_profile"), notes))
    except UnidentifiedImageError as error:
        if path.suffix.lower() in {".tif", ".tiff"}:
            raise BadInput(
                f"{path.name} is no TIFF of 8 or 16 bits with a usual compression.", "Save it as such a one, or as EXR."
            ) from error
        raise BadInput(f"{path.name} is not a picture that can be read.", _READABLE) from error
    except Image.DecompressionBombError as error:
        raise BadInput(f"{path.name} has more than {MOST_PIXELS} pixels.", "Scale it down first.") from error
    except (OSError, SyntaxError, ValueError, TypeError, EOFError) as error:
        raise BadInput(f"{path.name} is damaged or cut off ({error}).", "Export or copy it again.") from error
    radiance, alpha = _linear_values(pixels)
    return Photo(
        _limit(radiance, largest_side, notes, path),
        None if alpha is None else _limit(alpha[..., None], largest_side, [], path)[..., 0],
        _millimetres(focal),
        notes,
    )


def _millimetres(focal: object) -> float | None:
    """EXIF's focal length; None where it is missing, or no length."""
    try:
        found = float(focal)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return found if 0 < found < math.inf else None


def _to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """The picture in sRGB: by its embedded profile where that works, by the plain formula for CMYK otherwise."""
    if image.mode in {"P", "PA"}:
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    if profile and image.mode in {"RGB", "RGBA", "CMYK", "L"}:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = "RGBA" if image.mode == "RGBA" else "RGB"
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode)
            return converted if converted is not None else image
        except (ImageCms.PyCMSError, OSError):
            notes.append("The embedded colour profile could not be used; sRGB was assumed.")
    if image.mode in {"CMYK", "YCbCr", "LAB", "HSV", "1"}:
        return image.convert("RGB")
    return image


def _linear_values(pixels: np.ndarray) -> tuple[Tensor, Tensor | None]:
    """Radiance (H, W, 3) and alpha (H, W) or None of decoded values, (H, W) or (H, W, C)."""
    height, width = pixels.shape[:2]
    pixels = pixels.reshape(height, width, -1)
    radiance = torch.empty(height, width, 3)
    alpha = torch.empty(height, width) if pixels.shape[-1] in (2, 4) else None
    for rows in strips(height, width):
        values = torch.from_numpy(_display_values(pixels[rows]))
        radiance[rows] = srgb_eotf(values[..., :1] if pixels.shape[-1] < 3 else values[..., :3])
        if alpha is not None:
            alpha[rows] = values[..., -1]
    return radiance, alpha


def _display_values(pixels: np.ndarray) -> np.ndarray:
    """Display values (H, W, C) float32 in [0, 1] of bytes, of 16 bit in any integer type, or of floats."""
    if pixels.dtype == np.uint8:
        values = pixels.astype(np.float32) / 255
    elif np.issubdtype(pixels.dtype, np.integer):
        values = pixels.astype(np.float32) / 65535
    else:
        values = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=1.0, neginf=0.0)
    return values.clip(0, 1)


def _limit(pixels: Tensor, largest_side: int | None, notes: list[str], path: Path) -> Tensor:
    """Scale a picture (H, W, C) down to ``largest_side``, averaging light."""
    height, width = pixels.shape[:2]
    scale = 1.0 if largest_side is None else largest_side / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(SMALLEST, round(height * scale)), max(SMALLEST, round(width * scale)))
    notes.append(f"{path.name} ({width}×{height}) is worked on at {size[1]}×{size[0]}.")
    small = torch.nn.functional.interpolate(pixels.permute(2, 0, 1)[None], size, mode="area")
    return small[0].permute(1, 2, 0).contiguous()
