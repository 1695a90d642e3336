# SPDX-License-Identifier: GPL-3.0-or-later
"""The overlay: lines where the head is, dots where the landmarks are, the photo elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.overlay import overlay, save_overlay
from limelight.backend.relightify.records import FaceFit
from PIL import Image


def test_mesh_lies_on_the_head_and_landmarks_where_they_were_found(head: HeadModel, posed: FaceFit) -> None:
    found = torch.full((468, 2), 0.1)
    photo = torch.full((360, 400, 3), 0.2)
    picture = np.asarray(overlay(photo, replace(posed, landmarks=found), head)).astype(float)
    height, width = picture.shape[:2]
    assert (width, height) == (1600, 1440)
    plain = np.median(picture.reshape(-1, 3), 0)
    drawn = np.abs(picture - plain).max(-1) > 8
    u, v = posed.camera.project(head.corners(posed.camera_points(head)))[0].T
    left, right, top, bottom = (float(edge) for edge in (u.min(), u.max(), v.min(), v.max()))
    rows, columns = np.nonzero(drawn)
    on_head = (columns > left * width - 3) & (columns < right * width + 3) & (rows > top * height - 3)
    dot = (np.abs(columns - 0.1 * width) < 5) & (np.abs(rows - 0.1 * height) < 5)
    assert dot.sum() > 8 and (on_head & ~dot).sum() > 10_000
    assert (on_head & (rows < bottom * height + 3) | dot).all()


def test_the_overlay_is_written_as_a_picture(head: HeadModel, posed: FaceFit, tmp_path: Path) -> None:
    save_overlay(tmp_path / "overlay.png", torch.zeros(360, 400, 3), posed, head, torch.full((468, 2), 0.5))
    with Image.open(tmp_path / "overlay.png") as picture:
        assert picture.format == "PNG" and picture.mode == "RGB"
        red = np.asarray(picture)[720, 800]
    assert red[0] > 200 > red[1]
