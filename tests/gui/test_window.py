# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface in a real Blender window under a virtual display, driven by simulated input; screenshots are kept.

Any Blender from 3.4 on works: the one on the PATH, or ``LIMELIGHT_BLENDER``, as an extension where it has extensions.
``LIMELIGHT_SCREENSHOTS`` names the folder that keeps the pictures, from which ``pictures.py`` cuts the guide's.
``photo.jpg`` is a crop (yaw 240°, level, 60° wide) of *sunset*, one of Blender's studio lights (CC0), which is no
training material; it was exposed as the demo's photo is.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from limelight.tests.addon import splat_files
from limelight.tests.gui import portrait

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SHOTS = Path(os.environ.get("LIMELIGHT_SCREENSHOTS", Path(tempfile.gettempdir()) / "limelight-screenshots"))
MODULES = ("__init__.py", "preferences.py", "properties.py", "properties_frames.py", "properties_world.py")
PARTS = (*MODULES, "blender_manifest.toml", "operators", "panels", "scene", "bridge", "backend")
BLENDER = os.environ.get("LIMELIGHT_BLENDER", "blender")
MISSING = [name for name in (BLENDER, "Xvfb") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.gui,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)} on the PATH to open a real window"),
]


@pytest.fixture(scope="module")
def display():
    """A virtual display that nobody else uses; the X server picks a free number."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "+extension", "GLX"],
        pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait(10)


@pytest.fixture(scope="module")
def extensions():
    """Whether this Blender has extensions; a legacy add-on is tested where it has none."""
    said = subprocess.run([BLENDER, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(part) for part in said.split()[1].split(".")[:2]) >= (4, 2)


@pytest.fixture
def play(display, extensions, tmp_path):
    """``play(scenario, **paths) -> report``: run one scenario in a fresh Blender with the add-on's folder installed."""
    addon = tmp_path / ("extensions/user_default" if extensions else "scripts/addons") / "limelight"
    addon.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, addon / part)

    def run(scenario, seconds=400, **paths):
        folder = SHOTS / (f"{scenario}_real_engine" if "python" in paths and "engine" not in paths else scenario)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        environment = {
            # Debian's Blender takes its Python, and numpy, from the first python3 on the path.
            **os.environ, "PATH": "/usr/bin:/bin", "DISPLAY": display,
            "LIBGL_ALWAYS_SOFTWARE": "1", "LP_NUM_THREADS": "2",
            "XDG_RUNTIME_DIR": str(tmp_path), "BLENDER_USER_SCRIPTS": str(tmp_path / "scripts"),
            "BLENDER_USER_CONFIG": str(tmp_path / "config"), "BLENDER_USER_EXTENSIONS": str(tmp_path / "extensions"),
            "LIMELIGHT_GUI": json.dumps({**paths, "eyes": sys.executable}),
        }  # fmt: skip
        command = [
            BLENDER, "--factory-startup", "--window-geometry", "0", "0", "1280", "800", "--no-window-focus",
            "--enable-event-simulate", "--python", str(HERE / "start.py"), "--",
            scenario, str(folder),
        ]  # fmt: skip
        with (folder / "log.txt").open("w") as log:
            subprocess.run(command, env=environment, stdout=log, stderr=log, timeout=seconds, check=False)
        words = (folder / "log.txt").read_text(errors="replace")
        assert (folder / "report.json").is_file(), f"Blender ended early: {words}"
        report = json.loads((folder / "report.json").read_text())
        assert not report["error"], report["error"]
        assert "Traceback" not in words, words
        return report

    return run


def test_the_panel_is_drawn_and_lists_what_is_missing(play):
    report = play("panels")
    assert "The engine is not set up yet" in report["problems"]
    assert (SHOTS / "panels" / "1_first_look.png").stat().st_size > 50_000


def test_a_click_places_a_probe_that_undo_takes_back(play):
    report = play("place")
    assert report["probe"]["is_probe"] and report["probe"]["radius"] > 0
    # The click hit the default cube: the sphere lies on one of its faces.
    x, y, z = report["probe"]["location"]
    assert max(abs(x), abs(y), abs(z)) == pytest.approx(1 + 1.05 * report["probe"]["radius"], abs=1e-3)
    radius = report["probe"]["radius"]
    assert report["radius_after_drag"] == pytest.approx(1.5 * radius, rel=0.15)
    assert report["radius_after_undo"] == pytest.approx(radius, rel=1e-5)
    assert (report["probes_after_undo"], report["probes_after_redo"]) == (0, 1)
    assert report["probes_after_escape"] == 1


def test_from_a_photo_to_light_with_a_cancelled_estimate(play, tmp_path):
    photo = tmp_path / "quay ä.jpg"
    shutil.copy(HERE / "photo.jpg", photo)
    report = play(
        "photo_to_light", photo=str(photo), preview=str(HERE / "spheres.png"), root=str(tmp_path / "engine"),
        engine=str(HERE.parent / "addon" / "ui" / "fake_engine.py"), python=sys.executable,
    )  # fmt: skip
    assert report["problems"] == []
    assert 0.05 < report["while_running"]["fraction"] < 1 and report["while_running"]["eta"] > 1
    assert report["after_escape"] == ["Cancelled; nothing was changed", False]
    assert report["estimated"] and report["world"] == "Probe"


def test_a_click_on_the_photo_places_a_probe_behind_that_pixel(play):
    report = play("on_the_photo", photo=str(HERE / "photo.jpg"))
    assert report["probes_after_miss"] == 0 and report["is_probe"]
    # The probe lies on what the ray met, so its centre is seen a little above the pixel.
    assert report["seen_at"][0] == pytest.approx(0.3, abs=0.02)
    assert report["seen_at"][1] == pytest.approx(0.25, abs=0.08)


def test_a_photo_is_relit_and_compared_by_a_line_that_is_dragged(play, tmp_path):
    report = play(
        "relight", photo=str(HERE / "photo.jpg"), preview=str(HERE / "spheres.png"), root=str(tmp_path / "engine"),
        engine=str(HERE.parent / "addon" / "ui" / "fake_engine.py"), python=sys.executable,
        reference=str(HERE / "spheres.png"),
    )  # fmt: skip
    assert report["after_escape"] == ["Cancelled; nothing was changed", False, "photo.jpg"]
    assert report["shown"] == "photo.jpg relit" and "has the light of spheres.png" in report["message"]
    assert report["wipe_at"] == pytest.approx(0.25, abs=0.03)
    assert report["after_undo"][0] == "photo.jpg" and "photo.jpg relit" not in report["after_undo"][1]
    assert (SHOTS / "relight" / "o_wiped.png").stat().st_size > 50_000


@pytest.mark.skipif(portrait.photo() is None, reason="scikit-image, whose portrait is used, is not installed")
def test_a_portrait_becomes_a_head_after_a_landmark_was_dragged(play, tmp_path):
    portrait.write_answer(tmp_path / "portrait", portrait.photo())
    report = play(
        "face", photo=str(portrait.photo()), preview=str(HERE / "spheres.png"), root=str(tmp_path / "engine"),
        engine=str(HERE.parent / "addon" / "ui" / "fake_engine.py"), python=sys.executable,
        portrait=str(tmp_path / "portrait"),
    )  # fmt: skip
    assert report["found"] == [pytest.approx(report["found"][0]), 1] and "Found a face" in report["found"][0]
    # The chin followed the mouse; Ctrl Z and Esc put it back.
    assert report["pixels"] == pytest.approx(30, abs=3)
    assert report["dragged"][1] < report["before"][1] - 0.01
    assert report["undone"] == pytest.approx(report["before"], abs=1e-5)
    assert report["escaped"] == pytest.approx(report["before"], abs=1e-5)
    assert report["again"] == pytest.approx(report["dragged"], abs=2e-3)
    assert report["after_escape"] == ["Cancelled; nothing was changed", 0]
    assert report["made"][1] == ["astronaut head"] and report["lit"][1] == "Face light"
    assert report["taken"] == ["astronaut head"] and report["after_undo"] == [0]
    asked = json.loads((tmp_path / "engine" / "asked.json").read_text())
    assert len(asked["landmarks"]) == 468 and asked["seed"] == 1
    assert (SHOTS / "face" / "a_landmarks.png").stat().st_size > 50_000


def test_files_are_dropped_on_the_viewport(play, extensions, tmp_path):
    if not extensions:
        pytest.skip("this Blender cannot hand dropped files to an add-on; LIMELIGHT_BLENDER may name a newer one")
    picture, splats = tmp_path / "pictures" / "quay ä.jpg", tmp_path / "splats" / "scan.ply"
    for path in (picture, splats):
        path.parent.mkdir()
    shutil.copy(HERE / "photo.jpg", picture)
    splat_files.write(splats, *splat_files.rows([[0, 0, 0], [0.5, 0, 0]], [[0.9, 0.2, 0.1]] * 2, 0.9, 0.2))
    shutil.copy(splats, splats.with_name("scan 2.ply"))
    report = play("drop", picture=str(picture), splats=str(splats))
    assert (report["photo"], report["portrait"]) == ("quay ä.jpg", "quay ä.jpg")
    assert sorted(report["objects"]) == ["scan", "scan 2"]


@pytest.mark.slow
@pytest.mark.skipif("LIMELIGHT_ENGINE_PYTHON" not in os.environ, reason="LIMELIGHT_ENGINE_PYTHON names no engine")
def test_the_same_way_with_the_real_engine(play, tmp_path):
    photo = tmp_path / "quay.jpg"
    shutil.copy(HERE / "photo.jpg", photo)
    report = play("photo_to_light", seconds=600, photo=str(photo), python=os.environ["LIMELIGHT_ENGINE_PYTHON"])
    assert report["after_escape"] == ["Cancelled; nothing was changed", False]
    assert report["estimated"] and report["world"] == "Probe", report["message"]


def test_the_preferences_show_the_engines_set_up(play):
    report = play("preferences_page")
    assert all(Path(path).is_file() for path, _version in report["pythons"])


@pytest.mark.slow
@pytest.mark.skipif("LIMELIGHT_ENGINE_PYTHON" not in os.environ, reason="LIMELIGHT_ENGINE_PYTHON names no engine")
def test_the_real_engine_relights_a_photo(play):
    report = play(
        "relight", seconds=600, photo=str(HERE / "photo.jpg"), reference=str(HERE / "spheres.png"),
        python=os.environ["LIMELIGHT_ENGINE_PYTHON"],
    )  # fmt: skip
    # It may be done before anybody presses Esc; the stand-in, which takes its time, shows that Esc cancels.
    assert report["shown"] == "photo.jpg relit", report["message"]


@pytest.mark.slow
@pytest.mark.skipif("LIMELIGHT_ENGINE_PYTHON" not in os.environ, reason="LIMELIGHT_ENGINE_PYTHON names no engine")
@pytest.mark.skipif(portrait.photo() is None, reason="scikit-image, whose portrait is used, is not installed")
def test_the_real_engine_makes_a_head_of_a_portrait(play):
    report = play("face", seconds=1500, photo=str(portrait.photo()), python=os.environ["LIMELIGHT_ENGINE_PYTHON"])
    assert report["found"][1] == 1 and report["pixels"] == pytest.approx(30, abs=3)
    assert report["made"][1] == ["astronaut head"], report["made"]
    assert report["lit"][1] == "Face light", report["lit"]


def test_frames_and_shots_are_listed_with_what_became_of_them(play, tmp_path):
    report = play("over_frames", file=str(tmp_path / "shot ä.blend"))
    assert report["frames"] == [1, 3]
    assert [state for _name, state in report["rows"]] == ["done", "failed", "queued"]


def test_the_baked_truth_becomes_the_light(play):
    report = play("truth")
    assert report["truth"] == [True, True, "Baked from the scene"] and report["world"] == "Probe"


def test_the_panel_of_a_scan_asks_for_its_photos(play):
    assert play("scan")["drawn"]
