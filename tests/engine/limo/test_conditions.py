# SPDX-License-Identifier: GPL-3.0-or-later
"""LIMO's condition maps: the direction identity, the log normalisation, the masks."""

import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.limo.conditions import conditions, log_normalise
from limelight.backend.limo.intake import place_probe
from limelight.backend.limo.job import ProbeSpec
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics.camera import Camera


def make_view(width: int = 160, height: int = 120) -> View:
    camera = Camera.from_fov(width, height, 60)
    depth = 5 + camera.rays()[..., 0] * 2
    return View(torch.rand(height, width, 3), depth, camera)


def test_a_scene_pixel_and_the_sphere_pixel_that_mirrors_it_store_the_same_direction():
    view = make_view()
    probe = Probe("p", torch.tensor([0.3, -0.2, -2.0]), 1e-3)
    big = Probe("p", probe.position, 0.25)
    off = conditions(view, probe)
    on = conditions(view, big)
    mask = on.mask[..., 0] > 0
    mirrored = on.direction[mask]
    # Follow each mirrored ray from the centre (an infinitely small sphere) to the depth surface and read its pixel.
    scene = off.direction[off.mask[..., 0] == 0]
    nearest = (mirrored @ scene.T).max(-1).values
    reaches_view = nearest > 0.99995
    assert int(reaches_view.sum()) > 20
    surface = view.camera.unproject(view.depth) - probe.position
    expected = torch.nn.functional.normalize(surface, dim=-1)[off.mask[..., 0] == 0]
    assert torch.allclose(scene, expected, atol=1e-6)
    best = (mirrored[reaches_view] @ scene.T).argmax(-1)
    assert float((mirrored[reaches_view] - expected[best]).abs().max()) < 0.011


def test_the_sphere_reflects_rather_than_repeating_its_normal():
    view = make_view()
    maps = conditions(view, Probe("p", torch.tensor([0.0, 0.0, -2.0]), 0.4))
    on = maps.mask[..., 0] > 0
    rays = view.camera.rays()[on]
    bisector = torch.nn.functional.normalize(maps.direction[on] - rays, dim=-1)
    assert torch.allclose(bisector, maps.normals[on], atol=1e-3)
    assert float(maps.image[on].abs().max()) == 0.0
    assert float(maps.normals[~on].abs().max()) == 0.0


@pytest.mark.parametrize("scale", [1e-3, 0.7, 40.0])
def test_log_normalisation_ignores_scale_and_keeps_the_sky_far(scale):
    distance = torch.rand(50, 60) * 8 + 0.5
    distance[0, 0] = 1e9
    normal = log_normalise(distance)
    distance[1:] *= scale
    distance[0, 1:] *= scale
    assert torch.allclose(log_normalise(distance)[1:], normal[1:], atol=1e-5)
    assert float(normal[0, 0]) == 1.0
    assert float(normal[1:].mean()) == pytest.approx(0.0, abs=0.01)


def test_a_sphere_behind_a_wall_is_not_painted():
    view = make_view()
    maps = conditions(view, Probe("p", torch.tensor([0.0, 0.0, -9.0]), 0.5))
    assert float(maps.mask.sum()) == 0.0


def test_probes_are_placed_in_front_of_surfaces_and_checked():
    view = make_view()
    probe = Probe.from_pixel(view, 0.5, 0.5)
    assert 4.0 < -float(probe.position[2]) < 5.0 - probe.radius * 0.9
    for bad in ({"u": 1.2, "v": 0.5}, {"u": 0.5, "v": 0.5, "depth": -1.0}, {"u": 0.5, "v": 0.5, "depth": 9.0}):
        with pytest.raises(BadInput) as caught:
            Probe.from_pixel(view, **bad)
        assert caught.value.remedy
    with pytest.raises(BadInput, match="behind the camera"):
        Probe("p", torch.tensor([0.0, 0.0, 1.0]), 0.1)


@pytest.mark.parametrize("fov", [150, 160, 170])
def test_probes_whose_size_nobody_gave_fit_before_the_widest_lens(fov):
    view = View(torch.rand(48, 64, 3), torch.full((48, 64), 3.0), Camera.from_fov(64, 48, fov))
    position = torch.tensor([0.0, 0.0, -2.0])
    for probe in (
        Probe.from_pixel(view, 0.5, 0.5),
        Probe.from_pixel(view, 0.5, 0.5, depth=2.0),
        place_probe(view, ProbeSpec("p", position=position.tolist()), None),
    ):
        assert 0 < probe.radius < -0.5 * float(probe.position[2])
        assert -float(probe.position[2]) + probe.radius < 3.2
