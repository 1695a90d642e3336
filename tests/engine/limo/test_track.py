# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracks: camera and probes of each frame, what stands in for what, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.limo.estimate import run_light
from limelight.backend.limo.frames import find_frames
from limelight.backend.limo.intake import place_probe, read_view
from limelight.backend.limo.job import LightJob
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics import exr
from limelight.tests.engine.limo.test_sequence import shoot
from PIL import Image

#: A camera a metre above the origin that looks along the world's +y: right, up and backward axes in the columns.
AHEAD = [[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 1.0], [0, 0, 0, 1.0]]


def write(path: Path, frames: dict[str, Any]) -> str:
    path.write_text(json.dumps({"version": 1, "frames": frames}))
    return str(path)


def job(folder: Path, **params: Any) -> LightJob:
    images = [str(shoot(folder / "in", [1, 2]))]
    return LightJob.from_params({"images": images, "out": str(folder / "out"), "fov_deg": 60, "size": 128, **params})


def test_a_lens_in_pixels_is_in_those_of_the_file(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (2560, 640), (90, 90, 90)).save(large)
    exr.write_depth(tmp_path / "depth.exr", torch.ones(64, 256))
    given = {"images": [str(large)], "out": str(tmp_path), "depth": str(tmp_path / "depth.exr"),
             "probes": [{"u": 0.5, "v": 0.5}]}  # fmt: skip
    for camera in ({"fx": 1280}, {"fx": 640, "width": 1280, "height": 320}):
        found = read_view(LightJob.from_params({**given, "camera": camera}))[0].camera
        assert found.width == 2048 and found.fov_x_deg == pytest.approx(90)


def test_what_the_track_says_of_a_frame_stands_in_for_the_request(tmp_path: Path) -> None:
    track = write(tmp_path / "t.json", {
        "1": {"probes": {"a": {"position": [0, 0, -2]}}},
        "2": {"camera": {"fov_x_deg": 40}, "probes": {"a": {"u": 0.25, "v": 0.5, "radius": 0.2}}},
    })  # fmt: skip
    whole = job(tmp_path, track=track, probes=[{"name": "a", "position": [9, 9, -9], "radius": 0.1},
                                              {"name": "still", "u": 0.5, "v": 0.6}])  # fmt: skip
    assert whole.track is not None
    first, second = (whole.track.part(whole, n) for n in (1, 2))
    assert (first.probes[0].position, first.probes[0].radius, first.camera) == ([0, 0, -2], 0.1, None)
    assert (second.probes[0].u, second.probes[0].position, second.probes[0].radius) == (0.25, None, 0.2)
    assert second.camera == {"fov_x_deg": 40} and first.probes[1] == second.probes[1] == whole.probes[1]


def test_probes_without_place_or_request_are_the_tracks(tmp_path: Path) -> None:
    track = write(tmp_path / "t.json", {n: {"probes": {"b": {"u": 0.5, "v": 0.5}}} for n in "12"})
    assert [probe.name for probe in job(tmp_path, track=track).probes] == ["b"]
    named = job(tmp_path, track=track, probes=[{"name": "b"}])
    assert named.track is not None and named.track.part(named, 2).probes[0].v == 0.5


def test_camera_and_probe_files_are_laid_over_each_other(tmp_path: Path) -> None:
    camera = write(tmp_path / "c.json", {n: {"camera_to_world": AHEAD} for n in "12"})
    probes = write(tmp_path / "p.json", {n: {"probes": {"b": {"position": [0, 0, -int(n)]}}} for n in "12"})
    Path(camera).write_text(Path(camera).read_text(), encoding="utf-8-sig")  # as some editors of Windows do
    whole = job(tmp_path, track=[camera, probes], frame="world")
    assert whole.track is not None
    part = whole.track.part(whole, 2)
    assert part.probes[0].position == [0, 0, -2] and part.camera_to_world is not None


def test_a_probe_in_the_world_stands_still_while_the_camera_moves(tmp_path: Path) -> None:
    moved = [[*row[:3], row[3] + shift] for row, shift in zip(AHEAD, (0.5, 1.0, 0, 0), strict=True)]
    track = write(tmp_path / "t.json", {"1": {"camera_to_world": AHEAD}, "2": {"camera_to_world": moved}})
    whole = job(tmp_path, track=track, probes=[{"name": "a", "position_world": [0.5, 4.0, 0.8]}])
    places = []
    frames = find_frames(whole.images)
    assert whole.track is not None and frames is not None
    for number, path in frames.paths.items():
        part = whole.track.part(whole, number)
        part.images = [path]
        places.append(place_probe(read_view(part)[0], part.probes[0], 0.1).position)
    torch.testing.assert_close(places[0], torch.tensor([0.5, -0.2, -4.0]))
    torch.testing.assert_close(places[1], torch.tensor([0.0, -0.2, -3.0]))


REFUSED: dict[str, tuple[Any, str]] = {
    "no file": (None, "cannot be read"),
    "no JSON": ("hello", "is not JSON"),
    "no frames": ('{"frames": {}}', "has no frames"),
    "a list of frames": ('{"frames": [1]}', "has no frames"),
    "a frame by name": ('{"frames": {"one": {}}}', "a frame called 'one'"),
    "a frame that is a number": ('{"frames": {"1": 4}}', "Frame 1"),
    "an unknown key": ('{"frames": {"1": {"lens": 4}}}', "lens"),
    "probes in a list": ('{"frames": {"1": {"probes": []}}}', "malformed probes"),
    "a camera of words": ('{"frames": {"1": {"camera": "wide"}}}', "malformed camera"),
    "no frame 2": ('{"frames": {"1": {"probes": {"a": {"u": 0.5, "v": 0.5}}}}}', "no frame 2"),
    "no place": ('{"frames": {"1": {}, "2": {"probes": {"a": {"u": 0.5, "v": 0.5}}}}}', "neither u, v nor"),
    "a place of words": ('{"frames": {"1": {"probes": {"a": {"u": "x"}}}, "2": {}}}', "Frame 1 of the track"),
    "a mirrored camera": (
        '{"frames": {"1": {"camera_to_world": [[-1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}, "2": {}}}', "Frame 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_track_that_cannot_be_used_is_a_sentence(tmp_path: Path, name: str) -> None:
    text, said = REFUSED[name]
    if text is not None:
        (tmp_path / "t.json").write_text(text)
    with pytest.raises(BadInput) as caught:
        place = {} if "place" in name else {"u": 0.5, "v": 0.5}
        whole = job(tmp_path, track=str(tmp_path / "t.json"), probes=[{"name": "a", **place}])
        run_light(whole, SilentReport())
    assert said in str(caught.value) and caught.value.remedy.endswith(".")
    assert not (tmp_path / "out").exists()


def test_a_track_for_one_picture_and_a_world_place_without_camera_are_refused(tmp_path: Path) -> None:
    track = write(tmp_path / "t.json", {"1": {"probes": {"a": {"u": 0.5, "v": 0.5}}}})
    one = job(tmp_path, track=track, images=[str(shoot(tmp_path / "one", [1]) / "shot_0001.png")])
    with pytest.raises(BadInput, match="for one picture"):
        run_light(one, SilentReport())
    with pytest.raises(BadInput, match="where the camera is was not said"):
        run_light(job(tmp_path, probes=[{"name": "a", "position_world": [0, 4, 1]}],
                      images=[str(tmp_path / "one" / "shot_0001.png")]), SilentReport())  # fmt: skip


def test_the_frames_of_a_track_are_estimated_from_its_places(tmp_path: Path) -> None:
    def tracked(step: float) -> str:
        places = {n: {"a": {"position": [step * int(n), 0, -2]}} for n in "12"}
        return write(tmp_path / "t.json", {n: {"camera_to_world": AHEAD, "probes": places[n]} for n in places})

    track = tracked(0.1)
    whole = job(tmp_path, track=track, frame="world", quality="draft")
    result = run_light(whole, SilentReport())
    places = [frame["probes"][0]["position_world"] for frame in result["frames"]]
    torch.testing.assert_close(torch.tensor(places), torch.tensor([[0.1, 2, 1], [0.2, 2, 1]]))
    again = run_light(job(tmp_path, track=track, frame="world", quality="draft"), SilentReport())
    assert (again["estimated"], again["kept"]) == (0, 2) and len(again["frames"]) == 2
    with pytest.raises(BadInput, match="was estimated with another probes"):
        run_light(job(tmp_path, track=tracked(0.0), frame="world", quality="draft"), SilentReport())
