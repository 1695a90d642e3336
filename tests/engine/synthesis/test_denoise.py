# SPDX-License-Identifier: GPL-3.0-or-later
"""The denoiser: less noise, the same energy, edges kept."""

from __future__ import annotations

import numpy as np
from limelight.synthesis.denoise import denoise
from limelight.synthesis.tracer import Traced


def picture(noise: float, seed: int = 0, edge: bool = False) -> tuple[Traced, np.ndarray]:
    """A flat wall whose left and right half differ, and the light (32, 64, 3) that truly comes off it."""
    rng = np.random.default_rng(seed)
    truth = np.full((32, 64, 3), 0.5, np.float32)
    normal = np.zeros((32, 64, 3), np.float32)
    normal[..., 1] = 1
    if edge:
        truth[:, 32:] = 2.0
        normal[:, 32:] = (1, 0, 0)
    noisy = (truth + noise * rng.normal(size=(32, 64, 1))).astype(np.float32)
    ones = np.ones((32, 64), np.float32)
    albedo = np.full((32, 64, 3), 1.0, np.float32)
    return Traced(np.zeros_like(truth), noisy, albedo, ones, normal, noise**2 * ones), truth


def test_noise_falls_and_energy_stays() -> None:
    traced, truth = picture(0.2)
    smooth = denoise(traced, wrap=True)
    assert smooth.std() < 0.2 * traced.reflected.std()
    assert abs(smooth.mean() - truth.mean()) < 0.01


def test_a_change_of_surface_is_an_edge() -> None:
    traced, truth = picture(0.05, edge=True)
    smooth = denoise(traced, wrap=False)
    assert np.abs(smooth - truth)[:, 28:36].max() < 0.1


def test_without_noise_nothing_changes() -> None:
    traced, truth = picture(0.0, edge=True)
    np.testing.assert_allclose(denoise(traced, wrap=True), truth, rtol=1e-4)


def test_textures_and_lamps_pass_untouched() -> None:
    traced, _ = picture(0.2)
    rng = np.random.default_rng(3)
    albedo = rng.uniform(0.2, 0.9, (32, 64, 3)).astype(np.float32)
    emitted = np.zeros_like(albedo)
    emitted[3, 5] = 1000.0
    textured = traced._replace(
        emitted=emitted, albedo=albedo, reflected=0.5 * albedo, variance=np.zeros((32, 64), np.float32)
    )
    np.testing.assert_allclose(denoise(textured, wrap=True), emitted + 0.5 * albedo, rtol=1e-4)
