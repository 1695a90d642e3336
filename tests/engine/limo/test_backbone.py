# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffusers painter on tiny random pipelines: diffusers' own pipelines are the reference, nothing is downloaded."""

import shutil
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
import transformers
from limelight.backend import models
from limelight.backend.errors import BadInput, Cancelled, LimelightError, MissingPart
from limelight.backend.limo.backbone import load, networks, prompts
from limelight.backend.limo.backbone.frame import close_up, condition_pictures, cut_out
from limelight.backend.limo.backbone.paint import BackbonePainter, sample
from limelight.backend.limo.conditions import conditions
from limelight.backend.limo.estimate import run_light
from limelight.backend.limo.job import LightJob
from limelight.backend.limo.painter import Spheres
from limelight.backend.limo.report import SilentReport
from limelight.backend.limo.shot import Shot
from limelight.backend.limo.view import Probe, View
from limelight.backend.optics import exr
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import EVS
from limelight.backend.optics.sphere import SphereView
from limelight.tests.engine.limo.pipelines import FAMILIES, unet, write_pipeline
from PIL import Image
from safetensors.torch import load_file, save_file


def write_limo(folder: Path) -> None:
    """Finetuned weights: a widened input layer whose condition part is not zero."""
    network = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    networks.widen(network.conv_in)
    weight = network.conv_in.weight.data
    weight[:, :-4] = torch.randn(weight[:, :-4].shape, generator=torch.Generator().manual_seed(1)) * 0.1
    save_file({"conv_in.weight": weight}, folder / load.LIMO)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: write_pipeline(root / family, family) for family in FAMILIES}


@pytest.fixture
def folder(pipelines, tmp_path):
    """A Stable Diffusion pipeline with LIMO's weights that a test may change."""
    copy = shutil.copytree(pipelines["sd"], tmp_path / "tiny", ignore=shutil.ignore_patterns(prompts.CACHE))
    write_limo(copy)
    yield copy
    load.unload()


@pytest.fixture
def view() -> View:
    camera = Camera.from_fov(96, 64, 60)
    return View((camera.rays() * 0.5 + 0.5).clamp(0, 1), torch.full((64, 96), 6.0), camera)


@pytest.fixture
def probe() -> Probe:
    return Probe("p", torch.tensor([0.4, -0.3, -2.0]), 0.25)


def reference(folder: Path, family: str) -> diffusers.DiffusionPipeline:
    """Diffusers' own pipeline of the same folder, its components loaded one by one."""
    texts = {"text_encoder": transformers.CLIPTextModel, "tokenizer": transformers.CLIPTokenizer}
    if family == "sdxl":
        texts["text_encoder_2"] = transformers.CLIPTextModelWithProjection
        texts["tokenizer_2"] = transformers.CLIPTokenizer
    if family == "flux":
        texts |= {"text_encoder_2": transformers.T5EncoderModel, "tokenizer_2": transformers.T5Tokenizer}
    kinds = {**texts, "vae": diffusers.AutoencoderKL}
    if family == "flux":
        kinds["transformer"] = diffusers.FluxTransformer2DModel
        kinds["scheduler"] = diffusers.FlowMatchEulerDiscreteScheduler
    else:
        kinds |= {"unet": diffusers.UNet2DConditionModel, "scheduler": diffusers.EulerAncestralDiscreteScheduler}
    parts = {name: kind.from_pretrained(folder / name) for name, kind in kinds.items()}
    if family == "sd":
        parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    pipeline = getattr(diffusers, {"sd": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline",
                                   "flux": "FluxPipeline"}[family])(**parts)  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("family", [*FAMILIES, "flux-dynamic"])
def test_a_widened_base_model_samples_what_diffusers_own_pipeline_does(pipelines, tmp_path, family):
    folder = pipelines.get(family) or write_pipeline(tmp_path / "dynamic", "flux", dynamic=True)
    family = family.partition("-")[0]
    backbone = load.load_backbone(folder, "cpu")
    words = ["Metallic sphere [EV0]", "Diffuse sphere [EV-12]"]
    text = backbone.prompts.get(words)
    maps = torch.randn(1, 20, 32, 48, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours = sample(backbone, maps, text, steps=3, seed=5, after_step=lambda fraction: None)
    noise = torch.randn((1, 4, 32, 48), generator=torch.Generator().manual_seed(5)).expand(2, -1, -1, -1)
    options = {"height": 64, "width": 96, "guidance_scale": 1.0, "num_inference_steps": 3, "output_type": "latent"}
    if family == "flux":
        options |= {"max_sequence_length": 77, "latents": networks.pack(noise)}
    else:
        options |= {"generator": [torch.Generator().manual_seed(6) for _ in words], "latents": noise}
    theirs = reference(folder, family)(words, **options).images
    theirs = networks.unpack(theirs, 32, 48) if family == "flux" else theirs
    assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))
    assert float((ours[0] - ours[1]).abs().mean()) > 1e-4 * float(ours.abs().mean())


def test_a_trained_input_layer_equals_the_narrow_one_for_zero_conditions_only():
    for layer, shape in ((torch.nn.Conv2d(4, 6, 3), (8, 8)), (torch.nn.Linear(4, 6), ())):
        x, maps = torch.randn(2, 4, *shape), torch.randn(2, 20, *shape)
        narrow = layer(x)
        networks.widen(layer)
        assert layer.weight.shape[1] == 24
        assert torch.allclose(layer(torch.cat([maps, x], 1)), narrow, atol=1e-6)
        layer.weight.data[:, :20] = 0.3
        assert torch.allclose(layer(torch.cat([maps * 0, x], 1)), narrow, atol=1e-6)
        assert not torch.allclose(layer(torch.cat([maps, x], 1)), narrow, atol=1e-2)


def test_latents_are_the_posteriors_mean_in_the_models_own_scale(pipelines):
    backbone = load.load_backbone(pipelines["flux"], "cpu")
    picture = torch.rand(3, 64, 96) * 2 - 1
    with torch.no_grad():
        mean = backbone.vae.encode(picture[None]).latent_dist.mean
        latents = backbone.to_latents(picture)
        decoded = backbone.vae.decode(mean).sample[0] / 2 + 0.5
        assert torch.allclose(latents, (mean - 0.1) * 0.4, atol=1e-6)
        assert torch.allclose(backbone.codec.decode(latents)[0], decoded.clamp(0, 1), atol=1e-5)


def test_packing_keeps_groups_of_channels_together_and_inverts():
    latents = torch.randn(2, 8, 6, 4)
    halves = [networks.pack(half) for half in latents.split(4, 1)]
    assert torch.equal(networks.pack(latents), torch.cat(halves, -1))
    assert torch.equal(networks.unpack(networks.pack(latents), 6, 4), latents)


def test_painting_is_shaped_reproducible_and_led_by_seed_conditions_and_prompts(folder, view, probe):
    painter = BackbonePainter(folder)
    other = Probe("q", torch.tensor([-0.5, 0.2, -3.0]), 0.3)
    first = painter.paint(view, [probe], steps=2, seed=5)[0]
    size = first.view.size
    assert first.mirror.shape == first.diffuse.shape == (5, size, size, 3) and first.evs == EVS
    assert float(first.mirror.min()) >= 0 and float(first.mirror.max()) <= 1
    assert float(first.diffuse[:, ~first.view.mask].abs().max()) == 0.0
    assert torch.equal(first.mirror, painter.paint(view, [other, probe], steps=2, seed=5)[1].mirror)
    assert not torch.equal(first.mirror, painter.paint(view, [probe], steps=2, seed=6)[0].mirror)
    assert not torch.equal(first.mirror, first.diffuse) and not torch.equal(first.mirror[0], first.mirror[1])
    batched = BackbonePainter(folder, batch=5).paint(view, [probe], steps=2, seed=5)[0]
    assert torch.allclose(batched.diffuse, first.diffuse, atol=1e-4)
    dark = View(view.radiance * 0.01, view.depth, view.camera)
    assert not torch.allclose(painter.paint(dark, [probe], steps=2, seed=5)[0].mirror, first.mirror, atol=1e-3)
    assert view.warnings == []


def test_a_base_model_without_limo_says_that_its_light_means_nothing(pipelines, view, probe):
    BackbonePainter(pipelines["sd"]).paint(view, [probe, probe], [0], steps=1)
    assert len(view.warnings) == 1 and "limo.safetensors" in view.warnings[0]


def test_prompts_are_the_papers_and_are_embedded_once(folder, view, probe, monkeypatch):
    asked, encode = [], load.encode
    monkeypatch.setattr(load, "encode", lambda family, path, words, *rest: asked.append(list(words)) or encode(
        family, path, words, *rest))  # fmt: skip
    fresh = BackbonePainter(folder).paint(view, [probe], steps=1)[0]
    expected = [f"{ball} sphere [EV{ev}]" for ball in ("Metallic", "Diffuse") for ev in (0, -3, -6, -9, -12)]
    assert asked == [expected]
    BackbonePainter(folder).paint(view, [probe], steps=1)
    load.unload()
    cached = BackbonePainter(folder).paint(view, [probe], steps=1)[0]
    assert asked == [expected] and torch.equal(cached.mirror, fresh.mirror)
    load.unload()
    (folder / prompts.CACHE).write_bytes(b"broken")
    BackbonePainter(folder).paint(view, [probe], [-3], steps=1)
    assert asked[1:] == [expected]
    load.unload()
    settings = folder / "tokenizer" / "tokenizer_config.json"
    settings.write_text(settings.read_text() + "\n")
    BackbonePainter(folder).paint(view, [probe], [-3], steps=1)
    assert len(asked) == 3 and not list(folder.glob(".*"))


def test_a_folder_that_cannot_keep_the_embeddings_costs_nothing_but_time(folder, view, probe):
    (folder / prompts.CACHE).mkdir()
    painted = BackbonePainter(folder).paint(view, [probe], [0], steps=1)[0]
    assert painted.mirror.shape[0] == 1 and not list(folder.glob(".*"))


def test_another_take_is_another_seed_in_sequences_too(view, probe, tmp_path, monkeypatch):
    monkeypatch.setattr("limelight.backend.limo.job.find_backbone", Path)
    given = {"probes": [{"u": 0.5, "v": 0.5}], "out": str(tmp_path), "model": "large", "seed": 3, "take": 2}
    parts = {n: LightJob.from_params({**given, "images": [f"{n}.png"]}) for n in (1, 2)}
    asked = []

    class Painter:
        def paint(self, view, probes, *, steps, seed, progress):
            asked.append(seed)
            return [Spheres(SphereView(probe.position, probe.radius, 4), *torch.zeros(2, 1, 4, 4, 3), (0,))]

    class Flat(Shot):
        def view(self, number):
            return view, "file"

        def probes(self, number):
            return [probe]

    Flat(parts, Painter(), 1, None, {}).paint([1, 2], lambda fraction: None)
    assert asked == [5, 5] and {part.chance for part in parts.values()} == {5}


def test_another_model_takes_the_place_of_the_loaded_one(folder, pipelines):
    first = load.load_backbone(folder, "cpu")
    assert load.load_backbone(folder, "cpu") is first and first.finetuned
    assert not load.load_backbone(pipelines["flux"], "cpu").finetuned
    assert load.load_backbone(folder, "cpu") is not first


def test_a_model_that_was_trained_on_is_loaded_anew(folder):
    first = load.load_backbone(folder, "cpu")
    first.prompts.get(["a ball"])
    assert load.is_loaded(folder, "cpu"), "the embeddings that it keeps there are no change"
    (folder / load.LIMO).unlink()
    assert not load.is_loaded(folder, "cpu")
    assert first.finetuned and not load.load_backbone(folder, "cpu").finetuned


def test_cancel_passes_through_one_denoising_step_and_leaves_the_model_usable(folder, view, probe):
    painter, calls = BackbonePainter(folder), []
    expected = painter.paint(view, [probe], [0, -3], steps=3)[0]

    def progress(fraction: float) -> None:
        calls.append(fraction)
        if fraction > 0.3:
            raise Cancelled

    passes = []
    hook = load.load_backbone(folder, "cpu").denoiser.network.register_forward_hook(lambda *_: passes.append(1))
    with pytest.raises(Cancelled):
        painter.paint(view, [probe], [0, -3], steps=3, progress=progress)
    hook.remove()
    # Sixteen parts: four queries of three steps and a decoding; the fifth is the second query's first step.
    assert calls[-1] == pytest.approx(5 / 16) and len(passes) == 4 and calls == sorted(calls)
    assert torch.equal(painter.paint(view, [probe], [0, -3], steps=3)[0].mirror, expected.mirror)


def test_a_batch_that_does_not_fit_is_halved_and_a_hopeless_one_explained(folder, view, probe):
    expected = BackbonePainter(folder).paint(view, [probe], steps=2)[0]
    network, limit, sizes = load.load_backbone(folder, "cpu").denoiser.network, 2, []

    def refuse(module, inputs):
        sizes.append(len(inputs[0]))
        if len(inputs[0]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    network.register_forward_pre_hook(refuse)
    found = BackbonePainter(folder, batch=5).paint(view, [probe], steps=2)[0]
    assert torch.allclose(found.mirror, expected.mirror, atol=1e-4) and sizes[:3] == [5, 2, 2]
    limit = 0
    with pytest.raises(LimelightError, match="memory of cpu does not suffice") as caught:
        BackbonePainter(folder, batch=5).paint(view, [probe], steps=2)
    assert caught.value.code == "memory" and "embedded" in caught.value.remedy and sizes[-3:] == [5, 2, 1]


#: What the libraries would look for instead of a safetensors file.
PICKLES = {
    "diffusion_pytorch_model.safetensors": "diffusion_pytorch_model.bin",
    "model.safetensors": "pytorch_model.bin",
}


def broken(folder: Path, how: str) -> None:
    """Damage a pipeline in one way."""
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    if how.endswith("missing"):
        shutil.rmtree(folder / how.split()[0])
    elif how == "unet torn":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif how.endswith("pickled"):
        (weights,) = (folder / how.split()[0]).glob("*.safetensors")
        torch.save(load_file(weights), weights.parent / PICKLES[weights.name])
        weights.unlink()
    elif how == "unet of inpainting":
        diffusers.UNet2DConditionModel(**{**unet("sd").config, "in_channels": 9}).save_pretrained(folder / "unet")
    elif how == "limo torn":
        (folder / load.LIMO).write_bytes(b"no")
    elif how == "limo of another network":
        save_file({"conv_in.weight": torch.zeros(8, 4, 3, 3)}, folder / load.LIMO)
    elif how == "limo without its input":
        save_file({"conv_in.bias": torch.zeros(8)}, folder / load.LIMO)
    elif how == "scheduler foreign":
        (folder / "scheduler" / "scheduler_config.json").write_text('{"_class_name": "Evil"}')
    elif how == "index foreign":
        (folder / "model_index.json").write_text('{"_class_name": "CogVideoXPipeline"}')


@pytest.mark.parametrize(
    "how",
    ["unet missing", "vae missing", "tokenizer missing", "text_encoder missing", "scheduler missing", "unet torn",
     "unet pickled", "vae pickled", "text_encoder pickled",
     "unet of inpainting", "limo torn", "limo of another network", "limo without its input",
     "scheduler foreign", "index foreign"],
)  # fmt: skip
def test_a_broken_folder_is_a_sentence_with_a_remedy(folder, view, probe, how):
    broken(folder, how)
    with pytest.raises(MissingPart) as caught:
        BackbonePainter(folder).paint(view, [probe], [0], steps=1)
    assert "tiny" in caught.value.text and caught.value.text.endswith(".") and caught.value.remedy
    assert len(caught.value.text) < 300


def test_the_sphere_is_cut_out_head_on_where_it_stands_in_the_picture(view):
    probe = Probe("p", torch.tensor([0.8, 0.35, -2.0]), 0.2)
    camera = view.camera.resized(384, 256)
    large = View(torch.zeros(256, 384, 3), torch.full((256, 384), 6.0), camera)
    maps = conditions(large, probe)
    seen = close_up(camera, probe)
    # A frame that holds the sphere's own normals must come out as the close-up's analytic normals.
    found = cut_out(maps.normals.permute(2, 0, 1) / 2 + 0.5, camera, seen)
    inner = seen.mask & (-(seen.rays * seen.normals).sum(-1) > 0.5)
    assert float((found * 2 - 1 - seen.normals)[inner].abs().max()) < 0.03
    columns = maps.mask[..., 0].any(0).sum()
    assert 0.95 * float(columns) <= seen.size <= 1.25 * float(columns)


def test_no_surface_hides_a_part_of_the_sphere_from_the_painter(view, probe):
    wall = View(view.radiance, torch.full((64, 96), 2.0), view.camera)
    free, hidden = (condition_pictures(v, probe) for v in (view, wall))
    assert torch.equal(free[2], hidden[2]) and free.shape == (5, 3, 64, 96)
    assert float(free[2].abs().amax()) <= 1 and torch.equal(free[1, 0], free[1, 2])


def test_a_sphere_beyond_the_edge_is_refused(folder, view):
    edge = Probe("edge", view.camera.point(0.99, 0.5, 2.0), 0.25)
    with pytest.raises(BadInput, match="beyond the picture's edge"):
        BackbonePainter(folder).paint(view, [edge])


def test_a_light_job_ends_in_an_hdr_map(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LIMELIGHT_MODELS", str(folder.parent))
    pixels = np.linspace(20, 230, 64 * 96 * 3).reshape(64, 96, 3).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    params = {"images": [str(tmp_path / "photo.png")], "probes": [{"u": 0.5, "v": 0.6}], "out": str(tmp_path / "out"),
              "model": "tiny", "quality": "draft", "size": 128, "fov_deg": 60, "device": "cpu"}  # fmt: skip
    result = run_light(LightJob.from_params(params), SilentReport())
    assert result["model"] == "tiny" and not any("limo.safetensors" in w for w in result["warnings"])
    environment = exr.read_image(tmp_path / "out" / result["probes"][0]["environment"])
    assert environment.shape == (64, 128, 3) and bool(torch.isfinite(environment).all())
    assert float(environment.min()) > 0 and float(environment.std()) > 0


def test_backbones_are_found_by_name_and_path_and_listed(folder, pipelines, monkeypatch):
    monkeypatch.setenv("LIMELIGHT_MODELS", str(folder.parent))
    assert models.find_backbone("tiny") == models.find_backbone(str(folder)) == folder
    assert [(entry["name"], entry["state"]) for entry in models.backbones()] == [("tiny", "ok")]
    monkeypatch.setenv("LIMELIGHT_MODELS", str(pipelines["sd"].parent))
    assert {entry["name"]: entry["state"] for entry in models.backbones()} == dict.fromkeys(FAMILIES, "base")
    with pytest.raises(BadInput, match="no model 'giant'") as caught:
        models.find_backbone("giant")
    assert "embedded, flux, sd, sdxl" in caught.value.remedy
