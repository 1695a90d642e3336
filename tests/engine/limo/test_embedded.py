# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded painter: what it is shown, the network, sampling, weights on disk."""

import json

import pytest
import torch
from limelight.backend.errors import Cancelled, MissingPart
from limelight.backend.limo.embedded import encode as enc
from limelight.backend.limo.embedded import paint
from limelight.backend.limo.embedded.model import PainterConfig, SphereUNet
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import EVS, unexpose
from limelight.backend.optics.sphere import SphereView
from safetensors.torch import save_file

TINY = PainterConfig(widths=(16, 16, 24), tokens=16, embedding=32, heads=2)


@pytest.fixture
def view() -> View:
    camera = Camera.from_fov(120, 80, 60)
    radiance = (camera.rays() * 0.5 + 0.5).clamp(0, 1)
    return View(radiance, torch.full((80, 120), 6.0), camera)


@pytest.fixture
def probe() -> Probe:
    return Probe("p", torch.tensor([0.4, -0.3, -2.0]), 0.2)


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    network = SphereUNet(TINY)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    path = tmp_path / "limo_embedded.safetensors"
    save_file(network.state_dict(), path, {"config": json.dumps(TINY.to_dict())})
    return path


def test_radiance_code_inverts_from_black_to_the_sun():
    radiance = torch.tensor([0.0, 1e-3, 0.18, 1.0, 4000.0, 60000.0])
    assert torch.allclose(enc.decode_radiance(enc.encode_radiance(radiance)), radiance, rtol=1e-3, atol=1e-6)


def test_the_painted_code_inverts_and_holds_grey_in_one_channel_alone():
    spheres = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(enc.from_code(enc.to_code(spheres)), spheres, atol=1e-5)
    grey = torch.randn(1, 2, 1, 8, 8).expand(1, 2, 3, 8, 8).flatten(1, 2)
    code = enc.to_code(grey).unflatten(1, (2, 3))
    assert torch.allclose(code[:, :, 0], grey[:, ::3], atol=1e-6)
    assert float(code[:, :, 1:].abs().max()) < 1e-5


def test_the_seen_part_of_the_mirror_shows_the_photo(view, probe):
    inputs = enc.encode(view, probe)
    towards, seen = inputs.sphere[4:7].permute(1, 2, 0), inputs.sphere[10]
    certain = (seen > 0.99) & (inputs.sphere[0] > 0)
    assert int(certain.sum()) > 50
    # The photo paints every wall point with its own view direction: follow the mirror direction to the wall.
    start = probe.position
    distance = (-6.0 - start[2]) / towards[..., 2]
    wall = start + towards * distance[..., None]
    expected = torch.nn.functional.normalize(wall, dim=-1) * 0.5 + 0.5
    found = enc.decode_radiance(inputs.sphere[7:10]).permute(1, 2, 0)
    assert float((found - expected)[certain].abs().mean()) < 0.02


def test_the_fill_completes_a_map_and_keeps_what_is_known():
    known = torch.full((48, 96, 3), 0.25)
    seen = torch.zeros(48, 96)
    seen[10:40, 20:60] = 1
    filled = enc.fill_unseen(known * seen[..., None], seen)
    assert torch.allclose(filled, known, atol=1e-4)


def test_mirroring_the_inputs_equals_mirroring_the_scene(view, probe):
    flipped = View(view.radiance.flip(1), view.depth.flip(1), view.camera)
    other = Probe("p", probe.position * torch.tensor([-1.0, 1, 1]), probe.radius)
    straight, turned = enc.encode(view, probe), enc.encode(flipped, other)
    target = torch.zeros(1, 6, 64, 64)
    sphere, context, _ = enc.flip(straight.sphere[None], straight.context[None], target)
    assert float((context[0] - turned.context).abs().mean()) < 0.01
    assert float((sphere[0] - turned.sphere).abs().mean()) < 0.02


def test_painting_is_reproducible_bracketed_and_independent_of_company(view, probe, weights):
    painter = paint.EmbeddedPainter(weights=weights)
    other = Probe("q", torch.tensor([-0.5, 0.2, -3.0]), 0.2)
    first = painter.paint(view, [probe], steps=2, seed=5)[0]
    again = painter.paint(view, [other, probe], steps=2, seed=5)[1]
    assert torch.equal(first.mirror, again.mirror)
    assert not torch.equal(first.mirror, painter.paint(view, [probe], steps=2, seed=6)[0].mirror)
    assert first.mirror.shape == (len(EVS), 64, 64, 3)
    assert bool((first.mirror[0] >= first.mirror[1]).all())
    unclipped = first.mirror[0] < 0.99
    darker = unexpose(first.mirror[1], -3)
    assert torch.allclose(darker[unclipped], unexpose(first.mirror[0], 0)[unclipped], rtol=1e-3, atol=1e-5)
    assert float(first.diffuse[:, ~first.view.mask].abs().max()) == 0.0


def test_takes_are_painted_alone_averaged_and_compared(view, probe, weights):
    takes = [
        paint.EmbeddedPainter(weights=weights, take=n).paint(view, [probe], steps=2, seed=5)[0] for n in (1, 2, 3, 4)
    ]
    (average,) = paint.EmbeddedPainter(weights=weights, takes=4).paint(view, [probe], steps=2, seed=5)
    assert takes[0].spread is None
    assert not torch.equal(takes[0].mirror, takes[1].mirror)
    on = average.view.mask
    mean = torch.stack([unexpose(take.diffuse[-1], take.evs[-1])[on] for take in takes]).mean(0)
    shown = unexpose(average.diffuse[-1], average.evs[-1])[on]
    assert float(((mean - shown).abs() / (shown + 1)).mean()) < 0.05
    assert average.spread is not None
    assert average.spread.brightness_stops > 0
    assert average.spread.direction_deg > 0


def test_the_spread_of_takes_is_in_stops_and_degrees(probe):
    close_up = SphereView(probe.position, probe.radius, 64)

    def lit(towards, level):
        facing = (close_up.normals @ torch.tensor(towards)).clamp(min=0) * close_up.mask
        return level * facing.expand(3, -1, -1)

    front, side = (0.0, 0.0, 1.0), (0.5**0.5, 0.0, 0.5**0.5)
    doubled = paint.spread_of(torch.stack([lit(front, 1.0), lit(front, 2.0)]), close_up)
    assert doubled.brightness_stops == pytest.approx(0.5**0.5, abs=1e-3)
    assert doubled.direction_deg == pytest.approx(0, abs=0.1)
    turned = paint.spread_of(torch.stack([lit(front, 1.0), lit(side, 1.0)]), close_up)
    assert 5 < turned.direction_deg < 23


def test_cancel_passes_through_a_denoising_step(view, probe, weights):
    painter = paint.EmbeddedPainter(weights=weights)
    calls = []

    def progress(fraction):
        calls.append(fraction)
        raise Cancelled

    with pytest.raises(Cancelled):
        painter.paint(view, [probe], steps=20, progress=progress)
    assert calls == [pytest.approx(0.05)]


def test_missing_and_damaged_weights_say_so(tmp_path, weights):
    with pytest.raises(MissingPart, match="missing"):
        paint.load_network(tmp_path / "none.safetensors")
    weights.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(MissingPart, match="damaged"):
        paint.load_network(weights)


def test_the_shipped_network_is_within_its_size():
    assert sum(p.numel() for p in SphereUNet().parameters()) <= 10_000_000


def test_directions_given_to_the_network_are_unit_and_cover_the_back(view, probe):
    inputs = enc.encode(view, probe)
    on = inputs.sphere[0] > 0
    lengths = inputs.sphere[4:7].norm(dim=0)[on]
    assert torch.allclose(lengths, torch.ones_like(lengths), atol=1e-4)
    assert float(inputs.sphere[6][on].max()) > 0.9
