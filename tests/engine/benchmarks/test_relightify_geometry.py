# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of fitted heads: what they count, what they leave out, and how they are told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from limelight.backend.relightify import head as heads
from limelight.backend.relightify.landmarks import find_faces
from limelight.backend.relightify.lighting import Lighting
from limelight.benchmarks.relightify import geometry, sitters


def turned(points: torch.Tensor) -> torch.Tensor:
    c, s = math.cos(0.4), math.sin(0.4)
    return points @ torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) + torch.tensor([0.1, -0.2, 0.3])


def test_place_counts_nothing_and_size_only_if_it_is_not_taken_from_the_truth() -> None:
    truth = torch.randn(300, 3, generator=torch.Generator().manual_seed(0)) * 0.05
    assert geometry.apart(turned(truth), truth) < 1e-3
    larger = turned(truth * 1.1)
    assert geometry.apart(larger, truth, scaled=True) < 1e-3
    assert geometry.apart(larger, truth) == pytest.approx(
        100 * float((truth - truth.mean(0)).norm(dim=-1).mean()), rel=1e-3
    )


def test_a_mirrored_head_is_not_turned_onto_the_true_one() -> None:
    truth = torch.randn(300, 3, generator=torch.Generator().manual_seed(1)) * 0.05
    assert geometry.apart(truth * torch.tensor([-1.0, 1, 1]), truth) > 10


def test_the_table_has_a_line_for_each_tone_there_is() -> None:
    errors = dict(zip(geometry.METHODS, (3.0, 2.5, 2.0), strict=True))
    missed = dict.fromkeys(geometry.METHODS[1:], 0.012)
    rows = [geometry.Measured(str(i), tone, "soft", errors, errors, missed) for i, tone in enumerate(["dark", "tan"])]
    table = geometry.as_table(rows, 1)
    assert "| all, scaled | 2 | 3.00 | 2.50 | 2.00 | 2 |" in table
    assert "| dark, scaled | 1 |" in table and "brown" not in table and "in 1 more" in table


def test_a_sitter_is_found_in_its_photo_and_fitted() -> None:
    pytest.importorskip("ai_edge_litert")
    head = heads.load()
    maps = torch.full((10, 64, 64), 0.5)
    maps[3:6] = torch.tensor([0.75, 0.6, 0.52])[:, None, None]
    maps[9] = 1.0
    lighting = Lighting(torch.ones(16, 32, 3) * torch.linspace(1.5, 0.2, 16)[:, None, None])
    photo = sitters.photograph(head, head.mean, maps, lighting, np.random.default_rng(0))
    assert len(find_faces(photo)) == 1
    row = geometry.measure(head, sitters.Sitter("plain", 1, "soft", photo, head.mean))
    assert row is not None and row.tone == "light"
    assert row.scaled["mean head"] < 1e-3
    assert row.scaled["landmarks and shading"] < 5
