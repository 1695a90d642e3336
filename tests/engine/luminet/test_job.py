# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo under another photo's light, file to file, with a relighter whose ratio is known."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from limelight.backend import kinds as engine_kinds
from limelight.backend.errors import BadInput, Cancelled
from limelight.backend.limo.report import SilentReport
from limelight.backend.luminet import embedded
from limelight.backend.luminet.estimate import CANDIDATES
from limelight.backend.luminet.job import FREE, RelightJob, run_relight
from limelight.backend.optics import exr
from limelight.backend.optics.exposure import srgb_eotf
from limelight.backend.optics.photo import read_photo
from limelight.bridge import messages
from limelight.bridge.batch import USUAL_RELIT, is_there
from limelight.tests.engine.luminet.fake import Fake
from PIL import Image

RED = (math.log(2), 0.0, -math.log(2))


def photo(folder: Path, name: str = "photo.png", size: tuple[int, int] = (96, 64), seed: int = 0) -> Path:
    """A picture of noise in the lower half of the range."""
    pixels = np.random.default_rng(seed).integers(10, 120, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


def relight(source: Path, folder: Path, name: str = "relit.png", **params: Any) -> dict[str, Any]:
    """Run a job with the reference ``other.png``, which is darker than the photo."""
    other = folder / "other.png"
    if not other.exists():
        Image.fromarray(np.full((40, 40, 3), (200, 120, 60), np.uint8)).save(other)
    job = {"source": str(source), "reference": str(other), "out": str(folder / name), "quality": "draft", **params}
    return run_relight(RelightJob.from_params(job), SilentReport())


def linear(path: Path) -> torch.Tensor:
    """Radiance (H, W, 3) of a 16-bit file."""
    pixels = imagecodecs.png_decode(path.read_bytes()) if path.suffix == ".png" else tifffile.imread(path)
    assert pixels.dtype == np.uint16
    return srgb_eotf(torch.from_numpy(pixels[..., :3].astype(np.float32) / 65535))


@pytest.mark.parametrize("name", ["relit.png", "relit.tif"])
def test_a_red_gain_makes_the_picture_redder_by_exactly_that(tmp_path, relighter, name) -> None:
    relighter(RED)
    source = photo(tmp_path)
    result = relight(source, tmp_path, name, ratio=str(tmp_path / "light.exr"))
    before, after = read_photo(source).radiance, linear(tmp_path / name)
    assert torch.allclose(after, before * torch.tensor([2.0, 1.0, 0.5]), atol=3e-5)
    assert torch.allclose(exr.read_image(tmp_path / "light.exr"), torch.tensor([2.0, 1.0, 0.5]).expand(64, 96, 3))
    assert (result["width"], result["height"]) == (96, 64) and result["relit"] == str(tmp_path / name)
    with Image.open(result["preview"]) as preview:
        assert preview.size == (96, 64)
    assert {len(result[name]) for name in ("source_code", "target_code", "reached_code")} == {16}
    assert result["before"] > 0 and result["code_distance"] != result["before"]
    json.dumps(result)


def test_strength_nothing_is_the_source_exactly_and_more_than_one_grows_in_the_logarithm(tmp_path, relighter) -> None:
    fake = relighter(RED)
    source = photo(tmp_path)
    result = relight(source, tmp_path, strength=0)
    assert (imagecodecs.png_decode((tmp_path / "relit.png").read_bytes()) == 257 * np.asarray(Image.open(source),
            np.uint16)).all()  # fmt: skip
    assert fake.asked == [] and result["reached_code"] == result["source_code"]
    relight(source, tmp_path, strength=1.5)
    factor = torch.tensor([2**1.5, 1, 2**-1.5])
    assert torch.allclose(linear(tmp_path / "relit.png"), read_photo(source).radiance * factor, atol=3e-5)


def test_codes_go_along_the_sphere(tmp_path, relighter) -> None:
    fake = relighter(RED)
    source = photo(tmp_path)
    result = relight(source, tmp_path, strength=0.5)
    relight(source, tmp_path, strength=1.25)
    (half, over) = (call["code"] for call in fake.asked)
    ends = torch.tensor([result["source_code"], result["target_code"]])
    assert torch.allclose(half, torch.nn.functional.normalize(ends.sum(0), dim=0), atol=1e-5)
    assert torch.allclose(over, ends[1], atol=1e-5)


def test_the_nearest_candidate_is_taken_or_the_one_asked_for(tmp_path, relighter) -> None:
    fake = relighter((0.1, 0.1, 0.1))
    source = photo(tmp_path)
    before = read_photo(source).radiance
    # The reference is brighter than all candidates, and each is brighter than the one before.
    relight(source, tmp_path, quality="high", seed=3)
    assert fake.asked[-1]["seeds"] == list(range(3, 3 + CANDIDATES["high"]))
    best = linear(tmp_path / "relit.png")
    assert torch.allclose(best, before * math.exp(0.1 + 0.01 * 8), atol=1e-4)
    relight(source, tmp_path, quality="high", seed=3, take=2)
    assert fake.asked[-1]["seeds"] == [4]
    assert torch.allclose(linear(tmp_path / "relit.png"), before * math.exp(0.1 + 0.01 * 4), atol=1e-4)


def test_hdr_stays_linear_and_unclipped(tmp_path, relighter) -> None:
    fake = relighter(RED)
    radiance = torch.rand(40, 60, 4) * 0.5
    radiance[10:20, 10:20, :3] = 50.0
    exr.write_image(tmp_path / "render.exr", radiance)
    (tmp_path / "results").mkdir()
    result = relight(tmp_path / "render.exr", tmp_path, "results", strength=1)
    assert result["relit"].endswith("render.exr")
    found = exr.read_image(result["relit"])
    assert torch.allclose(found[..., :3], radiance[..., :3] * torch.tensor([2.0, 1.0, 0.5]), rtol=1e-4)
    assert torch.equal(found[..., 3], radiance[..., 3])
    relight(tmp_path / "render.exr", tmp_path, "same.exr", strength=0)
    assert torch.equal(exr.read_image(tmp_path / "same.exr"), radiance)
    assert any("brighter than white" in note for note in relight(tmp_path / "render.exr", tmp_path)["warnings"])
    # The network sees a picture that is exposed for display, however bright the render is.
    exr.write_image(tmp_path / "bright.exr", radiance * 1000)
    relight(tmp_path / "bright.exr", tmp_path, "out.exr")
    assert 0.2 < float(fake.asked[-1]["picture"].mean()) < 0.9


def test_alpha_is_kept_straight_in_pictures_and_associated_in_exr(tmp_path, relighter) -> None:
    relighter(RED)
    pixels = np.full((32, 48, 4), 100, np.uint8)
    pixels[..., 3] = 255
    pixels[:, 24:, 3] = 51
    Image.fromarray(pixels).save(tmp_path / "logo.png")
    relight(tmp_path / "logo.png", tmp_path)
    found = imagecodecs.png_decode((tmp_path / "relit.png").read_bytes())
    assert (found[..., 3] == pixels[..., 3].astype(np.uint16) * 257).all()
    relight(tmp_path / "logo.png", tmp_path, "relit.exr")
    layers = exr.read_image(tmp_path / "relit.exr")
    assert torch.allclose(layers[:, 24:, :3], 0.2 * layers[:, :1, :3], rtol=1e-3)
    # And back: a display picture of an EXR is straight again.
    relight(tmp_path / "relit.exr", tmp_path, "back.png", strength=0)
    assert np.abs(imagecodecs.png_decode((tmp_path / "back.png").read_bytes()).astype(int) - found).max() <= 1
    assert any("no transparency" in note for note in relight(tmp_path / "logo.png", tmp_path, "relit.jpg")["warnings"])


def test_pictures_of_every_kind_and_orientation(tmp_path, relighter) -> None:
    relighter()
    pixels = np.random.default_rng(1).integers(0, 255, (30, 50, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / "turned.jpg", exif=exif, quality=100)
    result = relight(tmp_path / "turned.jpg", tmp_path)
    assert (result["width"], result["height"]) == (30, 50)
    assert imagecodecs.png_decode((tmp_path / "relit.png").read_bytes()).shape == (50, 30, 3)
    image.convert("L").save(tmp_path / "grey.png")
    image.convert("CMYK").save(tmp_path / "print.jpg")
    image.quantize(16).save(tmp_path / "palette.png")
    for name in ("grey.png", "print.jpg", "palette.png"):
        assert relight(tmp_path / name, tmp_path)["width"] == 50
    relight(tmp_path / "grey.png", tmp_path, "relit.jpg")
    with Image.open(tmp_path / "relit.jpg") as written:
        assert written.size == (50, 30) and written.mode == "RGB"


def test_the_source_as_reference_changes_nothing_and_says_so(tmp_path, relighter) -> None:
    relighter(RED)
    source = photo(tmp_path)
    result = relight(source, tmp_path, reference=str(source))
    assert torch.allclose(linear(tmp_path / "relit.png"), read_photo(source).radiance, atol=2e-5)
    assert any("nothing changes" in note for note in result["warnings"]) and result["before"] < 1e-5


def test_a_picture_beyond_the_working_size_keeps_every_pixel(tmp_path, relighter) -> None:
    relighter(RED)
    source = photo(tmp_path, size=(2600, 700))
    result = relight(source, tmp_path, ratio=str(tmp_path / "light" / "ratio.exr"))
    assert (result["width"], result["height"]) == (2600, 700) and not result["warnings"]
    before = read_photo(source, None).radiance
    assert torch.allclose(linear(tmp_path / "relit.png"), before * torch.tensor([2.0, 1.0, 0.5]), atol=5e-5)
    assert exr.read_image(tmp_path / "light" / "ratio.exr").shape == (700, 2600, 3)


class _Stops(SilentReport):
    """Cancels at the n-th check."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def check(self) -> None:
        self.after -= 1
        if self.after < 0:
            raise Cancelled


def test_cancel_leaves_nothing_whenever_it_comes(tmp_path, relighter) -> None:
    relighter(RED)
    source, out = photo(tmp_path), tmp_path / "new" / "relit.png"
    job = RelightJob.from_params({"source": str(source), "reference": str(photo(tmp_path, "b.png", seed=1)),
                                  "out": str(out), "ratio": str(tmp_path / "light.exr")})  # fmt: skip
    checks = 0
    while True:
        try:
            run_relight(job, _Stops(checks))
            break
        except Cancelled:
            assert not out.parent.exists() and not (tmp_path / "light.exr").exists()
            checks += 1
    assert checks > 5 and sorted(path.name for path in out.parent.iterdir()) == ["relit.png", "relit_preview.png"]


def test_the_wire_knows_the_job(tmp_path, relighter) -> None:
    relighter(RED)
    source = photo(tmp_path)
    params = {"source": str(source), "reference": str(source), "out": str(tmp_path / "relit.png")}
    told = engine_kinds.kinds("cpu", seed=7)["relight"](params, SilentReport())  # type: ignore[arg-type]
    assert Path(told["relit"]).is_file() and told["seed"] == 7
    assert messages.decode(messages.encode(messages.Result("a", told))) == messages.Result("a", told)


def test_the_embedded_form_does_the_job_and_is_unloaded(tmp_path, monkeypatch) -> None:
    made = []

    def load(device: str = "cpu") -> Fake:
        made.append(Fake(RED))
        return made[-1]

    freed = []
    monkeypatch.setattr(embedded, "load_relighter", load)
    monkeypatch.setattr(embedded, "unload", lambda: freed.append(True))
    relight(photo(tmp_path), tmp_path, device="cpu")
    engine_kinds.unload()
    assert len(made[0].asked) == 1 and freed == [True]


def test_a_folder_as_out_need_not_be_there(tmp_path, relighter) -> None:
    relighter(RED)
    for name in ("new", "new"):
        assert relight(photo(tmp_path), tmp_path, name)["relit"] == str(tmp_path / "new" / "photo.png")
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="no format"):
        relight(photo(tmp_path), tmp_path, "file")


def test_outputs_never_replace_inputs(tmp_path, relighter) -> None:
    relighter(RED)
    source = photo(tmp_path)
    content = source.read_bytes()
    with pytest.raises(BadInput, match="would replace"):
        relight(source, tmp_path, "photo.png")
    photo(tmp_path, "photo.tif_preview.png")
    with pytest.raises(BadInput, match="would replace"):
        relight(tmp_path / "photo.tif_preview.png", tmp_path, "photo.tif")
    assert source.read_bytes() == content


@pytest.mark.parametrize(("name", "light"), [("relit.png", "relit.png/light.exr"), ("light.exr/a.png", "light.exr")])
def test_no_output_lies_in_another(tmp_path, relighter, name, light) -> None:
    relighter(RED)
    with pytest.raises(BadInput, match="which is a file"):
        relight(photo(tmp_path), tmp_path, name, ratio=str(tmp_path / light))
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "other.png"}


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_sixteen_bits_come_back_as_they_were(tmp_path, relighter, name) -> None:
    relighter(RED)
    pixels = np.random.default_rng(2).integers(0, 65536, (40, 60, 4), dtype=np.uint16)
    if name.endswith("png"):
        (tmp_path / name).write_bytes(imagecodecs.png_encode(pixels))
    else:
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb", compression="lzw", extrasamples=["unassalpha"])
    relight(tmp_path / name, tmp_path, strength=0)
    assert (imagecodecs.png_decode((tmp_path / "relit.png").read_bytes()) == pixels).all()


def test_a_batch_takes_a_relit_picture_for_what_it_was_asked_for_alone(tmp_path, relighter) -> None:
    usual = {field.name: field.default for field in dataclasses.fields(RelightJob) if field.name not in FREE}
    assert usual == {**USUAL_RELIT, "reference": dataclasses.MISSING}
    relighter(RED)
    for name in ("relit.png", "relit.jpg"):
        relight(photo(tmp_path), tmp_path, name, strength=0.8)
        asked = {"source": str(tmp_path / "photo.png"), "reference": str(tmp_path / "other.png"), "quality": "draft",
                 "strength": 0.8, "out": str(tmp_path / name)}  # fmt: skip
        assert is_there("relight", asked) and is_there("relight", {**asked, "take": None})
        for changed in ({"strength": 0.5}, {"reference": asked["source"]}, {"source": asked["reference"]}, {"seed": 1},
                        {"quality": None}, {"ratio": str(tmp_path / "light.exr")}):  # fmt: skip
            assert not is_there("relight", {**asked, **changed}), changed
    (tmp_path / "relit.jpg_preview.png").unlink()
    assert not is_there("relight", asked), "nothing tells what it was made with"


def test_results_that_differ_by_their_format_alone_have_a_preview_each(tmp_path, relighter) -> None:
    relighter(RED)
    source, strengths = photo(tmp_path), {"relit.png": 0.8, "relit.jpg": 0.3, "relit.exr": 0.5}
    previews = {relight(source, tmp_path, name, strength=s)["preview"] for name, s in strengths.items()}
    assert len(previews) == 3
    for name, strength in strengths.items():
        asked = {"source": str(source), "reference": str(tmp_path / "other.png"), "quality": "draft",
                 "strength": strength, "out": str(tmp_path / name)}  # fmt: skip
        assert is_there("relight", asked), name
