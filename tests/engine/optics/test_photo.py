# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo's file tells beside its pixels, and what it tells wrongly."""

from __future__ import annotations

import numpy as np
import pytest
from limelight.backend.errors import BadInput
from limelight.backend.optics.photo import read_photo
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
