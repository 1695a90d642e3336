# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the light of a picture comes from: frames, mirror images, the interface, bad input, missing models."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from limelight.backend import models
from limelight.backend.direction import bins, embedded
from limelight.backend.direction import estimate as estimation
from limelight.backend.direction.estimate import EMBEDDED, SHADING, estimate
from limelight.backend.direction.job import DirectionJob, run_direction
from limelight.backend.direction.network import (
    DirectionNet,
    Inputs,
    Space,
    decode_values,
    encode_values,
)  # fmt: skip
from limelight.backend.direction.shading import estimate_shading, normals
from limelight.backend.errors import BadInput, MissingPart
from limelight.backend.limo.report import SilentReport
from limelight.backend.limo.view import View
from limelight.backend.optics import exr
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.sphere import intersect
from safetensors.torch import save_file
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[3]
LIGHTS = [(-0.8, 0.5, 0.33), (0.7, 0.6, 0.4), (0.0, 0.9, 0.43), (0.5, -0.6, 0.62), (-0.3, 0.2, 0.93)]


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A tiny network's random weights in the place of those that ship."""
    torch.manual_seed(3)
    network = DirectionNet()
    for parameter in network.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    path = tmp_path / "direction_embedded.safetensors"
    header = {"config": json.dumps(network.config.to_dict()), "temperature": "1.5"}
    save_file({k: v.half() for k, v in network.state_dict().items()}, path, header)
    monkeypatch.setattr(embedded, "WEIGHTS", path)
    monkeypatch.setattr(embedded.load_network.__wrapped__, "__defaults__", (path, "cpu"))
    embedded.unload()
    yield path
    embedded.unload()


def ball(towards, ambient=0.05, key=0.8):
    """A grey ball lit from a unit direction on black, and its true depth: what shading should read without doubt."""
    camera = Camera.from_fov(96, 96, 40)
    ray = camera.rays()
    hit = intersect(ray, torch.tensor([0.0, 0.0, -4.0]), 1.2)
    light = ambient + key * (hit.normals @ towards).clamp(min=0)
    radiance = (light * hit.mask)[..., None].expand(-1, -1, 3).contiguous()
    distance = 4 * -ray[..., 2] - (1.2**2 - 16 * (1 - ray[..., 2] ** 2)).clamp(min=0).sqrt()
    depth = torch.where(hit.mask, distance * -ray[..., 2], torch.inf)
    return View(radiance, depth, camera)


@pytest.fixture
def photo():
    """A picture that is not its own mirror image, and its camera with a shifted lens."""
    generator = torch.Generator().manual_seed(5)
    small = torch.rand(1, 3, 5, 7, generator=generator)
    radiance = F.interpolate(small, (60, 90), mode="bilinear")[0].permute(1, 2, 0)
    return radiance, Camera(90, 60, 80.0, 80.0, 40.0, 33.0)


@pytest.mark.parametrize("towards", LIGHTS)
def test_shading_finds_the_light_of_a_ball(towards):
    towards = F.normalize(torch.tensor(towards), dim=0)
    view = ball(towards)
    found = estimate(view.radiance, view.camera, model=SHADING, depth=view.depth)
    assert float(bins.angle_deg(found.vector, towards)) < 8
    assert found.spread_deg < 40 and found.model == SHADING
    assert float(bins.angle_deg(bins.best_guess(found.distribution[None])[0][0], towards)) < 10


def test_shading_tells_a_hard_light_from_a_soft_one_and_knows_when_it_cannot():
    towards = F.normalize(torch.tensor([-0.5, 0.5, 0.7]), dim=0)
    hard, soft = (estimate_shading(ball(towards, ambient, 0.5)) for ambient in (0.02, 0.4))
    assert hard.key_to_fill > 2 * soft.key_to_fill
    flat = View(torch.full((40, 40, 3), 0.3), torch.full((40, 40), 3.0), Camera.from_fov(40, 40, 50))
    assert estimate_shading(flat).spread_deg > 45
    with pytest.raises(BadInput, match="Too little"):
        estimate_shading(View(torch.ones(40, 40, 3), torch.full((40, 40), torch.inf), flat.camera))


def test_normals_of_a_ball_are_those_of_the_ball():
    view = ball(torch.tensor([0.0, 1.0, 0.0]))
    found, known = normals(view.depth, view.camera)
    true = intersect(view.camera.rays(), torch.tensor([0.0, 0.0, -4.0]), 1.2).normals
    assert int(known.sum()) > 2000
    assert float(bins.angle_deg(found[known], true[known]).median()) < 1.5


def corner(width=90, height=60):
    """A view of a floor 1 m below the camera and a wall 4 m before it, through a shifted lens."""
    camera = Camera(width, height, 70.0, 75.0, 0.55 * width, 0.4 * height)
    down = camera.unit_depth_points()[..., 1]
    floor = torch.where(down < 0, -1 / down, torch.inf)
    return View(torch.rand(height, width, 3, generator=torch.Generator().manual_seed(5)), floor.clamp(max=4.0), camera)


def test_the_network_sees_every_pixel_in_its_place():
    view, probe = corner(), torch.tensor([0.3, -0.4, -2.0])
    space = Space.of(Inputs.of(view, probe))
    camera = view.camera.resized(32, 32)
    found = (space.towards * torch.exp(2 * space.distance))[0].movedim(0, -1) * 2 + probe
    down = camera.unit_depth_points()[..., 1]
    true = camera.unproject(torch.where(down < 0, -1 / down, torch.inf).clamp(max=4.0))
    # Where floor and wall meet, a pixel shows both.
    inside = ((down < -0.3) | (down > -0.2))[..., None]
    assert torch.allclose(found * inside, true * inside, atol=0.02)
    normal = space.normal[0].movedim(0, -1)
    assert torch.allclose(normal[-3, 16], torch.tensor([0.0, 1.0, 0.0]), atol=0.02)
    assert torch.allclose(normal[3, 16], torch.tensor([0.0, 0.0, 1.0]), atol=0.02)


def test_the_scale_of_a_scene_does_not_matter(weights):
    view, probe = corner(), torch.tensor([0.3, -0.4, -2.0])
    larger = View(view.radiance, view.depth * 7, view.camera)
    loaded = embedded.load_network()
    one = embedded.predict(loaded, Inputs.of(view, probe))[0]
    assert torch.allclose(one, embedded.predict(loaded, Inputs.of(larger, probe * 7))[0], atol=1e-5)
    assert not torch.allclose(one, embedded.predict(loaded, Inputs.of(larger, probe))[0], atol=1e-5)
    anywhere = embedded.predict(loaded, Inputs.of(view))[0]
    assert torch.allclose(anywhere, embedded.predict(loaded, Inputs.of(larger))[0], atol=1e-5)
    sky = View(view.radiance, torch.full_like(view.depth, torch.inf), view.camera)
    assert bool(torch.isfinite(embedded.predict(loaded, Inputs.of(sky))[0]).all())


@pytest.mark.parametrize("probe", [None, (0.3, 0.7)])
def test_a_mirrored_picture_has_the_mirrored_answer(weights, photo, probe):
    radiance, camera = photo
    turned = Camera(camera.width, camera.height, camera.fx, camera.fy, camera.width - camera.cx, camera.cy)
    found = estimate(radiance, camera, probe, model=EMBEDDED)
    again = estimate(radiance.flip(1), turned, probe and (1 - probe[0], probe[1]), model=EMBEDDED)
    assert torch.allclose(found.vector * torch.tensor([-1.0, 1.0, 1.0]), again.vector, atol=1e-4)
    assert torch.allclose(found.distribution[bins.mirrored()], again.distribution, atol=1e-6)
    assert found.spread_deg == pytest.approx(again.spread_deg, abs=1e-2)


def test_the_answer_is_whole_and_its_spread_is_what_its_distribution_says(weights, photo):
    found = estimate(*photo, (0.5, 0.5), model=EMBEDDED)
    assert float(found.vector.norm()) == pytest.approx(1, abs=1e-5)
    assert float(found.distribution.sum()) == pytest.approx(1, abs=1e-4)
    angles = bins.angle_deg(found.vector.expand(642, 3), bins.directions())
    assert found.spread_deg == pytest.approx(float((found.distribution * angles).sum()), rel=1e-3)
    assert float(found.colour.max()) == pytest.approx(1) and found.key_to_fill > 0
    json.dumps(found.to_dict())


def test_probe_and_lens_matter_and_the_picture_size_does_not(weights, photo):
    radiance, camera = photo
    found = estimate(radiance, camera, model=EMBEDDED)
    assert not torch.equal(found.distribution, estimate(radiance, camera, (0.9, 0.9), model=EMBEDDED).distribution)
    wide = estimate(radiance, Camera.from_fov(90, 60, 110), model=EMBEDDED)
    assert not torch.equal(found.distribution, wide.distribution)
    bigger = F.interpolate(radiance.permute(2, 0, 1)[None], scale_factor=3.0)[0].permute(1, 2, 0)
    again = estimate(bigger, camera.resized(270, 180), model=EMBEDDED)
    assert float(bins.angle_deg(found.vector, again.vector)) < 8


def test_values_survive_their_code():
    key, ratio, size = torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([2.5]), torch.tensor([9.0])
    decoded = decode_values(encode_values(key, ratio, size))
    assert all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(decoded, (key, ratio, size), strict=True))


def test_inputs_mirror_back_to_themselves():
    once = Inputs.of(corner(), torch.tensor([0.2, 0.6, -2.0]))
    twice = once.flipped().flipped()
    assert torch.equal(once.picture, twice.picture) and torch.equal(once.depth, twice.depth)
    assert torch.allclose(once.lens, twice.lens) and torch.allclose(once.probe, twice.probe)


def test_missing_weights_say_so_and_auto_goes_on_by_shading(tmp_path, monkeypatch):
    view = ball(F.normalize(torch.tensor([0.5, 0.5, 0.7]), dim=0))
    with pytest.raises(MissingPart, match=r"missing.*shading"):
        embedded.load_network(tmp_path / "none.safetensors")
    monkeypatch.setattr(estimation.embedded, "WEIGHTS", tmp_path / "none.safetensors")
    found = estimate(view.radiance, view.camera, depth=view.depth)
    assert found.model == SHADING and any("missing" in warning for warning in found.warnings)


def test_damaged_weights_say_so(weights):
    weights.write_bytes(weights.read_bytes()[:3000])
    with pytest.raises(MissingPart, match="damaged"):
        embedded.load_network(weights)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda p, c: (p * 0, c, None), "black"),
        (lambda p, c: (p * torch.nan, c, None), "NaN"),
        (lambda p, c: (p[..., :2], c, None), "shape"),
        (lambda p, c: (p, c.resized(30, 20), None), "camera"),
        (lambda p, c: (p, c, (0.5, 1.2)), "outside"),
    ],
)
def test_bad_input_is_refused_with_a_reason(photo, change, text):
    with pytest.raises(BadInput, match=text):
        estimate(*change(*photo), model=SHADING)


def test_an_unknown_model_is_refused(photo):
    with pytest.raises(BadInput, match="no direction model"):
        estimate(*photo, model="none")


def test_a_job_turns_directions_to_the_world(tmp_path):
    towards = F.normalize(torch.tensor([-0.8, 0.5, 0.33]), dim=0)
    view = ball(towards)
    exr.write_image(tmp_path / "ball.exr", view.radiance)
    exr.write_depth(tmp_path / "depth.exr", view.depth)
    # A camera that looks along +Y of a z-up world.
    axes = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    params = {
        "image": str(tmp_path / "ball.exr"), "depth": str(tmp_path / "depth.exr"), "fov_deg": 40, "model": SHADING,
        "camera_to_world": axes.tolist(), "probes": [{"u": 0.5, "v": 0.5}, {"u": 0.4, "v": 0.4}],
    }  # fmt: skip
    answer = run_direction(DirectionJob.from_params(params), SilentReport())
    assert [entry["probe"] for entry in answer["directions"]] == [[0.5, 0.5], [0.4, 0.4]]
    world = torch.tensor(answer["directions"][0]["direction_world"])
    assert float(bins.angle_deg(world, torch.tensor([towards[0], -towards[2], towards[1]]))) < 8
    json.dumps(answer)


@pytest.mark.parametrize("params", [{}, {"image": "no.png"}, {"image": "a.png", "probes": [1]}, {"image": "a", "x": 1}])
def test_a_malformed_job_is_refused(params):
    with pytest.raises(BadInput):
        run_direction(DirectionJob.from_params(params), SilentReport())


def test_the_command_prints_one_object(tmp_path):
    view = ball(F.normalize(torch.tensor([0.6, 0.6, 0.5]), dim=0))
    exr.write_image(tmp_path / "ball.exr", view.radiance)
    exr.write_depth(tmp_path / "depth.exr", view.depth)
    command = [sys.executable, str(ROOT / "bridge" / "launch.py"), "backend", "direction", str(tmp_path / "ball.exr")]
    options = ["--depth", str(tmp_path / "depth.exr"), "--fov", "40", "--model", "shading"]
    done = subprocess.run([*command, *options, "--json"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (entry,) = json.loads(done.stdout)["directions"]
    assert math.hypot(*entry["direction"]) == pytest.approx(1, abs=1e-4) and entry["direction"][0] > 0.3
    refused = subprocess.run([*command, "--probe", "2,2"], capture_output=True, text=True, timeout=300)
    assert refused.returncode == 2 and "outside" in refused.stderr and not refused.stdout


def test_what_ships_is_whole_small_and_calibrated():
    entry = next(entry for entry in models.listing() if entry["name"] == "direction")
    assert entry["state"] == "ok"
    embedded.unload()
    loaded = embedded.load_network(ROOT / "backend" / entry["file"])
    assert sum(p.numel() for p in loaded.network.parameters()) <= 1_000_000
    assert 0.3 < loaded.temperature < 4
    assert (ROOT / "backend" / entry["file"]).stat().st_size <= 2_100_000
