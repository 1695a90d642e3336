# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading corrects what erring landmarks make of a head, whatever the skin's tone, and keeps still without skin."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from limelight.backend.optics import harmonics
from limelight.backend.relightify import fit, fit_photometric
from limelight.backend.relightify.fit_landmarks import Laid, LandmarkFit
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.records import FaceFit
from limelight.backend.relightify.skin_samples import skin_samples
from limelight.tests.engine.relightify import sitter
from limelight.tests.engine.relightify.test_fit import face_error, seen


def lit(posed: FaceFit) -> FaceFit:
    """The posed head with a lamp from its upper left and dim light from all round."""
    lamp = torch.nn.functional.normalize(torch.tensor([0.5, -0.8, 0.5]), dim=0)
    light = 3 * harmonics.basis(lamp)
    light[0] += 1.5
    return dataclasses.replace(posed, light=light[:, None].expand(9, 3).contiguous())


def erring(head: HeadModel, pose: FaceFit) -> torch.Tensor:
    """Landmarks (468, 2) that err by a hundredth or so of the face's size, neighbours alike."""
    true = seen(head, pose)
    draw = torch.Generator().manual_seed(5)
    centres = true[torch.randperm(468, generator=draw)[:24]]
    pull = torch.randn(24, 2, generator=draw) * 0.008
    near = torch.exp(-(torch.cdist(true, centres) ** 2) / (2 * 0.05**2))
    return true + near @ pull


def points(head: HeadModel, laid: Laid) -> torch.Tensor:
    return head.points(laid.identity.float(), laid.expression.float())


def laid_under(head: HeadModel, pose: FaceFit) -> tuple[LandmarkFit, Laid]:
    return fit.lay(head, erring(head, pose) * torch.tensor(pose.size), pose.size, pose.fov_x_deg)


@pytest.mark.parametrize("skin", [sitter.SKIN, (0.08, 0.04, 0.028)])
def test_shading_corrects_erring_landmarks(head: HeadModel, posed: FaceFit, monkeypatch, skin) -> None:
    monkeypatch.setattr(sitter, "SKIN", skin)
    pose = lit(posed)
    photo = sitter.photograph(head, pose)
    marks, laid = laid_under(head, pose)
    better = fit.shaded(head, marks, laid, photo, erring(head, pose))
    truth = pose.points(head)
    assert face_error(head, points(head, better), truth) < 0.95 * face_error(head, points(head, laid), truth)
    assert float(marks.errors(better).mean()) < 1.3 * float(marks.errors(laid).mean())


def test_without_free_skin_nothing_moves(head: HeadModel, posed: FaceFit) -> None:
    marks, laid = laid_under(head, posed)
    hidden = torch.zeros(len(skin_samples(head).point))
    still = fit_photometric.refine(head, marks, laid, torch.full((360, 400, 3), 0.3), hidden)
    assert still is laid


def test_a_photo_that_no_light_explains_does_not_mislead(head: HeadModel, posed: FaceFit) -> None:
    marks, laid = laid_under(head, posed)
    stripes = (torch.arange(360)[:, None, None] // 9 % 2 * 0.6 + 0.02).expand(360, 400, 3)
    found = fit_photometric.refine(head, marks, laid, stripes, torch.ones(len(skin_samples(head).point)))
    assert float(marks.errors(found).mean()) < 1.5 * float(marks.errors(laid).mean())
    assert bool(found.identity.isfinite().all())


def test_what_hangs_over_a_face_is_no_sample(head: HeadModel, posed: FaceFit) -> None:
    pose = dataclasses.replace(lit(posed), landmarks=seen(head, posed))
    photo = sitter.photograph(head, pose)
    bare = fit_photometric.free_samples(head, pose, photo)
    size = torch.tensor(pose.size)
    cheek = (pose.landmarks[50] * size).long()
    photo[cheek[1] - 25 : cheek[1] + 120, : cheek[0] + 25] = torch.tensor([0.02, 0.25, 0.03])
    veiled = fit_photometric.free_samples(head, pose, photo)
    at = (seen(head, pose)[50] - pose.camera.project(pose.camera_points(head)[skin_samples(head).point])[0]) * size
    beside = at.norm(dim=-1) < 15
    assert float(bare[beside].mean()) > 0.5 and float(veiled[beside].mean()) < 0.1


def test_samples_are_plain_skin_of_the_face(head: HeadModel) -> None:
    samples = skin_samples(head)
    assert torch.equal(head.corner_point[samples.corner], samples.point)
    apart = torch.cdist(head.landmarks(head.mean)[[70, 105, 336, 0, 17]], head.mean[samples.point]).amin(1)
    assert float(apart.min()) > 0.003
    whole = torch.nn.functional.normalize(samples.normals(head, head.mean), dim=-1)
    assert float((whole[:, 1] < 0).float().mean()) > 0.8
