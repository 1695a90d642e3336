# SPDX-License-Identifier: GPL-3.0-or-later
"""The recipe, tiny: examples, augmentation, training that resumes and learns, calibration, backbones, the benchmark."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from limelight.backend.direction import bins, embedded
from limelight.backend.direction import estimate as estimation
from limelight.backend.direction.backbone import FrozenBackbone, load_backbone, read_backbone
from limelight.backend.direction.key_light import find_key_light
from limelight.backend.direction.network import DirectionConfig, DirectionNet, Inputs, grid, plane
from limelight.backend.errors import BadInput
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics import exr
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.camera import Camera
from limelight.benchmarks.direction.run import run_bench
from limelight.training.direction import augment, prepare, validate
from limelight.training.direction.examples import (
    ASKED,
    Shards,
    crop_examples,
    sample_examples,
    write_shard,
)
from limelight.training.direction.prepare import VALIDATION, by_kind
from limelight.training.direction.recipe import network_of, reproduce
from limelight.training.direction.textbook import FORMS, load_form
from limelight.training.direction.train import Recipe, train
from safetensors import safe_open
from safetensors.torch import load_file

TINY = DirectionConfig(widths=(16, 16, 16), layers=1, heads=2)


@pytest.fixture(scope="module")
def hdris(tmp_path_factory):
    """Twelve small panoramas with one lamp each, somewhere, over a sky and a floor."""
    folder = tmp_path_factory.mktemp("hdris")
    generator = torch.Generator().manual_seed(1)
    for i in range(12):
        panorama = 0.2 + 0.3 * (pano.directions(64, "world")[..., 2:] > 0).float().expand(-1, -1, 3)
        row, column = 22 + int(9 * torch.rand(1, generator=generator)), int(128 * torch.rand(1, generator=generator))
        panorama = panorama.clone()
        panorama[row : row + 3, column : column + 3] = 60.0 + 7 * i
        exr.write_panorama(folder / f"place_{i:02d}.exr", panorama, frame="world")
    return folder


@pytest.fixture(scope="module")
def data(hdris, tmp_path_factory):
    """One shard of crops to train on and one to validate."""
    folder = tmp_path_factory.mktemp("data")
    write_shard(crop_examples(hdris, 0, validation=False), folder / "crops_0000.safetensors", 24)
    write_shard(crop_examples(hdris, 0, validation=True), folder / f"{VALIDATION}crops_0000.safetensors", 12)
    return folder


def test_a_crops_label_is_where_its_picture_shows_the_lamp(hdris):
    seen = 0
    for _, example in zip(range(60), crop_examples(hdris, 3, validation=False), strict=False):
        fx, fy, cx, cy = example["lens"].tolist()
        x, y, z = example["towards"][0].tolist()
        u, v = cx - fx * x / z, cy + fy * y / z
        if z > -0.2 or not (0.05 < u < 0.95 and 0.05 < v < 0.95):
            continue
        seen += 1
        light = example["picture"].float().mean(0)
        around = light[max(0, int(v * 128) - 4) : int(v * 128) + 5, max(0, int(u * 128) - 4) : int(u * 128) + 5]
        assert float(around.max()) > 0.5 * float(light.max())
    assert seen >= 3


def test_a_samples_labels_are_those_of_its_panoramas(tmp_path):
    rng = np.random.default_rng(0)
    panoramas = rng.random((4, 32, 64, 3)).astype(np.float16)
    for i in range(4):
        panoramas[i, 6, 10 * i + 5] = 500
    camera = Camera.from_fov(32, 24, 60)
    np.savez(
        tmp_path / "sample_7.npz", radiance=rng.random((24, 32, 3)).astype(np.float16), probe_panoramas=panoramas,
        probe_positions=np.array([[0.1 * i, 0.2, -2.0] for i in range(4)], np.float32),
        depth=np.full((24, 32), 3.0, np.float16),
        camera=np.array([32, 24, camera.fx, camera.fy, camera.cx, camera.cy]),
    )  # fmt: skip
    assert not list(sample_examples([tmp_path / "sample_7.npz"], validation=True))
    (example,) = sample_examples([tmp_path / "sample_7.npz"], validation=False)
    key = find_key_light(torch.from_numpy(panoramas[2].astype(np.float32)))
    assert torch.allclose(example["towards"][3], key.direction, atol=1e-5)
    given, guessed = example["probe"]
    assert torch.allclose(given[3], torch.tensor([0.2, 0.2, -2.0])) and bool(given[0].isnan().all())
    # By a guess of the depth, a probe is where it is seen, and in front of what is seen there.
    assert torch.allclose(camera.project(guessed[3])[0], camera.project(given[3])[0], atol=1e-4)
    assert float(-guessed[3, 2]) < float(example["depth"][1].max())
    assert torch.allclose(example["depth"][0], torch.full((32, 32), 3.0), rtol=1e-3)
    assert int(example["light"][3].argmax()) == int((bins.directions() @ key.direction).argmax())


def test_blenders_views_become_examples(tmp_path):
    light = 0.1 + 50 * (pano.directions(32) @ torch.tensor([0.6, 0.8, 0.0]) > 0.98)[..., None].expand(-1, -1, 3).float()
    camera = Camera.from_fov(40, 30, 60)
    for number in (15, 16, 17):
        scene = tmp_path / f"scene_{number}"
        exr.write_image(scene / "image.exr", torch.rand(30, 40, 3))
        exr.write_depth(scene / "depth.exr", torch.full((30, 40), 3.0))
        probes = [{"id": i, "position_camera": [0.0, 0.0, -2.0], "radius": 0.1} for i in range(4 if number > 15 else 2)]
        for probe in probes:
            exr.write_panorama(scene / f"env_{probe['id']}.exr", light, frame="camera")
        (scene / "meta.json").write_text(json.dumps({"camera": camera.to_dict(), "probes": probes, "seed": number}))
    prepare.prepare_views(tmp_path, tmp_path / "data")
    found = {side: by_kind(tmp_path / "data", validation=side)["views"] for side in (False, True)}
    # Every sixteenth validates, and one with too few probes is left out.
    assert [len(Shards(found[side])) for side in (False, True)] == [1, 1]
    towards = Shards(found[False]).pick(torch.tensor([0]))["towards"][0]
    assert float(bins.angle_deg(towards, torch.tensor([0.6, 0.8, 0.0]).expand(5, 3)).max()) < 3
    meta = tmp_path / "scene_17" / "meta.json"
    meta.write_text(meta.read_text().replace('"seed": 17', '"seed": 10000017'))
    with pytest.raises(BadInput, match="belongs to evaluation"):
        prepare.prepare_views(tmp_path, tmp_path / "other")


def test_augmentation_is_reproducible_and_mirrors_half_with_its_labels(data):
    examples = Shards([data / "crops_0000.safetensors"]).pick(torch.arange(8))
    one, two = (augment.augmented(examples, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one.inputs.picture, two.inputs.picture) and torch.equal(one.towards, two.towards)
    truth = examples["towards"][:, 0]
    mirror = torch.tensor([[-1.0, 1, 1]] * 4 + [[1.0, 1, 1]] * 4)
    off = bins.angle_deg(one.towards, truth * mirror)
    # A camera is turned by at most a few degrees about each axis.
    assert 0.5 < float(off.max()) < 18
    assert float(bins.angle_deg(bins.directions()[one.light.argmax(-1)], one.towards).max()) < 12
    assert float(one.inputs.picture.min()) >= 0 and float(one.inputs.picture.max()) <= 1


def test_a_turned_camera_sees_the_same_world(data):
    examples = Shards([data / "crops_0000.safetensors"]).pick(torch.arange(6))
    batch = augment.plain(examples, torch.ones(6, dtype=torch.long), torch.ones(6, dtype=torch.long))
    still = augment.turned(batch, torch.eye(3).expand(6, 3, 3), torch.ones(6))
    assert torch.allclose(still.inputs.picture, batch.inputs.picture, atol=1e-5)
    assert torch.allclose(still.inputs.depth, batch.inputs.depth, rtol=1e-4) and torch.equal(still.light, batch.light)
    twist = torch.tensor([[0.0, -0.1, 0.08], [0.1, 0, -0.06], [-0.08, 0.06, 0]])
    turn = torch.linalg.matrix_exp(twist).expand(6, 3, 3)
    seen = augment.turned(batch, turn, torch.full((6,), 1.3))
    assert torch.allclose((turn @ seen.towards[..., None])[..., 0], batch.towards, atol=1e-5)
    assert torch.allclose((turn @ seen.inputs.probe[..., None])[..., 0], batch.inputs.probe, atol=1e-5)


def test_a_turned_camera_sees_the_same_plane(data):
    examples = Shards([data / "crops_0000.safetensors"]).pick(torch.arange(6))
    batch = augment.plain(examples, torch.ones(6, dtype=torch.long), torch.ones(6, dtype=torch.long))
    # Inverse depth that is linear in the picture is a plane; all its points have one distance from the camera.
    x, y = plane(batch.inputs.lens, grid(32)).transpose(1, 2).unflatten(2, (32, 32)).unbind(1)
    inputs = replace(batch.inputs, depth=1 / (0.5 + 0.1 * x - 0.2 * y))
    normal, distance = torch.tensor([0.1, -0.2, -0.5]), 1.0
    turn = torch.linalg.matrix_exp(torch.tensor([[0.0, -0.1, 0.08], [0.1, 0, -0.06], [-0.08, 0.06, 0]]))
    seen = augment.turned(replace(batch, inputs=inputs), turn.expand(6, 3, 3), torch.full((6,), 1.3)).inputs
    across = plane(seen.lens, grid(32))
    points = torch.cat([across, -torch.ones_like(across[..., :1])], -1) * seen.depth.flatten(1)[..., None]
    from_plane = (points @ turn.T) @ normal - distance
    # Where the turned camera looks beyond the old picture, its border goes on.
    assert float(from_plane.abs().quantile(0.8)) < 1e-3


def test_training_learns_resumes_to_the_same_weights_and_logs(data, tmp_path):
    def make():
        return DirectionNet(TINY)

    straight = train(
        make, Recipe(data, tmp_path / "a", 12, 8, warmup=2, save_every=6), {"config": "{}"}, lambda t: None
    )
    for steps in (6, 12):
        # The schedule belongs to the whole run, so the first half is asked for as such.
        recipe = Recipe(data, tmp_path / "b", 12, 8, warmup=2, save_every=6)
        if steps == 6:
            recipe = Recipe(data, tmp_path / "b", 6, 8, warmup=12, save_every=6)
        resumed = train(make, recipe, {"config": "{}"}, lambda t: None)
    assert json.loads((tmp_path / "b" / "log.jsonl").read_text().splitlines()[-1])["step"] == 12
    with safe_open(resumed, "pt") as file:
        assert file.metadata()["steps"] == "12"
    again = train(make, Recipe(data, tmp_path / "c", 12, 8, warmup=2, save_every=6), {"config": "{}"}, lambda t: None)
    first, second = load_file(straight), load_file(again)
    assert all(torch.equal(first[name], second[name]) for name in first)
    line = [json.loads(text) for text in (tmp_path / "a" / "log.jsonl").read_text().splitlines()][-1]
    assert line["validation"] == "crops" and 0 < line["median"] < 180
    assert "NaN" not in (tmp_path / "a" / "log.jsonl").read_text()


def test_a_checkpoint_restores_the_run_exactly(data, tmp_path):
    def run(out, stop):
        recipe = Recipe(data, out, 8, 8, warmup=2, save_every=4)
        calls = []

        def report(text):
            calls.append(text)
            if stop and "validation" in text:
                raise KeyboardInterrupt

        try:
            return train(lambda: DirectionNet(TINY), recipe, {"config": "{}"}, report)
        except KeyboardInterrupt:
            return None

    whole = load_file(run(tmp_path / "whole", False))
    assert run(tmp_path / "broken", True) is None
    rest = load_file(run(tmp_path / "broken", False))
    assert all(torch.equal(whole[name], rest[name]) for name in whole)


def test_the_loss_falls_on_a_few_examples(data):
    torch.manual_seed(0)
    from limelight.training.direction.train import direction_loss

    net = DirectionNet(DirectionConfig(widths=(16, 16, 16), layers=1, heads=2, dropout=0.0))
    batch = augment.plain(
        Shards([data / "crops_0000.safetensors"]).pick(torch.arange(6)), *torch.zeros(2, 6, dtype=torch.long)
    )
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for _ in range(80):
        loss = direction_loss(net, batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]


def test_the_temperature_makes_expected_and_observed_agree():
    generator = torch.Generator().manual_seed(6)
    truth = torch.nn.functional.normalize(torch.randn(400, 3, generator=generator), dim=-1)
    said = torch.nn.functional.normalize(truth + 0.25 * torch.randn(400, 3, generator=generator), dim=-1)
    sure = 100 * said @ bins.directions().T
    temperature = validate.fit_temperature(sure, truth)
    error, expected = validate.errors(sure, truth, temperature)
    assert temperature > 3
    assert float(expected.mean()) == pytest.approx(float(error.mean()), rel=0.02)
    assert float(validate.errors(sure, truth)[1].mean()) < 0.6 * float(error.mean())


def tiny_backbone(folder):
    """A vision transformer of two small layers with random weights, saved as transformers saves."""
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(2)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    ViTModel(config).save_pretrained(folder, safe_serialization=True)
    return folder


def test_a_head_is_trained_on_the_users_backbone_and_used(hdris, tmp_path):
    folder, out = tiny_backbone(tmp_path / "vit"), tmp_path / "run"
    reproduce(out, hdris=hdris, scenes=0, crop_shards=1, steps=3, batch=4, backbone=folder, device="cpu",
              report=lambda text: None)  # fmt: skip
    before = load_file(folder / "model.safetensors")
    after = load_file(out / "backbone" / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    radiance, camera = torch.rand(40, 50, 3), Camera.from_fov(50, 40, 60)
    found = estimation.estimate(radiance, camera, (0.5, 0.5), model=str(out))
    assert found.model == str(out) and float(found.vector.norm()) == pytest.approx(1, abs=1e-5)
    assert load_backbone(out.resolve()).temperature > 0
    (out / "direction_head.safetensors").write_bytes(b"no")
    load_backbone.cache_clear()
    with pytest.raises(Exception, match="damaged"):
        estimation.estimate(radiance, camera, model=str(out))


def test_the_backbone_stays_frozen_and_pickles_are_refused(tmp_path):
    net = FrozenBackbone(read_backbone(tiny_backbone(tmp_path / "vit")))
    assert {name.split(".")[0] for name, p in net.named_parameters() if p.requires_grad} == {"head"}
    net.train()
    assert not net.backbone.training
    (tmp_path / "vit" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "vit" / "pytorch_model.bin")
    with pytest.raises(BadInput, match="cannot be read"):
        read_backbone(tmp_path / "vit")
    with pytest.raises(BadInput, match="holds no backbone"):
        read_backbone(tmp_path)


@pytest.mark.parametrize("form", ["flattened", "cnn"])
def test_textbook_forms_are_trained_and_read_back(data, tmp_path, form):
    make, header = network_of(form, None)
    weights = train(make, Recipe(data, tmp_path, 2, 4, save_every=2), header, lambda text: None)
    lens, probe = torch.tensor([[1.0, 1, 0.5, 0.5]] * 2), torch.tensor([[0.0, 0, -1]] * 2)
    inputs = Inputs(torch.rand(2, 3, 128, 128), torch.ones(2, 32, 32), lens, probe)
    vector, _ = load_form(form, weights)(inputs)
    assert vector.shape == (2, 3) and set(FORMS) == {"flattened", "cnn", "frozen"}


def test_scenes_that_are_traced_later_are_taken_in(tmp_path, monkeypatch):
    read = lambda files, validation: iter([] if validation else [{"lens": torch.zeros(4)} for _ in files])  # noqa: E731
    monkeypatch.setattr(prepare, "SHARD", 4)
    monkeypatch.setattr(prepare, "sample_examples", read)
    for count in (2, 4, 6):
        for seed in range(count):
            (tmp_path / f"sample_{seed}.npz").touch()
        prepare.prepare_scenes(tmp_path, tmp_path / "data")
        assert len(Shards(sorted((tmp_path / "data").glob("*.safetensors")))) == count


def test_unknown_forms_and_empty_recipes_are_refused(tmp_path):
    with pytest.raises(BadInput, match="no form"):
        network_of("none", None)
    with pytest.raises(BadInput, match="nothing to train on"):
        reproduce(tmp_path, scenes=0)
    with pytest.raises(BadInput, match="at least 2 scenes"):
        reproduce(tmp_path, scenes=1)
    with pytest.raises(BadInput, match="no panoramas"):
        reproduce(tmp_path, scenes=0, hdris=tmp_path / "none")
    with pytest.raises(BadInput, match="no training shards"):
        train(lambda: DirectionNet(TINY), Recipe(tmp_path, tmp_path / "out", 1), {})


def test_validation_places_are_never_trained_on(hdris):
    def ratios(validation):
        made = zip(range(20), crop_examples(hdris, 1, validation=validation), strict=False)
        return {round(float(example["ratio"][0]), 4) for _, example in made}

    assert by_kind(hdris, validation=False) == {}
    assert ASKED == 5 and ratios(True).isdisjoint(ratios(False))


@pytest.fixture
def probe_set(tmp_path):
    """Two scenes of a probe set; the lamp of the second is in the middle of the picture."""
    for i, direction in enumerate([(0.0, 0.9, 0.43), (0.0, 0.0, -1.0)]):
        scene = tmp_path / "set" / f"scene_{i}"
        towards = torch.nn.functional.normalize(torch.tensor(direction), dim=0)
        truth = 0.2 + 60 * (pano.directions(128) @ towards > math.cos(0.1))[..., None].expand(-1, -1, 3).float()
        camera = Camera.from_fov(40, 30, 60)
        exr.write_panorama(scene / "env_0.exr", truth, frame="camera")
        exr.write_image(scene / "image.exr", pano.sample(truth, camera.rays()))
        exr.write_depth(scene / "depth.exr", torch.full((30, 40), 3.0))
        probe = {"id": 0, "position_camera": [0.0, 0.0, -2.0], "radius": 0.1}
        (scene / "meta.json").write_text(json.dumps({"fov_x_deg": 60, "probes": [probe]}))
    return tmp_path / "set"


def test_the_benchmark_scores_all_methods_in_one_run(probe_set, data, tmp_path, monkeypatch):
    from limelight.benchmarks.direction import methods
    from limelight.training.direction.calibrate import calibrate

    header = {"config": json.dumps(TINY.to_dict())}
    weights = train(lambda: DirectionNet(TINY), Recipe(data, tmp_path / "run", 1, 4), header, lambda text: None)
    calibrate(embedded.load_network.__wrapped__(weights).network, weights, data, lambda text: None)
    for module in (embedded, methods):
        monkeypatch.setattr(module, "WEIGHTS", weights)
    monkeypatch.setattr(embedded.load_network.__wrapped__, "__defaults__", (weights, "cpu"))
    embedded.unload()
    answer = run_bench(probe_set, tmp_path / "out", hdri=False, device="cpu", report=SilentReport())
    embedded.unload()
    summary = answer["summary"]
    assert answer["probes"] == 2 and answer["dominant"] == 2
    models = {"embedded, given depth", "embedded, guessed depth", "shading, given depth"}
    assert models | {"straight up", "brightest part", "training mean"} <= set(summary)
    up = math.degrees(math.atan2(0.43, 0.9))
    assert summary["straight up"]["all"]["mean"] == pytest.approx((up + 90) / 2, abs=1)
    rows = json.loads((tmp_path / "out" / "scores.json").read_text())["rows"]
    assert rows[1]["error"]["brightest part"] < 3 and rows[1]["error"]["straight up"] == pytest.approx(90, abs=1)
    assert "straight up" in (tmp_path / "out" / "table.md").read_text()
    assert (tmp_path / "out" / "worst_cases.png").stat().st_size > 1000
