# SPDX-License-Identifier: GPL-3.0-or-later
"""Every bad portrait is one sentence with its remedy; odd files of good ones are read for what they show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from limelight.backend.errors import LimelightError
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics.sixteen import encode_png
from limelight.backend.relightify import head as heads
from limelight.backend.relightify import job as jobs
from limelight.backend.relightify import prior
from limelight.backend.relightify.find import run_landmarks
from limelight.backend.relightify.job import FaceJob, run_face
from limelight.backend.relightify.records import LANDMARKS
from limelight.tests.engine.bad_input.test_table import cut, huge, nan_picture, picture, written
from PIL import Image

#: NASA's portrait of Eileen Collins, in the public domain, which scikit-image brings.
PORTRAIT = Path(skimage.__file__).parent / "data" / "astronaut.png"
#: Where the face is in it, in pixels: left, top, right, bottom.
FACE = (178, 69, 273, 177)


def portrait() -> Image.Image:
    return Image.open(PORTRAIT).convert("RGB")


def saved(folder: Path, image: Image.Image, name: str = "portrait.png", **options: object) -> str:
    image.save(folder / name, **options)
    return str(folder / name)


def cropped(folder: Path) -> str:
    left, top, right, _ = FACE
    return saved(folder, portrait().crop((left - 60, top - 60, (left + right) // 2 + 4, 260)))


def invisible(folder: Path) -> str:
    image = portrait()
    image.putalpha(0)
    return saved(folder, image)


def beside(folder: Path) -> str:
    both = Image.new("RGB", (1024, 512))
    both.paste(portrait(), (0, 0))
    both.paste(portrait(), (512, 0))
    return saved(folder, both)


def marks(u: float = 0.5, v: float = 0.5, across: float = 0.3) -> list[list[float]]:
    """The mean head's landmarks from in front, ``across`` of the picture wide."""
    head = heads.load()
    points = head.landmarks(head.mean)
    flat = torch.stack([points[:, 0], -points[:, 2]], -1) / 0.15 * across
    return (flat + torch.tensor([u, v])).tolist()


def from_the_side() -> list[list[float]]:
    head = heads.load()
    points = head.landmarks(head.mean)
    return (torch.stack([0.5 + points[:, 1] * 3, 0.5 - points[:, 2] * 3], -1)).tolist()


CASES = {
    "missing portrait": lambda f: {"image": str(f / "none.png")},
    "no portrait": lambda f: {"image": ""},
    "no out": lambda f: {"out": None},
    "a folder": lambda f: {"image": str(f)},
    "empty file": lambda f: {"image": written(f, "empty.png", b"")},
    "text file": lambda f: {"image": written(f, "text.png", b"hello" * 100)},
    "cut-off picture": lambda f: {"image": cut(f)},
    "video": lambda f: {"image": written(f, "clip.mp4", b"\0" * 500)},
    "tiny picture": lambda f: {"image": picture(f, "tiny.png", (8, 8))},
    "huge picture": lambda f: {"image": huge(f)},
    "picture of NaN": lambda f: {"image": nan_picture(f)},
    "no face": lambda f: {"image": picture(f, "noise.png", (320, 240))},
    "a black picture": lambda f: {"image": saved(f, Image.new("RGB", (320, 240)))},
    "an invisible picture": lambda f: {"image": invisible(f)},
    "a tiny face": lambda f: {"image": saved(f, portrait().resize((160, 160)))},
    "half a face": lambda f: {"image": cropped(f)},
    "a face that is not there": lambda f: {"image": beside(f), "face": 2},
    "a negative face": lambda f: {"face": -1},
    "a face of words": lambda f: {"face": "left"},
    "landmarks of another number": lambda f: {"landmarks": marks()[:68]},
    "landmarks of three numbers": lambda f: {"landmarks": [[0.5, 0.5, 0.5]] * LANDMARKS},
    "landmarks of words": lambda f: {"landmarks": [["a", "b"]] * LANDMARKS},
    "landmarks of NaN": lambda f: {"landmarks": [[float("nan"), 0.5]] * LANDMARKS},
    "landmarks that are no list": lambda f: {"landmarks": 7},
    "landmarks in one place": lambda f: {"landmarks": [[0.5, 0.5]] * LANDMARKS},
    "landmarks at random": lambda f: {"landmarks": torch.rand(LANDMARKS, 2).tolist()},
    "landmarks outside": lambda f: {"landmarks": marks(u=1.1)},
    "landmarks from the side": lambda f: {"landmarks": from_the_side()},
    "absurd field of view": lambda f: {"fov_deg": 200},
    "field of view of NaN": lambda f: {"fov_deg": float("nan")},
    "absurd saturation": lambda f: {"saturation": 3},
    "saturation of NaN": lambda f: {"saturation": float("nan")},
    "unknown quality": lambda f: {"quality": "best"},
    "unknown model": lambda f: {"model": "giant"},
    "a model that is none": lambda f: {"model": written(f, "text.png", b"hello" * 100)},
    "unknown device": lambda f: {"device": "cuda:9"},
    "unknown parameter": lambda f: {"colour": "red"},
    "negative seed": lambda f: {"seed": -1},
    "a file in the way": lambda f: {"out": written(f, "in_the_way", b"x") + "/out"},
    "missing weights": lambda f: {},
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_a_bad_portrait_is_a_sentence_and_loses_nothing(tmp_path, name, monkeypatch):
    (tmp_path / "in").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text(json.dumps({"earlier": True}))
    none = tmp_path / "none.safetensors"
    missing = name == "missing weights"
    monkeypatch.setattr(jobs, "load_prior", lambda *given, **named: (
        prior.load_prior(*given or (none,)) if given or missing else None))
    params = {"image": str(PORTRAIT), "out": str(out), "quality": "draft"}
    with pytest.raises(LimelightError) as caught:
        run_face(FaceJob.from_params({**params, **CASES[name](tmp_path / "in")}), SilentReport())
    error = caught.value
    assert error.exit_code == (3 if missing else 2)
    assert error.text.endswith(".") and len(error.text) < 400 and "Traceback" not in error.text
    assert error.remedy
    assert [path.name for path in out.iterdir()] == ["result.json"]
    assert json.loads((out / "result.json").read_text()) == {"earlier": True}


def sixteen(folder: Path) -> str:
    values = np.asarray(portrait(), np.uint16) * 257
    return written(folder, "deep.png", encode_png(values))


def turned(folder: Path) -> str:
    exif = Image.Exif()
    exif[274] = 6
    return saved(folder, portrait().transpose(Image.Transpose.ROTATE_90), "turned.jpg", exif=exif, quality=95)


def cut_out(folder: Path) -> str:
    """The person before nothing; what the file has behind the transparency is as bright as can be."""
    left, top, right, bottom = FACE
    alpha = Image.new("L", (512, 512))
    alpha.paste(255, (left - 60, top - 60, right + 60, bottom + 60))
    shown = Image.composite(portrait(), Image.new("RGB", (512, 512), "white"), alpha)
    return saved(folder, Image.merge("RGBA", (*shown.split(), alpha)))


ODD = {
    "16 bit": sixteen,
    "transparent": cut_out,
    "CMYK": lambda f: saved(f, portrait().convert("CMYK"), "print.jpg", quality=95),
    "turned by EXIF": turned,
    "grey": lambda f: saved(f, portrait().convert("L"), "grey.png"),
    "palette": lambda f: saved(f, portrait().quantize(256), "few.png"),
}


@pytest.mark.parametrize("name", list(ODD))
def test_an_odd_file_of_a_good_portrait_shows_the_same_face(tmp_path, name):
    wanted = run_landmarks(PORTRAIT, SilentReport())["faces"][0]["landmarks"]
    found = run_landmarks(Path(ODD[name](tmp_path)), SilentReport())
    assert len(found["faces"]) == 1 and found["size"] == [512, 512]
    apart = torch.tensor(found["faces"][0]["landmarks"]) - torch.tensor(wanted)
    assert float(apart.norm(dim=-1).mean()) * 512 < 1.5


def test_of_several_faces_all_are_told(tmp_path):
    image = portrait()
    both = Image.new("RGB", (1024, 512))
    both.paste(image, (0, 0))
    both.paste(image.resize((410, 410)), (560, 50))
    found = run_landmarks(Path(saved(tmp_path, both)), SilentReport())
    boxes = [face["box"] for face in found["faces"]]
    assert len(boxes) == 2 and found["warnings"] == ["The picture shows 2 faces."]
    assert boxes[0][2] < 0.5 < boxes[1][0], "the larger one is the first"
