# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributions over directions, and what counts as the key light of an environment."""

from __future__ import annotations

import math

import pytest
import torch
from limelight.backend.direction import bins
from limelight.backend.direction.key_light import find_key_light
from limelight.backend.optics import panorama as pano
from torch.nn import functional as F


def lit(towards, angle_deg, radiance, fill=0.2, height=256):
    """A grey map (N, 2N, 3) with one disc of light of that diameter."""
    near = pano.directions(height) @ towards >= math.cos(math.radians(angle_deg / 2))
    return torch.full((height, 2 * height, 3), fill) + near[..., None] * torch.as_tensor(radiance)


def test_the_bins_are_642_places_spread_evenly():
    places = bins.directions()
    assert places.shape == (642, 3)
    assert torch.allclose(places.norm(dim=-1), torch.ones(642), atol=1e-6)
    assert float(places.mean(0).norm()) < 1e-5
    nearest = (places @ places.T - 2 * torch.eye(642)).amax(-1).clamp(-1, 1).arccos().rad2deg()
    assert float(nearest.min()) > 6 and float(nearest.max()) < 10


def test_mirroring_is_a_permutation_that_negates_x():
    turned = bins.directions()[bins.mirrored()]
    assert torch.allclose(turned, bins.directions() * torch.tensor([-1.0, 1.0, 1.0]), atol=1e-6)
    assert torch.equal(bins.mirrored()[bins.mirrored()], torch.arange(642))


def test_the_best_guess_of_a_single_lobe_is_its_middle_and_its_spread_the_mean_angle():
    towards = F.normalize(torch.randn(20, 3, generator=torch.Generator().manual_seed(1)), dim=-1)
    guess, spread = bins.best_guess(bins.soft_label(towards, 50))
    assert float(bins.angle_deg(guess, towards).max()) < 1.5
    # The mean angle of a von Mises–Fisher lobe is about √(π/2κ).
    assert spread.mean().item() == pytest.approx(math.degrees(math.sqrt(math.pi / 100)), rel=0.1)


def test_of_two_lobes_the_likelier_is_the_guess_not_the_middle():
    left, right = torch.tensor([[-1.0, 0.2, 0.0]]), torch.tensor([[1.0, 0.2, 0.0]])
    left, right = F.normalize(left, dim=-1), F.normalize(right, dim=-1)
    both = 0.65 * bins.soft_label(left, 80) + 0.35 * bins.soft_label(right, 80)
    guess, spread = bins.best_guess(both)
    assert float(bins.angle_deg(guess, left)) < 6
    assert 45 < float(spread) < 75


@pytest.mark.parametrize("towards", [(0.0, 0.6, -0.8), (0.3, 0.5, 0.81), (-0.99, 0.1, 0.1)])
def test_the_key_light_of_one_lamp_is_that_lamp(towards):
    direction, colour = F.normalize(torch.tensor(towards), dim=0), torch.tensor([60.0, 40.0, 20.0])
    key = find_key_light(lit(direction, 12, colour))
    assert float(bins.angle_deg(key.direction, direction)) < 0.6
    # Irradiance of a disc of radius a: π sin² a · L; and of the grey around: π · L.
    expected = math.pi * math.sin(math.radians(6)) ** 2 * colour
    assert torch.allclose(key.irradiance, expected, rtol=0.06)
    assert key.fill.mean().item() == pytest.approx(0.2 * math.pi, rel=0.03)
    assert key.angular_size_deg == pytest.approx(12, abs=1.0)
    assert key.dominates


def test_a_sun_of_one_texel_keeps_its_place_and_is_small():
    panorama = torch.full((64, 128, 3), 0.3)
    panorama[14, 90] = 4000.0
    key = find_key_light(panorama)
    assert float(bins.angle_deg(key.direction, pano.directions(64)[14, 90])) < 0.1
    assert key.angular_size_deg < 1.5


def test_a_window_wins_over_a_glint_and_an_overcast_sky_has_no_key():
    window = torch.tensor([-0.8, 0.3, 0.52])
    panorama = lit(F.normalize(window, dim=0), 25, (8.0, 8.0, 8.0))
    panorama[40, 100] = 60.0
    assert float(bins.angle_deg(find_key_light(panorama).direction, F.normalize(window, dim=0))) < 2
    sky = (pano.directions(64)[..., 1:2].clamp(min=0) * 0.4 + 0.8).expand(-1, -1, 3)
    assert not find_key_light(sky).dominates


def test_a_brighter_exposure_changes_strength_alone():
    panorama = torch.rand(64, 128, 3, generator=torch.Generator().manual_seed(2)) ** 8
    one, ten = find_key_light(panorama), find_key_light(10 * panorama)
    assert torch.allclose(one.direction, ten.direction, atol=1e-5)
    assert torch.allclose(10 * one.irradiance, ten.irradiance, rtol=1e-4)
    assert one.key_to_fill == pytest.approx(ten.key_to_fill, rel=1e-4)
