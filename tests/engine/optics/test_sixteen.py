# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour pictures of 16 bits a channel: every value, upright, in sRGB."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics.exposure import srgb_eotf
from limelight.backend.optics.photo import read_photo
from PIL import Image, ImageOps

PIXELS = np.random.default_rng(0).integers(0, 65536, (24, 36, 3), dtype=np.uint16)
ALPHA = np.random.default_rng(1).integers(1, 65536, (24, 36, 1), dtype=np.uint16)


def radiance(pixels: np.ndarray) -> torch.Tensor:
    return srgb_eotf(torch.from_numpy(pixels.astype(np.float32) / 65535))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_all_bits_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"deep{suffix}"
    for pixels in (PIXELS, np.concatenate([PIXELS, ALPHA], -1)):
        if suffix == ".png":
            path.write_bytes(imagecodecs.png_encode(pixels))
        else:
            kept = ["unassalpha"] if pixels.shape[-1] == 4 else []
            tifffile.imwrite(path, pixels, photometric="rgb", extrasamples=kept)
        photo = read_photo(path)
        assert torch.allclose(photo.radiance, radiance(PIXELS), atol=1e-7)
        assert (photo.alpha is None) == (pixels.shape[-1] == 3)
    assert photo.alpha is not None and np.allclose(photo.alpha * 65535, ALPHA[..., 0])


def test_tiffs_of_other_layouts(tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.moveaxis(PIXELS, -1, 0), photometric="rgb", planarconfig="separate")
    assert torch.allclose(read_photo(path).radiance, radiance(PIXELS), atol=1e-7)
    # Colours that alpha is multiplied into come out without it.
    dimmed = (PIXELS.astype(float) * 0.5).round().astype(np.uint16)
    half = np.full_like(ALPHA, 32768)
    tifffile.imwrite(path, np.concatenate([dimmed, half], -1), photometric="rgb", extrasamples=["assocalpha"])
    assert torch.allclose(read_photo(path).radiance, radiance(PIXELS), atol=1e-4)
    tifffile.imwrite(path, np.concatenate([PIXELS, half], -1), photometric="rgb", extrasamples=["unspecified"])
    assert read_photo(path).alpha is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_was_held_as_exif_says(tmp_path: Path, orientation: int) -> None:
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "turned.tif", PIXELS, photometric="rgb", extratags=tag)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray((PIXELS >> 8).astype(np.uint8)).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        wanted = np.asarray(ImageOps.exif_transpose(image))
    found = read_photo(tmp_path / "turned.tif").radiance
    assert found.shape == wanted.shape and torch.allclose(found, radiance(wanted * np.uint16(257)), atol=0.02)


def test_a_colour_profile_is_used_or_said_to_be_unusable(tmp_path: Path) -> None:
    soft = (PIXELS // 4 + 20000).astype(np.uint16)
    for profile, name in ((imagecodecs.cms_profile("adobergb"), "adobe"), (b"no profile", "broken")):
        tifffile.imwrite(tmp_path / f"{name}.tif", soft, photometric="rgb", iccprofile=profile)
        eight = Image.fromarray((soft / 257).round().astype(np.uint8))
        eight.save(tmp_path / f"{name}.png", icc_profile=profile)
        deep, plain = read_photo(tmp_path / f"{name}.tif"), read_photo(tmp_path / f"{name}.png")
        assert torch.allclose(deep.radiance, plain.radiance, atol=0.02)
        assert bool(deep.warnings) == (name == "broken")
    assert not torch.allclose(read_photo(tmp_path / "adobe.tif").radiance, radiance(soft), atol=0.02)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_cut_off_file_is_a_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"deep{suffix}"
    if suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(PIXELS))
    else:
        tifffile.imwrite(path, PIXELS, photometric="rgb")
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadInput, match="damaged"):
        read_photo(path)
