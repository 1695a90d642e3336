# SPDX-License-Identifier: GPL-3.0-or-later
"""The measure of the depth guess: scores of known errors, held-out seeds, constants found again."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.depth.perspective import GUESS, Perspective, guess_depth
from limelight.backend.errors import BadInput
from limelight.backend.optics.camera import Camera
from limelight.benchmarks import depth_guess

TRUE = Perspective(floor=1.2, ceiling=1.0, wall=4.0)


def write(folder: Path, seed: int) -> None:
    """A sample whose depth is the guess of other constants; odd seeds have a white sky on top."""
    camera = Camera.from_fov(48, 32, 60 + seed)
    radiance = torch.full((32, 48, 3), 0.2)
    if seed % 2:
        radiance[:8] = 3.0
    depth, _ = guess_depth(radiance.clamp(0, 1), camera, TRUE)
    np.savez(folder / f"sample_{seed}.npz", radiance=radiance.numpy().astype(np.float16),
             depth=depth.numpy().astype(np.float16), camera=np.array(list(camera.to_dict().values())))  # fmt: skip


def test_the_search_finds_the_constants_behind_the_pictures(tmp_path: Path) -> None:
    for seed in (0, 10, *range(1, 7)):
        write(tmp_path, seed)
    result = depth_guess.measure(tmp_path, fit=True, report=lambda text: None)
    assert (result["fitted_to"], result["held_out"]) == (6, 2)
    found, scores = result["constants"]["fitted"], result["scores"]
    assert (found["floor"], found["ceiling"], found["wall"]) == pytest.approx((1.2, 1.0, 4.0))
    assert scores["fitted"]["metric_absrel"] < 0.01 and scores["fitted"]["metric_delta"] == 1.0
    assert scores["in use"]["metric_absrel"] > 0.02
    (constant,) = [row for name, row in scores.items() if name.startswith("constant")]
    assert constant["aligned_absrel"] > 0.1 and constant["sky_iou"] == 1.0


def test_scores_of_known_errors() -> None:
    camera = Camera.from_fov(4, 4, 60)
    truth = torch.full((4, 4), 2.0)
    truth[0] = torch.inf
    picture = depth_guess.Picture(torch.zeros(4, 4, 3), camera, truth)
    half = depth_guess.score(torch.full((4, 4), 1.0), picture)
    assert half.pop("log_error") == pytest.approx((3 * math.log(2) + math.log(100)) / 4)
    assert half == pytest.approx({"sky_iou": 0.0, "metric_absrel": 0.5, "metric_delta": 0.0, "aligned_absrel": 0.0,
                                  "aligned_delta": 1.0})  # fmt: skip
    assert depth_guess.score(truth, picture)["sky_iou"] == 1.0


def test_a_folder_without_samples_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds 0 samples"):
        depth_guess.measure(tmp_path, fit=False)


def test_the_guess_is_a_room_without_its_sky() -> None:
    camera = Camera.from_fov(64, 48, 60)
    radiance = torch.full((48, 64, 3), 0.2)
    depth, notes = guess_depth(radiance, camera)
    assert notes and float(depth.max()) == pytest.approx(GUESS.wall) and bool(torch.isfinite(depth).all())
    points = camera.unproject(depth)
    bottom = depth[-1] < GUESS.wall - 1e-3
    assert torch.allclose(points[-1, bottom, 1], torch.tensor(-GUESS.floor), atol=1e-4)
    radiance[:20] = 1.0
    sky, _ = guess_depth(radiance, camera)
    assert bool(torch.isinf(sky[:20]).all()) and torch.equal(sky[20:], depth[20:])
    radiance[:, 30:40] = 1.0
    assert torch.equal(guess_depth(radiance, camera)[0], depth), "a white wall is not the sky"
