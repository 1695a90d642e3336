# SPDX-License-Identifier: GPL-3.0-or-later
"""The training on a small scene: it learns, stages move what they should and nothing else, and it can be broken off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from limelight.backend.errors import BadInput, Cancelled
from limelight.backend.limo.report import SilentReport
from limelight.backend.optics import exr
from limelight.backend.optics.camera import Camera
from limelight.backend.optics.exposure import srgb_oetf
from limelight.backend.splats.cloud import DC
from limelight.backend.splats.files import formats
from limelight.backend.splats.inputs import Scene, read_scene
from limelight.backend.splats.raster import SplatCamera
from limelight.backend.splats.raster.dense import rotations
from limelight.backend.splats.shading import visibility
from limelight.backend.splats.shading.environment import Light
from limelight.backend.splats.shading.physical import irradiance
from limelight.backend.splats.train import checkpoint, density, evidence, losses
from limelight.backend.splats.train.distillation import work_folder
from limelight.backend.splats.train.handover import hand_over
from limelight.backend.splats.train.job import TrainJob, environment_of, run_train
from limelight.backend.splats.train.learnt import GAUSSIANS, START, Learnt, raw
from limelight.backend.splats.train.loop import Settings
from limelight.backend.splats.train.stages import STAGES, VARIANTS, Schedule
from limelight.backend.splats.train.start import first_gaussians
from limelight.backend.splats.train.trainer import Trainer
from limelight.bridge.batch import is_there
from limelight.tests.engine.splats.scenes import Stopping, ball, look_at, sky, write_scene

SETTINGS = {"iterations": 100, "gaussians": 400, "size": 40, "tone": "srgb", "device": "cpu"}


@pytest.fixture(scope="module", autouse=True)
def coarse() -> Iterator[None]:
    """Visibility on a coarse grid: the ball hides nothing, and baking would take longer than all the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visibility, "bake", partial(visibility.bake, cells=16))
        yield


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scene(tmp_path_factory.mktemp("scene"))


def test_results_whose_names_have_points_have_lights_of_their_own() -> None:
    names = ("a.v1.ply", "a.v2.PLY", "a.compressed.ply", "a.spz")
    found = [environment_of(Path(name)).name for name in names]
    assert found == ["a.v1_environment.exr", "a.v2_environment.exr", "a_environment.exr", "a_environment.exr"]


def test_a_cancel_is_heard_while_pictures_are_read(scene: Path, tmp_path: Path) -> None:
    class Stopped(SilentReport):
        def check(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        job(scene, tmp_path / "a.ply").read(32, Stopped())


def job(scene: Path, out: Path, **changed: object) -> TrainJob:
    return TrainJob.from_params({"scene": str(scene), "out": str(out), **SETTINGS, **changed})


@pytest.fixture(scope="module")
def trained(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "ball.ply"
    run_train(job(scene, out), SilentReport())
    return out


def test_it_learns_the_scene_and_leaves_what_the_artist_needs(trained: Path) -> None:
    lines = [json.loads(line) for line in (work_folder(trained) / "log.jsonl").read_text().splitlines()]
    first, last = lines[0], lines[-1]
    assert last["psnr"] > first["psnr"] and last["psnr"] > 20.5
    splats = formats.read(trained).splats
    assert splats.material is not None and 50 < len(splats) <= 400
    light, header = exr.read_panorama(trained.with_name("ball_environment.exr"))
    assert header["limelightFrame"] == "world" and bool((light > 0).all())
    for number, stage in enumerate(STAGES):
        assert (work_folder(trained) / f"stage_{number + 1}_{stage.name}.png").is_file()


def test_every_stage_moves_what_it_learns_and_nothing_else(scene: Path, tmp_path: Path) -> None:
    schedule, before = Schedule(SETTINGS["iterations"]), {}  # type: ignore[arg-type]
    for number, stage in enumerate(STAGES):
        out = tmp_path / "a.ply"
        # Near the stage's end Gaussians are neither added nor removed, and all harmonics are there.
        start = schedule.bounds[number + 1] - 6
        for part in (start, start + 4):
            reached = 0
            saved = work_folder(out) / "checkpoint.safetensors"
            if saved.exists():
                reached = int(checkpoint.header(saved)["step"])
            with pytest.raises(Cancelled):
                run_train(job(scene, out), Stopping(part - reached, scene))
            state = checkpoint.load(saved, "cpu")
            if part == start:
                before = state
        for name in (*GAUSSIANS, "environment"):
            moved = not torch.equal(before[f"value.{name}"], state[f"value.{name}"])
            assert moved == (name in stage.learnt), f"{name} in stage {stage.name}"
        assert ("visibility.grid" in state) == stage.diffuse


def test_a_run_that_goes_on_ends_as_an_unbroken_one(scene: Path, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "ball.ply"
    with pytest.raises(Cancelled):
        run_train(job(scene, out), Stopping(45, scene))
    assert not out.exists()
    answer = run_train(job(scene, out), SilentReport())
    assert answer["resumed_at"] == 45
    whole, broken = formats.read(trained).splats, formats.read(out).splats
    assert len(whole) == len(broken)
    torch.testing.assert_close(torch.from_numpy(whole.means), torch.from_numpy(broken.means), atol=1e-4, rtol=1e-3)


def test_a_trained_file_stands_for_the_first_stage(scene: Path, trained: Path, tmp_path: Path) -> None:
    answer = run_train(job(scene, tmp_path / "b.ply", start=str(trained), iterations=40), SilentReport())
    assert "radiance" not in answer["psnr"] and answer["psnr"]["joint"] > 20


def test_a_file_with_y_up_shows_the_scene_upright(scene: Path, trained: Path, tmp_path: Path) -> None:
    run_train(job(scene, tmp_path / "ball.glb"), SilentReport())
    upright, learnt = (
        torch.from_numpy(formats.read(path).splats.means.copy()) for path in (tmp_path / "ball.glb", trained)
    )
    # The same is learnt, whatever the file.
    x, y, z = learnt.unbind(1)
    torch.testing.assert_close(upright, torch.stack([x, z, -y], 1), atol=1e-4, rtol=1e-3)


def test_other_settings_and_results_that_are_there_are_refused(scene: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is there already"):
        run_train(job(scene, trained), SilentReport())
    with pytest.raises(Cancelled):
        run_train(job(scene, tmp_path / "c.ply"), Stopping(2, scene))
    with pytest.raises(BadInput, match="was made with iterations 100, not 90"):
        run_train(job(scene, tmp_path / "c.ply", iterations=90), SilentReport())


def test_a_list_passes_over_splats_that_were_learnt_alike(scene: Path, trained: Path) -> None:
    asked = {"scene": str(scene), "out": str(trained), **SETTINGS}
    assert is_there("splat_train", asked) and is_there("splat_train", {**asked, "seed": None, "overwrite": True})
    for change in ({"iterations": 90}, {"size": None}, {"scene": str(scene.parent)}, {"start": str(trained)}):
        assert not is_there("splat_train", {**asked, **change}), change


def test_a_run_that_was_killed_before_all_was_written_is_finished(scene: Path, tmp_path: Path, monkeypatch) -> None:
    asked, whole = job(scene, tmp_path / "b.ply", iterations=40), TrainJob.finish

    def killed(job: TrainJob) -> None:
        monkeypatch.setattr(TrainJob, "finish", whole)
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainJob, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        run_train(asked, SilentReport())
    assert asked.out.is_file() and not is_there("splat_train", {"scene": str(scene), "out": str(asked.out)})
    assert run_train(asked, SilentReport())["resumed_at"] == 40
    with pytest.raises(BadInput, match="is there already"):
        run_train(asked, SilentReport())


def test_a_broken_run_goes_on_from_another_folder_and_where_the_project_was_moved_to(tmp_path: Path, monkeypatch):
    def at(project: Path | str) -> TrainJob:
        return TrainJob(Path(project) / "capture", Path(project) / "out.ply")

    (tmp_path / "a").mkdir()
    monkeypatch.chdir(tmp_path)
    begun = at("a")
    checkpoint.save(begun.folder / checkpoint.NAME, {"step": torch.zeros(1)}, begun.header({}))
    assert at(tmp_path / "a").unfinished(begun.out, at(tmp_path / "a").header({}))
    (tmp_path / "a").rename(tmp_path / "b")
    assert at("b").unfinished(at("b").out, at("b").header({}))
    other = replace(at("b"), scene=Path("other"))
    with pytest.raises(BadInput, match="was made with scene"):
        other.unfinished(other.out, other.header({}))


def test_the_budget_is_shared_as_the_method_has_it() -> None:
    schedule = Schedule(75_000)
    assert schedule.bounds == [0, 30_000, 60_000, 70_000, 75_000]
    assert schedule.haste(schedule.at(0)) == 1 and Schedule(750).haste(Schedule(750).at(0)) > 1
    assert Schedule(450, radiance=False).at(0).stage.name == "specular"


def test_more_gaussians_come_where_gradients_ask() -> None:
    learnt = Learnt(raw(ball(100)), torch.zeros(6, 4, 4, 3))
    watch = density.Density(learnt, 130)
    asked = torch.zeros(100)
    asked[:10] = 1.0
    watch.watch(torch.stack([asked, 0 * asked], -1), torch.ones(100, dtype=torch.bool), 40)
    learnt.values["opacity"].data[50:60] = -9.0
    watch.refine(learnt, extent=4.0, prune_large=False)
    # Ten split in two, ten too faint are gone.
    assert learnt.count == 100 + 10 - 10
    watch.total += 1
    watch.seen += 1
    watch.refine(learnt, extent=4.0, prune_large=False)
    assert learnt.count <= 130


def test_mirrors_spread_and_the_dull_lose_their_colour() -> None:
    truth = ball(60)
    truth["progress"] = torch.cat([torch.full((30,), 0.5), torch.full((30,), 0.001)])
    truth["opacity"] = torch.full((60,), 0.3)
    learnt = Learnt(raw(truth), torch.zeros(6, 4, 4, 3))
    before = {name: value.detach().clone() for name, value in learnt.values.items()}
    density.propagate(learnt)
    grown = (learnt.values["scales"] - before["scales"]).exp().detach()
    torch.testing.assert_close(grown[:30], torch.tensor([1.5, 1.5, 1.0]).expand(30, 3))
    torch.testing.assert_close(grown[30:], torch.ones(30, 3))
    assert float(torch.sigmoid(learnt.values["opacity"].detach()).min()) == pytest.approx(0.9, abs=1e-3)
    changed = (learnt.values["sh_base"] != before["sh_base"]).flatten(1).any(-1)
    assert not changed[:30].any() and changed[30:].all()


def test_losses_are_what_they_are_named() -> None:
    a = torch.rand(24, 24, 3, generator=torch.Generator().manual_seed(0))
    assert float(losses.picture(a, a)) == pytest.approx(0, abs=1e-6)
    assert float(losses.dissimilarity(a, 1 - a)) > 0.5
    assert float(losses.white(torch.ones(6, 4, 4, 3))) == 0
    ramp, whole = torch.arange(9.0).expand(5, 9)[..., None], torch.ones(5, 9, 1)
    assert float(losses.uneven(ramp, whole)) == pytest.approx(5 * 8 / 45)
    assert float(losses.uneven(ramp, 0.5 * whole)) == 0
    assert float(losses.white(torch.tensor([1.0, 0, 0]).expand(6, 4, 4, 3))) == pytest.approx(4 / 3)


def test_cameras_look_at_the_middle(scene: Path) -> None:
    middle, extent = read_scene(scene, 40).middle_and_extent()
    torch.testing.assert_close(middle, torch.zeros(3), atol=1e-2, rtol=0)
    assert extent == pytest.approx(4, abs=0.05)


def test_a_masked_scene_begins_on_the_hull_facing_outwards(scene: Path) -> None:
    views = read_scene(scene, 40)
    found = first_gaussians(views, 300, 0)
    places, shortest = found["means"], found["scales"].argmin(-1)
    axes = rotations(found["quats"]).gather(2, shortest[:, None, None].expand(-1, 3, 1))[..., 0]
    # The ball of radius 1 in 12 views of 40 pixels.
    assert float(places.norm(dim=-1).mean()) == pytest.approx(1.05, abs=0.06)
    assert float((torch.nn.functional.normalize(places, dim=-1) * axes).sum(-1).mean()) > 0.98
    bare = replace(views, train=[replace(view, cover=None) for view in views.train])
    assert float(first_gaussians(bare, 300, 0)["means"].norm(dim=-1).std()) > 0.1


def test_normals_are_held_to_the_slope_of_the_depth() -> None:
    camera = SplatCamera.from_pose(Camera.from_fov(24, 16, 40), look_at(torch.tensor([2.0, -3, 2])))
    normal = torch.nn.functional.normalize(torch.tensor([0.5, -0.6, 0.6]), dim=0)
    along = -(camera.position @ normal) / (camera.rays @ normal)
    depth = (along * (camera.rays @ -camera.world_to_camera[2, :3]))[..., None]
    whole = torch.ones_like(depth)
    assert float(losses.slope(normal.expand(16, 24, 3), depth, whole, camera)) == pytest.approx(0, abs=1e-5)
    assert float(losses.slope(-normal.expand(16, 24, 3), depth, whole, camera)) > 1.5
    assert float(losses.slope(-normal.expand(16, 24, 3), depth, 0.5 * whole, camera)) == 0


def handed_over(learnt: Learnt, views: Scene, folder: Path) -> int:
    """Hand over before any light is learnt; returns how many were undecided."""
    trainer = Trainer(views, learnt, learnt.count, Settings(Schedule(60), "srgb", 0, "cpu", folder, {}))
    told = hand_over(trainer.places(), learnt.radiance().detach())
    learnt.take(told)
    assert (told.light is None) != views.masked
    return told.concerned


def test_undecided_colours_are_handed_over_and_decided_materials_stay(scene: Path, tmp_path: Path) -> None:
    truth = ball(200)
    colour = torch.where(truth["means"][:, 2:] > 0, torch.tensor([0.6, 0.3, 0.2]), torch.tensor([0.2, 0.5, 0.4]))
    truth["sh"][:, 0] = (srgb_oetf(0.5 * colour) - 0.5) / DC
    truth["progress"] = torch.full((200,), 0.01)
    truth["metallic"] = torch.full((200,), 0.9)
    truth["progress"][:40] = 0.8
    # To the specular stage all was mirrors: what it decided of others than metals does not count.
    truth["metallic"][20:40] = 0.1
    truth["metallic"][-1] = START["metallic"]
    learnt = Learnt(raw(truth), torch.full((6, 8, 8, 3), 2.0).log())
    views = read_scene(scene, 40)
    bare = replace(views, train=[replace(view, cover=None) for view in views.train])
    assert handed_over(learnt, bare, tmp_path) == 180
    cloud = learnt.cloud()
    torch.testing.assert_close(cloud["albedo"][:20], truth["albedo"][:20].clamp(1e-4, 1 - 1e-4), atol=1e-4, rtol=0)
    # Under even light albedo is proportional to the colour, whatever the light's level.
    share = cloud["albedo"][20:] / colour[20:]
    torch.testing.assert_close(share, share.mean().expand_as(share), rtol=0.02, atol=0)
    sent_back = cloud["albedo"][20:] * learnt.radiance().mean()
    torch.testing.assert_close(sent_back, 0.5 * colour[20:], rtol=0.03, atol=0)
    assert float(cloud["progress"].detach()[20:].min()) > 0.3
    torch.testing.assert_close(cloud["metallic"][:-1], truth["metallic"][:-1], atol=1e-3, rtol=0)
    assert float(cloud["metallic"][-1].detach()) == pytest.approx(evidence.UNKNOWN, abs=1e-3)


def test_light_is_told_from_paint_where_no_metal_mirrors_it(tmp_path: Path) -> None:
    dull = ball(600) | {"metallic": torch.full((600,), 0.02), "roughness": torch.full((600,), 0.9)}
    views = read_scene(write_scene(tmp_path / "dull", cloud=dull, views=40), 40)
    learnt = Learnt(raw(dull | {"progress": torch.full((600,), 0.01)}), torch.zeros(6, 16, 16, 3))
    assert handed_over(learnt, views, tmp_path) == 600
    lights = (Light(radiance).harmonics() for radiance in (learnt.radiance().detach(), sky(16)))
    towards = [light[1:4].mean(-1) for light in lights]
    assert float(torch.cosine_similarity(*towards, dim=0)) > 0.9
    _, known = evidence.dull(evidence.gather(views, dull, views.middle_and_extent()[1]))
    for half in (dull["means"][:, 2] > 0.1, dull["means"][:, 2] < -0.1):
        lit = irradiance(Light(sky(16)).harmonics(), dull["means"][half & known]).mean(-1).log()
        found = learnt.cloud()["albedo"].detach()[half & known].mean(-1).log()
        assert float(found.std()) < 0.5 * float(lit.std())


def test_the_light_that_shading_told_is_held_to_and_survives_a_break(scene: Path, tmp_path: Path) -> None:
    views, settings = read_scene(scene, 40), Settings(Schedule(60), "srgb", 0, "cpu", tmp_path, {})
    first, again = (Trainer(views, Learnt(raw(ball(100)), torch.zeros(6, 16, 16, 3)), 100, settings) for _ in range(2))
    first.step = settings.schedule.bounds[2] + 1
    # All else asks for white light, as it begins.
    first.light = Light(first.learnt.radiance().detach() * torch.tensor([1.6, 1.0, 1.0])).harmonics()
    first.save()
    again.resume(tmp_path / checkpoint.NAME)

    def off() -> float:
        assert again.light is not None
        return float(losses.departure(Light(again.learnt.radiance().detach()).harmonics(), again.light))

    before = off()
    assert before == pytest.approx((1 - 1.6 / 1.2) ** 2 + 2 * (1 - 1 / 1.2) ** 2, rel=0.01)
    assert float(losses.departure(2 * again.light, again.light)) == pytest.approx(0, abs=1e-9)
    for _ in range(15):
        again.update(settings.schedule.at(again.step))
        again.step += 1
    assert off() < 0.6 * before


def test_variants_lack_what_they_are_named_for() -> None:
    assert Schedule(1000, True, VARIANTS["plain"]).bounds == [0, 1000, 1000, 1000, 1000]
    held = Schedule(1000, True, VARIANTS["undistilled"])
    assert "progress" not in held.rates(held.at(700), 1.0) and "progress" in Schedule(1000).rates(held.at(700), 1.0)
    assert Schedule(1000, True, VARIANTS["no specular stage"]).at(300).stage.name == "diffuse"
    with pytest.raises(BadInput, match="no variant"):
        TrainJob(Path("a"), Path("b.ply"), variant="best")
