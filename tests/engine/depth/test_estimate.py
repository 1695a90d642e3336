# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to depth: sizes, lenses, sky, mirrors and what is missing or broken."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from limelight.backend.depth import embedded
from limelight.backend.depth.embedded import EmbeddedDepth, load_network
from limelight.backend.depth.estimate import estimate, estimate_depth_file, find_model
from limelight.backend.depth.network import FOCAL_BINS, DepthConfig, DepthNet, focal_of, input_size
from limelight.backend.depth.refine import carry
from limelight.backend.errors import BadInput, Cancelled, MissingPart
from limelight.backend.optics import exr
from limelight.backend.optics.photo import Photo
from PIL import Image
from safetensors.torch import save_file

SMALL = DepthConfig((8, 12, 12, 24), (1, 1, 1), 2)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A tiny random network in the shipped form."""
    torch.manual_seed(3)
    path = tmp_path / "tiny.safetensors"
    state = {name: p.half().contiguous() for name, p in DepthNet(SMALL).state_dict().items()}
    # Random weights know no sky.
    state["leave.bias"][1] = -20
    save_file(state, path, {"config": json.dumps(SMALL.to_dict())})
    return path


def photo(height: int, width: int) -> torch.Tensor:
    torch.manual_seed(height * 1000 + width)
    return torch.rand(height, width, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (700, 3), (17, 33), (300, 400)])
def test_any_size_gives_depth_of_that_size(weights: Path, size: tuple[int, int]) -> None:
    found = EmbeddedDepth(weights=weights).estimate(photo(*size), None)
    assert found.depth.shape == found.sky.shape == size
    assert bool((found.depth > 0).all()) and 1 < found.fov_x_deg < 170 and found.fov_spread > 0
    assert (found.camera.width, found.camera.height) == (size[1], size[0])


def test_a_mirror_image_has_the_same_lens_and_the_mirrored_depth(weights: Path) -> None:
    model, picture = EmbeddedDepth(weights=weights), photo(96, 128)
    one, other = model.estimate(picture, None), model.estimate(picture.flip(1), None)
    assert one.fov_x_deg == pytest.approx(other.fov_x_deg, abs=1e-3)
    assert torch.allclose(one.depth, other.depth.flip(1), rtol=1e-3)
    assert one.up is not None and other.up is not None
    assert torch.allclose(one.up * torch.tensor([-1.0, 1, 1]), other.up, atol=1e-4)


def test_a_given_lens_is_kept_and_changes_the_depth(weights: Path) -> None:
    model, picture = EmbeddedDepth(weights=weights), photo(96, 128)
    narrow, wide = model.estimate(picture, 25.0), model.estimate(picture, 100.0)
    assert (narrow.fov_x_deg, narrow.fov_spread) == (25.0, 0.0)
    assert not torch.allclose(narrow.depth, wide.depth)
    with pytest.raises(BadInput, match="between 1 and 170"):
        estimate(Photo(picture), 200.0, "guess")


def test_exif_counts_along_the_longer_side() -> None:
    upright = estimate(Photo(photo(60, 40), focal_35mm=36.0), model="guess")
    lying = estimate(Photo(photo(40, 60), focal_35mm=36.0), model="guess")
    assert lying.fov_x_deg == pytest.approx(2 * math.degrees(math.atan(0.5)), abs=1e-3)
    assert upright.fov_x_deg == pytest.approx(2 * math.degrees(math.atan(1 / 3)), abs=1e-3)
    assert estimate(Photo(photo(40, 60), focal_35mm=36.0), 70.0, "guess").fov_x_deg == pytest.approx(70)


def test_missing_and_damaged_weights_are_sentences(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingPart, match="missing"):
        load_network(tmp_path / "none.safetensors")
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(MissingPart, match="damaged"):
        load_network(weights)
    with pytest.raises(BadInput, match="no depth model"):
        find_model("nothing")


def test_the_file_says_lens_spread_model_and_warnings(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded.EmbeddedDepth.__init__, "__defaults__", ("cpu", weights))
    Image.fromarray((photo(48, 64) * 255).byte().numpy()).save(tmp_path / "photo.png")
    told = estimate_depth_file(tmp_path / "photo.png", tmp_path / "depth.exr", model="embedded")
    assert told["model"] == "embedded" and told["scale_is_guess"] and told["fov_spread_deg"]
    assert any("scale is a guess" in note for note in told["warnings"])  # type: ignore[attr-defined]
    assert exr.read_depth(tmp_path / "depth.exr").shape == (48, 64)
    with pytest.raises(BadInput, match=r"extension \.exr"):
        estimate_depth_file(tmp_path / "photo.png", tmp_path / "depth.png")


def test_a_cancelled_estimate_writes_no_file(tmp_path: Path) -> None:
    def check() -> None:
        raise Cancelled

    Image.fromarray((photo(48, 64) * 255).byte().numpy()).save(tmp_path / "photo.png")
    with pytest.raises(Cancelled):
        estimate_depth_file(tmp_path / "photo.png", tmp_path / "depth.exr", model="guess", check=check)
    assert not (tmp_path / "depth.exr").exists()


def test_edges_come_from_the_picture_and_the_sky_bleeds_nowhere() -> None:
    picture = torch.full((120, 160, 3), 0.2)
    picture[:, 83:] = 0.9
    coarse = torch.zeros(30, 40)
    coarse[:, 21:] = 2.0
    carried = carry(coarse, picture)
    assert float(carried[:, :80].max()) < 0.2 and float(carried[:, 86:].min()) > 1.7
    # Where half of the picture has no weight, its values do not count at all.
    weight = (coarse == 0).float()
    without = carry(coarse, picture, weight)
    assert float(without[:, :82].abs().max()) < 2e-3


def test_the_lens_is_where_its_bins_say() -> None:
    logits = torch.full((2, 32), -30.0)
    logits[0, 7], logits[1, 10], logits[1, 12] = 30.0, 30.0, 30.0
    mean, spread = focal_of(logits)
    assert torch.allclose(mean, FOCAL_BINS[[7, 11]], atol=1e-4)
    assert float(spread[0]) < 1e-3 and float(spread[1]) == pytest.approx(float(FOCAL_BINS[12] - FOCAL_BINS[11]), 0.01)


def test_the_network_sees_about_as_many_pixels_whatever_the_shape() -> None:
    for width, height in ((4000, 3000), (3000, 4000), (1920, 1080), (10, 5000), (1, 1)):
        wide, high = input_size(width, height)
        assert wide % 16 == high % 16 == 0 and 0.7 < wide * high / 9216 < 1.4
