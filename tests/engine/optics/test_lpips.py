# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS with a user's weights: its formula on random ones, and files that are something else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics.lpips import Lpips
from safetensors.torch import save_file

SHAPES = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}


def random_weights() -> dict[str, torch.Tensor]:
    """With the names that the lpips package gives."""
    torch.manual_seed(0)
    found = {"scaling_layer.shift": torch.zeros(1, 3, 1, 1)}
    for i, (at, (out, inside, size)) in enumerate(SHAPES.items(), 1):
        found[f"net.slice{i}.{at}.weight"] = torch.randn(out, inside, size, size) / (inside * size * size) ** 0.5
        found[f"net.slice{i}.{at}.bias"] = torch.randn(out) * 0.1
        found[f"lin{i - 1}.model.1.weight"] = torch.rand(1, out, 1, 1)
    return found


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_file(random_weights(), tmp_path / "lpips.safetensors")
    return tmp_path / "lpips.safetensors"


def picture(seed: int) -> torch.Tensor:
    return torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(seed))


def test_it_is_a_symmetric_distance_that_grows_with_the_difference(weights: Path) -> None:
    distance = Lpips(weights)
    a, b = picture(0), picture(1)
    assert distance(a, a) == 0 and distance(a, b) == pytest.approx(distance(b, a), rel=1e-5)
    assert 0 < distance(a, a + 0.1 * (b - a)) < distance(a, b)


def test_the_first_layers_part_is_the_formula_by_hand(tmp_path: Path) -> None:
    tensors = random_weights()
    for i in range(1, 5):
        tensors[f"lin{i}.model.1.weight"].zero_()
    save_file(tensors, tmp_path / "first.safetensors")
    a, b = picture(0), picture(1)
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen = []
    for shown in (a, b):
        padded = torch.nn.functional.pad(((shown - mean) / spread).permute(2, 0, 1), (2, 2, 2, 2))
        patches = padded.unfold(1, 11, 4).unfold(2, 11, 4)
        out = torch.einsum("chwyx,ocyx->ohw", patches, tensors["net.slice1.0.weight"])
        out = (out + tensors["net.slice1.0.bias"][:, None, None]).clamp(min=0)
        seen.append(out / out.square().sum(0).sqrt())
    by_hand = ((seen[0] - seen[1]) ** 2 * tensors["lin0.model.1.weight"][0]).sum(0).mean()
    assert Lpips(tmp_path / "first.safetensors")(a, b) == pytest.approx(float(by_hand), rel=0.02)


def test_files_that_are_something_else_are_told(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(BadInput, match="is no file of LPIPS weights"):
        Lpips(tmp_path / "missing.safetensors")
    tensors = random_weights()
    del tensors["lin3.model.1.weight"]
    save_file(tensors, tmp_path / "less.safetensors")
    with pytest.raises(BadInput, match=r"have no lin3.model.1.weight"):
        Lpips(tmp_path / "less.safetensors")
    other = random_weights() | {"net.slice2.3.weight": torch.zeros(12, 64, 5, 5)}
    save_file(other, tmp_path / "other.safetensors")
    with pytest.raises(BadInput, match="layer 3 has 12 channels, not 192"):
        Lpips(tmp_path / "other.safetensors")
