# SPDX-License-Identifier: GPL-3.0-or-later
"""The front from the photo: the seen part is the photo's, and the painted part meets it without a seam."""

import torch
from limelight.backend.limo.front import blend_front, front_of, match_gain
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera

CAMERA = Camera.from_fov(96, 64, 60.0)
PROBE = Probe("probe", torch.tensor([0.0, 0.0, -2.0]), 0.1)


def grey_view(level):
    return View(torch.full((64, 96, 3), level), torch.full((64, 96), 4.0), CAMERA)


def test_the_seen_part_is_the_photos_and_the_unseen_part_far_away_is_the_fits():
    found = blend_front(torch.full((64, 128, 3), 0.2), grey_view(0.5), PROBE, 64)
    ahead, behind = (pano.sample(found, torch.tensor([0.0, 0.0, z])) for z in (-1.0, 1.0))
    assert torch.allclose(ahead, torch.full((3,), 0.5), rtol=0.02)
    assert torch.allclose(behind, torch.full((3,), 0.2), rtol=0.02)


def test_the_painted_part_next_to_the_photo_takes_its_level():
    painted = torch.full((64, 128, 3), 0.125)
    found = blend_front(painted, grey_view(0.5), PROBE, 64)
    seen = pano.reproject(torch.ones(64, 96, 3), torch.full((64, 96), 4.0), CAMERA, PROBE.position, 64).valid > 0
    row = 32
    edge = int(seen[row].nonzero().max()) + 3
    assert 0.2 < float(found[row, edge, 1]) < 0.5
    assert float(found[row, edge, 1]) > 1.5 * float(painted[row, edge, 1])


def test_a_map_that_agrees_with_the_photo_is_left_as_it_is():
    painted = torch.rand(64, 128, 3, generator=torch.Generator().manual_seed(1)) + 0.1
    seen = torch.zeros(64, 128)
    seen[20:40, 50:80] = 1
    assert torch.allclose(match_gain(painted, painted, seen), painted, rtol=1e-3)


def test_a_lamp_clipped_in_the_photo_keeps_the_power_of_the_fit():
    painted = torch.full((64, 128, 3), 0.5)
    painted[30:34, 62:66] = 40.0
    view = grey_view(0.5)
    view.radiance[24:40, 40:56] = 1.0
    found = blend_front(painted, view, PROBE, 64)
    assert float(found[30:34, 62:66].max()) > 20


def test_a_linear_picture_shows_what_is_brighter_than_white_and_a_clipped_one_hides_it():
    painted = torch.full((64, 128, 3), 0.5)
    view = grey_view(0.5)
    view.radiance[24:40, 40:56] = 6.0
    ahead = torch.tensor([0.0, 0.0, -1.0])
    assert pano.sample(blend_front(painted, view, PROBE, 64), ahead).mean().item() > 5.5
    view.radiance.clamp_(max=1)
    assert pano.sample(blend_front(painted, view, PROBE, 64), ahead).mean().item() < 1.1


def test_what_the_photo_shows_is_known_and_what_it_clips_or_does_not_see_is_free():
    view = grey_view(0.5)
    view.radiance[24:40, 40:56] = 1.0
    free = front_of(view, PROBE, 64)(torch.full((64, 128, 3), 0.5))[1][..., None]
    clipped, shown, hidden = (
        float(pano.sample(free, torch.nn.functional.normalize(torch.tensor(towards), dim=0)))
        for towards in ([0.0, 0.0, -1.0], [0.6, 0.0, -1.0], [0.0, 0.0, 1.0])
    )
    assert clipped > 0.9 and shown < 0.05 and hidden == 1
