# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffuse sphere sets the energy: of a photographed one exactly, of a painted one as far as it can be believed."""

import pytest
import torch
from limelight.backend.limo.embedded.encode import decode_radiance, encode_radiance
from limelight.backend.limo.embedded.paint import mean_of_takes
from limelight.backend.limo.energy import PAINTED, find_gains
from limelight.backend.optics import panorama as pano
from limelight.backend.optics import shading
from limelight.backend.optics.exposure import EVS, expose
from limelight.backend.optics.sphere import SphereView

VIEW = SphereView(torch.tensor([0.0, 0.0, -3.0]), 0.4, 48)
NORMALS = VIEW.normals[VIEW.mask]
WINDOW = torch.nn.functional.normalize(torch.tensor([0.5, 0.6, 0.6]), dim=0)


def room(window: float) -> torch.Tensor:
    """Walls of 0.2 and a window of 12° radius, (64, 128, 3)."""
    inside = (pano.directions(64) @ WINDOW > torch.cos(torch.deg2rad(torch.tensor(12.0))))[..., None]
    return torch.where(inside, window, 0.2).expand(64, 128, 3)


def matched(panorama: torch.Tensor, ball: torch.Tensor, error: float) -> torch.Tensor:
    """The factors by which a diffuse ball (S, S, 3) changes a map, (64, 128)."""
    bracket = torch.stack([expose(ball[VIEW.mask], ev) for ev in EVS])
    gains = find_gains(panorama, NORMALS, bracket, EVS, largest=2.0, error=error)
    return (gains.applied(panorama) / panorama).mean(-1)


def test_light_that_a_painted_ball_misses_goes_to_what_is_white() -> None:
    painted, truth = room(1.1), room(8.0)
    factors = matched(painted, shading.diffuse_sphere(truth, VIEW), PAINTED)
    white = painted[..., 0] > 1
    assert factors[white].mean() > 3
    assert factors[~white].quantile(0.05) > 0.8 and factors[~white].quantile(0.9) < 1.25
    told = pano.mean_radiance(painted * factors[..., None]) / pano.mean_radiance(truth)
    assert told.mean() == pytest.approx(1, abs=0.2)


def test_what_two_painted_spheres_disagree_about_makes_no_lamps() -> None:
    """A ball that bears no lamp, blotched by a tenth as a network's is, leaves the map nearly as it was."""
    grey = torch.full((64, 128, 3), 0.3)
    ball = shading.diffuse_sphere(grey, VIEW)
    waves = 1 + 0.1 * torch.sin(9 * VIEW.normals[..., :1]) * torch.cos(7 * VIEW.normals[..., 1:2])
    believed, doubted = (matched(grey, ball * waves, error) for error in (0.0, PAINTED))
    assert doubted.max() < 1.1 and doubted.min() > 0.9
    assert believed.max() > 1.5, "believed to the last bit, the same ball asks for lamps"


def test_the_mean_of_takes_keeps_a_lamp_that_half_of_them_have() -> None:
    codes = encode_radiance(torch.tensor([0.2, 8.0]).reshape(2, 1, 1, 1).expand(2, 6, 4, 4))
    mirror, diffuse = decode_radiance(mean_of_takes(codes)).split(3)
    assert torch.allclose(diffuse, torch.full_like(diffuse, 4.1), rtol=1e-3)
    middle = decode_radiance(codes.mean(0))
    assert (mirror > middle[:3]).all() and (mirror < 4.1).all()
    shown = (expose(torch.tensor(0.2), -4) + expose(torch.tensor(8.0), -4)) / 2
    assert float(expose(mirror, -4).mean()) == pytest.approx(float(shown), abs=0.03)


def test_what_a_photo_shows_stays_and_its_light_counts() -> None:
    """The window's height is known on one half of the map: the other half takes only what is still missing."""
    truth, free = room(8.0), torch.ones(64, 128)
    painted = room(1.1)
    free[pano.directions(64)[..., 0] > WINDOW[0]] = 0
    half = torch.where(free[..., None] > 0, painted, truth)
    ball = shading.diffuse_sphere(truth, VIEW)
    bracket = torch.stack([expose(ball[VIEW.mask], ev) for ev in EVS])
    found = find_gains(half, NORMALS, bracket, EVS, largest=3.0, error=PAINTED, free=free).applied(half, free)
    assert torch.equal(found[free == 0], half[free == 0])
    lit, told = (pano.mean_radiance(each).mean() for each in (truth, found))
    assert float(told / lit) == pytest.approx(1, abs=0.1)


def test_near_white_is_left_as_seen() -> None:
    """Light that is missing makes a wall of half display white, which a mirror shows, hardly any brighter."""
    painted, truth = room(1.5), room(8.0)
    wall = (pano.directions(64) @ torch.tensor([-1.0, 0.0, 0.0]) > 0.8)[..., None]
    painted, truth = (torch.where(wall, 0.5, each) for each in (painted, truth))
    factors = matched(painted, shading.diffuse_sphere(truth, VIEW), PAINTED)
    assert factors[painted[..., 0] > 1].mean() > 2.5
    assert factors[wall[..., 0]].mean() < 1.06
