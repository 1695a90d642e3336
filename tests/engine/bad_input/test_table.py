# SPDX-License-Identifier: GPL-3.0-or-later
"""Every bad input of a light job or a relighting is one sentence with its remedy, and loses nothing that was there."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import LimelightError
from limelight.backend.limo import estimate as estimation
from limelight.backend.limo.embedded import paint
from limelight.backend.limo.estimate import run_light
from limelight.backend.limo.job import LightJob
from limelight.backend.limo.report import SilentReport
from limelight.backend.luminet import job as relighting
from limelight.backend.luminet import reference
from limelight.backend.luminet.job import RelightJob, run_relight
from limelight.backend.optics import exr
from limelight.tests.engine.luminet.fake import Fake
from PIL import Image


def picture(folder: Path, name: str = "photo.png", size: tuple[int, int] = (48, 32)) -> str:
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return str(folder / name)


def written(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def cut(folder: Path) -> str:
    return written(folder, "cut.jpg", Path(picture(folder, "whole.jpg")).read_bytes()[:300])


def depth(folder: Path, values: torch.Tensor) -> str:
    exr.write_depth(folder / "depth.exr", values)
    return str(folder / "depth.exr")


def nan_picture(folder: Path) -> str:
    exr.write_image(folder / "nan.exr", torch.full((32, 48, 3), torch.nan))
    return str(folder / "nan.exr")


CASES = {
    "missing picture": lambda f: {"images": [str(f / "none.png")]},
    "a folder": lambda f: {"images": [str(f)]},
    "empty file": lambda f: {"images": [written(f, "empty.png", b"")]},
    "text file": lambda f: {"images": [written(f, "text.png", b"hello" * 100)]},
    "cut-off picture": lambda f: {"images": [cut(f)]},
    "video": lambda f: {"images": [written(f, "clip.mp4", b"\0" * 500)]},
    "tiny picture": lambda f: {"images": [picture(f, "tiny.png", (8, 8))]},
    "picture of NaN": lambda f: {"images": [nan_picture(f)]},
    "broken EXR": lambda f: {"images": [written(f, "bad.exr", b"v/1\x01 nothing more")]},
    "broken HDR": lambda f: {"images": [written(f, "bad.hdr", b"#?RADIANCE nothing more")]},
    "no picture": lambda f: {"images": []},
    "a picture in no list": lambda f: {"images": picture(f)},
    "radius of words": lambda f: {"radius": "wide"},
    "field of view of words": lambda f: {"fov_deg": "wide"},
    "camera of a list": lambda f: {"camera": [50]},
    "endless size": lambda f: {"size": float("inf")},
    "model of a number": lambda f: {"model": 5},
    "device of a number": lambda f: {"device": 3},
    "endless seed": lambda f: {"seed": 10**30},
    "negative seed": lambda f: {"seed": -1},
    "two pictures": lambda f: {"images": [picture(f), picture(f, "other.png")]},
    "no probe": lambda f: {"probes": []},
    "probes of another type": lambda f: {"probes": "middle"},
    "probe left of the picture": lambda f: {"probes": [{"u": -0.2, "v": 0.5}]},
    "probe below the picture": lambda f: {"probes": [{"u": 0.5, "v": 1.5}]},
    "probe of NaN": lambda f: {"probes": [{"u": float("nan"), "v": 0.5}]},
    "probe without place": lambda f: {"probes": [{"name": "p"}]},
    "probe of words": lambda f: {"probes": [{"u": "left", "v": 0.5}]},
    "probe at negative depth": lambda f: {"probes": [{"u": 0.5, "v": 0.5, "depth": -2}]},
    "probe behind the camera": lambda f: {"probes": [{"position": [0, 0, 3]}]},
    "probe behind a surface": lambda f: {"probes": [{"u": 0.5, "v": 0.9, "depth": 500}]},
    "position of two numbers": lambda f: {"probes": [{"position": [0, 1]}]},
    "negative radius": lambda f: {"radius": -1},
    "radius beyond the camera": lambda f: {"radius": 50},
    "absurd field of view": lambda f: {"fov_deg": 200},
    "camera of another shape": lambda f: {"camera": {"width": 100, "height": 300, "fov_x_deg": 50}},
    "camera without lens": lambda f: {"camera": {"width": 48, "height": 32}},
    "camera and field of view": lambda f: {"camera": {"width": 48, "height": 32, "fov_x_deg": 50}, "fov_deg": 20},
    "camera of words": lambda f: {"camera": {"fx": "long"}},
    "missing depth": lambda f: {"depth": str(f / "none.exr")},
    "depth of another shape": lambda f: {"depth": depth(f, torch.ones(32, 16))},
    "depth of NaN": lambda f: {"depth": depth(f, torch.full((32, 48), torch.nan))},
    "depth of zero": lambda f: {"depth": depth(f, torch.zeros(32, 48))},
    "unknown quality": lambda f: {"quality": "best"},
    "unknown model": lambda f: {"model": "giant"},
    "unknown frame": lambda f: {"frame": "lens"},
    "unknown size": lambda f: {"size": 333},
    "unknown memory": lambda f: {"memory": "much"},
    "unknown device": lambda f: {"device": "cuda:9"},
    "missing track": lambda f: {"track": str(f / "none.json")},
    "track of words": lambda f: {"track": written(f, "track.json", b"hello")},
    "track for one picture": lambda f: {"track": written(f, "track.json", b'{"frames": {"1": {}}}')},
    "place in a world unknown": lambda f: {"probes": [{"position_world": [0, 1, 2]}]},
    "unknown parameter": lambda f: {"colour": "red"},
    "text for true or false": lambda f: {"front": "false"},
    "world without placement": lambda f: {"frame": "world"},
    "mirrored placement": lambda f: {"camera_to_world": torch.diag(torch.tensor([-1.0, 1, 1, 1])).tolist()},
    "placement of three rows": lambda f: {"camera_to_world": [[1, 0, 0, 0]] * 3},
    "a file in the way": lambda f: {"out": written(f, "in_the_way", b"x") + "/out"},
    "missing weights": lambda f: {},
}


@pytest.mark.parametrize("name", list(CASES))
def test_bad_input_is_a_sentence_and_loses_nothing(tmp_path, name, monkeypatch):
    (tmp_path / "in").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "result.json").write_text(json.dumps({"earlier": True}))
    if name == "missing weights":
        monkeypatch.setattr(paint, "WEIGHTS", tmp_path / "none.safetensors")
        monkeypatch.setattr(
            estimation, "make_painter", lambda m, q, d, *rest: paint.EmbeddedPainter(d, tmp_path / "none.safetensors")
        )
    params = {"images": [picture(tmp_path / "in")], "probes": [{"u": 0.5, "v": 0.6}], "out": str(out)}
    with pytest.raises(LimelightError) as caught:
        run_light(LightJob.from_params({**params, **CASES[name](tmp_path / "in")}), SilentReport())
    error = caught.value
    assert error.exit_code == (3 if name == "missing weights" else 2)
    assert error.text.endswith(".") and len(error.text) < 400 and "Traceback" not in error.text
    assert error.remedy
    assert [path.name for path in out.iterdir()] == ["result.json"]
    assert json.loads((out / "result.json").read_text()) == {"earlier": True}


def huge(folder: Path) -> str:
    """A PNG that claims 40000 × 40000 pixels."""
    data = bytearray(Path(picture(folder, "huge.png")).read_bytes())
    data[16:24] = (40000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return written(folder, "huge.png", bytes(data))


def panorama(folder: Path, values: torch.Tensor) -> str:
    exr.write_image(folder / "pano.exr", values)
    return str(folder / "pano.exr")


RELIGHT_CASES = {
    "missing source": lambda f: {"source": str(f / "none.png")},
    "missing reference": lambda f: {"reference": str(f / "none.png")},
    "no source": lambda f: {"source": None},
    "no reference": lambda f: {"reference": ""},
    "no out": lambda f: {"out": None},
    "a folder without pictures": lambda f: {"source": str((f / "void").mkdir() or f / "void")},
    "a folder as reference": lambda f: {"reference": str(f)},
    "empty file": lambda f: {"source": written(f, "empty.png", b"")},
    "text file": lambda f: {"source": written(f, "text.png", b"hello" * 100)},
    "text file as reference": lambda f: {"reference": written(f, "text.png", b"hello" * 100)},
    "cut-off picture": lambda f: {"source": cut(f)},
    "video": lambda f: {"source": written(f, "clip.mp4", b"\0" * 500)},
    "video as reference": lambda f: {"reference": written(f, "clip.mp4", b"\0" * 500)},
    "tiny picture": lambda f: {"source": picture(f, "tiny.png", (8, 8))},
    "tiny reference": lambda f: {"reference": picture(f, "tiny.png", (8, 8))},
    "huge picture": lambda f: {"source": huge(f)},
    "picture of NaN": lambda f: {"source": nan_picture(f)},
    "broken EXR": lambda f: {"source": written(f, "bad.exr", b"v/1\x01 nothing more")},
    "broken HDR as reference": lambda f: {"reference": written(f, "bad.hdr", b"#?RADIANCE nothing more")},
    "HDRI of another shape": lambda f: {"reference_kind": "hdri"},
    "black HDRI": lambda f: {"reference": panorama(f, torch.zeros(32, 64, 3))},
    "HDRI without a grey room": lambda f: {"reference": panorama(f, torch.ones(32, 64, 3))},
    "unknown kind": lambda f: {"reference_kind": "lamp"},
    "negative strength": lambda f: {"strength": -0.1},
    "too much strength": lambda f: {"strength": 2},
    "strength of NaN": lambda f: {"strength": float("nan")},
    "strength of words": lambda f: {"strength": "much"},
    "negative take": lambda f: {"take": -1},
    "seed beyond all numbers": lambda f: {"seed": 2**70},
    "endless take": lambda f: {"take": float("inf")},
    "unknown quality": lambda f: {"quality": "best"},
    "unknown model": lambda f: {"model": "giant"},
    "unknown device": lambda f: {"device": "cuda:9"},
    "unknown parameter": lambda f: {"colour": "red"},
    "text for true or false": lambda f: {"overwrite": "false"},
    "unknown format": lambda f: {"out": str(f.parent / "out" / "relit.webp")},
    "a file without an ending in the way": lambda f: {"out": written(f, "relit", b"x")},
    "ratio of another format": lambda f: {"ratio": str(f.parent / "out" / "ratio.png")},
    "ratio in place of the result": lambda f: {"out": str(f / "r.exr"), "ratio": str(f / "r.exr")},
    "result in place of the source": lambda f: {"out": picture(f)},
    "result in place of the reference": lambda f: {"out": picture(f, "other.png")},
    "a file in the way": lambda f: {"out": written(f, "in_the_way", b"x") + "/relit.png"},
}


@pytest.mark.parametrize("name", list(RELIGHT_CASES))
def test_a_relighting_of_bad_input_is_a_sentence_and_loses_nothing(tmp_path, name, monkeypatch):
    (tmp_path / "in").mkdir()
    out = tmp_path / "out"
    out.mkdir()
    (out / "relit.png").write_text("earlier")
    monkeypatch.setattr(relighting, "load_relighter", lambda model, device: Fake((1.0, 0.0, 0.0)))
    room = tmp_path / "none.safetensors"
    load_room = reference.load_room
    monkeypatch.setattr(reference, "load_room", lambda: load_room(room))
    params = {
        "source": picture(tmp_path / "in"),
        "reference": picture(tmp_path / "in", "other.png"),
        "out": str(out / "relit.png"),
    }
    changes = RELIGHT_CASES[name](tmp_path / "in")
    before = sorted(path.name for path in (tmp_path / "in").iterdir())
    with pytest.raises(LimelightError) as caught:
        run_relight(RelightJob.from_params({**params, **changes}), SilentReport())
    error = caught.value
    assert error.exit_code == (3 if name == "HDRI without a grey room" else 2)
    assert error.text.endswith(".") and len(error.text) < 400 and "Traceback" not in error.text
    assert error.remedy
    assert [path.name for path in out.iterdir()] == ["relit.png"] and (out / "relit.png").read_text() == "earlier"
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == before
