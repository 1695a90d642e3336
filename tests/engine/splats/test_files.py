# SPDX-License-Identifier: GPL-3.0-or-later
"""Splats survive every format within what the format can hold, and files of other programs are understood."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from limelight.backend.errors import BadInput
from limelight.backend.splats import place
from limelight.backend.splats.cloud import Splats
from limelight.backend.splats.describe import converted, described
from limelight.backend.splats.files import formats
from limelight.tests.engine.splats import other_files
from limelight.tests.engine.splats.other_files import cloud, decoded, encoded

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "splats"
#: Of each format that is written: errors of position, logarithm of scale, opacity, coefficients.
EXACT = (1e-6, 1e-5, 1e-6, 1e-6)
TOLERANCES = {
    "a.ply": EXACT,
    "a.glb": EXACT,
    "a.compressed.ply": (4e-3, 3e-3, 2.1e-3, 1.7e-2),
    "a.splat": (1e-6, 1e-6, 2.1e-3, 7.1e-3),
    "a.spz": (1e-6, 3.2e-2, 2.1e-3, 1.4e-2),
}


def compare(read: Splats, written: Splats, tolerances: tuple[float, float, float, float], turn: float = 3e-5) -> None:
    """The same Gaussians in any order, up to the sign of quaternions; harmonics as far as they were read."""
    assert len(read) == len(written)
    apart = np.linalg.norm(read.means[:, None] - written.means[None], axis=-1)
    read = read[np.argmin(apart, axis=0)]
    terms = min(read.sh.shape[1], written.sh.shape[1])
    found = (
        np.abs(read.means - written.means).max(),
        np.abs(np.log(read.scales / written.scales)).max(),
        np.abs(read.opacity - written.opacity).max(),
        np.abs(read.sh[:, :terms] - written.sh[:, :terms]).max(),
    )
    assert all(error <= limit for error, limit in zip(found, tolerances, strict=True)), found
    assert np.abs(np.sum(read.quats * written.quats, axis=1)).min() > 1 - turn


@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("name", TOLERANCES)
def test_a_cloud_comes_back(name: str, degree: int) -> None:
    written = cloud(700, degree)
    read = decoded(encoded(written, name), name).splats
    assert read.degree == (0 if name == "a.splat" else degree)
    compare(read, written, TOLERANCES[name])


@pytest.mark.parametrize("name", ["a.ply", "a.glb"])
def test_material_comes_back(name: str) -> None:
    written = cloud(50, 1, material=True)
    read = decoded(encoded(written, name), name).splats.material
    assert read is not None and written.material is not None
    for channel, values in vars(written.material).items():
        np.testing.assert_array_equal(getattr(read, channel), values)


@pytest.mark.parametrize("name", ["a.compressed.ply", "a.splat", "a.spz"])
def test_what_a_format_cannot_hold_is_said(name: str, tmp_path: Path) -> None:
    notes = formats.write(cloud(20, 1, material=True), tmp_path / name)
    assert any("material" in note for note in notes)


@pytest.mark.parametrize(("name", "degree"), [("a.compressed.ply", 1), ("a.splat", 0), ("a.spz", 1)])
def test_values_beyond_a_format_are_said(name: str, degree: int, tmp_path: Path) -> None:
    written = cloud(20, degree)
    assert not any("clipped" in note for note in formats.write(written, tmp_path / name))
    written.sh[3, -1] = 5
    assert any("clipped" in note for note in formats.write(written, tmp_path / name))


def test_gaussians_that_a_far_one_moves_are_said(tmp_path: Path) -> None:
    written = cloud(700, 0)
    assert not formats.write(written, tmp_path / "a.compressed.ply")
    written.means[5] = 1e5
    (note,) = formats.write(written, tmp_path / "a.compressed.ply")
    assert "move by several times their size" in note


def test_material_that_only_a_part_of_a_gltf_has_is_said() -> None:
    for kept, told in (({"_ALBEDO"}, "_ALBEDO alone"), (set(), "")):
        glb = encoded(cloud(5, 0, material=True), "a.glb")
        length = struct.unpack_from("<I", glb, 12)[0]
        content = json.loads(glb[20 : 20 + length])
        primitive = content["meshes"][0]["primitives"][0]
        named = primitive["attributes"].items()
        bare = {key: index for key, index in named if not key.startswith("_") or key in kept}
        whole = [] if kept else [primitive]
        content["meshes"][0]["primitives"] = [*whole, {**primitive, "attributes": bare}]
        text = json.dumps(content).encode()
        text += b" " * (-len(text) % 4)
        head = struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(glb) - 20 - length, len(text), 0x4E4F534A)
        loaded = decoded(head + text + glb[20 + length :], "a.glb")
        assert loaded.splats.material is None
        assert any("material" in note and told in note for note in loaded.notes)


@pytest.mark.parametrize("form", ["ascii", "binary_big_endian", "binary_little_endian"])
def test_any_ply_of_a_trainer_is_read(form: str) -> None:
    written = cloud(30, 3)
    before = "element extra 0\nproperty float t" if form != "ascii" else ""
    compare(decoded(other_files.ply(written, form, before=before), "a.ply").splats, written, (1e-6, 1e-5, 1e-5, 1e-6))


def test_rows_of_other_tables_are_passed_over() -> None:
    written = cloud(5, 0)
    head, _, rows = other_files.ply(written, "ascii", before="element extra 2\nproperty int t").partition(
        b"end_header\n"
    )
    read = decoded(head + b"end_header\n7\n8\n" + rows, "a.ply").splats
    compare(read, written, (1e-6, 1e-5, 1e-5, 1e-6))


def test_incomplete_harmonics_keep_the_complete_degrees() -> None:
    written = cloud(10, 3)
    gone = tuple(f"f_rest_{index}" for index in range(30, 45))
    loaded = decoded(other_files.ply(written, "binary_little_endian", left_out=gone), "a.ply")
    assert loaded.splats.degree == 2 and "degree 2" in loaded.notes[0]
    # Ten a channel are left of fifteen, so only red is where it was.
    np.testing.assert_array_equal(loaded.splats.sh[:, 1:9, 0], written.sh[:, 1:9, 0])
    loaded = decoded(other_files.ply(written, left_out=("f_rest_44",)), "a.ply")
    assert loaded.splats.degree == 0 and loaded.notes


def test_gaussians_with_impossible_numbers_are_left_out_and_told() -> None:
    written = cloud(10, 0)
    written.means[3, 1], written.sh[4, 0, 0], written.opacity[5] = np.nan, np.inf, np.nan
    loaded = decoded(encoded(written, "a.ply"), "a.ply")
    assert len(loaded.splats) == 7 and "3 Gaussians" in loaded.notes[0]
    written.means[:] = np.nan
    with pytest.raises(BadInput, match="no Gaussian with usable numbers"):
        decoded(encoded(written, "a.ply"), "a.ply")


@pytest.mark.parametrize("version", [1, 2])
def test_old_spz_is_read(version: int) -> None:
    written = cloud(40, 2)
    read = decoded(other_files.old_spz(written, version), "a.spz").splats
    compare(read, written, (1e-3, 3.2e-2, 2.1e-3, 1.4e-2), turn=5e-2)


def test_spz_has_as_many_bits_behind_the_point_as_fit() -> None:
    wide = cloud(40, 0)
    wide.means[:] *= 5000
    read = decoded(encoded(wide, "a.spz"), "a.spz").splats
    assert np.abs(read.means - wide.means).max() < 1e-3 * 2


@pytest.mark.parametrize(("metres", "told"), [(1e3, 0), (4e6, 1), (1e8, 1)])
def test_places_that_spz_cannot_hold_are_said(metres: float, told: int, tmp_path: Path) -> None:
    far = cloud(20, 0)
    far.means[:, 1] += metres
    assert sum("move the cloud" in note for note in formats.write(far, tmp_path / "a.spz")) == told


@pytest.mark.parametrize("degree", range(3))
@pytest.mark.parametrize("level", range(3))
def test_ksplat_is_read(level: int, degree: int) -> None:
    written = cloud(37, degree)
    limits = ((1e-6, 1e-6), (2e-4, 1e-3), (2e-4, 1e-3))[level]
    read = decoded(other_files.ksplat(written, level), "a.ksplat").splats
    compare(read, written, (*limits, 2.1e-3, 7.1e-3), turn=1e-3)


def test_gltf_of_integers_is_read() -> None:
    written = cloud(30, 3)
    compare(decoded(other_files.gltf(written), "a.gltf").splats, written, (1e-6, 1e-6, 2.1e-3, 1e-6))


def test_nodes_place_splats() -> None:
    written = cloud(30, 2)
    half = np.sqrt(0.5)
    node = {"rotation": [half, 0, 0, half], "scale": [2, 2, 2], "translation": [1, 2, 3]}
    read = decoded(other_files.gltf(written, node), "a.gltf").splats
    matrix = np.eye(4)
    matrix[:3] = [[2, 0, 0, 1], [0, 0, -2, 2], [0, 2, 0, 3]]
    compare(read, place.placed(written, matrix), (1e-5, 1e-5, 2.1e-3, 1e-5))


def test_linear_colours_are_encoded() -> None:
    written = cloud(30, 0)
    grey = written.sh[:, 0].copy()
    written.sh[:, 0] = (0.214041 - 0.5) / 0.28209479
    loaded = decoded(other_files.gltf(written, space="lin_rec709_display"), "a.gltf")
    assert np.abs(loaded.splats.base_colour - 0.5).max() < 1e-4 and loaded.notes
    assert not np.allclose(grey, loaded.splats.sh[:, 0])


def test_spz_inside_gltf_is_read() -> None:
    written = cloud(30, 1)
    packed = encoded(written, "a.spz")
    extension = {"extensions": {"KHR_gaussian_splatting_compression_spz_2": {"bufferView": 0}}}
    content = {
        "asset": {"version": "2.0"},
        "meshes": [{"primitives": [{"attributes": {}, "mode": 0, "extensions": {other_files.EXTENSION: extension}}]}],
        **{"bufferViews": [{"buffer": 0, "byteLength": len(packed)}], "buffers": [{"byteLength": len(packed)}]},
    }
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    glb = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(packed), len(text), 0x4E4F534A) + text
    glb += struct.pack("<II", len(packed), 0x004E4942) + packed
    compare(decoded(glb, "a.glb").splats, written, TOLERANCES["a.spz"])


def test_a_file_says_its_format_by_what_is_in_it() -> None:
    for name in TOLERANCES:
        if name != "a.splat":
            assert decoded(encoded(cloud(20), name), "without.suffix").format == formats.format_for(Path(name))


def test_the_samples_of_others_agree() -> None:
    """The same cube by two programs: PLY has y down, SPZ y up."""
    ply = formats.read(SAMPLES / "jsplat_unitCube-ascii.ply").splats
    spz = formats.read(SAMPLES / "jspz_unitCube.spz").splats
    np.testing.assert_array_equal(place.turned(ply, place.HALF_TURN).means, spz.means)
    np.testing.assert_array_equal(np.sign(np.round(ply.sh, 1)), np.sign(np.round(spz.sh, 1)))
    train = formats.read(SAMPLES / "metalsplatter_3-points-from-train.splat").splats
    assert len(train) == 3 and 0.03 < train.opacity.min() < 0.04


def test_a_cloud_with_z_up_says_so_in_ply_and_is_turned_for_others(tmp_path: Path) -> None:
    written = replace(cloud(40, 3), z_up=True)
    assert formats.write(written, tmp_path / "a.ply") == []
    ply = formats.read(tmp_path / "a.ply")
    assert ply.splats.z_up and described(tmp_path / "a.ply")["axes"] == "z up"
    assert ply.splats[:3].z_up and place.merged([ply.splats, ply.splats]).z_up
    x, y, z = written.means.T
    for name, axes in (("a.glb", (x, z, -y)), ("a.splat", (x, -z, y)), ("b.ply", (x, y, z))):
        upright = np.stack(axes, -1)
        formats.write(ply.splats, tmp_path / name, turn_from=ply.format)
        # A .splat is in an order of its own.
        found, wanted = (np.array(sorted(m.tolist())) for m in (formats.read(tmp_path / name).splats.means, upright))
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert formats.read(tmp_path / "b.ply").splats.z_up and not formats.read(tmp_path / "a.splat").splats.z_up


def test_a_ply_that_says_y_up_is_taken_at_its_word(tmp_path: Path) -> None:
    formats.write(cloud(40, 3), tmp_path / "a.ply")
    told = (tmp_path / "a.ply").read_bytes().replace(b"comment ", b"comment y up\ncomment ", 1)
    (tmp_path / "a.ply").write_bytes(told)
    read = formats.read(tmp_path / "a.ply")
    assert described(tmp_path / "a.ply")["axes"] == "y up"
    for name, turn in (("a.glb", np.eye(3)), ("b.ply", place.HALF_TURN)):
        formats.write(read.splats, tmp_path / name, turn_from=read.format)
        found = formats.read(tmp_path / name).splats.means
        np.testing.assert_allclose(found, read.splats.means @ turn.T, atol=1e-6)
    assert described(tmp_path / "b.ply")["axes"] == "y down by custom"


def test_kept_axes_that_have_y_up_are_told_in_ply(tmp_path: Path) -> None:
    formats.write(cloud(40, 3), tmp_path / "a.glb")
    chain = ["a.glb", "b.ply", "c.compressed.ply", "d.ply"]
    for source, out in pairwise(chain):
        converted(tmp_path / source, tmp_path / out, None, 0.0, "keep", overwrite=False)
        assert described(tmp_path / out)["axes"] == "y up", out
    converted(tmp_path / "d.ply", tmp_path / "e.ply", None, 0.0, "turn", overwrite=False)
    assert described(tmp_path / "e.ply")["axes"] == "y down by custom"


def test_turning_between_formats_is_undone_on_the_way_back(tmp_path: Path) -> None:
    written = cloud(40, 3)
    by_ply = formats.format_for(Path("a.ply"))
    notes = formats.write(written, tmp_path / "a.glb", turn_from=by_ply)
    assert "y is up" in notes[0]
    glb = formats.read(tmp_path / "a.glb")
    np.testing.assert_allclose(glb.splats.means, written.means * [1, -1, -1])
    formats.write(glb.splats, tmp_path / "b.ply", turn_from=glb.format)
    compare(formats.read(tmp_path / "b.ply").splats, written, (1e-6, 1e-5, 1e-6, 1e-5))
