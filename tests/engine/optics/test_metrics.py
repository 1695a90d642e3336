# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's metrics: zero for equals, blind to scale where they say so, and cases done by hand."""

from __future__ import annotations

import math

import pytest
import torch
from limelight.backend.optics import metrics
from limelight.backend.optics import panorama as pano

SIZE = 16
MASK = torch.ones(SIZE, SIZE, dtype=torch.bool)


def noise(seed: int) -> torch.Tensor:
    return torch.rand(SIZE, SIZE, 3, generator=torch.Generator().manual_seed(seed)) * 0.8 + 0.1


def flat(*rgb: float) -> torch.Tensor:
    return torch.tensor(rgb, dtype=torch.float32).expand(SIZE, SIZE, 3).contiguous()


def test_a_perfect_ball_scores_zero_and_similarity_one() -> None:
    found = metrics.scores(noise(0), noise(0), MASK)
    assert found.pop("ssim") == pytest.approx(1, abs=1e-6) and found.pop("psnr") == metrics.PSNR_CEILING
    assert found == pytest.approx(dict.fromkeys(found, 0.0), abs=1e-3)
    found = metrics.three_sphere_scores(noise(0), noise(0), MASK, 0.2)
    assert len(found) == 4 and max(found.values()) < 1e-3


@pytest.mark.parametrize("scale", [0.25, 3.0])
def test_only_the_scale_invariant_metrics_forgive_a_factor(scale: float) -> None:
    a, b = noise(0), noise(0) * scale
    assert metrics.si_rmse_log(a, b, MASK) < 1e-5 and metrics.si_rmse_ls(a, b, MASK) < 1e-5
    assert metrics.colour_angle(a, b, MASK) < 1e-3 and metrics.normalised_rmse(a, b, MASK, 0.2) < 1e-5
    assert metrics.rmse(a, b, MASK) > 0.1 and metrics.ssim(a, b, MASK) < 0.95 and metrics.psnr(a, b, MASK) < 20
    # Forgiven is the estimate's scale, not its content.
    for metric in (metrics.si_rmse_log, metrics.si_rmse_ls):
        assert metric(noise(1) * scale, noise(0), MASK) == pytest.approx(metric(noise(1), noise(0), MASK), rel=1e-4)
        assert metric(noise(1), noise(0), MASK) > 0.1


def test_numbers_by_hand() -> None:
    a, b = flat(0.5, 0.5, 0.5), flat(0.4, 0.5, 0.7)
    # RGB is summed, pixels are averaged: sqrt(0.01 + 0 + 0.04).
    assert metrics.rmse(a, b, MASK) == pytest.approx(math.sqrt(0.05), rel=1e-5)
    assert metrics.psnr(a, b, MASK) == pytest.approx(-10 * math.log10(0.05 / 3), rel=1e-5)
    # The scale is Σab/Σa² = 0.8/0.75, which leaves (0.133, 0.033, −0.167).
    assert metrics.si_rmse_ls(a, b, MASK) == pytest.approx(math.sqrt(0.9 - 0.8**2 / 0.75), rel=1e-4)
    # Logs differ by 0, ln 2 and 0 (1e-6 stands for black): standard deviation ln 2 · √2/3.
    seen = metrics.si_rmse_log(flat(0.2, 0.4, 0.0), flat(0.2, 0.2, 0.0), MASK)
    assert seen == pytest.approx(math.log(2) * math.sqrt(2) / 3, rel=1e-5)
    assert metrics.colour_angle(flat(1, 0, 0), flat(1, 1, 0), MASK) == pytest.approx(45, abs=1e-3)


def test_pixels_off_the_ball_do_not_count() -> None:
    mask = MASK.clone()
    mask[:, 10:] = False
    a, b = noise(0), noise(0)
    b[:, 14:] = 0
    assert metrics.rmse(a, b, mask) == 0 and metrics.ssim(a, b, mask) == pytest.approx(1, abs=1e-6)
    assert metrics.normalised_rmse(a, b, mask, 0.5) < 1e-6


def test_normalising_uses_the_percentiles_of_the_whole_frame() -> None:
    ball = torch.linspace(0, 1, SIZE * SIZE * 3).reshape(SIZE, SIZE, 3)
    twice, black = metrics.normalised_rmse(2 * ball, ball, MASK, 0.1), torch.zeros_like(ball)
    assert twice < 1e-5
    # Of ten times as many values, the 99.9th percentile is the ball's 99th.
    expected = float(((ball / torch.quantile(ball, 0.99)) ** 2).sum(-1).mean().sqrt())
    assert metrics.normalised_rmse(black, ball, MASK, 0.1) == pytest.approx(expected, rel=2e-3)


def lamp(row: int, column: int, height: int = 32) -> torch.Tensor:
    light = torch.full((height, 2 * height, 3), 0.1)
    light[row, column] = 50
    return light


def test_the_peak_is_a_direction_and_a_flat_map_has_none() -> None:
    assert metrics.peak_direction_error(lamp(16, 10), lamp(16, 10)) == pytest.approx(0, abs=1e-3)
    # A quarter turn along the equator, which lies half a texel beside row 16.
    assert metrics.peak_direction_error(lamp(16, 10), lamp(16, 26)) == pytest.approx(90, abs=0.5)
    assert math.isnan(metrics.peak_direction_error(torch.full((32, 64, 3), 0.5), lamp(16, 10)))


def test_energy_counts_directions_not_texels() -> None:
    assert metrics.energy_ratio(2 * lamp(3, 3), lamp(3, 3)) == pytest.approx(2, rel=1e-5)
    pole, equator = torch.zeros(32, 64, 3), torch.zeros(32, 64, 3)
    pole[0], equator[15] = 1, 1
    areas = pano.solid_angles(32)
    assert metrics.energy_ratio(pole, equator) == pytest.approx(float(areas[0] / areas[15]), rel=1e-4)
