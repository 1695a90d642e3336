# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper-scale recipe: learning, exact resumption, what it writes."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.luminet.diffusion import bypass, control, intrinsics, load
from limelight.backend.luminet.diffusion.relight import ddim
from limelight.backend.luminet.diffusion.weights import FILE
from limelight.tests.engine.luminet.diffusion.tiny import SIZE, SIZES, OnePair, a_code, recipe
from limelight.training.luminet.bypass import BypassRecipe, main, train_bypass
from limelight.training.luminet.diffusion import (
    LightSetPairs,
    SceneFolders,
    Trainer,
    pairs_of,
    read_intrinsics,
    train,
    write_weights,
)
from limelight.training.luminet.intrinsics import IntrinsicsRecipe, train_intrinsics
from PIL import Image
from safetensors.torch import load_file


def test_training_on_one_pair_lowers_the_loss_and_touches_only_what_it_should(folder, picture, tmp_path):
    trainer = Trainer(recipe(folder, tmp_path / "run", learning_rate=3e-3, dropped=0.0))
    before = {name: p.detach().clone() for name, p in trainer.nets.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    pair = [x.expand(16, -1, -1, -1) for x in OnePair(picture).draw(1, generator)]
    noise, times = torch.randn(16, 4, 8, 8, generator=generator), torch.arange(16) * 60

    def loss():
        with torch.no_grad():
            return float(trainer.diffusion_loss(*pair, noise, times, lit=True))

    first = loss()
    for _ in range(30):
        trainer.update(OnePair(picture))
    assert loss() < 0.9 * first
    moved = {name for name, p in trainer.nets.named_parameters() if not torch.equal(p, before[name])}
    cross = {f"unet.{name}" for name in control.cross_attention(trainer.nets.unet)}
    assert {name for name in moved if name.startswith("unet.")} == cross
    assert any(n.startswith("controlnet.controlnet_cond_embedding") for n in moved)
    assert any(n.startswith("adaptor.") for n in moved)


def test_an_untrained_export_relights_like_the_base_model(folder, picture, tmp_path):
    """Zero at first: what comes out does not depend on the hint."""
    trainer = Trainer(recipe(folder, tmp_path / "run"))
    write_weights(folder / FILE, trainer.nets, trainer.intrinsics, SIZE)
    nets = load.load_relighter(folder).networks
    noise = torch.randn(1, 4, 8, 8)
    with torch.no_grad():
        hints = torch.randn(2, 1, SIZES.hint_channels, 8, 8)
        first, second = (ddim(nets, noise, hint, a_code(0)[None], 2, 9.0) for hint in hints)
    assert torch.equal(first, second)


def test_what_training_exports_is_what_the_relighter_loads(folder, picture, tmp_path):
    weights = train(recipe(folder, tmp_path / "run", learning_rate=1e-2), OnePair(picture), lambda line: None)
    shutil.copy(weights, folder / FILE)
    trainer = Trainer(recipe(folder, tmp_path / "run"))
    nets = load.load_relighter(folder).networks
    assert trainer.state.step == 2
    for ours, theirs in ((nets.controlnet, trainer.nets.controlnet), (nets.adaptor, trainer.nets.adaptor),
                         (nets.unet, trainer.nets.unet), (nets.intrinsics, trainer.intrinsics)):  # fmt: skip
        for name, value in theirs.state_dict().items():
            assert torch.allclose(ours.state_dict()[name], value, rtol=2e-3, atol=1e-6), name
    assert torch.equal(nets.prompt, trainer.nets.prompt)


def test_a_broken_off_run_goes_on_as_if_it_had_not(folder, picture, tmp_path):
    whole = train(recipe(folder, tmp_path / "whole", steps=4, learning_rate=1e-3), OnePair(picture), lambda line: None)
    halves = recipe(folder, tmp_path / "halves", steps=2, learning_rate=1e-3)
    train(halves, OnePair(picture), lambda line: None)
    again = train(recipe(folder, tmp_path / "halves", steps=4, learning_rate=1e-3, parts=1), OnePair(picture),
                  lambda line: None)  # fmt: skip
    first, second = load_file(whole), load_file(again)
    assert first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_batch_in_parts_is_the_same_batch(folder, picture, tmp_path):
    losses = [float(Trainer(recipe(folder, tmp_path / str(parts), batch=4, parts=parts)).update(OnePair(picture)))
              for parts in (1, 2)]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_pairs_are_two_pictures_of_one_scene(tmp_path):
    for scene in range(3):
        (tmp_path / f"scene {scene}").mkdir()
        for light in range(3):
            pixels = np.full((40, 60, 3), (scene * 80, light * 80, 0), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"scene {scene}" / f"{light}.png")
    (tmp_path / "alone").mkdir()
    Image.new("RGB", (40, 40)).save(tmp_path / "alone" / "0.png")
    source, target = SceneFolders(tmp_path, 16).draw(8, torch.Generator().manual_seed(0))
    assert source.shape == target.shape == (8, 3, 16, 16)
    assert torch.allclose(source[:, 0], target[:, 0], atol=1e-3)
    assert float((source[:, 1] - target[:, 1]).abs().amin(dim=(1, 2)).min()) > 0.2
    assert float(source.max()) <= 1 and len(source[:, 0].mean((1, 2)).mul(255).round().unique()) > 1
    with pytest.raises(BadInput, match="holds no scene"):
        SceneFolders(tmp_path / "alone", 16)


class Speckles:
    """Every pixel black or white by chance, which no latent can hold, under two lights."""

    def draw(self, count, generator):
        source = torch.randint(2, (count, 1, SIZE, SIZE), generator=generator).float().expand(-1, 3, -1, -1)
        return source, source * 0.6 + 0.1


def test_a_bypass_learns_to_carry_the_sources_details_and_lands_in_the_weights(folder, tmp_path):
    settings = BypassRecipe(folder, tmp_path / "run", steps=0, batch=2, learning_rate=1e-2)
    for steps in (15, 30):
        weights = train_bypass(replace(settings, steps=steps), Speckles(), lambda line: None)
    shutil.copy(weights, folder / FILE)
    nets = load.load_relighter(folder).networks
    source, target = (x * 2 - 1 for x in Speckles().draw(2, torch.Generator().manual_seed(99)))
    with torch.no_grad():
        latents, seen = bypass.encode(nets.vae, target), bypass.encoder_features(nets.vae, source)
        decoded = bypass.decode(nets.vae, latents, nets.bypass, seen)
        swapped = bypass.decode(nets.vae, latents, nets.bypass, [features.flip(0) for features in seen])
    assert float((decoded - target).abs().mean()) < 0.5 * float((swapped - target).abs().mean())
    assert "controlnet.conv_in.weight" in load_file(weights)


def test_the_bypass_is_trained_by_a_command_too(folder, tmp_path, monkeypatch):
    (tmp_path / "scenes" / "room").mkdir(parents=True)
    for value in (80, 160):
        Image.new("RGB", (40, 40), (value, value, value)).save(tmp_path / "scenes" / "room" / f"{value}.png")
    options = {"base": folder, "data": tmp_path / "scenes", "out": tmp_path / "run"}
    options |= {"size": SIZE, "steps": 1, "batch": 1, "device": "cpu"}
    given = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    monkeypatch.setattr("sys.argv", ["bypass", *given])
    main()
    assert any(name.startswith("bypass.") for name in load_file(tmp_path / "run" / FILE))
    (folder / FILE).unlink()
    with pytest.raises(BadInput, match=f"holds no {FILE}"):
        main()


class Tinted:
    """Pictures of chance squares, their lights two tints."""

    def draw(self, count, generator):
        squares = torch.rand(count, 1, 8, 8, generator=generator).repeat_interleave(4, 2).repeat_interleave(4, 3)
        lights = 0.3 + 0.7 * torch.rand(2, count, 3, 1, 1, generator=generator)
        return squares * lights[0], squares * lights[1]


def test_intrinsics_learn_and_go_on_exactly_where_they_stopped(tmp_path):
    settings = IntrinsicsRecipe(tmp_path / "run", steps=40, batch=4, learning_rate=3e-3, network=SIZES)
    weights = train_intrinsics(settings, Tinted(), lambda line: None)
    broken = replace(settings, out=tmp_path / "broken")
    # Noise ends in the middle of a run, so that a shorter run is no beginning of a longer one: it is stopped by force.
    with pytest.raises(RuntimeError, match="stop"):
        train_intrinsics(replace(broken, save_every=20), Tinted(), lambda line: stop(line, 40))
    again = train_intrinsics(broken, Tinted(), lambda line: None)
    first, second = load_file(weights), load_file(again)
    assert first.keys() == second.keys() and all(torch.equal(value, second[name]) for name, value in first.items())
    net, fresh = read_intrinsics(weights), intrinsics.LatentIntrinsics(SIZES)
    source, target = (x * 2 - 1 for x in Tinted().draw(8, torch.Generator().manual_seed(99)))
    with torch.no_grad():
        errors = [(each.decode(each.encode(source)[0], each.encode(target)[1]) - target).square().mean()
                  for each in (net, fresh)]  # fmt: skip
    assert float(errors[0]) < 0.5 * float(errors[1])


def stop(line, step):
    if line.startswith(f"step {step} "):
        raise RuntimeError("stop")


def test_light_sets_and_scene_folders_are_told_apart(tmp_path):
    rng = np.random.default_rng(0)
    for seed in range(24):
        rest = {name: np.zeros((16, 16, 3), np.float32) for name in ("albedo", "normal", "depth")}
        np.savez(tmp_path / f"sample_{seed}.npz", lights=rng.random((10, 16, 16, 3), np.float32), **rest)
    pairs = pairs_of(tmp_path, 8)
    source, target = pairs.draw(3, torch.Generator().manual_seed(1))
    assert isinstance(pairs, LightSetPairs) and source.shape == target.shape == (3, 3, 8, 8)
    again = pairs.draw(3, torch.Generator().manual_seed(1))
    assert torch.equal(again[0], source) and torch.equal(again[1], target)
    assert not torch.equal(source, target) and float(target.min()) >= 0 and float(target.max()) <= 1
    with pytest.raises(BadInput, match="nothing to train on"):
        pairs_of(None, 8)


def test_a_file_without_intrinsics_is_refused_and_one_of_the_whole_model_taken(original, tmp_path):
    whole, alone = (read_intrinsics(path) for path in (original / FILE, original.parent / "intrinsics.safetensors"))
    assert all(torch.equal(value, alone.state_dict()[name]) for name, value in whole.state_dict().items())
    with pytest.raises(BadInput, match=r"vae.safetensors holds no Latent Intrinsics network"):
        read_intrinsics(
            shutil.copy(original / "vae" / "diffusion_pytorch_model.safetensors", tmp_path / "vae.safetensors")
        )
