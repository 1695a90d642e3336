# SPDX-License-Identifier: GPL-3.0-or-later
"""The light ratio carried to the full size: it keeps to edges, and leaves text and texture alone."""

from __future__ import annotations

import time

import numpy as np
import torch
from limelight.backend.luminet import ratio as ratios
from limelight.backend.luminet.estimate import BOUND, estimate, slerp
from limelight.backend.optics import photo
from limelight.tests.engine.luminet.fake import Fake


def whole(ratio: torch.Tensor, radiance: torch.Tensor) -> torch.Tensor:
    """The carried ratio (H, W, 3) in one piece."""
    return torch.cat([part for _, part in ratios.carried(ratio, radiance)])


def test_text_keeps_its_contrast_under_a_gradient_of_light() -> None:
    # Black letters of three pixels' width on white paper, far finer than the small picture.
    text = (np.random.default_rng(0).random((160, 200)) < 0.4).repeat(3, 0).repeat(3, 1)
    radiance = torch.from_numpy(np.where(text[..., None], 0.05, 0.8).astype(np.float32)).expand(-1, -1, 3).contiguous()
    gradient = torch.linspace(-1, 1, 32)[None, None].expand(3, 32, 32).contiguous()
    carried = whole(gradient, radiance)
    assert carried.shape == radiance.shape
    relit = radiance * carried.exp()
    wanted = torch.linspace(-1, 1, 600)[None, :, None]
    # The ratio follows the light, not the letters: stroke and paper beside it change alike.
    inner = slice(60, -60)
    assert float((carried - wanted)[:, inner].abs().max()) < 0.08
    steps = (relit[:, 1:].log() - relit[:, :-1].log()) - (radiance[:, 1:].log() - radiance[:, :-1].log())
    assert float(steps[:, inner].abs().max()) < 0.02


def test_light_stops_at_an_edge() -> None:
    radiance = torch.full((300, 400, 3), 0.1)
    radiance[:, 206:] = 0.7
    coarse = torch.zeros(3, 64, 64)
    coarse[:, :, 33:] = 1.5
    wanted = torch.zeros(300, 400, 3)
    wanted[:, 206:] = 1.5
    plain = torch.nn.functional.interpolate(coarse[None], (300, 400), mode="bilinear")[0].permute(1, 2, 0)
    error = (whole(coarse, radiance) - wanted).abs()
    assert float(error.mean()) < 0.9 * float((plain - wanted).abs().mean())
    assert float(error.max()) < 0.3 and float((plain - wanted).abs().max()) > 0.6


def test_strips_give_what_the_whole_gives(monkeypatch) -> None:
    radiance, coarse = torch.rand(217, 160, 3), torch.randn(3, 32, 32)
    one = whole(coarse, radiance)
    monkeypatch.setattr(photo, "STRIP", 160 * 10)
    assert torch.allclose(whole(coarse, radiance), one, atol=1e-6)
    assert len(list(ratios.carried(coarse, radiance))) == 22


def test_shrinking_is_the_average_of_areas() -> None:
    radiance = torch.rand(123, 77, 3)
    wanted = torch.nn.functional.interpolate(radiance.permute(2, 0, 1)[None], (32, 20), mode="area")[0]
    assert torch.allclose(ratios.shrink(radiance, (32, 20)), wanted, atol=1e-6)


def test_exposure_is_left_alone_where_it_is_plausible() -> None:
    picture = torch.rand(64, 64, 3)
    assert ratios.exposure_gain(picture * 0.9) == 1.0
    for factor in (9, 900, 9e5, 0.01):
        assert 0.7 < ratios.exposure_gain(picture * factor) * factor < 1.3
    assert ratios.exposure_gain(torch.zeros(64, 64, 3)) > 1
    around = torch.zeros(256, 256, 3)
    around[100:140, 100:140] = 0.5
    assert ratios.exposure_gain(around) == 1.0, "a small object on black is exposed as it is"


def test_the_ratio_is_bounded() -> None:
    found = estimate(torch.rand(3, 32, 32), slerp(torch.eye(16)[0], torch.eye(16)[1], 0.5), Fake((9.0, 0.0, -9.0)))
    assert found.ratio.amax((1, 2)).tolist()[0] == BOUND and found.ratio.amin((1, 2)).tolist()[2] == -BOUND


def test_opposite_and_equal_codes_have_a_way_between_them() -> None:
    one = torch.nn.functional.normalize(torch.arange(16.0), dim=0)
    for share in (0.0, 0.3, 0.5, 1.0):
        for other in (one, -one):
            assert abs(float(slerp(one, other, share).norm()) - 1) < 1e-5
    assert torch.allclose(slerp(one, -one, 1.0), -one)


def test_a_photo_is_carried_in_well_below_three_seconds() -> None:
    radiance, coarse = torch.rand(768, 1024, 3), torch.randn(3, 128, 128)
    start = time.process_time()
    whole(coarse, radiance)
    assert time.process_time() - start < 3
