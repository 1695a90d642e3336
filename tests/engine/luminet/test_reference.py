# SPDX-License-Identifier: GPL-3.0-or-later
"""HDRIs as references: their light divided among the rig's lamps, and the grey room under these."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput, MissingPart
from limelight.backend.luminet import reference, rig
from limelight.backend.optics import exr
from limelight.backend.optics import panorama as pano
from limelight.synthesis import light_sets
from limelight.tests.engine.luminet.fake import Fake
from safetensors.torch import save_file

NAMES = list(rig.RIG)


def lamp(direction: torch.Tensor, colour: tuple[float, float, float] = (1, 1, 1), height: int = 64) -> torch.Tensor:
    """A panorama (N, 2N, 3) with one small lamp that gives irradiance ``colour``."""
    near = (pano.directions(height) @ direction > math.cos(math.radians(6)))[..., None].float()
    flux = (near * pano.solid_angles(height)[..., None]).sum()
    return near / flux * torch.tensor(colour)


@pytest.fixture
def room(tmp_path, monkeypatch) -> torch.Tensor:
    """A grey room whose lamp k lights column k."""
    lights = torch.full((8, 3, 16, 16), 0.01)
    for k in range(8):
        lights[k, :, :, 2 * k : 2 * k + 2] = 0.5
    save_file({"lights": lights.half()}, tmp_path / "room.safetensors")
    read = reference.load_room
    monkeypatch.setattr(reference, "load_room", lambda: read(tmp_path / "room.safetensors"))
    return lights


def test_the_rig_is_the_one_that_the_rooms_are_rendered_with() -> None:
    assert light_sets.RIG is rig.RIG
    towards = dict(zip(NAMES, rig.directions(), strict=True))
    assert float(towards["left"][0]) < -0.9 and float(towards["above"][1]) > 0.95
    assert float(towards["behind"][2]) > 0.8 and float(towards["right ahead"][2]) < -0.6


@pytest.mark.parametrize("index", range(8), ids=NAMES)
def test_a_lamp_in_the_rigs_place_is_that_lamp(index: int) -> None:
    weights = reference.rig_weights(lamp(rig.directions()[index], (1.0, 0.5, 0.25)))
    assert int(weights[:, 0].argmax()) == index and float(weights[index, 0]) > 0.6
    assert torch.allclose(weights.sum(0), torch.tensor([1.0, 0.5, 0.25]), rtol=1e-3)
    assert torch.allclose(weights[:, 2], weights[:, 0] / 4, rtol=1e-3)


def test_light_is_additive_and_none_is_lost() -> None:
    a, b = torch.rand(32, 64, 3), lamp(rig.directions()[2])
    whole = reference.rig_weights(pano.resize(a, 64) + b)
    assert torch.allclose(whole, reference.rig_weights(a) + reference.rig_weights(b), rtol=0.02)
    assert torch.allclose(whole.sum(0), pano.mean_radiance(a) * 4 * math.pi + 1, rtol=1e-3)
    assert float(whole.min()) >= 0


def write(path: Path, panorama: torch.Tensor, frame: pano.Frame = "camera") -> Path:
    exr.write_panorama(path, panorama, frame=frame)
    return path


def test_an_hdri_lights_the_grey_room(tmp_path, room) -> None:
    relighter = Fake(size=24)
    left = write(tmp_path / "left.exr", lamp(rig.directions()[NAMES.index("left")], (1.0, 0.3, 0.1)))
    code, notes = reference.reference_code(left, "auto", relighter)
    assert abs(float(code.norm()) - 1) < 1e-5 and notes == []
    assert float(code[0]) > float(code[1]) > float(code[2])
    # Brightness is the exposure's business: only the light's colour and direction count.
    brighter = write(tmp_path / "b.exr", 300 * lamp(rig.directions()[NAMES.index("left")], (1.0, 0.3, 0.1)))
    assert torch.allclose(reference.reference_code(brighter, "auto", relighter)[0], code, atol=1e-3)
    lit = reference.lit_room(reference.rig_weights(lamp(rig.directions()[3])), room)
    assert int(lit.mean((0, 1)).argmax()) // 2 == 3
    # A large .hdr is no different: 1024 pixels across, of the same lamp.
    large = pano.resize(lamp(rig.directions()[NAMES.index("left")], (1.0, 0.3, 0.1)), 512)
    write_hdr(tmp_path / "left.hdr", large.numpy())
    assert torch.allclose(reference.reference_code(tmp_path / "left.hdr", "auto", relighter)[0], code, atol=5e-3)
    world = write(tmp_path / "world.exr", torch.ones(32, 64, 3), "world")
    assert "+X" in reference.reference_code(world, "hdri", relighter)[1][0]


def test_the_kind_decides_what_a_panorama_is(tmp_path, room) -> None:
    path = write(tmp_path / "p.exr", torch.rand(32, 64, 3))
    assert reference.is_panorama(path, "auto") and not reference.is_panorama(path, "photo")
    reference.reference_code(path, "photo", Fake())
    exr.write_image(tmp_path / "render.exr", torch.rand(48, 64, 3))
    assert not reference.is_panorama(tmp_path / "render.exr", "auto")
    with pytest.raises(BadInput, match="twice as wide"):
        reference.reference_code(tmp_path / "render.exr", "hdri", Fake())
    with pytest.raises(BadInput, match="black"):
        reference.reference_code(write(tmp_path / "black.exr", torch.zeros(32, 64, 3)), "auto", Fake())


def test_a_missing_or_damaged_room_is_a_missing_part(tmp_path) -> None:
    with pytest.raises(MissingPart, match="missing"):
        reference.load_room(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no room")
    with pytest.raises(MissingPart, match="damaged"):
        reference.load_room(tmp_path / "bad.safetensors")
    save_file({"lights": torch.zeros(3, 3, 8, 8)}, tmp_path / "few.safetensors")
    with pytest.raises(MissingPart, match="shape"):
        reference.load_room(tmp_path / "few.safetensors")


def write_hdr(path: Path, radiance: np.ndarray) -> None:
    """A .hdr picture without run lengths."""
    most = radiance.max(-1, keepdims=True).clip(1e-9)
    exponent = np.floor(np.log2(most)) + 1
    rgbe = np.concatenate([radiance / np.exp2(exponent - 8), exponent + 128], -1).clip(0, 255).astype(np.uint8)
    rgbe[most[..., 0] < 1e-8] = 0
    path.write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % radiance.shape[:2] + rgbe.tobytes())
