# SPDX-License-Identifier: GPL-3.0-or-later
"""All scores of a case's lights: flat, by ``protocol.ball.metric`` or ``map.metric``."""

from __future__ import annotations

import math

import numpy as np

from ...backend.optics import metrics
from ...backend.optics import panorama as pano
from ...backend.optics.exposure import luminance
from .spheres import LIMO, THREE, THREE_SHARE, Balls, Lights, limo_balls, three_balls

Scores = dict[str, float]
TRUTH = "truth"
#: What is better when it is larger; everything else is an error, but for two whose best value lies in the middle.
HIGHER = ("ssim", "psnr")
CENTRED = ("map.energy_ratio", "map.energy_ev")


def score(lights: Lights) -> tuple[dict[str, Scores], dict[str, Balls]]:
    """Scores of every light but the one called ``truth`` against it, and LIMO's balls under each, for pictures.

    ``map.energy_ev`` is log2 of ``map.energy_ratio``, ``map.energy_error_ev`` its size: stops too bright or too dark.
    """
    shown, toned = limo_balls(lights), three_balls(lights)
    truth = lights[TRUTH]
    found = {}
    for name in lights:
        if name == TRUTH:
            continue
        flat: Scores = {}
        for ball, target in shown[TRUTH].items():
            ours = metrics.scores(shown[name][ball], target, LIMO.mask)
            flat |= {f"limo.{ball}.{metric}": value for metric, value in ours.items()}
        for ball, target in toned[TRUTH].items():
            theirs = metrics.three_sphere_scores(toned[name][ball], target, THREE.mask, THREE_SHARE)
            flat |= {f"three.{ball}.{metric}": value for metric, value in theirs.items()}
        ratio = metrics.energy_ratio(lights[name], truth)
        stops = math.log2(max(ratio, 1e-9))
        flat |= {"map.peak_direction_deg": metrics.peak_direction_error(lights[name], truth), "map.energy_ratio": ratio}
        found[name] = flat | {"map.energy_ev": stops, "map.energy_error_ev": abs(stops)}
    return found, shown


def energies(lights: Lights) -> dict[str, float]:
    """Mean luminance over all directions by light; times π it is the irradiance averaged over a ball's surface."""
    return {name: float(luminance(pano.mean_radiance(light))) for name, light in lights.items()}


def limo_rmse(scores: Scores) -> float:
    """Mean RMSE over LIMO's four balls: what orders methods and cases in the pictures."""
    return float(np.mean([value for key, value in scores.items() if key.startswith("limo.") and key.endswith(".rmse")]))
