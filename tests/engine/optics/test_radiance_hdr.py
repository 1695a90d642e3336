# SPDX-License-Identifier: GPL-3.0-or-later
"""Radiance's pictures: values far above white, packed and not, and what is cut off."""

from pathlib import Path

import numpy as np
import pytest
from limelight.backend.errors import BadInput
from limelight.backend.optics.photo import read_photo
from limelight.backend.optics.radiance_hdr import read_hdr

HEAD = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 16 +X 16\n"


def test_a_packed_picture_has_its_values(tmp_path: Path) -> None:
    row = bytes([2, 2, 0, 16]) + bytes([144, 128]) + bytes([16, *range(16)]) + bytes([144, 0]) + bytes([144, 139])
    (tmp_path / "a.hdr").write_bytes(HEAD + row * 16)
    found = read_hdr(tmp_path / "a.hdr")
    assert found.shape == (16, 16, 3) and np.all(found[..., 0] == 1024)
    assert np.array_equal(found[3, :, 1], np.arange(16) * 8.0) and not found[..., 2].any()
    (tmp_path / "b.hdr").write_bytes(HEAD + (row * 16)[:-3])
    with pytest.raises(BadInput, match="cut off"):
        read_photo(tmp_path / "b.hdr")


def test_a_flat_picture_keeps_what_is_brighter_than_white(tmp_path: Path) -> None:
    (tmp_path / "a.hdr").write_bytes(HEAD + bytes([128, 64, 32, 131]) * 256)
    assert read_photo(tmp_path / "a.hdr").radiance[5, 5].tolist() == [4.0, 2.0, 1.0]
