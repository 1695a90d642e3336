# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded painter over time: rest stays rest, noise goes, motion is followed, a switched lamp is kept."""

from __future__ import annotations

import json
import math

import pytest
import torch
from limelight.backend.limo.embedded import over_time, paint
from limelight.backend.limo.embedded.encode import CROP, encode, encode_radiance
from limelight.backend.limo.embedded.model import PainterConfig, SphereUNet
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.sphere import SphereView
from safetensors.torch import save_file

TINY = PainterConfig(widths=(16, 16, 24), tokens=16, embedding=32, heads=2)
CAMERA = Camera.from_fov(48, 36, 70)
PROBE = Probe("p", torch.tensor([0.2, -0.1, -2.0]), 0.15)


def turned(degrees: float) -> torch.Tensor:
    a = math.radians(degrees)
    rows = [[math.cos(a), 0, math.sin(a), 0], [0, 1, 0, 0], [-math.sin(a), 0, math.cos(a), 0], [0, 0, 0, 1.0]]
    return torch.tensor(rows)


def waves(d: torch.Tensor) -> torch.Tensor:
    """Soft light of all directions (..., 3) of the world."""
    return 0.5 + 0.3 * torch.sin(3 * d + torch.tensor([0.0, 1.0, 2.0]))


def view(pose: torch.Tensor | None = None, gain: float = 1.0) -> View:
    pose = torch.eye(4) if pose is None else pose
    return View(waves(CAMERA.rays() @ pose[:3, :3].T) * gain, torch.full((36, 48), 50.0), CAMERA, pose)


def frame(seen: View) -> over_time.Frame:
    return over_time.Frame.of(seen, PROBE, encode(seen, PROBE))


def code(seen: View, gain: float = 1.0) -> torch.Tensor:
    """What a perfect painter paints of far waves: (6, S, S)."""
    ball = SphereView(PROBE.position, PROBE.radius, CROP)
    assert seen.camera_to_world is not None
    turn = seen.camera_to_world[:3, :3]
    both = torch.cat([waves(ball.reflected @ turn.T), waves(ball.normals @ turn.T)], -1) * gain
    return encode_radiance(both * ball.mask[..., None]).permute(2, 0, 1)


def noise(count: int) -> torch.Tensor:
    return 0.05 * torch.randn(count, 6, CROP, CROP, generator=torch.Generator().manual_seed(0))


INSIDE = SphereView(PROBE.position, PROBE.radius, CROP).mask


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b)[..., INSIDE].square().mean().sqrt())


def test_mixing_follows_a_turning_camera_and_takes_noise_away() -> None:
    seen = [view(turned(2.0 * i)) for i in range(7)]
    clean, frames = torch.stack([code(s) for s in seen]), [frame(s) for s in seen]
    mixed = over_time.mixed(clean, frames)
    assert error(mixed[3], clean[3]) < 0.2 * error(clean[1], clean[3])
    shaken = clean + noise(7)
    assert error(over_time.mixed(shaken, frames)[3], clean[3]) < 0.65 * error(shaken[3], clean[3])


def test_a_switched_lamp_is_not_smoothed_away() -> None:
    gains = [1.0] * 5 + [0.8] * 5
    seen = [view(gain=g) for g in gains]
    clean = torch.stack([code(s, g) for s, g in zip(seen, gains, strict=True)])
    levels = over_time.mixed(clean, [frame(s) for s in seen])[:, :, INSIDE].mean((1, 2))
    step = float(levels[5] - levels[4]) / float(levels[-1] - levels[0])
    assert step > 0.97


def test_a_fade_is_followed_without_a_lag() -> None:
    gains = [1.0 + 0.04 * i for i in range(12)]
    seen = [view(gain=g) for g in gains]
    clean = torch.stack([code(s, g) for s, g in zip(seen, gains, strict=True)])
    mixed = over_time.mixed(clean, [frame(s) for s in seen])
    for t in range(4, 8):
        assert abs(float((mixed[t] - clean[t])[:, INSIDE].mean())) < 0.1 * float(
            (clean[t + 1] - clean[t])[:, INSIDE].mean()
        )


def test_a_slow_swing_of_the_light_is_not_cut() -> None:
    gains = [1.0 + 0.35 * math.sin(2 * math.pi * i / 9) for i in range(12)]
    seen = [view(turned(0.5 * i), g) for i, g in enumerate(gains)]
    clean = torch.stack([code(s, g) for s, g in zip(seen, gains, strict=True)])
    mixed = over_time.mixed(clean, [frame(s) for s in seen])
    levels, true = (each[:, :, INSIDE].mean((1, 2)) for each in (mixed, clean))
    assert float(levels.max() - levels.min()) > 0.95 * float(true.max() - true.min())


@pytest.fixture
def painter(tmp_path) -> paint.EmbeddedPainter:
    torch.manual_seed(0)
    network = SphereUNet(TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    path = tmp_path / "limo_embedded.safetensors"
    save_file(network.state_dict(), path, {"config": json.dumps(TINY.to_dict())})
    return paint.EmbeddedPainter(weights=path, takes=2)


def test_a_scene_at_rest_is_painted_at_rest_and_as_a_single_picture(painter) -> None:
    told: list[float] = []
    still = view()
    found = painter.paint_frames([still, view(), still], [PROBE] * 3, steps=1, seed=3, progress=told.append)
    (single,) = painter.paint(still, [PROBE], steps=1, seed=3)
    for spheres in found:
        # Moving along no motion moves nothing: rounding there would show in gradients as steep as those of lamps.
        torch.testing.assert_close(spheres.mirror, single.mirror, atol=1e-5, rtol=0)
        torch.testing.assert_close(spheres.diffuse, single.diffuse, atol=1e-5, rtol=0)
    assert told == sorted(told) and told[-1] == 1.0 and found[0].spread is not None


def test_a_part_of_a_sequence_comes_out_as_in_the_whole(painter) -> None:
    count, start = 2 * painter.reach + 4, 2
    seen = [view(turned(0.7 * i), 1 + 0.3 * (i > 9)) for i in range(count)]
    whole = painter.paint_frames(seen, [PROBE] * count, steps=1)
    part = painter.paint_frames(seen[start:], [PROBE] * (count - start), steps=1)
    at = start + painter.reach
    torch.testing.assert_close(part[at - start].mirror, whole[at].mirror, atol=1e-4, rtol=0)
    torch.testing.assert_close(part[at - start].diffuse, whole[at].diffuse, atol=1e-4, rtol=0)
