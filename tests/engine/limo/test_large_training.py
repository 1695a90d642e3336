# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper-scale recipes on tiny networks of the real classes and a set of spheres that are drawn here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.commands.config.config_args import load_config_from_file
from limelight.backend.errors import BadInput, LimelightError
from limelight.backend.limo.backbone import load, memory, networks, stream
from limelight.backend.limo.backbone.frame import condition_pictures
from limelight.backend.limo.backbone.paint import BackbonePainter
from limelight.backend.optics import exr, shading, sphere
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import expose
from limelight.tests.engine.limo.pipelines import write_pipeline
from limelight.training.eight_bit_adam import EightBitAdamW, pack, unpack
from limelight.training.limo.large import learner
from limelight.training.limo.large.examples import SphereSets, random_exposure, read_example
from limelight.training.limo.large.train import Recipe, Trainer, recipe_for, train
from safetensors.torch import load_file

SIZE = 64


def environment() -> torch.Tensor:
    """Red to the right, green above, blue before the camera, and a lamp of 20 times white above left."""
    directions = pano.directions(32)
    lamp = (directions @ torch.nn.functional.normalize(torch.tensor([-1.0, 1.0, 0.5]), dim=0)) > 0.97
    return (directions * torch.tensor([1.0, 1.0, -1.0]) * 0.4 + 0.5) + 20 * lamp[..., None]


def draw_frame(folder: Path, shift: float = 0.0) -> None:
    """One frame as Blender's generator writes it: two spheres before a wall, under the same environment."""
    folder.mkdir(parents=True)
    camera, around = Camera.from_fov(SIZE, SIZE, 60), environment()
    centres, radius = [[-0.4 + shift, 0.1, -2.0], [0.45 + shift, -0.2, -2.2]], 0.35
    exr.write_image(folder / "image.exr", pano.sample(around, camera.rays()).clamp(max=4), half=True)
    exr.write_depth(folder / "depth.exr", torch.full((SIZE, SIZE), 5.0))
    for kind in ("mirror", "diffuse"):
        render = torch.zeros(SIZE, SIZE, 4)
        for centre in centres:
            hit = sphere.intersect(camera.rays(), torch.tensor(centre), radius)
            reflected = sphere.reflect(camera.rays(), hit.normals)
            lit = shading.irradiance(around, hit.normals) / torch.pi
            shown = pano.sample(around, reflected) if kind == "mirror" else lit
            render = torch.where(hit.mask[..., None], torch.cat([shown, torch.ones(SIZE, SIZE, 1)], -1), render)
        exr.write_image(folder / f"{kind}.exr", render)
    probes = [{"id": i, "position_camera": centre, "radius": radius} for i, centre in enumerate(centres)]
    meta = {"camera": camera.to_dict(), "seed": 3, "probes": probes}
    (folder / "meta.json").write_text(json.dumps(meta))


@pytest.fixture(scope="module")
def spheres(tmp_path_factory) -> Path:
    """A still and a sequence of six frames in which the spheres move."""
    root = tmp_path_factory.mktemp("spheres")
    draw_frame(root / "scene_3")
    (root / "scene_3" / "sample.json").write_text("{}")
    for i in range(6):
        draw_frame(root / "sphere_4" / f"frame_{i:04d}", 0.02 * i)
    (root / "sphere_4" / "sample.json").write_text("{}")
    return root


@pytest.fixture(scope="module")
def bases(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    return {family: write_pipeline(root / family, family) for family in ("flux", "wan")}


def recipe(bases: dict[str, Path], spheres: Path, out: Path, family: str, **changed) -> Recipe:
    own = {"frames": 5} if family == "wan" else {}
    settings = {"steps": 12, "learning_rate": 1e-2, "warmup": 1, "side": 32, "save_every": 6, **own, **changed}
    return recipe_for(family, base=bases[family], data=spheres, out=out, **settings)


@pytest.mark.parametrize("material", ["mirror", "diffuse"])
def test_a_target_shows_the_sphere_at_its_exposure_over_the_photo(spheres, material):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        example = read_example([spheres / "scene_3"], material, rng, SIZE)
        inside, shown = example.mask[0, 0] > 0.99, example.target[0].permute(1, 2, 0) / 2 + 0.5
        photo = expose(example.views[0].radiance, 0)
        assert torch.equal(shown[example.mask[0, 0] == 0], photo[example.mask[0, 0] == 0])
        # The sphere mirrors what the direction map says it does, whichever way round the picture is.
        direction = condition_pictures(example.views[0], example.probes[0])[4].permute(1, 2, 0)[inside]
        if material == "mirror":
            bright = shown[inside].clamp(0.02, 0.98)
            mirrored = [pano.sample(environment(), direction * torch.tensor([x, 1.0, 1.0])) for x in (1.0, -1.0)]
            errors = [
                float((expose(scale * each, example.ev).clamp(0.02, 0.98) - bright).abs().mean())
                for each in mirrored
                for scale in torch.linspace(0.3, 3, 28).tolist()
            ]
            assert min(errors) < 0.06


def test_exposures_are_those_at_which_something_is_seen():
    rng = np.random.default_rng(0)
    drawn = {bright: {random_exposure(bright, rng) for _ in range(200)} for bright in (0.4, 3.0, 40.0, 5000.0, 0.0)}
    assert drawn[0.4] == drawn[0.0] == {0} and drawn[3.0] == {0, -3} and drawn[40.0] == {0, -3, -6, -9}
    assert drawn[5000.0] == {0, -3, -6, -9, -12}


def test_sequences_are_read_in_steps_of_four_and_stills_only_as_pictures(spheres):
    rng = np.random.default_rng(1)
    clips = SphereSets(spheres, 32, 21)
    assert len(clips.scenes) == 1
    example = clips.draw(rng)
    assert len(example.views) == 5 and example.target.shape == (5, 3, 32, 32)
    moves = [float(b.position[0] - a.position[0]) for a, b in zip(example.probes, example.probes[1:], strict=False)]
    assert all(abs(abs(move) - 0.02) < 1e-5 for move in moves) and len(SphereSets(spheres, 32).scenes) == 2
    with pytest.raises(BadInput, match="no sequences"):
        SphereSets(spheres / "scene_3", 32, 21)


def test_evaluation_scenes_are_refused(tmp_path, spheres):
    shutil.copytree(spheres / "scene_3", tmp_path / "scene_10000001")
    meta = json.loads((tmp_path / "scene_10000001" / "meta.json").read_text())
    (tmp_path / "scene_10000001" / "meta.json").write_text(json.dumps({**meta, "seed": 10_000_001}))
    with pytest.raises(BadInput, match="belongs to evaluation"):
        SphereSets(tmp_path, 32)


@pytest.mark.parametrize("start, factor", [("paper", 1 / 6), ("released", 1.0), ("zero", 1.0)])
def test_a_widened_network_of_zero_conditions_is_the_base_by_the_stated_factor(bases, start, factor):
    for family, shape in (("flux", (1, 1024, 16)), ("wan", (1, 4, 2, 4, 4))):
        folder = bases[family]
        codec = load.load_codec(family, folder, torch.float32, "cpu")
        tuned = stream.Tuned(folder, None)
        made = load.load_denoiser(family, folder, torch.float32, codec, tuned, start=start).network
        kind, name = load.network_of(family)
        entry = networks.widened(made)
        base, wide = kind.from_pretrained(folder / name).get_submodule(entry), made.get_submodule(entry)
        x, axis = torch.randn(shape), 1 if family == "wan" else -1
        zero = torch.cat([torch.zeros_like(x)] * 5, axis)
        bias = base.bias.reshape(1, -1, 1, 1, 1) if family == "wan" else base.bias
        expected = factor * (base(x) - bias) + bias
        assert torch.allclose(wide(torch.cat([zero, x], axis)), expected, atol=1e-5)
        everywhere = wide(torch.cat([x] * 6, axis))
        condition = networks.shares(base, start)[0]
        assert torch.allclose(everywhere, (5 * condition + factor) * (base(x) - bias) + bias, atol=1e-5)


def test_the_mask_of_a_clip_counts_its_first_frame_alone_and_then_fours():
    mask = torch.zeros(9, 1, 32, 32)
    mask[0], mask[3:5] = 1.0, 1.0
    found = learner.latent_mask(mask, torch.Size([1, 4, 3, 2, 2]))
    assert found.shape == (1, 1, 3, 2, 2) and found[0, 0, :, 0, 0].tolist() == [1.0, 0.5, 0.0]
    assert learner.latent_mask(mask[:1], torch.Size([1, 4, 4, 4])).shape == (1, 1, 4, 4)


@pytest.mark.parametrize("family, rank", [("flux", 0), ("flux", 4), ("wan", 0), ("wan", 4)])
def test_training_learns_an_example_by_heart_and_its_weights_paint(bases, spheres, tmp_path, family, rank):
    settings = recipe(bases, spheres, tmp_path / "run", family, rank=rank, dropped=0.0, save_memory=family == "flux")
    trainer = Trainer(settings, Accelerator(cpu=True))
    example = SphereSets(spheres, 32, settings.frames).draw(np.random.default_rng(5))

    def measured() -> float:
        with torch.no_grad():
            return float(np.mean([float(trainer.loss(example, np.random.default_rng(i))) for i in range(6)]))

    before = measured()
    for step in range(25):
        trainer.state.descend([lambda step=step: trainer.loss(example, np.random.default_rng(step % 6))])
    assert measured() < 0.9 * before
    trainer.export(tmp_path / "limo.safetensors")
    base = shutil.copytree(bases[family], tmp_path / "base")
    shutil.copy(tmp_path / "limo.safetensors", base / "limo.safetensors")
    backbone = load.load_backbone(base, "cpu")
    encoded = learner.encode_example(trainer.codec, example)
    text, time = trainer.texts.at(slice(0, 1), torch.float32, "cpu"), torch.tensor(400.0)
    with torch.no_grad():
        ours = trainer.denoiser.predict(encoded.clean, encoded.maps, time, text)
        loaded = backbone.denoiser.predict(encoded.clean, encoded.maps, time, text)
        wall = backbone.denoiser.predict(encoded.clean, encoded.maps * 0, time, text)
    # The file is in bfloat16.
    assert float((ours - loaded).abs().mean()) < 0.02 * float(ours.abs().mean())
    assert float((wall - loaded).abs().mean()) > 1e-3 * float(loaded.abs().mean())
    (painted,) = BackbonePainter(base, side=32).paint(example.views[0], example.probes[:1], [0], steps=1)
    load.unload()
    assert bool(torch.isfinite(painted.mirror).all()) and example.views[0].warnings == []


def test_a_broken_run_goes_on_as_an_unbroken_one_would(bases, spheres, tmp_path):
    lines: list[str] = []
    whole = train(recipe(bases, spheres, tmp_path / "a", "flux", rank=2, steps=4, save_every=2), lines.append)
    broken = recipe(bases, spheres, tmp_path / "b", "flux", rank=2, steps=4, save_every=2)

    def stop(text: str) -> None:
        if text.startswith("step 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(broken, stop)
    resumed = train(broken, lines.append)
    unbroken, again = load_file(whole), load_file(resumed)
    assert set(unbroken) == set(again) and all(torch.equal(unbroken[name], again[name]) for name in unbroken)
    assert "gradients" in lines[0] and "GB free" in lines[0]
    log = [json.loads(line) for line in (tmp_path / "a" / "loss.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log if "validation" in entry] == [2, 4]


def test_what_is_shared_out_learns_resumes_and_exports_as_what_is_not(bases, spheres, tmp_path, monkeypatch):
    """On one processor accelerate shares nothing out, but takes the same way through prepare and its own checkpoint."""
    results = []
    for shared in (False, True):
        monkeypatch.setattr("limelight.training.limo.large.state.is_shared", lambda accelerator, s=shared: s)
        settings = recipe(bases, spheres, tmp_path / str(shared), "flux", rank=2)
        sets = SphereSets(spheres, 32)
        trainer = Trainer(settings, Accelerator(cpu=True))
        losses = [float(trainer.update(sets)) for _ in range(2)]
        trainer.state.save()
        again = Trainer(settings, Accelerator(cpu=True))
        assert again.state.step == 2
        losses.append(float(again.update(sets)))
        results.append((losses, again.state.learnt_tensors()))
    (alone, kept), (together, gathered) = results
    assert alone == pytest.approx(together, rel=1e-4) and set(kept) == set(gathered)
    assert all(torch.allclose(kept[name], gathered[name], atol=1e-5) for name in kept)


def test_a_checkpoint_of_many_devices_survives_a_kill_while_the_next_is_written(
    bases, spheres, tmp_path, monkeypatch
):  # fmt: skip
    monkeypatch.setattr("limelight.training.limo.large.state.is_shared", lambda accelerator: True)
    settings = recipe(bases, spheres, tmp_path / "run", "flux", rank=2)
    trainer = Trainer(settings, Accelerator(cpu=True))
    sets = SphereSets(spheres, 32)
    trainer.update(sets)
    trainer.state.save()
    trainer.update(sets)

    def killed(folder: str) -> None:
        Path(folder).mkdir(exist_ok=True)
        (Path(folder) / "optimizer.bin").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer.accelerator, "save_state", killed)
        trainer.state.save()
    again = Trainer(settings, Accelerator(cpu=True))
    assert again.state.step == 1
    again.update(sets)
    again.state.save()
    (kept,) = (tmp_path / "run").glob("checkpoint*")
    for name in ("optimizer.bin", "step.json"):
        (kept / name).write_bytes((kept / name).read_bytes()[:5])
        with pytest.raises(BadInput, match=r"checkpoint-2.* is damaged .*Remove it to begin this training anew"):
            Trainer(settings, Accelerator(cpu=True))


@pytest.mark.parametrize("name, family", [("fsdp", "flux"), ("fsdp_wan", "wan"), ("deepspeed", "flux")])
def test_the_configurations_are_accelerates_and_name_real_blocks(bases, name, family):
    path = Path(train.__code__.co_filename).parent / "configs" / f"{name}.yaml"
    config = load_config_from_file(str(path))
    assert config.num_processes == 8 and config.mixed_precision == "bf16"
    blocks = {type(module).__name__ for module in load.network_of(family)[0].from_pretrained(
        bases[family] / "transformer").modules()}  # fmt: skip
    wrapped = config.fsdp_config.get("fsdp_transformer_layer_cls_to_wrap", "") if name != "deepspeed" else ""
    assert set(filter(None, wrapped.split(","))) <= blocks
    assert name == "deepspeed" or wrapped


def test_an_optimiser_of_eight_bits_learns_as_one_of_32_does(tmp_path):
    torch.manual_seed(0)
    inputs, truth = torch.randn(512, 40), torch.randn(40, 30)
    goal, losses = inputs @ truth, []
    for kind in (torch.optim.AdamW, EightBitAdamW):
        weights = torch.nn.Parameter(torch.zeros(40, 30))
        optimiser = kind([weights], lr=0.05, weight_decay=1e-3)
        for _ in range(150):
            optimiser.zero_grad()
            (inputs @ weights - goal).square().mean().backward()
            optimiser.step()
        losses.append(float((inputs @ weights - goal).square().mean().detach()))
    start = float(goal.square().mean())
    assert losses[0] < 0.01 * start and losses[1] < 0.02 * start
    state = optimiser.state[weights]
    assert sum(state[name].numel() * state[name].element_size() for name in optimiser.moments) < 2.2 * 1280
    values = torch.randn(1000) * 10 ** torch.linspace(-3, 0, 1000)
    assert bool(((unpack(*pack(values), values.shape) - values).abs() <= values.abs() / 16 + 1e-5).all())


def test_a_broken_run_of_eight_bits_goes_on_exactly(bases, spheres, tmp_path):
    whole, broken = (recipe(bases, spheres, tmp_path / n, "flux", rank=2, eight_bit=True) for n in "ab")
    sets = SphereSets(spheres, 32)
    first = Trainer(whole, Accelerator(cpu=True))
    expected = [first.update(sets) for _ in range(3)]
    second = Trainer(broken, Accelerator(cpu=True))
    found = [second.update(sets) for _ in range(2)]
    second.state.save()
    found.append(Trainer(broken, Accelerator(cpu=True)).update(sets))
    assert found == expected


def test_the_papers_recipes():
    flux, wan = (recipe_for(f, base=Path("b"), data=Path("d"), out=Path("o")) for f in ("flux", "wan"))
    assert (flux.steps, flux.frames, flux.shift, flux.learning_rate) == (150_000, 1, 1.0, 1e-5)
    assert (wan.steps, wan.frames, wan.shift, wan.learning_rate) == (250_000, 21, 2.0, 1e-5)
    for each in (flux, wan):
        assert (each.warmup, each.decay, each.dropped, each.sphere_weight, each.side) == (500, 1e-2, 0.1, 10, 512)
    assert recipe_for("flux", base=Path("b"), data=Path("d"), out=Path("o"), rank=16).learning_rate == 1e-4


@pytest.mark.parametrize("how", ["family", "start", "weights", "rank", "data", "memory"])
def test_what_cannot_be_trained_is_refused_before_anything_loads(bases, spheres, tmp_path, how, monkeypatch):
    changed = {"start": {"start": "random"}, "weights": {"start": "weights"}, "rank": {"rank": -1},
               "family": {"base": bases["wan"]}, "data": {"data": tmp_path}}.get(how, {})  # fmt: skip
    if how == "memory":
        monkeypatch.setattr(memory, "free", lambda device: 10**5)
    monkeypatch.setattr("limelight.training.limo.large.train.Trainer", None)
    settings = {"base": bases["flux"], "data": spheres, "out": tmp_path / "out", "side": 32, **changed}
    with pytest.raises(LimelightError) as caught:
        train(recipe_for("flux", **settings), lambda text: None)
    assert caught.value.text.endswith(".") and caught.value.remedy
    assert caught.value.code == ("memory" if how == "memory" else "bad_input")
