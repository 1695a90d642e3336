# SPDX-License-Identifier: GPL-3.0-or-later
"""Every embedded model on another device than the processor: nothing of it may stay behind, nothing may leak out."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from limelight.backend.depth.embedded import EmbeddedDepth
from limelight.backend.direction.estimate import estimate as find_direction
from limelight.backend.limo.backbone.parts import network_dtype
from limelight.backend.limo.embedded.paint import EmbeddedPainter
from limelight.backend.limo.view import Probe, View
from limelight.backend.luminet.embedded import load_relighter
from limelight.backend.luminet.estimate import estimate as relight
from limelight.backend.luminet.estimate import light_code
from limelight.backend.optics.camera import Camera
from limelight.backend.relightify.prior import EFFORTS, Effort, load_prior
from limelight.backend.relightify.records import PartialTexture
from limelight.tests.engine.elsewhere import DEVICE, Elsewhere

PROBE = Probe("p", torch.tensor([0.3, -0.2, -2.0]), 0.4)


@pytest.fixture(autouse=True)
def device(monkeypatch):
    """The other device; no automatic precision is known for it."""
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())
    with Elsewhere():
        yield DEVICE


@pytest.fixture
def view() -> View:
    camera = Camera.from_fov(64, 48, 60)
    return View((camera.rays() * 0.5 + 0.5).clamp(0, 1), 4 + camera.rays()[..., 0], camera)


def test_the_device_refuses_what_a_gpu_refuses(device):
    there = torch.zeros(3, device=device)
    with pytest.raises(RuntimeError):
        there + torch.zeros(3)
    with pytest.raises(TypeError):
        there.numpy()
    assert there.cpu().tolist() == [0.5] * 3 and float(there.sum()) == 0.5


@pytest.mark.parametrize("effort", [EFFORTS["normal"], Effort(2, hint=False, guidance=0.3, repeats=2)])
def test_the_prior_of_faces(device, effort):
    mask = torch.zeros(1, 256, 256)
    mask[:, 40:200, 30:120] = 1
    known = PartialTexture(torch.rand(3, 256, 256), mask)
    prior = load_prior(device=device)
    assert prior.complete(known, effort).device.type == "cpu"
    assert prior.expected(known).device.type == "cpu"


def test_the_painter_of_spheres(device, view):
    painter = EmbeddedPainter(device, takes=2)
    (spheres,) = painter.paint(view, [PROBE], steps=2)
    assert spheres.mirror.device.type == spheres.diffuse.device.type == "cpu"
    frames = painter.paint_frames([view, view], [PROBE, PROBE], steps=1)
    assert {frame.mirror.device.type for frame in frames} == {"cpu"}


def test_depth_and_direction(device, view):
    depth = EmbeddedDepth(device).estimate(view.radiance, None)
    assert depth.depth.device.type == "cpu" and depth.fov_x_deg > 0
    found = find_direction(view.radiance, view.camera, (0.6, 0.5), device=device, depth=view.depth)
    assert found.vector.device.type == "cpu"


def test_relighting(device):
    relighter = load_relighter(device=device)
    picture = torch.rand(3, relighter.size, relighter.size)
    code = torch.nn.functional.normalize(torch.linspace(-1, 1, 16), dim=0)
    assert light_code(picture, relighter).device.type == "cpu"
    assert relight(picture, code, relighter, quality="high").ratio.device.type == "cpu"
    assert relighter.decode(picture, code).device.type == "cpu"


@pytest.mark.parametrize(("capability", "dtype"), [((9, 0), torch.bfloat16), ((7, 5), torch.float16)])
def test_cards_that_only_emulate_bfloat16_compute_in_float16(monkeypatch, capability, dtype):
    """As torch says of the card that is asked for, not of the first one."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", {"cuda:1": capability}.__getitem__)
    assert network_dtype("cuda:1") == dtype and network_dtype("cpu") == torch.float32
