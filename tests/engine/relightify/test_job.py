# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole portrait, from the file to the folder, with a prior whose arithmetic is known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from limelight.backend.errors import BadInput, Cancelled
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics import exr
from limelight.backend.optics.exposure import srgb_eotf
from limelight.backend.relightify import job as jobs
from limelight.backend.relightify import maps
from limelight.backend.relightify.find import portrait_photo
from limelight.backend.relightify.job import FaceJob, run_face
from limelight.backend.relightify.output import FILES
from limelight.bridge.batch import USUAL_FACE, is_there
from PIL import Image, ImageDraw

PORTRAIT = Path(skimage.__file__).parent / "data" / "astronaut.png"


class Plain:
    """A prior that knows one skin: what is seen stays, the rest is that skin, unlit and flat."""

    def complete(self, known, effort, *, seed=0, progress=None):
        if progress:
            progress(1.0)
        stack = maps.empty()
        skin = torch.tensor([0.78, 0.6, 0.52])[:, None, None]
        stack[maps.DIFFUSE] = skin
        stack[maps.TEXTURE] = torch.where(known.mask > 0, known.colour, skin)
        return stack


class Listener(SilentReport):
    def __init__(self, stop_at: str = ""):
        super().__init__()
        self.told, self.pictures, self.stop_at, self.stopped = [], [], stop_at, False

    def progress(self, fraction, stage):
        self.told.append((fraction, stage))
        self.stopped |= stage == self.stop_at

    def preview(self, path):
        self.pictures.append(Image.open(path).size)

    def check(self):
        if self.stopped:
            raise Cancelled


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setattr(jobs, "load_prior", lambda *arguments, **named: Plain())


def draft(out: Path, **changes: object) -> FaceJob:
    return FaceJob.from_params({"image": str(PORTRAIT), "out": str(out), "quality": "draft", **changes})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished portrait: its folder, what was returned and what was told on the way."""
    out, report = tmp_path_factory.mktemp("portrait"), Listener()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "load_prior", lambda *arguments, **named: Plain())
        return out, run_face(draft(out), report), report


def test_colours_that_are_said_to_be_too_strong_are_weaker_on_the_head(made, tmp_path):
    result = run_face(draft(tmp_path / "head", saturation=1.4), SilentReport())
    assert result["saturation"] == 1.4
    folders = (made[0], tmp_path / "head")
    before, after = (np.asarray(Image.open(folder / FILES["texture"]).convert("RGB"), float) for folder in folders)
    seen = np.asarray(Image.open(made[0] / FILES["mask"]).convert("L")) > 250
    spread = [float(np.ptp(picture[seen], axis=-1).mean()) for picture in (before, after)]
    assert spread[1] < 0.85 * spread[0]
    # The photo under the landmarks stays as it is.
    overlays = [np.asarray(Image.open(folder / FILES["overlay"]), float) for folder in folders]
    assert np.abs(overlays[0][:60] - overlays[1][:60]).max() == 0


def test_a_head_is_there_only_as_it_was_asked_for(made, tmp_path):
    usual = {field.name: field.default for field in dataclasses.fields(FaceJob)}
    assert usual == {**USUAL_FACE, "image": dataclasses.MISSING, "out": dataclasses.MISSING, "device": "auto"}
    asked = {"image": str(PORTRAIT), "out": str(made[0]), "quality": "draft"}
    assert is_there("face", asked) and is_there("face", {**asked, "device": "cpu", "seed": None})
    points = [[float(u) / 3, float(v)] for u, v in made[1]["landmarks"]]
    for more in ({"fov_deg": 30.0}, {"face": 1}, {"head": str(tmp_path)}, {"landmarks": points}, {"saturation": 1.2}):
        assert not is_there("face", {**asked, **more}), more
    settings = {**made[1]["settings"], "landmarks": points, "out": str(tmp_path)}
    (tmp_path / "result.json").write_text(json.dumps({**made[1], "settings": settings}))
    corrected = {**asked, "out": str(tmp_path)}
    assert is_there("face", {**corrected, "landmarks": points}) and not is_there("face", corrected)


def test_a_portrait_leaves_every_file_and_tells_how_far_it_is(made):
    out, result, report = made
    assert {path.name for path in out.iterdir()} == {*FILES.values(), "result.json"}
    assert json.loads((out / "result.json").read_text()) == result
    fractions = [fraction for fraction, _ in report.told]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len({stage for _, stage in report.told}) > 6
    assert len(report.pictures) == 1, "the overlay is shown as soon as the head is fitted"
    assert result["size"] == [512, 512] and result["resolution"] == 512 and 0.1 < result["seen"] < 0.8


def test_the_seen_texture_is_the_photos_and_the_mask_says_where(made):
    out, _, _ = made
    mask = np.asarray(Image.open(out / FILES["mask"])) / 255
    texture = np.asarray(Image.open(out / FILES["texture"]), np.float32)[mask > 0.9] / 255
    albedo = np.asarray(Image.open(out / FILES["diffuse_albedo"]), np.float32) / 255
    # Lit skin varies, the prior's one albedo does so by its pores alone.
    assert texture.std() > 0.08 and albedo[mask > 0.9].std(0).max() < 0.05
    torch.testing.assert_close(
        torch.from_numpy(albedo[mask > 0.9].mean(0)), torch.tensor([0.78, 0.6, 0.52]), atol=0.03, rtol=0
    )


def test_the_same_seed_gives_the_same_files_and_corrected_landmarks_move_the_head(made, tmp_path):
    out, result, _ = made
    again = run_face(draft(tmp_path / "again"), SilentReport())
    assert again["landmarks"] == result["landmarks"] and again["translation"] == pytest.approx(result["translation"])
    for name in ("texture", "diffuse_albedo", "normal", "eye"):
        one, other = (np.asarray(Image.open(folder / FILES[name]), int) for folder in (out, tmp_path / "again"))
        # Sums in another order may round another way.
        assert np.abs(one - other).max() <= 1
    moved = [[u + 0.05, v] for u, v in result["landmarks"]]
    shifted = run_face(draft(tmp_path / "moved", landmarks=moved), SilentReport())
    # The face is half a metre and more away from a camera with a field of view of some ten degrees and more.
    assert shifted["translation"][0] > result["translation"][0] + 0.005


def test_sunglasses_are_told_and_left_out_of_the_texture(made, tmp_path):
    _, result, _ = made
    assert not any("covers the eyes" in warning for warning in result["warnings"])
    image = Image.open(PORTRAIT).convert("RGB")
    points = np.array(result["landmarks"]) * 512
    draw = ImageDraw.Draw(image)
    for eye in (points[[33, 133]], points[[263, 362]]):
        (x, y), half = eye.mean(0), 0.85 * np.abs(eye[0, 0] - eye[1, 0])
        draw.ellipse((x - half, y - 0.75 * half, x + half, y + 0.8 * half), fill=(12, 12, 14))
    left, right = points[33], points[263]
    draw.line([left[0] - 9, left[1] - 3, right[0] + 9, right[1] - 3], fill=(12, 12, 14), width=4)
    image.save(tmp_path / "shades.png")
    shaded = run_face(draft(tmp_path / "shaded", image=str(tmp_path / "shades.png")), SilentReport())
    assert any("covers the eyes" in warning for warning in shaded["warnings"])
    assert shaded["seen"] < result["seen"]
    mask = np.asarray(Image.open(tmp_path / "shaded" / FILES["mask"])) > 250
    texture = np.asarray(Image.open(tmp_path / "shaded" / FILES["texture"]), int)[mask]
    assert (texture.max(-1) < 60).mean() < 0.01, "hardly any of the glasses counts as skin"


def test_of_two_faces_the_larger_is_taken_with_a_warning_or_the_one_asked_for(made, tmp_path):
    image = Image.open(PORTRAIT).convert("RGB")
    both = Image.new("RGB", (1024, 512))
    both.paste(image.resize((430, 430)), (0, 60))
    both.paste(image, (512, 0))
    both.save(tmp_path / "both.png")
    large = run_face(draft(tmp_path / "a", image=str(tmp_path / "both.png")), SilentReport())
    assert np.mean(large["landmarks"], 0)[0] > 0.5 and any("2 faces" in warning for warning in large["warnings"])
    small = run_face(draft(tmp_path / "b", image=str(tmp_path / "both.png"), face=1), SilentReport())
    assert np.mean(small["landmarks"], 0)[0] < 0.5 and not any("2 faces" in warning for warning in small["warnings"])


@pytest.mark.parametrize("stage", ["Finding the face", "Fitting the head", "Completing the maps", "Adding detail"])
def test_a_cancelled_portrait_leaves_nothing(tmp_path, stage):
    with pytest.raises(Cancelled):
        run_face(draft(tmp_path / "out"), Listener(stage))
    assert not (tmp_path / "out").exists()


def test_a_head_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(BadInput, match="no ICT-FaceKit"):
        run_face(draft(tmp_path / "out", head=str(tmp_path / "kit")), SilentReport())
    assert not (tmp_path / "out").exists()


def test_what_is_half_transparent_is_half_of_itself_in_any_format(tmp_path):
    grey = srgb_eotf(torch.tensor(188 / 255))
    Image.new("RGBA", (32, 32), (188, 188, 188, 128)).save(tmp_path / "a.png")
    # An EXR's colours are multiplied by its alpha.
    layers = torch.tensor([grey, grey, grey, 1.0]) * (128 / 255)
    exr.write_image(tmp_path / "a.exr", layers.expand(32, 32, 4))
    png, linear = (portrait_photo(tmp_path / name, 64).radiance for name in ("a.png", "a.exr"))
    torch.testing.assert_close(png, linear, atol=1e-4, rtol=0)
