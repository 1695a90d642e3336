# SPDX-License-Identifier: GPL-3.0-or-later
"""Image sequences: which frames are meant, what is refused, numbered outputs, going on after a break."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from limelight.backend import kinds
from limelight.backend.errors import BadInput, Cancelled
from limelight.backend.limo.energy import Gains
from limelight.backend.limo.estimate import run_light
from limelight.backend.limo.fit_frames import Carry
from limelight.backend.limo.frames import find_frames
from limelight.backend.limo.job import LightJob
from limelight.backend.limo.movies import unpack
from limelight.backend.limo.output import describe, write_probe
from limelight.backend.limo.painter import Spheres
from limelight.backend.limo.report import SilentReport
from limelight.backend.limo.sequence import chunks, run_sequence
from limelight.backend.limo.sources import Sources
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics import exr, shading
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.movie import read_movie
from limelight.backend.optics.photo import picture_size
from limelight.backend.optics.sphere import SphereView
from limelight.bridge import messages
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
    """Stands in for the estimation: small grey spheres, maps as bright as their frame's number; may stop at a frame."""

    block = 8

    def __init__(self, stop: tuple[str, int] = ("", 0), error: BaseException | None = None) -> None:
        self.stop, self.error = stop, error
        self.painted: list[int] = []
        self.fitted: list[tuple[list[int], bool]] = []
        self.parts: Mapping[int, LightJob] = {}

    def __call__(self, parts: Mapping[int, LightJob], placed: Any, first: Any) -> Light:
        self.parts = parts
        return self

    def _maybe_stop(self, what: str, number: int) -> None:
        if self.stop == (what, number) and self.error is not None:
            raise self.error

    def view(self, number: int) -> tuple[View, str]:
        camera = Camera.from_fov(48, 32, 60)
        return View(torch.full((32, 48, 3), 0.2), torch.full((32, 48), 5.0), camera, warnings=["a note"]), "file"

    def probes(self, number: int) -> list[Probe]:
        return [Probe("p", torch.tensor([0.0, 0.0, -2.0]), 0.1)]

    def paint(self, numbers: Sequence[int], progress: Any) -> dict[int, list[Spheres]]:
        for number in numbers:
            progress(0.5)
            self._maybe_stop("paint", number)
            self.painted.append(number)
        view = SphereView(torch.tensor([0.0, 0.0, -2.0]), 0.1, 4)
        return {n: [Spheres(view, *(torch.full((5, 4, 4, 3), n / 64 + k / 8) for k in (0, 1)))] for n in numbers}

    def fit(self, spheres: Any, keep: int, before: Any, progress: Any) -> Any:
        progress(1.0)
        self.fitted.append((list(spheres), before is not None))
        assert all(float(each[0].mirror.mean()) == number / 64 for number, each in spheres.items())
        assert all(float(each[0].diffuse.mean()) == number / 64 + 1 / 8 for number, each in spheres.items())
        maps = {n: [torch.full((64, 128, 3), float(n))] for n in spheres}
        gains, none = Gains.none(), Sources.none()
        carry = Carry(
            torch.ones(3, 4, 8), torch.ones(3, 4, 8), gains, gains, torch.ones(2, 3, 32, 64), none, torch.ones(4, 4, 3)
        )
        return {number: maps[number] for number in list(maps)[:keep]}, [carry]

    def write(self, folder: Path, number: int, environments: Any, spheres: Any, before: Any) -> dict[str, Any]:
        self._maybe_stop("write", number)
        folder.mkdir(exist_ok=True)
        part, view = self.parts[number], self.view(number)[0]
        entry = write_probe(folder, part, view, 0, self.probes(number)[0], environments[0], spheres[0])
        return describe(part, view, "file", {}, [entry])


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


def film(path: Path, count: int, size: tuple[int, int] = (96, 64)) -> Path:
    """A movie whose n-th frame is a grey of 20·n."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = *size, "yuv420p", 4_000_000
        for number in range(1, count + 1):
            pixels = np.full((size[1], size[0], 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("span", "numbers"), [(None, [1, 2, 3, 4, 5]), ("2-4x2", [2, 4])])
def test_a_movie_is_a_sequence_counted_from_one(tmp_path: Path, span: str | None, numbers: list[int]) -> None:
    found = unpack(film(tmp_path / "clip.mp4", 5), span, tmp_path / "out", SilentReport())
    assert list(found.paths) == numbers
    for number, path in found.paths.items():
        assert abs(float(np.asarray(Image.open(path)).mean()) - 20 * number) < 3
        path.touch()
    # Another movie of that name is read anew, the same is not.
    kept = {path: path.stat().st_mtime_ns for path in found.paths.values()}
    unpack(tmp_path / "clip.mp4", span, tmp_path / "out", SilentReport())
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    unpack(film(tmp_path / "clip.mp4", 6), span, tmp_path / "out", SilentReport())
    assert all(path.stat().st_mtime_ns > time for path, time in kept.items())


def test_reading_a_movie_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    class Stopped(SilentReport):
        def progress(self, fraction: float, stage: str) -> None:
            if "frame 4" in stage:
                raise Cancelled

    movie, out = film(tmp_path / "clip.mp4", 5), tmp_path / "out"
    with pytest.raises(Cancelled):
        unpack(movie, None, out, Stopped())
    there = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    found = unpack(movie, None, out, SilentReport())
    assert len(there) == 3 and len(found.paths) == 5
    assert all(path.stat().st_mtime_ns == time for path, time in there.items())


def test_colours_of_a_movie_are_those_of_its_frames(tmp_path: Path) -> None:
    import av

    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, :32], pixels[:, 32:64], pixels[:, 64:] = (180, 40, 40), (40, 180, 40), (40, 40, 180)
    with av.open(str(tmp_path / "c.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 96, 64, "yuv420p", 4_000_000
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    ((_, found),) = read_movie(tmp_path / "c.mp4")
    assert np.abs(found[8:-8, [16, 48, 80]].astype(int) - pixels[8:-8, [16, 48, 80]]).max() < 8


@pytest.mark.parametrize(("span", "said"), [("4-9", "no frame 6"), ("9", "no frame 9")])
def test_a_range_beyond_a_movie_is_refused(tmp_path: Path, span: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        run_light(job(tmp_path / "out", film(tmp_path / "clip.mp4", 5), range=span), SilentReport())
    assert "There are 5 frames" in caught.value.remedy


def test_a_movie_that_cannot_be_read_is_told_how_to_become_frames(tmp_path: Path) -> None:
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
    assert not light.painted and not (tmp_path / "out").exists()


def test_sizes_are_of_the_upright_picture(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[274] = 6
    Image.new("RGB", (48, 32)).save(tmp_path / "turned.jpg", exif=turned)
    exr.write_image(tmp_path / "a.exr", torch.zeros(20, 30, 3))
    assert picture_size(tmp_path / "turned.jpg") == (32, 48) and picture_size(tmp_path / "a.exr") == (30, 20)


def test_outputs_are_numbered(tmp_path: Path) -> None:
    folder, out = shoot(tmp_path / "in", [7, 8]), tmp_path / "out"
    result = run(job(out, folder, seed=5), Light())
    assert float(exr.read_panorama(out / "probe_0" / "0007.exr")[0].mean()) == 7
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == sorted(
        ["result.json"]
        + [f"frames/{n}.json" for n in ("0007", "0008")]
        + [f"probe_0{kind}/{n}.{suffix}" for n in ("0007", "0008")
           for kind, suffix in (("", "exr"), ("_fill", "exr"), ("_spheres", "exr"), ("_preview", "png"))]
    )  # fmt: skip
    assert not (out / "frame").exists()
    assert result == json.loads((out / "result.json").read_text())
    assert [frame["probes"][0]["environment"] for frame in result["frames"]] == ["probe_0/0007.exr", "probe_0/0008.exr"]
    assert result["probes"][0]["fill"] == "probe_0_fill/####.exr" and result["warnings"] == ["a note"]
    assert result["seed"] == 5


def test_chunks_overlap_and_each_goes_on_from_the_last(tmp_path: Path) -> None:
    light = Light()
    run(job(tmp_path / "out", shoot(tmp_path / "in", list(range(1, 36)))), light)
    assert light.painted == list(range(1, 36))
    assert [(each[0], each[-1], known) for each, known in light.fitted] == [(1, 21, False), (17, 35, True)]
    assert chunks(21) == [(0, 21)] and chunks(22) == [(0, 16), (16, 22)] and chunks(1) == [(0, 1)]


@pytest.mark.parametrize("error", [Cancelled(), KeyboardInterrupt(), BadInput("It is broken.", "Mend it.")], ids=str)
def test_a_broken_run_keeps_whole_frames_and_painted_spheres(tmp_path: Path, error: BaseException) -> None:
    folder, out = shoot(tmp_path / "in", [1, 2, 3]), tmp_path / "out"
    with pytest.raises((Cancelled, BadInput)) as caught:
        run(job(out, folder), Light(("write", 2), error))
    assert ("It is broken." if isinstance(error, BadInput) else "1 of 3 frames are done") in str(caught.value)
    assert [path.name for path in sorted(out.rglob("*.exr")) if path.parent.name == "probe_0"] == ["0001.exr"]
    assert not list(out.glob(".limelight*")) and not (out / "result.json").exists()
    light = Light()
    result = run(job(out, folder), light)
    assert light.painted == [] and light.fitted == [([1, 2, 3], False)]
    assert (result["estimated"], result["kept"], len(result["frames"])) == (2, 1, 3)
    assert not (out / "unfinished").exists()


def test_a_killed_run_goes_on_at_the_frame_where_it_stopped(tmp_path: Path) -> None:
    folder, out = shoot(tmp_path / "in", list(range(1, 36))), tmp_path / "out"
    with pytest.raises(Cancelled, match="16 of 35"):
        run(job(out, folder), Light(("paint", 31), KeyboardInterrupt()))
    light = Light()
    run(job(out, folder), light)
    # Painted by eights, chunks of 16: 1 to 24 are painted, 1 to 16 done, and the 17th goes on from the 16th.
    assert light.painted == list(range(25, 36))
    assert [(each[0], each[-1], known) for each, known in light.fitted] == [(17, 35, True)]


def test_existing_frames_are_kept_unless_told_otherwise(tmp_path: Path) -> None:
    folder, out = shoot(tmp_path / "in", [1, 2, 3]), tmp_path / "out"
    run(job(out, folder, range="1-2"), Light())
    light = Light()
    result = run(job(out, folder), light)
    assert light.painted == [3] and len(result["frames"]) == 3 and result["estimated"] == 1
    (out / "probe_0" / "0002.exr").unlink()
    again = Light()
    assert run(job(out, folder, range="1-2"), again)["estimated"] == 1 and again.painted == []
    for changed in ({"quality": "normal"}, {"seed": 1}, {"probes": [{"u": 0.4, "v": 0.6}]}):
        with pytest.raises(BadInput, match="was estimated with another") as caught:
            run(job(out, folder, **changed), Light())
        assert "--overwrite" in caught.value.remedy
    everything = Light()
    result = run(job(out, folder, seed=1, overwrite=True), everything)
    assert everything.painted == [1, 2, 3] and result["estimated"] == 3 and result["seed"] == 1


def test_a_broken_run_goes_on_where_the_project_was_moved_to(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    shoot(tmp_path / "a" / "in", [1, 2, 3])
    exr.write_depth(tmp_path / "a" / "z.exr", torch.ones(32, 48))

    def asked(project: Path, **params: Any) -> LightJob:
        return job(project / "out", project / "in", depth=str(project / "z.exr"), **params)

    run(asked(tmp_path / "a", range="1-2"), Light())
    moved, light = (tmp_path / "a").rename(tmp_path / "b"), Light()
    assert run(asked(moved), light)["kept"] == 2 and light.painted == [3]
    shoot(tmp_path / "other", [1, 2, 3])
    with pytest.raises(BadInput, match="was estimated with another image"):
        run(job(moved / "out", tmp_path / "other", depth=str(moved / "z.exr")), Light())


def test_each_frame_gets_its_own_depth_or_all_the_same(tmp_path: Path) -> None:
    folder = shoot(tmp_path / "in", [1, 2])
    (tmp_path / "z").mkdir()
    for number in (1, 2, 3):
        exr.write_depth(tmp_path / "z" / f"z{number}.exr", torch.ones(32, 48))
    found = []
    for name, given in (("a", "z#.exr"), ("b", "z3.exr")):
        light = Light()
        run(job(tmp_path / name, folder, depth=str(tmp_path / "z" / given)), light)
        found += [part.depth and part.depth.name for part in light.parts.values()]
    assert found == ["z1.exr", "z2.exr", "z3.exr", "z3.exr"]
    (tmp_path / "z" / "z2.exr").unlink()
    with pytest.raises(BadInput, match="lack frame 2"):
        run(job(tmp_path / "c", folder, depth=str(tmp_path / "z")), Light())


def test_progress_rises_over_all_frames(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []

    class Told(SilentReport):
        def progress(self, fraction: float, stage: str) -> None:
            told.append((fraction, stage))

    run(job(tmp_path / "out", shoot(tmp_path / "in", [4, 5])), Light(), Told())
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert "Painting frames 4 to 5" in [stage for _, stage in told] and "Frame 5 (2 of 2)" in [s for _, s in told]


def test_frames_of_a_still_shot_share_camera_and_places_and_differ_by_light(tmp_path: Path) -> None:
    folder, out = shoot(tmp_path / "in", [1, 2]), tmp_path / "out"
    result = run_light(job(out, folder, fov_deg=None), SilentReport())
    first, second = result["frames"]
    assert first["camera"] == second["camera"]
    assert first["probes"][0]["position_camera"] == second["probes"][0]["position_camera"]
    maps = [exr.read_panorama(out / "probe_0" / f"000{n}.exr")[0] for n in (1, 2)]
    assert not torch.equal(*maps)
    # Gone on, the rest comes out as it would have in one go.
    (out / "frames" / "0002.json").unlink()
    again = run_light(job(out, folder, fov_deg=None), SilentReport())
    assert (again["estimated"], again["frames"][1]["camera"]) == (1, second["camera"])
    assert torch.allclose(exr.read_panorama(out / "probe_0" / "0002.exr")[0], maps[1], rtol=1e-3)


def test_a_frame_in_the_world_is_the_picture_in_the_world(tmp_path: Path) -> None:
    folder = shoot(tmp_path / "in", [1])
    world = {"frame": "world", "camera_to_world": [[0.0, 0, 1, 2], [1, 0, 0, 3], [0, 1, 0, 1], [0, 0, 0, 1]]}
    run_light(job(tmp_path / "all", folder, **world), SilentReport())
    run_light(job(tmp_path / "one", folder / "shot_0001.png", **world), SilentReport())
    frame, alone = (exr.read_panorama(tmp_path / name)[0] for name in ("all/probe_0/0001.exr", "one/probe_0.exr"))
    around = pano.directions(6, "world").reshape(-1, 3)
    lit = [shading.irradiance(each, around) for each in (frame, alone)]
    assert float((lit[0] / lit[1]).log2().abs().max()) < 0.15


def test_the_answer_of_a_long_sequence_can_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"number": 1, "probes": [{"lamps": [0.123456789] * 60}] * 4}
    for count, told in ((2, 2), (4000, 0)):
        answer = {"probes": [{"name": "a"}], "frames": [record] * count}
        monkeypatch.setattr("limelight.backend.limo.estimate.run_light", lambda _job, _report, answer=answer: answer)
        params = {"images": [str(tmp_path)], "probes": [{"u": 0.5, "v": 0.5}], "out": str(tmp_path / "out")}
        report: Any = SilentReport()
        sent = kinds.kinds("cpu")["light"](params, report)
        messages.encode(messages.Result("x", sent))
        assert len(sent["frames"]) == told and sent["probes"] == answer["probes"]
        assert any("result.json" in line for line in report.lines) == (told == 0)
