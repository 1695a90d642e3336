# SPDX-License-Identifier: GPL-3.0-or-later
"""Faces are found where they are, the largest first; what cannot be fitted is refused with a remedy."""

from __future__ import annotations

import dataclasses
import math
import sys

import pytest
import torch
from limelight.backend.errors import BadInput, MissingPart
from limelight.backend.relightify import landmarks, litert
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.records import FaceFit
from limelight.tests.engine.relightify.conftest import FACING
from limelight.tests.engine.relightify.sitter import photograph

pytest.importorskip("ai_edge_litert")


def truth(head: HeadModel, pose: FaceFit) -> torch.Tensor:
    """(468, 2): where the head's landmarks are in the picture, 0..1."""
    return pose.camera.project(head.landmarks(pose.camera_points(head)))[0]


def turned(pose: FaceFit, degrees: float) -> FaceFit:
    """The pose with its head turned about the vertical, 0 facing the camera."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return dataclasses.replace(pose, rotation=FACING @ torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]]))


@pytest.fixture(scope="module")
def photo(head: HeadModel) -> tuple[torch.Tensor, torch.Tensor]:
    """A picture of the mean head, 360 pixels high, and its landmarks."""
    light = torch.zeros(9, 3)
    light[0], light[1], light[2] = 3.0, -1.0, 0.6
    shape = (torch.zeros(len(head.identity)), torch.zeros(len(head.expression)), torch.zeros_like(head.mean))
    place = (FACING, torch.tensor([0.01, 0.0, -0.6]), 32.0, (400, 360))
    pose = FaceFit(*shape, *place, light, torch.zeros(468, 2), 0.0)
    return photograph(head, pose), truth(head, pose)


def test_landmarks_are_where_the_face_has_them(photo) -> None:
    picture, expected = photo
    (face,) = landmarks.find_faces(picture)
    eyes = (expected[33] - expected[263]).norm()
    assert (face.landmarks - expected).norm(dim=-1).mean() < 0.05 * eyes
    left, top, right, bottom = face.box
    assert 0.2 < left < right < 0.8 and 0 < top < bottom < 1


def test_small_faces_in_a_large_picture_are_found_largest_first(photo) -> None:
    picture = photo[0].permute(2, 0, 1)[None]
    wide = torch.full((900, 1600, 3), 0.3)
    for side, (top, left) in ((200, (620, 80)), (130, (100, 1300))):
        small = torch.nn.functional.interpolate(picture, (side, side), mode="area")[0].permute(1, 2, 0)
        wide[top : top + side, left : left + side] = small
    faces = landmarks.find_faces(wide)
    assert len(faces) == 2
    assert faces[0].box[0] < 0.2 < 0.8 < faces[1].box[0]
    _, warnings = landmarks.choose(faces, (1600, 900))
    assert any("2 faces" in warning for warning in warnings)
    assert landmarks.choose(faces, (1600, 900), 1)[0] is faces[1]
    with pytest.raises(BadInput, match="Choose a face from 0"):
        landmarks.choose(faces, (1600, 900), 2)


def test_a_picture_without_a_face_is_refused() -> None:
    noise = torch.rand(200, 300, 3, generator=torch.Generator().manual_seed(0))
    assert landmarks.find_faces(noise) == []
    with pytest.raises(BadInput, match="no face"):
        landmarks.choose([], (300, 200))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda points: points[:100], "bad_landmarks"),
        (lambda points: points.masked_fill(points > 0.6, torch.nan), "bad_landmarks"),
        (lambda points: 0.5 + (points - 0.5) * 0.05, "tiny_face"),
        (lambda points: points + torch.tensor([0.5, 0.0]), "cropped_face"),
    ],
)
def test_landmarks_that_cannot_be_fitted_are_refused(photo, spoil, code) -> None:
    with pytest.raises(BadInput) as refused:
        landmarks.check(spoil(photo[1]), (400, 360))
    assert refused.value.code == code and refused.value.remedy


def test_a_face_from_the_side_is_refused_and_one_turned_a_little_is_not(head, posed) -> None:
    landmarks.check(truth(head, turned(posed, 35)), posed.size)
    for degrees in (75, -75):
        with pytest.raises(BadInput, match="from the side"):
            landmarks.check(truth(head, turned(posed, degrees)), posed.size)


def test_missing_parts_are_named(tmp_path, monkeypatch) -> None:
    with pytest.raises(MissingPart, match=r"none\.tflite"):
        litert.Network(tmp_path / "none.tflite")
    (tmp_path / "bad.tflite").write_bytes(b"no network" * 20)
    with pytest.raises(MissingPart, match="damaged"):
        litert.Network(tmp_path / "bad.tflite")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingPart, match="LiteRT"):
        litert.Network(litert.WEIGHTS / "face_landmark.tflite")
