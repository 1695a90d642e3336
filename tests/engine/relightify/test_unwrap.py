# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo shows of a face: colours come back where they are seen, and what covers the skin is left out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from limelight.backend.optics import harmonics
from limelight.backend.optics.exposure import srgb_oetf
from limelight.backend.relightify import maps, photometric, raster
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.records import FaceFit
from limelight.backend.relightify.render import Pose, View
from limelight.backend.relightify.unwrap import look, unwrap
from torch import Tensor

TONES = {"dark": (0.055, 0.028, 0.018), "middle": (0.29, 0.16, 0.10), "light": (0.62, 0.42, 0.33)}


def turned(fit: FaceFit, degrees: float) -> FaceFit:
    a = math.radians(degrees)
    turn = torch.tensor([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    return replace(fit, rotation=fit.rotation @ turn)


def photo_of(head: HeadModel, fit: FaceFit, texture: Tensor) -> tuple[Tensor, Tensor]:
    """Linear colours (3, R, R) on the head in a photo, before grey, and where the head is."""
    view = View(head, fit.points(head), Pose(fit.rotation, fit.translation, fit.camera))
    image, alpha = view.flat(texture)
    return image + 0.4 * (1 - alpha[..., None]), alpha


def places(size: int) -> Tensor:
    """A texture whose red and green are its own u and v, all alike in brightness."""
    v, u = torch.meshgrid((torch.arange(size) + 0.5) / size, (torch.arange(size) + 0.5) / size, indexing="ij")
    return torch.stack([u, 1 - v, torch.full_like(u, 0.5)])


def test_a_drawn_texture_comes_back_where_it_is_seen(head: HeadModel, posed: FaceFit) -> None:
    smooth = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.4
    texture = torch.nn.functional.interpolate(smooth[None], (256, 256), mode="bicubic", align_corners=False)[0]
    photo, _ = photo_of(head, posed, texture)
    found = unwrap(photo, posed, head)
    known = found.mask[0] > 0
    assert found.colour.shape == (3, 256, 256) and set(found.mask.unique().tolist()) == {0.0, 1.0}
    assert 0.12 < float(known.float().mean()) < 0.4
    assert float((found.colour - srgb_oetf(texture)).abs()[:, known].mean()) < 0.004
    assert float((found.colour - srgb_oetf(texture)).abs()[:, known].max()) < 0.06


@pytest.mark.parametrize("degrees", (-20, 30, -60))
def test_no_texel_is_looked_up_where_something_hides_it(head: HeadModel, posed: FaceFit, degrees: float) -> None:
    fit = turned(posed, degrees)
    photo, _ = photo_of(head, fit, places(512))
    seen = look(photo, fit, head, 256)
    # Pixels at the skin's rim, which unwrapping leaves out later, show something of what is beyond it.
    trusted = -torch.nn.functional.max_pool2d(-(seen.trust > 0.5).float()[None], 3, 1, 1)[0] > 0
    # Each texel's colour tells which texel the photo shows there.
    apart = (seen.colour - places(256))[:2].norm(dim=0)[trusted]
    assert int(trusted.sum()) > 5000
    assert float((apart > 0.03).float().mean()) < 0.005


def test_what_is_seen_aslant_or_beyond_the_photo_is_not_trusted(head: HeadModel, posed: FaceFit) -> None:
    shifted = replace(posed, translation=posed.translation + torch.tensor([0.17, 0, 0]))
    photo, _ = photo_of(head, shifted, places(256))
    seen = look(photo, shifted, head, 128)
    found, triangles = raster.uv_raster(head, 128, "skin")
    camera_points = found.interpolate(triangles, head.corners(shifted.camera_points(head)))
    normal = seen.normal.permute(1, 2, 0) @ shifted.rotation.T
    cosine = (normal * torch.nn.functional.normalize(-camera_points, dim=-1)).sum(-1)
    trusted = (seen.trust > 0.5) & found.mask
    assert float(cosine[trusted].min()) > math.cos(math.radians(76))
    u = shifted.camera.project(camera_points[trusted])[0][:, 0]
    assert float(u.max()) < 1
    assert float((seen.trust > 0.5).float().mean()) < 0.8 * float(
        (look(photo, posed, head, 128).trust > 0.5).float().mean()
    )


def portrait(head: HeadModel, fit: FaceFit, tone: str) -> Tensor:
    """Mottled skin under one-sided light, brows and lips of other colours, in linear radiance (3, 256, 256)."""
    found, triangles = raster.uv_raster(head, 256, "skin")
    normals = found.interpolate(triangles, raster.corner_normals(head, fit.points(head)))
    light = harmonics.basis(torch.nn.functional.normalize(torch.tensor([0.5, -0.8, 0.4]), dim=0))[:, None].repeat(1, 3)
    light[0] += 1.5
    skin = photometric.shade(torch.tensor(TONES[tone]), light, normals).permute(2, 0, 1)
    noise = torch.randn(1, 256, 256, generator=torch.Generator().manual_seed(1)) * 0.05
    skin = skin * noise.exp()
    for (left, right, top, bottom), colour in (
        ((108, 148, 182, 196), (0.8, 0.5, 0.55)),
        ((88, 112, 91, 96), (0.3,) * 3),
    ):
        skin[:, top:bottom, left:right] *= torch.tensor(colour)[:, None, None]
    return maps.filled(skin)


HAIR = {"black": (0.01, 0.008, 0.007), "blond": (0.30, 0.20, 0.08), "grey": (0.30, 0.30, 0.31)}


@pytest.mark.parametrize("hair", HAIR)
@pytest.mark.parametrize("tone", TONES)
def test_hair_over_the_forehead_is_left_out_and_the_face_kept(
    head: HeadModel, posed: FaceFit, tone: str, hair: str
) -> None:
    texture = portrait(head, posed, tone)
    strands = torch.randn(1, 1, 256, generator=torch.Generator().manual_seed(2)) * 0.35
    covered = torch.zeros(256, 256, dtype=torch.bool)
    covered[:88] = True
    texture = torch.where(covered, torch.tensor(HAIR[hair])[:, None, None] * strands.exp(), texture)
    photo, _ = photo_of(head, posed, texture)
    seen = look(photo, posed, head, 256)
    known = unwrap(photo, posed, head).mask[0] > 0
    visible = (seen.trust > 0.5) & seen.skin
    assert int((covered & visible).sum()) > 1500
    assert float(known[covered & visible].float().mean()) < 0.02
    assert float(known[~covered & visible].float().mean()) > 0.7


def test_an_uncovered_face_is_kept_whole(head: HeadModel, posed: FaceFit) -> None:
    for tone in TONES:
        photo, _ = photo_of(head, posed, portrait(head, posed, tone))
        seen = look(photo, posed, head, 256)
        known = unwrap(photo, posed, head).mask[0] > 0
        visible = (seen.trust > 0.5) & seen.skin
        assert float(known[visible].float().mean()) > 0.75
        brow = torch.zeros_like(visible)
        brow[91:96, 88:112] = True
        assert float(known[brow & visible].float().mean()) > 0.9


@pytest.mark.parametrize("tone", TONES)
def test_a_highlight_on_the_forehead_stays(head: HeadModel, posed: FaceFit, tone: str) -> None:
    fit = turned(posed, -20)
    y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    shine = torch.exp(-((x - 120.0) ** 2 + (y - 75.0) ** 2) / (2 * 12**2))
    photo, _ = photo_of(head, fit, portrait(head, fit, tone) + 0.1 * shine)
    known = unwrap(photo, fit, head).mask[0] > 0
    assert float(known[shine > 0.3].float().mean()) > 0.95


def test_a_hand_before_the_cheek_is_left_out(head: HeadModel, posed: FaceFit) -> None:
    photo, _ = photo_of(head, posed, portrait(head, posed, "middle"))
    reach = posed.camera.project(head.corners(posed.camera_points(head)))[0]
    chin = reach[head.corners(posed.points(head))[:, 2] > -0.12][:, 1].max()
    x, y = (torch.arange(400) + 0.5) / 400, (torch.arange(360) + 0.5) / 360
    blue = (y[:, None] > chin - 0.13) & (x[None, :] < 0.48)
    photo[blue] = torch.tensor([0.05, 0.12, 0.3])
    seen = look(photo, posed, head, 256)
    known = unwrap(photo, posed, head).mask[0] > 0
    glove = (seen.colour[2] > 1.5 * seen.colour[0]) & (seen.trust > 0.5)
    assert int(glove.sum()) > 500
    assert float(known[glove].float().mean()) < 0.02


@pytest.mark.parametrize("frames", (True, False))
def test_rims_go_where_there_are_spectacles_and_the_same_lines_stay_where_there_are_none(
    head: HeadModel, posed: FaceFit, frames: bool
) -> None:
    fit = turned(posed, -20)
    texture = portrait(head, fit, "light")
    y, x = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    rim = torch.zeros(256, 256, dtype=torch.bool)
    for eye in (105, 151):
        away = ((x - eye) ** 2 + (y - 118) ** 2).sqrt()
        rim |= ((away - 20).abs() < 1.6) & (y > 118)
    texture[:, rim] *= 0.7
    if frames:
        texture[:, (y > 102) & (y < 116) & ((x - 128).abs() > 8)] = 0.015
    photo, _ = photo_of(head, fit, texture)
    seen = look(photo, fit, head, 256)
    known = unwrap(photo, fit, head).mask[0] > 0
    share = float(known[rim & (seen.trust > 0.5)].float().mean())
    assert share < 0.15 if frames else share > 0.85
    cheeks = ((x - 128).abs() < 40) & (y > 145) & (y < 175) & (seen.trust > 0.5)
    assert float(known[cheeks].float().mean()) > 0.85


def test_a_finer_map_of_the_same_photo_has_the_same_mask(head: HeadModel, posed: FaceFit) -> None:
    photo, _ = photo_of(head, posed, portrait(head, posed, "light"))
    small, large = unwrap(photo, posed, head, 256), unwrap(photo, posed, head, 512)
    shrunk = torch.nn.functional.avg_pool2d(large.mask[None], 2)[0]
    assert float((shrunk - small.mask).abs().mean()) < 0.01
