# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps meet where the layout is cut, and are left alone elsewhere."""

from __future__ import annotations

import torch
from limelight.backend.relightify import maps
from limelight.backend.relightify.raster import uv_places
from limelight.backend.relightify.seams import _look_up, closed, cut


def gap(stack, head):
    here, there = (uv_places(head, stack.shape[-1])[side].mean(1) for side in cut(head))
    return (_look_up(stack, here) - _look_up(stack, there)).abs()


def test_the_cut_is_one_line_on_the_head_behind_the_ears(head):
    here, there = cut(head)
    assert len(here) > 10
    assert torch.equal(head.corner_point[here], head.corner_point[there]) and not torch.equal(here, there)
    assert float(head.corners(head.mean)[here][..., 1].min()) > 0


def test_a_step_across_the_cut_goes_and_the_face_stays(head):
    size = 256
    ramp = torch.linspace(0, 1, size).expand(1, size, size).clone()
    before = maps.filled(ramp)
    after = closed(before, head)
    assert float(gap(before, head).mean()) > 0.3
    assert float(gap(after, head).mean()) < 0.02 and float(gap(after, head).max()) < 0.1
    middle = (slice(None), slice(90, 200), slice(80, 176))
    assert float((after - before)[middle].abs().max()) < 0.03


def test_maps_that_meet_are_not_changed(head):
    flat = torch.full((2, 64, 64), 0.3)
    torch.testing.assert_close(closed(flat, head), flat)
