# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo's file tells beside its pixels, and what it tells wrongly."""

from __future__ import annotations

import imagecodecs
import numpy as np
import OpenEXR
import pytest
import tifffile
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics import exr
from limelight.backend.optics.photo import picture_size, read_photo
from PIL import Image

_EXIF_IFD, _FOCAL_35MM = 0x8769, 41989


@pytest.mark.parametrize(
    ("told", "millimetres"), [(28, 28.0), ((50, 60), None), ("abc", None), (0, None), (None, None)]
)
def test_a_focal_length_that_is_none_is_as_good_as_missing(tmp_path, told, millimetres):
    exif = Image.Exif()
    if told is not None:
        exif.get_ifd(_EXIF_IFD)[_FOCAL_35MM] = told
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "photo.jpg", exif=exif)
    assert read_photo(tmp_path / "photo.jpg").focal_35mm == millimetres


def test_who_has_a_video_for_a_picture_is_told_to_name_one_of_its_frames(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(bytes(500))
    with pytest.raises(BadInput) as caught:
        read_photo(tmp_path / "clip.mp4")
    assert "ffmpeg -i" in caught.value.remedy and caught.value.remedy.endswith("give one of them instead.")


def test_a_raw_photo_is_not_taken_for_its_tiny_preview(tmp_path):
    tifffile.imwrite(tmp_path / "a.NEF", np.ones((120, 160, 3), np.uint8), photometric="rgb", subfiletype=1)
    for read in (read_photo, picture_size):
        with pytest.raises(BadInput, match="is a raw photo"):
            read(tmp_path / "a.NEF")


def test_a_palette_is_seen_through_its_colour_profile(tmp_path):
    profile = bytes(imagecodecs.cms_profile("adobergb"))
    picture = Image.new("RGB", (32, 32), (40, 200, 60))
    picture.save(tmp_path / "plain.png", icc_profile=profile)
    picture.quantize(4).save(tmp_path / "palette.png", icc_profile=profile)
    plain, palette = (read_photo(tmp_path / f"{name}.png").radiance for name in ("plain", "palette"))
    assert torch.equal(plain, palette)


def test_a_tiff_of_a_kind_that_is_not_read_is_not_told_to_be_a_tiff(tmp_path):
    grey = np.ones((32, 32), np.float32)
    for pixels in (np.dstack([grey] * 3), grey, grey.astype(np.uint32), grey.astype(np.int16)):
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
        with pytest.raises(BadInput, match="no TIFF of 8 or 16 bits"):
            read_photo(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", (grey * 65535).astype(np.uint16))
    assert torch.allclose(read_photo(tmp_path / "a.tif").radiance, torch.ones(32, 32, 3))


def _written(path, channels, **header):
    fields = {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.scanlineimage, **header}
    OpenEXR.File(fields, channels).write(str(path))
    return path


def test_an_exr_that_stores_a_part_of_its_frame_says_so(tmp_path):
    pixels = {"RGB": np.full((40, 70, 3), 0.5, np.float32)}
    windows = [(np.array(low, "i4"), np.array(high, "i4")) for low, high in (((30, 20), (99, 59)), ((0, 0), (127, 95)))]
    cut = read_photo(_written(tmp_path / "cut.exr", pixels, dataWindow=windows[0], displayWindow=windows[1]))
    assert cut.radiance.shape == (40, 70, 3) and "70×40 pixels of a frame of 128×96" in cut.warnings[0]
    assert not read_photo(_written(tmp_path / "whole.exr", pixels)).warnings


def test_deep_pixels_and_chroma_are_refused_for_what_they_are(tmp_path):
    grey = np.full((32, 32), 0.5, np.float32)
    with pytest.raises(BadInput, match="expected R, G, B"):
        read_photo(_written(tmp_path / "chroma.exr", {"Y": grey, "RY": grey, "BY": grey}))
    samples = np.empty((32, 32), object)
    for at in np.ndindex(32, 32):
        samples[at] = np.ones(2, np.float32)
    with pytest.raises(BadInput, match="deep pixels"):
        read_photo(_written(tmp_path / "deep.exr", dict.fromkeys("RGBA", samples), type=OpenEXR.deepscanline))


def test_a_phones_photo_with_a_map_behind_it_is_not_told_to_be_animated(tmp_path):
    photo = Image.new("RGB", (32, 24), (200, 100, 50))
    photo.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    read = read_photo(tmp_path / "phone.jpg")
    assert read.warnings == ["phone.jpg holds several pictures; the first is used."]
    assert read.radiance.shape == (24, 32, 3)


def test_a_pixel_that_is_no_number_is_black_and_opaque(tmp_path):
    pixels = torch.full((16, 16, 4), 0.5)
    pixels[3, 4] = torch.nan
    exr.write_image(tmp_path / "a.exr", pixels)
    photo = read_photo(tmp_path / "a.exr")
    assert photo.alpha is not None and photo.radiance[3, 4].tolist() == [0, 0, 0]
    assert float(photo.alpha[3, 4]) == 1 and float(photo.alpha[0, 0]) == 0.5
