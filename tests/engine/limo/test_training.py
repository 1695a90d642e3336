# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded painter's recipe: examples from panoramas, learning, exact resumption."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from limelight.backend.errors import BadInput
from limelight.backend.limo.embedded.encode import decode_radiance
from limelight.backend.limo.embedded.model import PainterConfig
from limelight.backend.optics import exr, shading
from limelight.backend.optics import panorama as pano
from limelight.backend.optics.sphere import SphereView
from limelight.synthesis import samples
from limelight.training.limo import crops, examples, mixture, prepare
from limelight.training.limo import recipe as limo_recipe
from limelight.training.limo import train as recipe_module
from limelight.training.limo.recipe import reproduce
from limelight.training.limo.train import Recipe, train
from safetensors import safe_open
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[3]


TINY = PainterConfig(widths=(16, 16, 24), tokens=16, embedding=32, heads=2)


def world_map() -> torch.Tensor:
    d = pano.directions(64, "world")
    return torch.stack([1 + d[..., 0], 1 + d[..., 1], 1 + d[..., 2]], -1) * 0.4


def test_a_crop_shows_what_its_environment_holds_in_front_of_the_camera():
    for seed in range(4):
        view, probe, truth = crops.random_crop(world_map(), np.random.default_rng(seed))
        seen = pano.sample(truth, view.camera.rays())
        assert float((view.radiance - seen).abs().mean()) < 0.03 * float(truth.mean())
        assert float(probe.position[2]) < 0
        assert bool((view.depth > 0).all())


def test_the_target_is_the_true_sphere():
    view, probe, _ = crops.random_crop(world_map(), np.random.default_rng(1))
    made = examples.example(view, probe, torch.full((64, 128, 3), 0.3), np.random.default_rng(0))
    on = made["sphere"][0] > 0
    inside = decode_radiance(made["target"].float())[:, on]
    assert torch.allclose(inside, torch.full_like(inside, 0.3), rtol=0.02)


def shards(folder, count=64):
    rngs = [np.random.default_rng(i) for i in range(count)]
    generator = (examples.example(*crops.random_crop(world_map(), rng), rng) for rng in rngs)
    examples.write_shard(generator, folder / "crops_0000.safetensors")


def test_shards_are_drawn_from_as_one_set(tmp_path):
    for number, count in enumerate((3, 2)):
        rows = torch.arange(count).reshape(-1, 1, 1, 1) + 10.0 * number
        parts = {name: rows.expand(-1, 2, 4, 4).half().contiguous() for name in ("sphere", "context", "target")}
        save_file(parts, tmp_path / f"part_{number}.safetensors")
    both = examples.Shards(sorted(tmp_path.glob("*.safetensors")))
    assert len(both) == 5
    batch = both.pick(torch.tensor([4, 0, 2, 3]))
    assert batch["target"][:, 0, 0, 0].tolist() == [11.0, 0.0, 2.0, 10.0]
    assert batch["sphere"].dtype == torch.float32


def test_training_begins_from_given_weights(tmp_path):
    shards(tmp_path / "data", 8)
    common = {"data": tmp_path / "data", "batch": 4, "warmup": 1, "network": TINY}
    first = train(Recipe(out=tmp_path / "first", steps=2, seed=1, **common), lambda line: None)
    again = recipe_module.Trainer(Recipe(out=tmp_path / "again", seed=2, start=first, **common))
    weights = load_file(first)
    assert all(torch.equal(value.half(), weights[name]) for name, value in again.net.state_dict().items())
    assert all(torch.equal(value.half(), weights[name]) for name, value in again.average.items())


def test_training_learns_and_resumes_exactly(tmp_path):
    shards(tmp_path / "data", 24)
    common = {
        "data": tmp_path / "data",
        "batch": 8,
        "warmup": 2,
        "save_every": 5,
        "learning_rate": 2e-3,
        "network": TINY,
    }
    lines: list[str] = []
    train(Recipe(out=tmp_path / "whole", steps=40, **common), lines.append)
    first, last = (float(line.split()[3]) for line in (lines[0], lines[-1]))
    assert last < first
    whole = load_file(tmp_path / "whole" / "limo_embedded.safetensors")
    halted = Recipe(out=tmp_path / "halted", steps=40, **common)
    stopper = iter(range(10**9))

    class Halt(Exception):
        pass

    def interrupt(trainer, *args, original=recipe_module.Trainer.update):
        if next(stopper) == 17:
            raise Halt
        return original(trainer, *args)

    recipe_module.Trainer.update, original = interrupt, recipe_module.Trainer.update
    try:
        with pytest.raises(Halt):
            train(halted, lines.append)
    finally:
        recipe_module.Trainer.update = original
    train(halted, lines.append)
    resumed = load_file(tmp_path / "halted" / "limo_embedded.safetensors")
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    assert json.loads((tmp_path / "halted" / "recipe.json").read_text())["steps"] == 40


def test_photos_differ_but_say_the_same_light():
    view, _, _ = crops.random_crop(world_map(), np.random.default_rng(1))
    made = [examples.degrade(view, np.random.default_rng(seed)) for seed in range(12)]
    levels = torch.stack([photo.radiance.mean() for photo in made])
    assert float(levels.std()) > 0.005
    assert all(bool((photo.radiance >= 0).all() and (photo.radiance <= 1).all()) for photo in made)
    assert 0.6 < float(levels.mean() / view.radiance.clamp(0, 1).mean()) < 1.4


@pytest.mark.parametrize(("shares", "expected"), [({}, 0.5), ({"views": 0.25}, 0.2)])
def test_every_source_counts_by_its_share(tmp_path, shares, expected):
    for source, count in (("crops", 90), ("views", 6)):
        rows = torch.full((count, 1, 2, 2), float(count)).half()
        save_file(
            {name: rows.clone() for name in ("sphere", "context", "target")}, tmp_path / f"{source}_0.safetensors"
        )
    both = examples.Shards(sorted(tmp_path.glob("*.safetensors")), shares=shares)
    drawn = both.draw(2000, torch.Generator().manual_seed(0))["target"][:, 0, 0, 0]
    assert abs(float((drawn == 6).float().mean()) - expected) < 0.04


def probe_set_scene(folder, seed):
    view, probe, truth = crops.random_crop(world_map(), np.random.default_rng(3))
    exr.write_image(folder / "image.exr", view.radiance)
    exr.write_depth(folder / "depth.exr", view.depth)
    exr.write_panorama(folder / "env_0.exr", truth, frame="camera")
    place = {"id": 0, "position_camera": probe.position.tolist(), "radius": probe.radius}
    meta = {"seed": seed, "camera": view.camera.to_dict(), "probes": [place]}
    (folder / "meta.json").write_text(json.dumps(meta))
    return probe, truth


def test_views_by_blender_become_examples(tmp_path):
    probe, truth = probe_set_scene(tmp_path, seed=5)
    (made,) = examples.probe_set_examples(tmp_path)
    on = made["sphere"][0] > 0
    shown = decode_radiance(made["target"].float())[:3, on]
    close_up = SphereView(probe.position, probe.radius, examples.CROP)
    expected = shading.mirror_sphere(truth, close_up, 2)[on].T
    # One gain a channel: the example's own exposure and white balance.
    gain = (shown / expected).median(1).values
    assert torch.allclose(shown / gain[:, None], expected, rtol=0.05, atol=0.01)


def test_every_shot_of_a_view_has_its_own_exposure_and_the_same_shape(tmp_path):
    probe_set_scene(tmp_path, seed=5)
    first, again, second = (next(examples.probe_set_examples(tmp_path, shot)) for shot in (0, 0, 1))
    assert torch.equal(first["target"], again["target"])
    assert not torch.equal(first["target"], second["target"])
    assert torch.equal(first["sphere"][:7], second["sphere"][:7])


def test_traced_shards_are_the_same_in_one_process_or_in_parts(tmp_path, monkeypatch):
    asked = []

    def sample(seed, **options):
        asked.append(seed)
        view, probe, truth = crops.random_crop(world_map(), np.random.default_rng(seed))
        parts = {"radiance": view.radiance, "depth": view.depth, "probe_panoramas": truth[None]}
        places = {"probe_positions": probe.position[None], "probe_radii": torch.tensor([probe.radius])}
        return {**{k: v.numpy() for k, v in (parts | places).items()}, "camera": view.camera.to_dict()}

    monkeypatch.setattr(prepare, "make_sample", sample)
    monkeypatch.setattr(prepare, "PROBES", examples.SHARD // 2)
    jobs = prepare.traced(4, 2, None)
    assert [name for name, _ in jobs] == ["rooms_0002_0000", "rooms_0003_0000"]
    for part in (jobs[0::2], jobs[1::2]):
        prepare._write(part, tmp_path, 1)
    assert asked == [4, 5, 6, 7]
    both = examples.Shards(sorted(tmp_path.glob("*.safetensors")))
    assert len(both) == 4 and len(both.sources) == 1
    both.take_in(both.paths[:1])
    assert len(both) == 2


def test_scenes_kept_for_evaluation_are_refused(tmp_path):
    probe_set_scene(tmp_path, seed=10_000_000)
    with pytest.raises(BadInput, match="belongs to evaluation"):
        list(examples.probe_set_examples(tmp_path))


@pytest.mark.parametrize("scenes", [0, 64])
def test_a_folder_without_panoramas_is_refused_before_anything_is_made(tmp_path, monkeypatch, scenes):
    monkeypatch.setattr(samples, "make_sample", lambda seed, **options: pytest.fail("a room is traced"))
    exr.write_image(tmp_path / "hdris" / "courtyard.exr", torch.ones(8, 16, 3))
    for hdris in (tmp_path / "none", tmp_path / "hdris"):
        with pytest.raises(BadInput, match="no panoramas"):
            reproduce(tmp_path / "out", hdris=hdris, scenes=scenes, workers=1)
    assert not list(tmp_path.glob("out/scenes"))


@pytest.mark.parametrize(("scenes", "cut"), [(0, 48), (64, 2), (100, 3), (2048, 48)])
def test_views_are_cut_from_panoramas_in_proportion_to_the_scenes(tmp_path, monkeypatch, scenes, cut):
    asked = []
    monkeypatch.setattr(samples, "write_samples", lambda *given, **options: None)
    monkeypatch.setattr(limo_recipe, "prepare_rooms", lambda *given: None)
    monkeypatch.setattr(limo_recipe, "prepare_crops", lambda *given: asked.append(given[3]))
    monkeypatch.setattr(limo_recipe, "mean_environment", lambda data: torch.ones(32, 64, 3))
    monkeypatch.setattr(limo_recipe, "train", lambda made, report: made.out)
    with pytest.raises(BadInput, match=r"do not fill one shard.*at least 64 scenes, or 0 and --hdris"):
        limo_recipe.reproduce(tmp_path, hdris=tmp_path, scenes=4, report=lambda text: None)
    limo_recipe.reproduce(tmp_path, hdris=tmp_path, scenes=scenes, report=lambda text: None)
    assert asked == [cut]


def test_a_folder_without_shards_is_told_with_what_makes_them(tmp_path):
    recipe = Recipe(tmp_path / "none", tmp_path / "out", 1, 4, network=TINY)
    with pytest.raises(BadInput, match=r"no training shards.*training\.limo\.prepare"):
        train(recipe, lambda line: None)


def test_shards_kept_for_validation_are_not_trained_on(tmp_path):
    shards(tmp_path / "data", 8)
    (tmp_path / "data" / "crops_0000.safetensors").rename(tmp_path / "data" / "crops_01_0004_0000.safetensors")
    shards(tmp_path / "data", 6)
    (tmp_path / "data" / "crops_0000.safetensors").rename(tmp_path / "data" / "crops_01_0005_0000.safetensors")
    used, kept = recipe_module.find_shards(tmp_path / "data")
    assert [path.stem for path in used] == ["crops_01_0004_0000"]
    assert [path.stem for path in kept] == ["crops_01_0005_0000"]
    lines: list[str] = []
    recipe = Recipe(
        tmp_path / "data", tmp_path / "out", 40, 4, save_every=20, learning_rate=2e-3, warmup=2, network=TINY
    )
    train(recipe, lines.append)
    first, last = (float(line.split()[3]) for line in lines if "validation" in line)
    assert last < first


@pytest.mark.parametrize(("spoilt", "kept"), [("before.safetensors", 1.0), ("after.safetensors", 0.0)])
def test_of_two_weights_the_mixture_that_does_best_is_kept(tmp_path, monkeypatch, capsys, spoilt, kept):
    shards(tmp_path / "data", 8)
    recipe = Recipe(tmp_path / "data", tmp_path / "out", 6, 4, save_every=6, learning_rate=2e-3, warmup=1, network=TINY)
    trained = train(recipe, lambda line: None)
    with safe_open(trained, "pt") as file:
        header = file.metadata()
    for name in ("before.safetensors", "after.safetensors"):
        noise = 0.3 if name == spoilt else 0.0
        weights = {k: v + noise * torch.randn(v.shape).half() for k, v in load_file(trained).items()}
        save_file(weights, tmp_path / name, header)
    names = [str(tmp_path / name) for name in ("before.safetensors", "after.safetensors", "mixed.safetensors")]
    asked = ["--data", str(tmp_path / "data"), "--out", names[2], "--count", "8"]
    monkeypatch.setattr(sys, "argv", ["mixture", *names[:2], *asked])
    mixture.main()
    best = tmp_path / ("after.safetensors" if kept == 1.0 else "before.safetensors")
    assert all(torch.equal(value, load_file(best)[name]) for name, value in load_file(names[2]).items())
    assert len(capsys.readouterr().out.splitlines()) == len(mixture.SHARES)


TWO = """
import sys
sys.path.insert(0, {bridge!r})
import launch
launch.bind_package()
from pathlib import Path
from limelight.backend.limo.embedded.model import PainterConfig
from limelight.training.limo import train as recipe_module
from safetensors.torch import save_file
tiny = PainterConfig(widths=(16, 16, 24), tokens=16, embedding=32, heads=2)
recipe = recipe_module.Recipe(Path({data!r}), Path({data!r}), batch=8, network=tiny, start=Path({start!r}))
trainer = recipe_module.Trainer(recipe)
examples = recipe_module.Shards(recipe_module.find_shards(recipe.data)[0])
trainer.update(trainer.part(recipe_module.batch_of(examples, recipe.batch, 0)))
if trainer.accelerator.is_main_process:
    save_file({{name: p.grad.contiguous() for name, p in trainer.net.named_parameters()}}, sys.argv[1])
print(trainer.accelerator.num_processes)
"""


def test_two_processes_that_begin_from_weights_find_the_gradient_of_one(tmp_path):
    shards(tmp_path / "data", 16)
    script, start = tmp_path / "step.py", tmp_path / "start.safetensors"
    save_file(recipe_module.SphereUNet(TINY).state_dict(), start)
    script.write_text(TWO.format(bridge=str(ROOT / "bridge"), data=str(tmp_path / "data"), start=str(start)))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    found = []
    for processes in ("1", "2"):
        out = tmp_path / f"{processes}.safetensors"
        command = [*launcher, processes, str(script), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [processes] * int(processes)
        found.append(torch.cat([value.flatten() for value in load_file(out).values()]))
    one, two = found
    # Half of the batch alone would be off by about as much as the gradient is long.
    assert float((one - two).norm()) < 0.05 * float(one.norm())


def test_what_interrupts_shards_ends_those_under_way(tmp_path):
    made = []

    def slow():
        for number in range(examples.SHARD):
            made.append(number)
            time.sleep(0.05)
            yield {"number": torch.tensor(number)}

    def interrupted():
        time.sleep(0.5)
        raise KeyboardInterrupt
        yield {}

    with pytest.raises(KeyboardInterrupt):
        prepare._write([("a", interrupted), ("b", slow)], tmp_path, 2)
    assert 0 < len(made) < examples.SHARD // 2 and not list(tmp_path.iterdir())
