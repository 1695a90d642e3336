# SPDX-License-Identifier: GPL-3.0-or-later
"""The head under a photo: known heads are found again, edited landmarks are met, portraits are matched."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics import harmonics
from limelight.backend.optics.photo import read_photo
from limelight.backend.relightify import fit, fit_light
from limelight.backend.relightify.fit_offsets import offsets
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.landmarks import find_faces
from limelight.backend.relightify.records import FaceFit
from limelight.tests.engine.relightify.sitter import photograph

PORTRAITS = Path(__file__).parents[4] / "shared" / "data" / "faces" / "portraits"


def seen(head: HeadModel, pose: FaceFit) -> torch.Tensor:
    """(468, 2): where the head's landmarks are in the picture, 0..1."""
    return pose.camera.project(head.landmarks(pose.camera_points(head)))[0]


def face_error(head: HeadModel, found: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean distance in millimetres of the landmarks of two heads' points (V, 3), turned and scaled onto each other."""
    a, b = head.landmarks(found), head.landmarks(truth)
    a, b = a - a.mean(0), b - b.mean(0)
    u, size, v = torch.linalg.svd(b.T @ a)
    scale = size.sum() / (a**2).sum()
    return float((scale * a @ (u @ v).T - b).norm(dim=-1).mean()) * 1e3


def test_a_known_head_is_found_again(head, posed) -> None:
    blank = torch.full((posed.size[1], posed.size[0], 3), 0.3)
    found = fit.fit_face(head, blank, seen(head, posed), posed.fov_x_deg)
    truth = posed.points(head)
    assert found.reprojection < 0.003
    assert face_error(head, found.points(head), truth) < 0.6 * face_error(head, head.mean, truth)
    assert found.fov_x_deg == pytest.approx(posed.fov_x_deg, abs=1e-4)
    cosine = (float((found.rotation @ posed.rotation.T).trace()) - 1) / 2
    assert math.degrees(math.acos(min(1.0, cosine))) < 3
    assert float(found.expression.min()) >= 0 and float(found.expression.max()) <= 1


def test_reprojection_is_that_of_the_points(head, posed) -> None:
    blank = torch.full((posed.size[1], posed.size[0], 3), 0.3)
    wanted = seen(head, posed) + 0.003 * torch.randn(468, 2, generator=torch.Generator().manual_seed(0))
    found = fit.fit_face(head, blank, wanted)
    size = torch.tensor(posed.size)
    apart = ((seen(head, found) - wanted) * size).norm(dim=-1).mean()
    assert found.reprojection == pytest.approx(float(apart / ((wanted[33] - wanted[263]) * size).norm()), rel=1e-3)


def test_an_edited_landmark_takes_the_head_along_smoothly(head, posed) -> None:
    size = torch.tensor(posed.size)
    pixels = seen(head, posed) * size
    lips = [61, 76, 62, 78, 185, 146, 91, 40]
    pixels[lips] += torch.tensor([-3.0, 2.0])
    laid_fit, laid = fit.lay(head, pixels, posed.size)
    moved = offsets(head, laid_fit, laid)
    after = laid.place(laid_fit.shape(laid) + head.landmarks(moved).double())
    assert (after - laid_fit.seen)[lips].norm(dim=-1).mean() < 1.5
    quads = head.corner_point[head.faces]
    bend = (moved[quads] - moved[quads.roll(1, 1)]).norm(dim=-1)
    length = (head.mean[quads] - head.mean[quads.roll(1, 1)]).norm(dim=-1)
    # No edge of a few millimetres folds over.
    assert (bend / length.clamp(min=2e-3)).max() < 0.9


def test_landmarks_that_form_no_face_are_refused(head) -> None:
    anywhere = torch.rand(468, 2, generator=torch.Generator().manual_seed(1))
    with pytest.raises(BadInput):
        fit.lay(head, anywhere * 400, (400, 400))


def test_light_comes_from_where_it_came_from(head, posed) -> None:
    light = torch.zeros(9, 3)
    light[0], light[3] = 3.0, 2.0
    from_left = FaceFit(**{**vars(posed), "light": light, "landmarks": seen(head, posed)})
    found = fit_light.light_on(head, from_left, photograph(head, from_left))
    pull = found[3] / found[0]
    assert torch.allclose(pull, torch.full((3,), 2 / 3), atol=0.25)
    assert (found[[1, 2]].abs() < 0.35 * found[0]).all()


def test_possible_light_is_dark_at_worst() -> None:
    draw = torch.Generator().manual_seed(2)
    normals = torch.nn.functional.normalize(
        torch.randn(500, 3, generator=draw) + torch.tensor([0.0, -1.5, 0.0]), dim=-1
    )
    lamp = torch.nn.functional.normalize(torch.tensor([0.5, -1.0, 0.5]), dim=0)
    white = (normals @ lamp).clamp(min=0)[:, None].expand(-1, 3)
    light = fit_light.possible(white, normals, torch.ones(500))
    shaded = harmonics.irradiance(light, normals) / math.pi
    assert (shaded - white).abs().mean() < 0.05
    # Lamps that are not negative cannot lean further than one lamp does.
    assert (light[1:4].norm(dim=0) <= math.sqrt(3) * light[0] + 1e-5).all()


@pytest.mark.skipif(not PORTRAITS.is_dir(), reason="the public-domain portraits are not here")
@pytest.mark.parametrize("name", ["astronaut_eileen_collins.png", "grace_hopper.jpg"])
def test_portraits_are_matched(head, name) -> None:
    pytest.importorskip("ai_edge_litert")
    photo = read_photo(PORTRAITS / name)
    (face,) = find_faces(photo.radiance)
    found = fit.fit_face(head, photo.radiance, face.landmarks)
    assert found.reprojection <= 0.02
    plain = FaceFit(**{**vars(found), "offsets": torch.zeros_like(head.mean)})
    size = torch.tensor(found.size)
    apart = ((seen(head, plain) - face.landmarks) * size).norm(dim=-1).mean()
    assert apart / ((face.landmarks[33] - face.landmarks[263]) * size).norm() <= 0.02
    assert float(found.offsets.norm(dim=-1).max()) < 0.01
    assert float(found.identity.norm()) < math.sqrt(len(found.identity))
    assert 0.4 < -float(found.translation[2]) < 4
