# SPDX-License-Identifier: GPL-3.0-or-later
"""How a camera was held, and its lens, out of a photo's file, whatever its format."""

import math
import struct

import bpy
import numpy as np
import pytest
from limelight.scene import plate


def exif(orientation: int, focal: int, pixels: int = 0) -> bytes:
    """EXIF data that hold orientation and 35-mm focal length, big-endian; behind so many bytes of a TIFF's pixels."""
    detail = struct.pack(">H", 1) + struct.pack(">HHIHH", 0xA405, 3, 1, focal, 0) + b"\0" * 4
    main = struct.pack(">H", 2) + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    main += struct.pack(">HHII", 0x8769, 4, 1, 8 + pixels + 2 + 24 + 4) + b"\0" * 4
    return b"MM\0*" + struct.pack(">I", 8 + pixels) + b"x" * pixels + main + detail


def jpeg(data: bytes) -> bytes:
    """The start of a JPEG."""
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(data) + 8) + b"Exif\0\0" + data


def png(data: bytes) -> bytes:
    """The chunks of a PNG, checksums aside."""
    chunks = ((b"IHDR", b"x" * 13), (b"IDAT", b"eXIf" * 90_000), (b"eXIf", data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(c)) + name + c + b"sum!" for name, c in chunks)


def webp(data: bytes) -> bytes:
    """The chunks of a WebP, one of an odd length."""
    chunks = ((b"VP8 ", b"x" * 300_001), (b"EXIF", b"Exif\0\0" + data))
    body = b"".join(name + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for name, c in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize("form", [jpeg, png, webp, bytes])
def test_orientation_and_focal_length_are_read(tmp_path, form):
    (tmp_path / "a").write_bytes(form(exif(6, 28)))
    assert plate.read_exif(tmp_path / "a") == (6, 28.0)
    (tmp_path / "b").write_bytes(form(exif(6, 28))[:-40])
    assert plate.read_exif(tmp_path / "b") == (1, None)


def test_a_tiff_tells_of_its_camera_behind_its_pixels(tmp_path):
    (tmp_path / "a.tif").write_bytes(exif(6, 28, 300_000))
    assert plate.read_exif(tmp_path / "a.tif") == (6, 28.0)
    (tmp_path / "a.tif").write_bytes(exif(6, 28, 300_000)[:-40])
    assert plate.read_exif(tmp_path / "a.tif") == (1, None)


def test_what_is_no_photo_of_a_camera_is_upright(tmp_path):
    for data in (b"", b"RIFF", b"\x89PNG\r\n\x1a\n", png(b"")[:60], b"no picture"):
        (tmp_path / "a").write_bytes(data)
        assert plate.read_exif(tmp_path / "a") == (1, None)


def test_turning_puts_the_top_on_top():
    # Orientation 6: the picture's first row is the scene's right side.
    grid = np.arange(6).reshape(2, 3, 1)
    assert plate.turn(grid, 6)[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert plate.turn(grid, 3)[..., 0].tolist() == [[5, 4, 3], [2, 1, 0]]
    assert plate.turn(grid, 8)[..., 0].tolist() == [[2, 5], [1, 4], [0, 3]]


@pytest.fixture
def save(scene, tmp_path):
    """``save(name, focal)``: a JPEG of 40 × 60 pixels, upright, of a lens as long as that, of one grey."""

    def write(name, focal, orientation=1, grey=0.0):
        picture = bpy.data.images.new("out", 40, 60)
        picture.pixels[:] = (grey, grey, grey, 1.0) * 2400
        picture.filepath_raw, picture.file_format = str(tmp_path / name), "JPEG"
        picture.save()
        bpy.data.images.remove(picture)
        raw = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(jpeg(exif(orientation, focal)) + raw[2:])
        return str(tmp_path / name)

    return write


def test_the_view_angle_is_that_of_the_chosen_portrait_however_it_was_chosen(scene, save):
    settings = scene.limelight.face
    angle = 2 * math.atan(18 / 85 * 40 / 60)
    settings.picture = bpy.data.images.load(save("ä 85.jpg", 85))
    assert settings.fov == pytest.approx(angle, abs=1e-4)
    settings.picture = bpy.data.images.new("no photo", 80, 80)
    assert settings.fov == 0, "the last one's lens is not this one's"
    turned = plate.load_once(save("turned.jpg", 85, 6))
    settings.picture = turned
    assert tuple(turned.size) == (60, 40) and settings.fov == pytest.approx(2 * math.atan(18 / 85), abs=1e-4)
    settings.picture = None
    assert settings.fov == 0


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_was_written_over_shows_what_it_holds_now(scene, save, packed, orientation):
    def look(image):
        return round(image.pixels[0], 1)

    earlier = plate.load_once(save("ä.jpg", 85, orientation, 0.2))
    earlier.limelight.faces.add()
    if packed and not earlier.packed_file:
        earlier.pack()
    assert look(earlier) == 0.2 and plate.load_once(save("ä.jpg", 85, orientation, 0.2)) == earlier
    assert len(earlier.limelight.faces) == 1
    now = plate.load_once(save("ä.jpg", 85, orientation, 0.8))
    assert look(now) == 0.8 and not now.limelight.faces
    if packed or orientation > 1:
        assert now != earlier and look(earlier) == 0.2, "what the file keeps is not lost"
        assert len(earlier.limelight.faces) == 1
    else:
        assert now == earlier
    assert plate.load_once(save("ä.jpg", 85, orientation, 0.8)) == now


def test_what_was_painted_is_not_taken_for_the_file(scene, save):
    painted = plate.load_once(save("ä.jpg", 85))
    painted.pixels[0] = 0.5
    again = plate.load_once(save("ä.jpg", 85))
    assert again != painted and painted.is_dirty and not again.is_dirty
