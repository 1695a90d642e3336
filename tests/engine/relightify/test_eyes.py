# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyes that were painted into a photo are found to look where they do, in their own colour under any light."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from limelight.backend.optics.exposure import srgb_eotf
from limelight.backend.relightify.eyes import BROWN, IRIS_RADIUS, LIDS, PUPIL_RADIUS, SCLERA, paint_eye, read_eyes

IRIS = (0.06, 0.1, 0.16)


def photo_of_eyes(head, posed, looks, light, size=(1600, 1440)):
    """A photo in which only eyeballs show, and the fit with lids drawn wide open round them."""
    fit = dataclasses.replace(posed, size=size)
    camera, centres = fit.camera, head.eyes(fit.camera_points(head))
    looks = torch.nn.functional.normalize(torch.tensor(looks), dim=0)
    picture = torch.zeros(size[1], size[0], 3)
    landmarks = torch.zeros(468, 2)
    grid = torch.stack(
        torch.meshgrid(torch.arange(size[1]) + 0.5, torch.arange(size[0]) + 0.5, indexing="ij")[::-1], -1
    )
    for centre, lids in zip(centres, LIDS, strict=True):
        turn = torch.arange(16) / 16 * 2 * math.pi
        opening = torch.stack([0.0125 * turn.cos(), 0.006 * turn.sin(), torch.full_like(turn, 0.013)], -1)
        landmarks[list(lids)] = camera.project(centre + opening)[0]
        tip = centre + head.eye_radius * (fit.rotation @ looks)
        uv, depth = camera.project(tip[None])
        away = (grid - uv * torch.tensor(size)).norm(dim=-1) / (camera.fx / float(depth))
        near = (grid - camera.project(centre[None])[0] * torch.tensor(size)).norm(dim=-1) < 100
        white, iris = torch.tensor(SCLERA), torch.tensor(IRIS)
        picture[near] = white
        picture[near & (away < IRIS_RADIUS)] = iris
        picture[near & (away < PUPIL_RADIUS)] = 0.002
    return picture * torch.tensor(light), dataclasses.replace(fit, landmarks=landmarks)


@pytest.mark.parametrize("looks", [(0.0, -1.0, 0.0), (0.35, -1.0, 0.0), (-0.25, -1.0, 0.12)])
def test_gaze_and_iris_are_read_under_coloured_light(head, posed, looks):
    picture, fit = photo_of_eyes(head, posed, looks, (1.0, 0.8, 0.55))
    eyes = read_eyes(picture, fit, head)
    wanted = torch.nn.functional.normalize(torch.tensor(looks), dim=0)
    assert eyes.seen and float((eyes.gaze @ wanted).min()) > math.cos(math.radians(4))
    torch.testing.assert_close(eyes.iris, torch.tensor(IRIS), rtol=0.1, atol=0.005)


def test_eyes_of_a_few_pixels_look_ahead_and_are_brown(head, posed):
    picture, fit = photo_of_eyes(head, posed, (0.35, -1.0, 0.0), (1.0, 1.0, 1.0), (160, 144))
    eyes = read_eyes(picture, fit, head)
    assert not eyes.seen
    torch.testing.assert_close(eyes.gaze, torch.tensor([[0.0, -1.0, 0.0]] * 2))
    torch.testing.assert_close(eyes.iris, torch.tensor(BROWN))


def test_the_painted_eye_has_its_parts_at_their_angles_and_no_edge_where_it_closes(head):
    height = 512
    eye = srgb_eotf(paint_eye(torch.tensor(IRIS), head.eye_radius, height))
    rim = round(math.asin(IRIS_RADIUS / head.eye_radius) / math.pi * height)
    pupil = round(math.asin(PUPIL_RADIUS / head.eye_radius) / math.pi * height)
    assert eye[:, : pupil - 2].max() < 0.02
    ring = eye[:, pupil + 8 : rim - 8].mean((1, 2))
    torch.testing.assert_close(ring / ring.sum(), torch.tensor(IRIS) / sum(IRIS), rtol=0.02, atol=0)
    torch.testing.assert_close(eye[:, rim + 12 : rim + 20].mean((1, 2)), torch.tensor(SCLERA), rtol=0.1, atol=0)
    across = (eye[:, :, 0] - eye[:, :, -1]).abs().mean()
    assert across < 2 * (eye[:, :, 1:] - eye[:, :, :-1]).abs().mean() + 1e-4
