# SPDX-License-Identifier: GPL-3.0-or-later
"""Released LIMO weights: their conventions against their published formulas, their layouts, what does not fit."""

from __future__ import annotations

import pickle
import zipfile

import diffusers
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
from limelight.backend.errors import BadInput
from limelight.backend.limo.backbone import load
from limelight.backend.limo.backbone.adopt import adopt, canonical, differences
from limelight.backend.limo.backbone.conventions import LIMO_IMAGE, LIMO_VIDEO, PAPER, SPHERES
from limelight.backend.limo.backbone.frame import condition_pictures
from limelight.backend.limo.backbone.paint import BackbonePainter
from limelight.backend.limo.backbone.torch_file import read_torch_file
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics import sphere
from limelight.backend.optics.camera import Camera
from limelight.tests.engine.limo.pipelines import write_pipeline
from safetensors.torch import load_file, save_file
from torch.nn import functional as F


@pytest.fixture
def view() -> View:
    camera = Camera.from_fov(64, 64, 60)
    return View((camera.rays() * 0.5 + 0.5).clamp(0, 1), 4 + camera.rays()[..., 0], camera)


PROBE = Probe("p", torch.tensor([0.3, -0.2, -2.0]), 0.4)


def tuned(folder, seed: int = 1) -> dict[str, torch.Tensor]:
    """A whole finetuned network: the base's tensors, a little changed, and a widened input."""
    shapes, _ = load.shapes_of(folder)
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.05 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def test_released_direction_maps_are_their_formulas(view):
    """Positions with z into the picture: c − p off the sphere; on it nothing else (images), or i − 2(i·n)n (clips)."""
    rays = view.camera.rays()
    hit = sphere.intersect(rays, PROBE.position, PROBE.radius)
    on, flip = hit.mask[..., None], torch.tensor([1.0, 1.0, -1.0])
    points = torch.where(on, rays * hit.distance[..., None], view.camera.unproject(view.depth))
    towards = F.normalize((PROBE.position - points) * flip, dim=-1)
    incident, normals = -F.normalize(points * flip, dim=-1), hit.normals * flip
    reflected = incident - 2 * (incident * normals).sum(-1, keepdim=True) * normals
    image, clip = (condition_pictures(view, PROBE, c)[4].permute(1, 2, 0) for c in (LIMO_IMAGE, LIMO_VIDEO))
    assert torch.allclose(image, towards, atol=1e-4)
    assert torch.allclose(clip, torch.where(on, reflected, towards), atol=1e-4)
    ours = condition_pictures(view, PROBE, PAPER)[4].permute(1, 2, 0)
    assert torch.allclose(clip * flip, -ours, atol=1e-5)


def test_released_normals_pictures_and_depths(view):
    ours, image, clip = (condition_pictures(view, PROBE, c) for c in (PAPER, LIMO_IMAGE, LIMO_VIDEO))
    on = ours[2].abs().sum(0) > 0
    assert torch.equal(image[2], ours[2]) and torch.equal(clip[2][2], -ours[2][2])
    # They clamp black to 1e-4 before the sRGB curve: 2·12.92e-4 − 1.
    assert float((image[0][:, on] + 1 - 2 * 12.92e-4).abs().max()) < 1e-5 and float(ours[0][:, on].abs().max()) == 0
    assert torch.equal(image[0][:, ~on], ours[0][:, ~on])
    assert torch.equal(image[1], ours[1]) and torch.equal(image[3], ours[3])


def test_all_prompts_of_all_conventions():
    assert [PAPER.wording(s, ev) for s in SPHERES for ev in PAPER.evs] == [
        f"{kind} sphere [EV{ev}]" for kind in ("Metallic", "Diffuse") for ev in (0, -3, -6, -9, -12)
    ]
    assert LIMO_VIDEO.wording("diffuse", -6) == "Diffuse sphere [EV-6]" and LIMO_VIDEO.evs == PAPER.evs
    chain = " ".join(f"[EV{ev}]" for ev in range(-12, 1))
    assert LIMO_IMAGE.wording("mirror", 0) == f"Metallic sphere {chain}"
    assert LIMO_IMAGE.wording("mirror", -9) == "Metallic sphere [EV-12] [EV-11] [EV-10] [EV-9]"
    assert LIMO_IMAGE.evs == (0, -3, -6, -9)
    assert differences(PAPER) == [] and len(differences(LIMO_IMAGE)) == 6


def wans_own(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Diffusers' names back to Wan's, written out by hand."""
    table = [("condition_embedder.time_embedder.linear_1", "time_embedding.0"), ("condition_embedder.time_proj",
             "time_projection.1"), ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
             ("condition_embedder.text_embedder.linear_1", "text_embedding.0"), ("proj_out", "head.head"),
             ("condition_embedder.text_embedder.linear_2", "text_embedding.2"), ("ffn.net.0.proj", "ffn.0"),
             ("ffn.net.2", "ffn.2"), ("attn1", "self_attn"), ("attn2", "cross_attn"), ("to_q", "q"), ("to_k", "k"),
             ("to_v", "v"), ("to_out.0", "o"), (".norm2.", ".norm3.")]  # fmt: skip
    renamed = {}
    for name, value in tensors.items():
        new = "head.modulation" if name == "scale_shift_table" else name.replace("scale_shift_table", "modulation")
        for theirs, own in table:
            new = new.replace(theirs, own)
        renamed[new] = value
    return renamed


def test_wans_own_names_are_mapped_as_diffusers_maps_them(tmp_path):
    folder = write_pipeline(tmp_path / "wan", "wan")
    whole = tuned(folder)
    own = wans_own(whole)
    assert "blocks.1.self_attn.norm_q.weight" in own and "blocks.0.modulation" in own
    mapped = canonical({f"pipe.dit.{name}": value for name, value in own.items()})
    reference = convert_wan_transformer_to_diffusers(dict(own))
    assert set(mapped) == set(reference) == set(whole)
    assert all(torch.equal(mapped[name], reference[name]) for name in whole)


def test_released_clip_weights_paint_by_their_convention(tmp_path, view):
    folder = write_pipeline(tmp_path / "wan", "wan")
    whole = tuned(folder)
    save_file(wans_own(whole), tmp_path / "step-250000.safetensors")
    told = adopt(tmp_path / "step-250000.safetensors", folder)
    assert told["convention"] == "limo-video" and told["tensors"] == told["of"] == len(whole)
    backbone = load.load_backbone(folder, "cpu")
    assert backbone.finetuned and backbone.convention is LIMO_VIDEO
    assert isinstance(backbone.denoiser.scheduler, diffusers.FlowMatchEulerDiscreteScheduler)
    assert backbone.denoiser.scheduler.config.shift == 5.0
    state = backbone.denoiser.network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in whole.items())
    (spheres,) = BackbonePainter(folder, side=32).paint(view, [PROBE], steps=1)
    load.unload()
    assert len(spheres.evs) == 5 and view.warnings == []


def test_a_training_state_of_torch_is_read_and_paints_four_exposures(tmp_path, view):
    folder = write_pipeline(tmp_path / "flux", "flux")
    whole = {name: value.bfloat16() for name, value in tuned(folder).items()}
    path = tmp_path / "mp_rank_00_model_states.pt"
    torch.save({"module": whole, "ds_config": {"zero": 2}, "step": 150000, "shapes": [torch.Size([3])]}, path)
    told = adopt(path, folder)
    assert told["convention"] == "limo-image" and any("chained" in s or "darker" in s for s in told["differs"])
    saved = load_file(folder / load.LIMO)
    assert all(torch.equal(saved[name], value) for name, value in whole.items())
    (spheres,) = BackbonePainter(folder, side=64).paint(view, [PROBE], steps=1)
    load.unload()
    assert spheres.evs == (0, -3, -6, -9) and spheres.mirror.shape[0] == 4


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('ran')",))


def test_nothing_in_a_torch_file_runs(tmp_path):
    path = tmp_path / "evil.pt"
    torch.save({"module": {"w": torch.arange(6.0).reshape(2, 3).T}, "evil": Evil()}, path)
    assert torch.equal(read_torch_file(path)["w"], torch.arange(6.0).reshape(2, 3).T)
    with zipfile.ZipFile(tmp_path / "words.pt", "w") as archive:
        archive.writestr("words/data.pkl", pickle.dumps({"evil": Evil()}))
    for name, content in (("words.pt", None), ("text.pt", b"hello"), ("empty.pt", b"")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInput, match=r"torch saved|no tensors by name"):
            read_torch_file(tmp_path / name)


@pytest.mark.parametrize("how", ["narrow", "foreign", "shape", "missing", "torn", "convention"])
def test_what_does_not_fit_is_told_by_name(tmp_path, how):
    folder = write_pipeline(tmp_path / "flux", "flux")
    whole, path = tuned(folder), tmp_path / "given.safetensors"
    if how == "narrow":
        whole["x_embedder.weight"] = whole["x_embedder.weight"][:, :16].contiguous()
    elif how == "foreign":
        whole["lm_head.weight"] = torch.zeros(2)
    elif how == "shape":
        whole["proj_out.bias"] = torch.zeros(3)
    elif how == "missing":
        del whole["x_embedder.weight"]
    save_file(whole, path)
    if how == "torn":
        path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInput) as caught:
        adopt(path, folder, "giant" if how == "convention" else None)
    named = {"narrow": "x_embedder.weight", "foreign": "lm_head.weight", "shape": "proj_out.bias", "torn": "given",
             "missing": "x_embedder.weight", "convention": "giant"}[how]  # fmt: skip
    assert named in caught.value.text and caught.value.remedy and not list(folder.glob("limo.safetensors*"))
