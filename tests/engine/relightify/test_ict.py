# SPDX-License-Identifier: GPL-3.0-or-later
"""ICT-FaceKit as the head: our own head in its format comes back with our UV and landmarks; the real one fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.optics.photo import read_photo
from limelight.backend.relightify import fit, ict
from limelight.backend.relightify.head import HeadModel
from limelight.backend.relightify.landmarks import find_faces

SHARED = Path(__file__).parents[4] / "shared" / "data" / "faces"
CUBE = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])


def as_ict(head: HeadModel) -> dict[str, np.ndarray]:
    """Skin of the mean head in centimetres, y up, with cubes for eyeballs, three modes and two expressions."""
    ends = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * head.eye_radius

    def placed(points: torch.Tensor, eyes: torch.Tensor, size: float) -> np.ndarray:
        x, y, z = np.concatenate([points[:-2].numpy(), *(eye.numpy() + size * ends for eye in eyes)]).T
        return np.stack([x, z, -y], 1) * 100

    still = torch.zeros(2, 3)
    quads = head.corner_point[head.faces[head.material == 0]].numpy()
    balls = [CUBE + len(head.mean) - 2 + 8 * k for k in range(2)]
    return {
        "neutral": placed(head.mean, head.eyes(head.mean), 1) + np.array([0.0, 3.0, 7.0]),
        "identity": np.stack([placed(mode, head.eyes(mode), 0) for mode in head.identity[:3]]),
        "expression": np.stack([placed(move, still, 0) for move in head.expression[:2]]),
        "expression_names": np.array(["browDown_L", "browDown_R"]),
        "faces_quad": np.concatenate([quads, *balls]),
        "face_material": np.repeat([0, 1, 2], [len(quads), 6, 6]),
        "material_names": np.array(["M_Face", "M_ScleraRight", "M_ScleraLeft"]),
    }


def write_obj(path: Path, points: np.ndarray, parts: dict[str, np.ndarray]) -> None:
    lines = ["v " + " ".join(f"{value:.6f}" for value in point) for point in points]
    named, last = parts["material_names"][parts["face_material"]], ""
    for quad, name in zip(parts["faces_quad"], named, strict=True):
        lines += [f"usemtl {name}"] * (name != last) + ["f " + " ".join(f"{k + 1}/{k + 1}" for k in quad)]
        last = name
    path.write_text("\n".join(lines), "utf-8")


@pytest.fixture
def parts(head, monkeypatch) -> dict[str, np.ndarray]:
    """Our head in ICT-FaceKit's arrays, with landmarks where our own are."""
    skin = head.corner_point[head.faces[head.material == 0]].unique()
    marks = head.landmarks(head.mean)[list(ict.SAME)]
    monkeypatch.setattr(ict, "LANDMARKS", skin[torch.cdist(marks, head.mean[skin]).argmin(1)].tolist())
    return as_ict(head)


def test_our_own_head_comes_back(head, parts, tmp_path) -> None:
    np.savez(tmp_path / "kit.npz", **parts)
    found = ict.load(tmp_path)
    assert found.expressions == ("browDownLeft", "browDownRight")
    assert torch.allclose(found.eyes(found.mean), head.eyes(head.mean), atol=1e-3)
    assert found.eye_radius == pytest.approx(head.eye_radius, rel=1e-3)
    skin = head.corner_point[head.faces[head.material == 0]].unique()
    assert torch.allclose(found.mean[:-2], head.mean[skin], atol=1e-3)
    apart = (found.landmarks(found.mean) - head.landmarks(head.mean)).norm(dim=-1)
    assert apart.mean() < 2e-3
    # The front of the face has the UV that it had.
    front = head.mean[skin[found.corner_point], 1] < 0.0
    corners = head.faces[head.material == 0].unique()
    own = torch.zeros(len(head.mean), 2).index_put((head.corner_point[corners],), head.uv[corners])
    own = own[skin[found.corner_point]]
    assert (found.uv - own)[front].norm(dim=-1).mean() < 0.01
    # No quad runs across the seam at the back.
    assert (found.uv[found.faces].amax(1) - found.uv[found.faces].amin(1)).max() < 0.5


def test_a_folder_of_obj_files_is_the_same_head(parts, tmp_path) -> None:
    np.savez(tmp_path / "kit.npz", **parts)
    folder = tmp_path / "ICT-FaceKit" / "FaceXModel"
    folder.mkdir(parents=True)
    write_obj(folder / "generic_neutral_mesh.obj", parts["neutral"], parts)
    for k, moved in enumerate(parts["identity"]):
        write_obj(folder / f"identity{k:03d}.obj", parts["neutral"] + moved, parts)
    for name, moved in zip(parts["expression_names"], parts["expression"], strict=True):
        write_obj(folder / f"{name}.obj", parts["neutral"] + moved, parts)
    packed, read = ict.load(tmp_path / "kit.npz"), ict.load(tmp_path / "ICT-FaceKit")
    assert read.expressions == packed.expressions
    for name in ("mean", "identity", "expression"):
        assert torch.allclose(getattr(read, name), getattr(packed, name), atol=1e-6)
    assert torch.equal(read.faces, packed.faces)


@pytest.mark.parametrize("spoil", ["nothing", "empty folder", "no archive", "other arrays"])
def test_what_is_not_the_kit_is_refused(tmp_path, spoil) -> None:
    place = tmp_path / "kit.npz"
    if spoil == "empty folder":
        place = tmp_path
    elif spoil == "no archive":
        place.write_bytes(b"PK no archive")
    elif spoil == "other arrays":
        np.savez(place, neutral=np.zeros((3, 3)))
    with pytest.raises(BadInput, match="ICT-FaceKit"):
        ict.load(place)


@pytest.mark.skipif(not SHARED.is_dir(), reason="ICT-FaceKit is not here")
def test_the_real_kit_fits_a_portrait() -> None:
    pytest.importorskip("ai_edge_litert")
    head = ict.load(SHARED / "ict_facekit")
    photo = read_photo(SHARED / "portraits" / "grace_hopper.jpg")
    found = fit.fit_face(head, photo.radiance, find_faces(photo.radiance)[0].landmarks)
    assert found.reprojection <= 0.02
