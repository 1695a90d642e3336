# SPDX-License-Identifier: GPL-3.0-or-later
"""Image sequences: which frames are meant, what is refused, numbered outputs, going on after a break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput, Cancelled
from limelight.backend.limo.estimate import run_light
from limelight.backend.limo.frames import find_frames
from limelight.backend.limo.job import LightJob
from limelight.backend.limo.report import SilentReport
from limelight.backend.limo.sequence import run_sequence
from limelight.backend.optics import exr
from limelight.backend.optics.photo import picture_size
from PIL import Image


def shoot(folder: Path, numbers: list[int], name: str = "shot_{:04d}.png", size: tuple[int, int] = (48, 32)) -> Path:
    """A folder of small pictures of noise, another for each number."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name.format(number))
    return folder


def job(out: Path, *images: Path, **params: Any) -> LightJob:
    """A light job on a sequence with one probe."""
    given = {"images": list(map(str, images)), "probes": [{"u": 0.5, "v": 0.6}], "out": str(out), "size": 128}
    return LightJob.from_params({**given, "quality": "draft", "fov_deg": 60, **params})


class Light:
    """Stands in for the estimation of one picture: writes its name into every file; fails or stops at one frame."""

    def __init__(self, stop: str = "", error: BaseException | None = None) -> None:
        self.stop, self.error, self.seen = stop, error, []

    def __call__(self, job: LightJob, report: Any) -> dict[str, Any]:
        report.progress(0.5, "Painting")
        self.seen.append((job.images[0].name, job.seed, job.depth and job.depth.name))
        job.out.mkdir()
        names = {"environment": "probe_0.exr", "fill": "probe_0_fill.exr", "spheres": "probe_0_spheres.exr",
                 "preview": "probe_0_preview.png"}  # fmt: skip
        for name in (*names.values(), "result.json"):
            (job.out / name).write_text(job.images[0].name)
        if job.images[0].name == self.stop and self.error is not None:
            raise self.error
        return {"warnings": ["a note"], "probes": [{"name": "p", **names}]}


def run(job: LightJob, light: Light, report: Any = None) -> dict[str, Any]:
    """A sequence with a stand-in for the estimation."""
    frames = find_frames(job.images, job.range)
    assert frames is not None
    return run_sequence(job, frames, report or SilentReport(), light)


@pytest.mark.parametrize("given", ["", "shot_####.png", "shot_%04d.png", "shot_%d.png"])
def test_folder_and_pattern_mean_the_frames_in_order(tmp_path: Path, given: str) -> None:
    name = "shot_{}.png" if given == "shot_%d.png" else "shot_{:04d}.png"
    folder = shoot(tmp_path / "in", [9, 10, 11], name)
    (folder / "notes.txt").write_text("x")
    (folder / ".shot_0012.png").write_text("x")
    found = find_frames([folder / given])
    assert found is not None and list(found.paths) == [9, 10, 11]
    assert [path.name for path in found.paths.values()] == [name.format(n) for n in (9, 10, 11)]


def test_several_files_are_a_sequence_and_one_is_a_picture(tmp_path: Path) -> None:
    folder = shoot(tmp_path / "in", [1, 2, 4, 6])
    files = [folder / f"shot_{n:04d}.png" for n in (2, 1)]
    found = find_frames(files)
    assert found is not None and list(found.paths) == [1, 2] and found.pattern == "shot_####.png"
    assert find_frames(files[:1]) is None
    # A name that merely looks like a pattern is a file if it is there.
    files[0].rename(folder / "shot#2.png")
    assert find_frames([folder / "shot#2.png"]) is None


@pytest.mark.parametrize(
    ("span", "numbers"), [("2-4x2", [2, 4]), ("1-2", [1, 2]), ("4", [4]), ("2-6x2", [2, 4, 6]), ("6-6", [6])]
)
def test_a_range_takes_its_frames_from_folder_pattern_and_file(tmp_path: Path, span: str, numbers: list[int]) -> None:
    folder = shoot(tmp_path / "in", [1, 2, 4, 6])
    for given in (folder, folder / "shot_####.png", folder / "shot_0001.png"):
        found = find_frames([given], span)
        assert found is not None and list(found.paths) == numbers


REFUSED = {
    "an empty folder": (lambda f: [shoot(f, [])], None, "holds no picture"),
    "a folder with a video": (lambda f: [shoot(f, [], "x").joinpath("a.mov").touch() or f], None, "ffmpeg -i"),
    "a gap": (lambda f: [shoot(f, [1, 2, 4, 5, 9])], None, "lacks frame 3, 6-8 between 1 and 9"),
    "every other frame": (lambda f: [shoot(f, [1, 3, 5])], None, "--range 1-5x2"),
    "two sequences": (lambda f: [shoot(f, [1]) and shoot(f, [1], "b_{:04d}.png")], None, "2 sequences"),
    "names without numbers": (lambda f: [shoot(f, [1], "cat.png")], None, "no number in its name"),
    "a number twice": (lambda f: [shoot(f, [1]) and shoot(f, [1], "shot_{}.png")], None, "Frame 1 is there twice"),
    "no such file": (lambda f: [shoot(f, [1]) / "other_####.png"], None, "No file is called like"),
    "another number of digits": (lambda f: [shoot(f, [1]) / "shot_##.png"], None, "number of digits"),
    "no such folder": (lambda f: [f / "shot_####.png"], None, "There is no folder"),
    "two numbers": (lambda f: [f / "shot_####_##.png"], None, "has 2 numbers"),
    "a range beyond": (lambda f: [shoot(f, [1, 2])], "1-3", "There are 2 frames from 1 to 2"),
    "a range of words": (lambda f: [shoot(f, [1, 2])], "all", "FIRST-LAST"),
    "a range backwards": (lambda f: [shoot(f, [1, 2])], "2-1", "lower number first"),
    "two folders": (lambda f: [shoot(f, [1]), f], None, "one sequence at a time"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_no_sequence_is_a_sentence(tmp_path: Path, name: str) -> None:
    make, span, said = REFUSED[name]
    with pytest.raises(BadInput) as caught:
        find_frames(make(tmp_path / "in"), span)
    assert said in str(caught.value) and caught.value.text.endswith(".") and caught.value.remedy.endswith(".")


def test_a_video_is_told_how_to_become_frames(tmp_path: Path) -> None:
    (tmp_path / "my clip.mp4").write_bytes(b"")
    with pytest.raises(BadInput) as caught:
        run_light(job(tmp_path / "out", tmp_path / "my clip.mp4"), SilentReport())
    assert f"ffmpeg -i '{tmp_path}/my clip.mp4' 'my clip/%04d.png'" in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_frames_of_another_size_are_refused_before_anything_is_done(tmp_path: Path) -> None:
    folder = shoot(shoot(tmp_path / "in", [1, 2]), [3], size=(64, 32))
    light = Light()
    with pytest.raises(BadInput, match=r"Frame 3 .* is 64×32 pixels, frame 1 is 48×32"):
        run(job(tmp_path / "out", folder), light)
    assert not light.seen and not (tmp_path / "out").exists()


def test_sizes_are_of_the_upright_picture(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (48, 32)).save(tmp_path / "turned.jpg", exif=turned)
    exr.write_image(tmp_path / "a.exr", torch.zeros(20, 30, 3))
    assert picture_size(tmp_path / "turned.jpg") == (32, 48) and picture_size(tmp_path / "a.exr") == (30, 20)


def test_outputs_are_numbered_and_one_seed_is_shared(tmp_path: Path) -> None:
    folder, out = shoot(tmp_path / "in", [7, 8]), tmp_path / "out"
    light = Light()
    result = run(job(out, folder, seed=5), light)
    assert [seed for _, seed, _ in light.seen] == [5, 5]
    assert (out / "probe_0" / "0007.exr").read_text() == "shot_0007.png"
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == sorted(
        ["result.json"]
        + [f"frames/{n}.json" for n in ("0007", "0008")]
        + [f"probe_0{kind}/{n}.{suffix}" for n in ("0007", "0008")
           for kind, suffix in (("", "exr"), ("_fill", "exr"), ("_spheres", "exr"), ("_preview", "png"))]
    )  # fmt: skip
    assert result == json.loads((out / "result.json").read_text())
    assert [frame["probes"][0]["environment"] for frame in result["frames"]] == ["probe_0/0007.exr", "probe_0/0008.exr"]
    assert result["probes"][0]["fill"] == "probe_0_fill/####.exr" and result["warnings"] == ["a note"]


@pytest.mark.parametrize("error", [Cancelled(), KeyboardInterrupt(), BadInput("It is broken.", "Mend it.")], ids=str)
def test_a_broken_run_keeps_whole_frames_and_goes_on(tmp_path: Path, error: BaseException) -> None:
    folder, out = shoot(tmp_path / "in", [1, 2, 3]), tmp_path / "out"
    with pytest.raises((Cancelled, BadInput)) as caught:
        run(job(out, folder), Light("shot_0002.png", error))
    assert ("Frame 2: It is broken." if isinstance(error, BadInput) else "1 of 3 frames are done") in str(caught.value)
    assert sorted(p.name for p in out.iterdir()) == sorted(
        ["frames", "probe_0", "probe_0_fill", "probe_0_preview", "probe_0_spheres"]
    )
    assert [p.name for p in out.rglob("0*")].count("0001.exr") == 3 and not list(out.rglob("0002*"))
    light = Light()
    result = run(job(out, folder), light)
    assert [name for name, _, _ in light.seen] == ["shot_0002.png", "shot_0003.png"]
    assert (result["estimated"], result["kept"], len(result["frames"])) == (2, 1, 3)


def test_existing_frames_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    folder, out = shoot(tmp_path / "in", [1, 2, 3]), tmp_path / "out"
    run(job(out, folder, range="1-2"), Light())
    light = Light()
    result = run(job(out, folder), light)
    assert [name for name, _, _ in light.seen] == ["shot_0003.png"] and len(result["frames"]) == 3
    (out / "probe_0" / "0002.exr").unlink()
    again = Light()
    run(job(out, folder, range="1-2"), again)
    assert [name for name, _, _ in again.seen] == ["shot_0002.png"]
    for changed in ({"quality": "normal"}, {"seed": 1}, {"probes": [{"u": 0.4, "v": 0.6}]}):
        with pytest.raises(BadInput, match="was estimated with another") as caught:
            run(job(out, folder, **changed), Light())
        assert "--overwrite" in caught.value.remedy
    everything = Light()
    result = run(job(out, folder, seed=1, overwrite=True), everything)
    assert len(everything.seen) == 3 and result["estimated"] == 3 and result["seed"] == 1


def test_each_frame_gets_its_own_depth_or_all_the_same(tmp_path: Path) -> None:
    folder = shoot(tmp_path / "in", [1, 2])
    (tmp_path / "z").mkdir()
    for number in (1, 2, 3):
        exr.write_depth(tmp_path / "z" / f"z{number}.exr", torch.ones(32, 48))
    light = Light()
    run(job(tmp_path / "a", folder, depth=str(tmp_path / "z" / "z#.exr")), light)
    run(job(tmp_path / "b", folder, depth=str(tmp_path / "z" / "z3.exr")), light)
    assert [depth for _, _, depth in light.seen] == ["z1.exr", "z2.exr", "z3.exr", "z3.exr"]
    (tmp_path / "z" / "z2.exr").unlink()
    with pytest.raises(BadInput, match="lack frame 2"):
        run(job(tmp_path / "c", folder, depth=str(tmp_path / "z")), light)


def test_progress_rises_over_all_frames(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    class Told(SilentReport):
        def progress(self, fraction: float, stage: str) -> None:
            told.append((fraction, stage))

    run(job(tmp_path / "out", shoot(tmp_path / "in", [4, 5])), Light(), Told())
    assert [f for f, _ in told] == [0.0, 0.25, 0.75, 1.0]
    assert told[2][1] == "Frame 5 (2 of 2): Painting"


def test_a_frame_is_what_the_picture_alone_gives(tmp_path: Path) -> None:
    folder = shoot(tmp_path / "in", [1, 2])
    result = run_light(job(tmp_path / "all", folder), SilentReport())
    alone = run_light(job(tmp_path / "one", folder / "shot_0002.png"), SilentReport())
    frame = exr.read_panorama(tmp_path / "all" / "probe_0" / "0002.exr")[0]
    assert torch.equal(frame, exr.read_panorama(tmp_path / "one" / "probe_0.exr")[0])
    assert result["frames"][1]["probes"][0]["lamps"] == alone["probes"][0]["lamps"]
    assert not torch.equal(frame, exr.read_panorama(tmp_path / "all" / "probe_0" / "0001.exr")[0])
