# SPDX-License-Identifier: GPL-3.0-or-later
"""Roughness that is guessed from the specular albedo: by the lines that were fitted, near the rule for heads unseen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from limelight.backend.relightify import maps
from limelight.backend.relightify.roughness import SIZE, fit_roughness, load_roughness, save_roughness
from limelight.synthesis.samples import EVALUATION_SEEDS
from limelight.synthesis.skin import layout, regions
from limelight.training.relightify.roughness import painted

FACE = maps.skin_mask(SIZE)[0] > 0


@pytest.fixture(scope="module", params=[0, 5])
def unseen(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    """Specular albedo and roughness (1, 128, 128) of a head that no fit has seen, of the lightest or darkest tone."""
    specular, rough = painted(EVALUATION_SEEDS + EVALUATION_SEEDS % 6 * 5 + request.param)[:, None]
    return specular, rough


def test_lines_are_found_again_and_survive_their_file(tmp_path):
    specular = torch.rand(9, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(2)) * 0.4 + 0.3
    slope = torch.linspace(-0.8, 0.0, SIZE)
    model = fit_roughness(specular, 0.5 + slope * (specular - 0.5))
    torch.testing.assert_close(model.of(specular[0]), 0.5 + slope * (specular[0] - 0.5), atol=1e-4, rtol=0)
    save_roughness(model, tmp_path / "lines.safetensors", {})
    again = load_roughness.__wrapped__(tmp_path / "lines.safetensors")
    torch.testing.assert_close(again.of(specular[1]), model.of(specular[1]), atol=2e-3, rtol=0)


def test_unseen_heads_are_told_better_than_by_any_constant(unseen):
    specular, rough = unseen
    found = load_roughness().of(specular)
    error, best = ((value - rough)[:, FACE].square().mean().sqrt() for value in (found, rough[:, FACE].mean()))
    assert error < 0.4 * best and error < 0.03


def test_lips_are_smoothest_and_the_nose_is_smoother_than_cheeks(unseen):
    found = load_roughness().of(unseen[0])[0].numpy()
    at = layout.layout(SIZE)
    lips, nose, cheek = regions.lips(SIZE) > 2, at.blob(0, -32, 8, 10) > 0.7, at.blob(52, -40, 6, 6) > 0.7
    means = [float(np.mean(found[place & FACE.numpy()])) for place in (lips, nose, cheek)]
    assert means == sorted(means) and means[1] < means[2] - 0.02


def test_it_comes_as_fine_as_the_albedo_and_within_bounds():
    for albedo in (0.0, 1.0):
        found = load_roughness().of(torch.full((1, maps.RESOLUTION, maps.RESOLUTION), albedo))
        assert found.shape == (1, maps.RESOLUTION, maps.RESOLUTION) and 0.25 <= found.min() <= found.max() <= 0.75
