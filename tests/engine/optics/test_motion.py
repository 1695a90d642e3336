# SPDX-License-Identifier: GPL-3.0-or-later
"""True motion of what spheres show, and the metrics of steadiness that stand on it, in a box whose walls are known."""

from __future__ import annotations

import math

import pytest
import torch
from limelight.backend.optics import motion, video_metrics
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.motion import Placement
from limelight.backend.optics.sphere import SphereView, mirror_point

BALL = SphereView(torch.tensor([0.0, 0.0, -8.0]), 0.5, 64)
HALF = torch.tensor([3.0, 2.0, 4.0])
HEIGHT = 128


def turned(degrees: float, x: float = 0.0) -> torch.Tensor:
    a = math.radians(degrees)
    return torch.tensor(
        [[math.cos(a), 0, math.sin(a), x], [0, 1, 0, 0], [-math.sin(a), 0, math.cos(a), 0], [0, 0, 0, 1.0]]
    )


def box(place: Placement) -> tuple[torch.Tensor, torch.Tensor]:
    """A box around the world's origin with soft waves on its walls: panorama and distances from the probe."""
    turn = place.camera_to_world[:3, :3]
    centre = turn @ place.position + place.camera_to_world[:3, 3]
    d = pano.directions(HEIGHT) @ turn.T
    distance = ((HALF * d.sign() - centre) / d).amin(-1)
    points = centre + distance[..., None] * d
    return 0.5 + 0.4 * torch.sin(points * 1.5 + torch.tensor([0.0, 1.0, 2.0])), distance


NOW, BEFORE = (
    Placement(torch.tensor([0.4, 0.1, -1.0]), turned(6, 0.2)),
    Placement(torch.tensor([0.0, 0, -1]), turned(0)),
)


def test_a_mirror_ball_moved_along_true_motion_is_the_next_picture() -> None:
    (seen, distance), (seen_before, distance_before) = box(NOW), box(BEFORE)
    now, before = (pano.sample(light, BALL.reflected) for light in (seen, seen_before))
    found = motion.mirror_motion(BALL, NOW, BEFORE, distance, distance_before)
    assert float(found.seen.sum()) > 0.8 * float(BALL.mask.sum())
    unmoved = float((before - now)[found.seen].square().mean().sqrt())
    moved = float((found.moved(before) - now)[found.seen].square().mean().sqrt())
    assert unmoved > 0.08 and moved < 0.2 * unmoved


def test_what_was_hidden_before_does_not_count() -> None:
    near = torch.full((HEIGHT, 2 * HEIGHT), 0.5)
    (_, distance), (_, before) = box(NOW), box(BEFORE)
    hidden = motion.mirror_motion(BALL, NOW, BEFORE, distance, torch.minimum(near, before))
    assert not bool(hidden.seen.any())


def test_the_sky_only_turns_and_a_point_is_found_from_elsewhere() -> None:
    d = pano.directions(8)
    sky = torch.full(d.shape[:2], torch.inf)
    towards, length = motion.seen_before(d, sky, NOW, BEFORE)
    assert bool(torch.isinf(length).all())
    torch.testing.assert_close(towards, d @ turned(6)[:3, :3].T)
    back, _ = motion.seen_before(towards, sky, BEFORE, NOW)
    torch.testing.assert_close(back, d, atol=1e-5, rtol=0)
    towards, length = motion.seen_before(d, torch.full_like(sky, 2.0), NOW, BEFORE)
    back, again = motion.seen_before(towards, length, BEFORE, NOW)
    torch.testing.assert_close(back, d, atol=1e-5, rtol=0)
    torch.testing.assert_close(again, torch.full_like(sky, 2.0), atol=1e-5, rtol=0)


def test_places_in_the_picture_are_those_of_its_own_pixels() -> None:
    grid, inside = motion.place_of(BALL, mirror_point(BALL, BALL.reflected))
    place = (torch.arange(64) + 0.5) / 32 - 1
    own = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1)
    kept = inside & BALL.mask
    assert float(kept.sum()) > 0.8 * float(BALL.mask.sum())
    assert float((grid - own)[kept].abs().max()) < 0.5 / 32
    still = motion.diffuse_motion(BALL, NOW, NOW)
    torch.testing.assert_close(still.grid[still.seen], own[still.seen], atol=1e-4, rtol=0)


def test_a_steady_sequence_scores_zero_and_flicker_as_much_as_it_is() -> None:
    light, distance = box(BEFORE)
    still = motion.mirror_motion(BALL, BEFORE, BEFORE, distance, distance)
    picture = pano.sample(light, BALL.reflected)
    steady = picture.expand(4, -1, -1, -1)
    flat = torch.full_like(steady, 0.5)
    wobble = flat + torch.tensor([0.0, 0.1, 0.0, 0.1])[:, None, None, None]
    assert video_metrics.warped_error(flat, [still] * 3) < 1e-6
    # Along a motion of nothing only the sampling of a mirror's finest detail is left.
    assert video_metrics.warped_error(steady, [still] * 3) < 5e-3
    # Colours are summed.
    assert video_metrics.warped_error(wobble, [still] * 3) == pytest.approx(0.1 * math.sqrt(3), rel=1e-3)
    assert video_metrics.gradient_error(steady, flat, BALL.mask) < 1e-6
    assert video_metrics.gradient_error(wobble, flat, BALL.mask) == pytest.approx(0.1 * math.sqrt(3), rel=1e-3)
    assert video_metrics.temporal(steady, BALL.mask) == pytest.approx(0, abs=1e-6)
    assert video_metrics.temporal_difference(wobble, wobble, BALL.mask) == 0
    assert video_metrics.temporal_difference(wobble, flat, BALL.mask) > 0.01
    assert video_metrics.flicker(torch.tensor([1.0, 1.1, 1.0, 1.1])) == pytest.approx(0.1 / 1.05)
