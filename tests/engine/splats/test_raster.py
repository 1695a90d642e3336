# SPDX-License-Identifier: GPL-3.0-or-later
"""The fast rasteriser against every Gaussian on every pixel, against differences, and against what must be so."""

from __future__ import annotations

import pytest
import torch
from limelight.backend.errors import LimelightError
from limelight.backend.optics.camera import Camera
from limelight.backend.splats.raster import Raster, SplatCamera, rasterize
from limelight.tests.engine.splats.clouds import camera, cloud
from torch import Tensor


def weighted(raster: Raster) -> Tensor:
    """A number on which all of a picture depends."""
    g = torch.Generator().manual_seed(5)
    return sum(
        ((part * torch.randn(part.shape, generator=g, dtype=part.dtype)).sum() for part in raster[:3]),
        start=torch.zeros((), dtype=raster.alpha.dtype),
    )


@pytest.mark.parametrize(("count", "distance"), [(1, 2.2), (60, 2.2), (60, 0.4)])
def test_pictures_and_gradients_are_the_references(count: int, distance: float) -> None:
    tensors, view = cloud(count, 5), camera(37, 29, distance=distance)
    rasters, gradients = [], []
    for method in ("dense", "tiled"):
        screen = torch.zeros(count, 2, dtype=torch.float64, requires_grad=True)
        rasters.append(rasterize(*tensors, view, screen=screen, method=method))
        gradients.append(torch.autograd.grad(weighted(rasters[-1]), [*tensors, screen]))
    for expected, got in zip(*rasters, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    for expected, got in zip(*gradients, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-10)


def test_gradients_are_those_of_differences() -> None:
    # Few and faint: neither the cut at 1/255 nor the stop of light lies within a difference's reach.
    tensors, view = cloud(4, 2), camera(12, 9)
    tensors[2].data.fill_(0.4)
    tensors[3].data.clamp_(0.3, 0.8)
    assert torch.autograd.gradcheck(
        lambda *parts: rasterize(*parts, view)[:3], tensors, eps=1e-7, atol=1e-4, rtol=1e-4, nondet_tol=0
    )


def test_single_precision_is_near_double() -> None:
    exact = rasterize(*[t.detach() for t in cloud(80, 3)], camera(40, 40))
    single = rasterize(*[t.detach().float() for t in cloud(80, 3)], camera(40, 40, torch.float32))
    assert float((exact.colours - single.colours).abs().max()) < 1e-4


def test_a_near_gaussian_hides_a_far_one_and_all_stay_where_they_are() -> None:
    view = SplatCamera(Camera.from_fov(33, 33, 60), torch.eye(4))
    means = torch.tensor([[0.0, 0.0, -4.0], [0.0, 0.0, -2.0], [0.5, 0.5, -2.0], [0.0, 0.0, 3.0]])
    quats, scales = torch.tensor([[1.0, 0, 0, 0]]).expand(4, 4), torch.full((4, 3), 0.08)
    raster = rasterize(means, quats, scales, torch.full((4,), 0.999), torch.eye(4), view)
    assert raster.colours[16, 16, 1] > 0.99 and raster.colours[16, 16, 0] < 0.01
    # x to the right, y up: the third shows in the upper right.
    row, column = divmod(int(raster.colours[..., 2].argmax()), 33)
    assert row < 14 and column > 18
    assert not raster.drawn[3]
    assert float(raster.depth[16, 16] / raster.alpha[16, 16]) == pytest.approx(2.0, abs=0.02)


def test_what_cannot_be_drawn_is_left_out() -> None:
    means, quats, scales, opacity, colours = (t.detach().float() for t in cloud(40, 3))
    whole = rasterize(means[10:], quats[10:], scales[10:], opacity[10:], colours[10:], camera(24, 24, torch.float32))
    means[0], scales[1], opacity[2:10] = torch.nan, torch.inf, torch.nan
    leaves = [t.requires_grad_() for t in (means, quats, scales, opacity, colours)]
    raster = rasterize(*leaves, camera(24, 24, torch.float32))
    raster.colours.sum().backward()
    torch.testing.assert_close(raster.colours, whole.colours)
    assert all(torch.isfinite(leaf.grad).all() for leaf in leaves)


def test_no_gaussians_are_an_empty_picture() -> None:
    raster = rasterize(*(t.detach() for t in cloud(0, 3)), camera(20, 10))
    assert raster.colours.shape == (10, 20, 3) and float(raster.alpha.max()) == 0


def test_an_unknown_method_is_a_sentence() -> None:
    with pytest.raises(LimelightError, match="no rasteriser 'opengl'"):
        rasterize(*cloud(2, 3), camera(8, 8), method="opengl")
