# SPDX-License-Identifier: GPL-3.0-or-later
"""What photos say of surfaces before training: which are metal, what colour metals have, what they mirror."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from limelight.backend.splats.inputs import read_scene
from limelight.backend.splats.shading import cubemap
from limelight.backend.splats.train import evidence, losses
from limelight.backend.splats.train.evidence import Evidence
from limelight.backend.splats.train.handover import begin
from limelight.backend.splats.train.learnt import Learnt, raw
from limelight.backend.splats.train.start import first_gaussians
from limelight.tests.engine.splats.scenes import write_scene
from torch import Tensor
from torch.nn import functional as F

COPPER, PAINT = torch.tensor([1.0, 0.55, 0.4]), torch.tensor([0.2, 0.3, 0.6])


def sky(d: Tensor) -> Tensor:
    """(…, 3): white light in stripes."""
    return (0.4 + 0.38 * (5 * d[..., :1]).cos()).expand(*d.shape[:-1], 3)


@pytest.fixture(scope="module")
def looks() -> tuple[Evidence, Tensor]:
    """A ball of 600 places in 30 views: a mirror above, paint with a thin gloss below."""
    g = torch.Generator().manual_seed(0)
    places, eyes = (F.normalize(torch.randn(n, 3, generator=g), dim=-1) for n in (600, 30))
    towards = F.normalize(places - 4 * eyes[:, None], dim=-1)
    facing = -(places * towards).sum(-1, keepdim=True)
    mirrored = towards + 2 * facing * places
    colour = torch.where(places[:, 2:] > 0, COPPER * sky(mirrored), 0.4 * PAINT + 0.04 * sky(mirrored))
    return Evidence(colour, mirrored, facing[..., 0] > 0.3), places


def test_metals_are_told_by_how_their_colour_changes(looks: tuple[Evidence, Tensor]) -> None:
    found, places = looks
    metallic = evidence.metallic(found, places)
    assert float((metallic[places[:, 2] > 0.2] > 0.5).float().mean()) > 0.8
    assert float((metallic[places[:, 2] < -0.2] > 0.5).float().mean()) < 0.05
    few = Evidence(*(part[:3] for part in found))
    assert (evidence.metallic(few, places) == evidence.UNKNOWN).all()


def test_metals_show_their_tint_and_the_light(looks: tuple[Evidence, Tensor]) -> None:
    found, places = looks
    metal = places[:, 2] > 0
    tint = evidence.tint(found, metal, places)
    torch.testing.assert_close(tint[metal], COPPER.expand_as(tint[metal]), atol=1e-3, rtol=0)
    light = evidence.mirrored_light(found, tint, metal, 16)
    d = cubemap.directions(16)
    above = d[..., 2] > 0
    torch.testing.assert_close(light[above], sky(d)[above], atol=0.12, rtol=0)
    # Straight below nothing is mirrored.
    below = light[d[..., 2] < -0.98]
    assert float((below - 0.4).abs().max()) < 0.2


def test_what_faces_away_is_not_seen(tmp_path: Path) -> None:
    views = read_scene(write_scene(tmp_path), 40)
    cloud = Learnt(raw(first_gaussians(views, 300, 0)), torch.zeros(6, 4, 4, 3)).cloud()
    found = evidence.gather(views, cloud, 4.0)
    assert found.seen.shape == (len(views.train), 300)
    out = F.normalize(cloud["means"].detach(), dim=-1)
    for view, seen in zip(views.train, found.seen, strict=True):
        assert int(seen.sum()) > 20
        assert float((out[seen] @ F.normalize(view.camera.position, dim=-1)).min()) > 0
    assert float(found.colour[found.seen].mean()) > 0.02


def test_many_metals_tell_the_whole_light_and_a_few_its_colour(looks: tuple[Evidence, Tensor]) -> None:
    found, places = looks
    order = places[:, 2].argsort(descending=True)
    for number, told in ((250, 9), (600, 1)):
        some = order[:number]
        if number == 600:
            # A third of them mirrors.
            some = torch.cat([order[:150], order[300:]])
        answer = begin(Evidence(*(part[:, some] for part in found)), places[some], True, 16)
        assert answer.light is not None and answer.light.shape == (told, 3)
        # The sky is white.
        assert float((answer.light[0] / answer.light[0].mean() - 1).abs().max()) < 0.02
    assert begin(Evidence(*(part[:, some] for part in found)), places[some], False, 16).light is None


def test_mirrors_are_polished_in_doubt_and_other_surfaces_are_what_they_are() -> None:
    roughness = torch.tensor([[[0.0], [0.9]]], requires_grad=True)
    metallic, alpha = torch.tensor([[[1.0], [0.0]]]), torch.tensor([[[1.0], [1.0]]])
    loss = losses.unpolished(roughness, metallic, alpha)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(losses.POLISHED**2 / 2)
    assert roughness.grad is not None and float(roughness.grad[0, 0]) < 0 and float(roughness.grad[0, 1]) == 0
