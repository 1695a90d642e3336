# SPDX-License-Identifier: GPL-3.0-or-later
"""Shards of synthetic faces: the same seed gives the same face, all values mean what they should, runs go on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend import cli
from limelight.backend.errors import BadInput
from limelight.backend.optics.exposure import srgb_eotf
from limelight.backend.relightify.maps import CHANNELS, DIFFUSE, NORMAL, RESOLUTION, SPECULAR, TEXTURE, skin_mask
from limelight.synthesis import faces
from limelight.synthesis.skin import layout, painted, person
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def six() -> list[dict[str, np.ndarray]]:
    """One face of each tone, under light made by rule."""
    return [faces.make_face(seed, []) for seed in range(6)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Faces that cost nothing and shards of three; the list fills with the seeds that were made."""
    made: list[int] = []

    def face(seed: int, hdris: list[Path], skins: list[Path]) -> dict[str, np.ndarray]:
        made.append(seed)
        maps = np.full((CHANNELS, 4, 4), seed % 251, np.uint8)
        return {"maps": maps, "seed": np.array(seed), "tone": np.array(seed % 6, np.uint8)}

    monkeypatch.setattr(faces, "make_face", face)
    monkeypatch.setattr(faces, "SHARD", 3)
    return made


def test_a_seed_gives_one_face_and_another_seed_another(six: list[dict[str, np.ndarray]]) -> None:
    again = faces.make_face(2, [])
    assert all(np.array_equal(again[key], six[2][key]) for key in again)
    assert not np.array_equal(six[1]["maps"], six[2]["maps"])
    assert np.abs(six[1]["identity"] - six[2]["identity"]).max() > 0.1


def test_the_maps_are_what_they_are_called(six: list[dict[str, np.ndarray]]) -> None:
    skin = skin_mask()[0].numpy() > 0
    for face in six:
        maps = face["maps"]
        assert maps.shape == (CHANNELS, RESOLUTION, RESOLUTION) and maps.dtype == np.uint8
        values = maps[:, skin] / 255
        normal = values[NORMAL] * 2 - 1
        assert np.linalg.norm(normal, axis=0) == pytest.approx(np.ones(skin.sum()), abs=0.02)
        assert normal[2].min() > 0.3 and normal[2].mean() > 0.9
        assert 0.2 < values[SPECULAR].mean() < 0.7
        assert values[DIFFUSE].std() > 0.01 and values[TEXTURE].std() > 0.03
        assert 0.08 < values[TEXTURE].mean() < 0.9


def test_tones_take_turns_and_darken(six: list[dict[str, np.ndarray]]) -> None:
    assert [int(face["tone"]) for face in six] == list(range(6))
    assert (np.diff([float(face["angle"]) for face in six]) < 0).all()
    forehead = layout.layout(RESOLUTION).blob(0, 35, 15, 10) > 0.6
    light = [face["maps"][DIFFUSE][:, forehead].mean() for face in six]
    assert light[0] > light[2] > light[4] > light[5]


def test_the_light_is_stored_with_the_face(six: list[dict[str, np.ndarray]]) -> None:
    for face in six:
        assert face["panorama"].shape == (32, 64, 3) and np.isfinite(face["panorama"]).all()
        lamps = face["lamps"][face["lamps"][:, 3:6].sum(1) > 0]
        assert np.linalg.norm(lamps[:, :3], axis=1) == pytest.approx(np.ones(len(lamps)), abs=1e-3)
        assert np.linalg.norm(face["eye"]) == pytest.approx(1, abs=1e-5) and (face["gains"] > 0).all()


def test_a_shard_holds_what_was_made_however_it_lies_in_memory(tmp_path: Path, monkeypatch) -> None:
    turned = np.arange(24, dtype=np.float16).reshape(3, 2, 4).transpose(1, 2, 0)
    made = {"maps": turned, "panorama": turned, "seed": np.array(0), "tone": np.array(0, np.uint8)}
    monkeypatch.setattr(faces, "make_face", lambda *given: made)
    faces.write_faces(tmp_path, 0, 2)
    stored = load_file(tmp_path / "faces_00000000.safetensors")
    assert all(np.array_equal(stored[name][1], made[name]) for name in made)


def test_a_broken_run_goes_on_and_a_short_shard_is_made_again(tmp_path: Path, quick: list[int]) -> None:
    faces.write_faces(tmp_path, 0, 4)
    assert quick == [0, 1, 2, 3]
    (tmp_path / ".6.partial").write_bytes(b"half")
    manifest = faces.write_faces(tmp_path, 0, 8)
    assert quick[4:] == [3, 4, 5, 6, 7]
    assert manifest == json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["faces"] == 8 and [s["count"] for s in manifest["shards"]] == [3, 3, 2]
    assert sum(manifest["tones"].values()) == 8 and set(manifest["tones"]) == set(person.TONES)
    seeds = [load_file(tmp_path / shard["file"])["seed"] for shard in manifest["shards"]]
    assert np.concatenate(seeds).tolist() == list(range(8))
    faces.write_faces(tmp_path, 0, 8)
    assert len(quick) == 9


def test_several_may_make_one_set_at_once(tmp_path: Path, quick: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    replace, others = Path.replace, [False]

    def slow(self: Path, target: Path) -> Path:
        if not others[0]:
            others[0] = True
            faces.write_faces(tmp_path, 0, 2)
            others[0] = False
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", slow)
    assert faces.write_faces(tmp_path, 0, 2)["faces"] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faces_00000000.safetensors", "manifest.json"]


def test_a_shard_that_is_no_shard_is_made_again(tmp_path: Path, quick: list[int]) -> None:
    (tmp_path / "faces_00000000.safetensors").write_bytes(b"not a shard")
    faces.write_faces(tmp_path, 0, 2)
    with safe_open(tmp_path / "faces_00000000.safetensors", "np") as file:
        assert file.get_tensor("seed").tolist() == [0, 1]


def test_faces_under_other_light_do_not_go_into_one_folder(tmp_path: Path, quick: list[int]) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "meadow.exr").touch()
    faces.write_faces(tmp_path / "set", 0, 2)
    with pytest.raises(BadInput, match="another hdris"):
        faces.write_faces(tmp_path / "set", 0, 3, hdri_folder=tmp_path / "maps")
    # A training takes what is there as it is.
    faces.write_faces(tmp_path / "set", 0, 2, hdri_folder=tmp_path / "maps")
    assert quick == [0, 1] and json.loads((tmp_path / "set" / "manifest.json").read_text())["hdris"] == []


def test_training_and_evaluation_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="partly for training"):
        faces.write_faces(tmp_path, 9_999_990, 20)


def test_a_folder_without_panoramas_is_told(tmp_path: Path, quick: list[int]) -> None:
    with pytest.raises(BadInput, match="no panoramas"):
        faces.write_faces(tmp_path, 0, 2, hdri_folder=tmp_path)
    assert not quick


def test_a_painted_skin_lands_where_makehuman_has_it(tmp_path: Path) -> None:
    size = 512
    across, down = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)
    where = np.stack([across, 1 - down, np.full_like(across, 0.5)], -1)
    Image.fromarray((where * 255).round().astype(np.uint8)).save(tmp_path / "where.png")
    found = painted.albedo(tmp_path / "where.png", 64)
    at = layout.layout(64)
    meant = painted.to_makehuman(np.stack([at.u, 1 - at.v], -1))
    assert meant[at.mask].min() > 0 and meant[at.mask].max() < 1
    colour = srgb_eotf(torch.from_numpy(meant[at.mask])).numpy().clip(0.003, 0.95)
    assert np.abs(found[at.mask][:, :2] - colour).max() < 0.01
    # MakeHuman's head lies on its side: up on the face is towards smaller u, the head's left towards larger v.
    nose, brow, left = (painted.to_makehuman(np.array(uv)) for uv in ((0.5, 0.42), (0.5, 0.6), (0.6, 0.42)))
    assert brow[0] < nose[0] and left[1] > nose[1]


def test_half_of_the_faces_wear_skins_of_a_folder(tmp_path: Path) -> None:
    colours = {"dark": (92, 60, 48), "light": (236, 200, 180)}
    for name, colour in colours.items():
        Image.new("RGB", (128, 128), colour).save(tmp_path / f"{name}.png")
    files = painted.skin_files(tmp_path)
    assert [path.stem for path in files] == ["dark", "light"]
    worn, plain = {}, 0
    for seed in range(8):
        face = faces.make_face(seed, [], files)
        diffuse = face["maps"][DIFFUSE].astype(int)
        plain += int(np.ptp(diffuse[0]) > 20)
        for name, colour in colours.items():
            if np.abs(diffuse - np.array(colour)[:, None, None]).max() <= 1:
                worn[name] = face
    assert set(worn) == set(colours)
    assert worn["dark"]["tone"] >= 4 and worn["light"]["tone"] <= 1
    assert worn["dark"]["maps"][TEXTURE].std() > 2, "the light must be in the texture"
    assert plain, "the others are made by rule"


def test_a_folder_without_skins_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no pictures"):
        faces.write_faces(tmp_path, 0, 2, skin_folder=tmp_path)


def test_the_command_makes_faces(tmp_path: Path, quick: list[int]) -> None:
    done = CliRunner().invoke(cli.app, ["synthesize", "faces", "--out", str(tmp_path), "--count", "2", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["faces"] == 2 and quick == [0, 1]
