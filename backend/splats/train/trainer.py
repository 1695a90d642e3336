# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop: a view, a picture of it, what is wrong with it, a step; and now and then more or fewer Gaussians."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...limo.report import Report
from .. import render
from ..inputs import Scene, View
from ..raster.dense import rotations
from ..shading import visibility
from ..shading.environment import Light
from . import density, evidence, losses, sheet
from .density import Density
from .handover import Places, Told, base_colour, begin, outward
from .learnt import Learnt
from .loop import Compared, Loop, Settings
from .parameters import logit
from .stages import Place

#: Visible harmonics grow by a degree each so many iterations of the full schedule.
_DEGREE = 1000
#: Parts of a stage: Gaussians change until the first; mirrors spread until the second.
_CHANGE_UNTIL, _SPREAD_UNTIL = 0.5, 0.8
#: Iterations of the full schedule between changes, fadings and spreadings of mirrors; the least between each. After a
#: spreading it takes a while until pictures are what they were.
_REFINE, _REFINE_SPREADING, _FADE, _SPREAD = (100, 20), (500, 40), (3000, 600), (1000, 200)
#: Opacity rests after a spreading for this part of the time between two.
_REST = 0.2
#: Gaussians of which more is solid.
_SOLID = 0.3
#: The part of the first stage in which nothing holds normals to the slope: flat from the start, what begins on the
#: masks' hull would not leave it for a hollow.
_SHAPELESS = 0.5


class Trainer(Loop):
    """Splats on their way; of ``most`` Gaussians."""

    learnt: Learnt

    def __init__(self, scene: Scene, learnt: Learnt, most: int, settings: Settings) -> None:
        super().__init__(scene, learnt, settings)
        self.variant = settings.schedule.variant
        self._hold_progress()
        self.density = Density(learnt, most)
        self.extent = scene.middle_and_extent()[1] * 1.1

    def counts(self) -> dict[str, int]:
        """Gaussians."""
        return {"gaussians": self.learnt.count}

    def state(self) -> dict[str, Tensor]:
        """With the watched gradients."""
        return super().state() | {"density.total": self.density.total, "density.seen": self.density.seen}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Also where to watch from."""
        super().restore(state)
        self.density.total, self.density.seen = state["density.total"], state["density.seen"]

    def update(self, place: Place) -> float:
        """One iteration; returns its loss."""
        # Every iteration has its own number, so that a run that goes on draws what an unbroken one would.
        torch.manual_seed(self.settings.seed * 7_919 + self.step)
        self.prepare(place)
        view, background = self.view(), self.background(random=True)
        screen = torch.zeros(self.learnt.count, 2, device=background.device, requires_grad=True)
        image, maps = self.picture(place, view, background, screen)
        truth = view.over(background)
        loss = losses.picture(image, truth)
        loss = loss + self._surface(place, view, maps)
        if place.stage.physical:
            loss = loss + self._priors(place, view, maps)
            if self.settings.schedule.short and self.variant.progress is None:
                # Harmonics hold no mirror's picture: held to it, its surface would go astray.
                dull = 1 - torch.sigmoid(self.learnt.values["metallic"].detach()).mean()
                alone = losses.picture(render.plain(maps, background), truth)
                loss = loss + losses.SHORT_RAW * dull * alone
        loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            if place.stage.dense and screen.grad is not None:
                self.density.watch(screen.grad, maps.drawn, view.camera.lens.width)
            self.learnt.step()
            self.after(place)
        return float(loss.detach())

    def prepare(self, place: Place) -> None:
        """Learning rates; and the visibility, before the first iteration that needs it."""
        rates = self.settings.schedule.rates(place, self.extent)
        if place.stage.name == "joint" and not self.scene.masked:
            del rates["environment"]
        if self.variant.spread and self._spreading(place) and place.step >= self._between(place, _SPREAD):
            since = place.step % self._between(place, _SPREAD)
            if since < _REST * self._between(place, _SPREAD):
                # Not 0: Adam would go on, but the parameter must keep its place in the graph.
                rates["opacity"] = 1e-12
        self.learnt.rates(rates)
        if place.stage.diffuse and self.variant.hidden and self.visibility is None:
            with torch.no_grad():
                cloud = self.learnt.cloud()
                axes = rotations(cloud["quats"])
                self.visibility = visibility.bake(cloud["means"], axes, cloud["scales"], cloud["opacity"])
        self.hand_over()

    def take(self, told: Told) -> None:
        """With the variant's progress."""
        super().take(told)
        self._hold_progress()

    @torch.no_grad()
    def metals(self) -> Told:
        """Told of Gaussians."""
        cloud = self.learnt.cloud()
        found = evidence.gather(self.scene, cloud, self.extent)
        return begin(found, cloud["means"], self.scene.masked, self.learnt.values["environment"].shape[1])

    @torch.no_grad()
    def places(self) -> Places:
        """The Gaussians."""
        cloud = self.learnt.cloud()
        normals = outward(cloud, self.visibility)
        hidden = None if self.visibility is None else self.visibility.at(cloud["means"], normals)
        shown, known = base_colour(cloud["sh"][:, 0]), torch.zeros_like(cloud["progress"], dtype=torch.bool)
        if self.scene.masked:
            dull, known = evidence.dull(evidence.gather(self.scene, cloud, self.extent))
            shown = torch.where(known[:, None], dull, shown)
        return Places(normals, hidden, shown, known, cloud["metallic"], cloud["progress"], cloud["opacity"] > _SOLID)

    def _hold_progress(self) -> None:
        """A variant may have it at one value for all."""
        if self.variant.progress is not None:
            held = torch.full_like(self.learnt.values["progress"], self.variant.progress)
            self.learnt.put("progress", logit(held))

    def _between(self, place: Place, full_and_least: tuple[int, int]) -> int:
        return self.settings.schedule.interval(place, *full_and_least)

    def _spreading(self, place: Place) -> bool:
        return place.stage.physical and place.stage.dense and place.fraction < _SPREAD_UNTIL

    def after(self, place: Place) -> None:
        """What happens to the cloud after an iteration."""
        if not place.stage.dense:
            return
        step, spreading = place.step + 1, place.stage.physical
        until = _SPREAD_UNTIL if spreading else _CHANGE_UNTIL
        if place.fraction < until:
            if step % self._between(place, _REFINE_SPREADING if spreading else _REFINE) == 0:
                full = step >= self._between(place, _FADE) and place.steps >= 10_000
                self.density.refine(self.learnt, self.extent, prune_large=full)
            if spreading and self.variant.spread and step % self._between(place, _SPREAD) == 0:
                density.propagate(self.learnt)
            elif not spreading and step % self._between(place, _FADE) == 0:
                density.fade(self.learnt)

    def background(self, random: bool = False) -> Tensor:
        """(3,): behind masked objects anything, so that nothing can hide in it, or white to look at; else black."""
        if not self.scene.masked:
            return torch.zeros(3, device=self.settings.device)
        return torch.rand(3).to(self.settings.device) if random else torch.ones(3, device=self.settings.device)

    def picture(
        self, place: Place, view: View, background: Tensor, screen: Tensor | None = None
    ) -> tuple[Tensor, render.Maps]:
        """Display values (H, W, 3) as this stage draws them, and the maps."""
        cloud = self.learnt.cloud()
        if not place.stage.physical:
            degree = min(3, place.step // self._between(place, (_DEGREE, 5)))
            shaped = self.settings.schedule.short and self.variant.slope
            maps = render.draw(cloud, view.camera, material=shaped, degree=degree, screen=screen)
            return render.plain(maps, background), maps
        found = self.physical(place, view, background, screen)
        return found.image, found.maps

    def physical(self, place: Place, view: View, background: Tensor, screen: Tensor | None = None) -> render.Picture:
        """The blend of physical shading and raw radiance, and its parts."""
        cloud = self.learnt.cloud()
        if not place.stage.diffuse:
            cloud["metallic"] = torch.ones_like(cloud["metallic"])
        maps = render.draw(cloud, view.camera, material=True, screen=screen)
        light = Light(self.learnt.radiance())
        return render.physical(
            maps, view.camera, light, background, visibility=self.visibility, diffuse=place.stage.diffuse,
            tone=self.settings.tone,
        )  # fmt: skip

    def _surface(self, place: Place, view: View, maps: render.Maps) -> Tensor:
        """What shapes a surface beside the pictures. A long budget leaves the first stage to radiance alone."""
        loss, short = maps.alpha.new_zeros(()), self.settings.schedule.short
        if maps.material is None or not (short or place.stage.physical):
            return loss
        if self.variant.slope:
            weight = losses.SLOPE
            if short:
                shaped = 1.0 if place.stage.physical else (place.fraction - _SHAPELESS) / (1 - _SHAPELESS)
                weight = losses.SHORT_SLOPE * max(0.0, shaped)
            loss = loss + weight * losses.slope(maps.channel("normal"), maps.depth, maps.alpha, view.camera)
        if short and self.variant.even:
            if self.scene.masked:
                away = (maps.alpha[..., 0] - view.mask(loss.device)).abs().mean()
                loss = loss + losses.SHORT_MASK * away
            if place.stage.physical:
                for name, weight in losses.SHORT_EVEN.items():
                    loss = loss + weight * losses.uneven(maps.channel(name), maps.alpha)
            if place.stage.diffuse:
                roughness, metallic = maps.channel("roughness"), maps.channel("metallic")
                loss = loss + losses.SHORT_POLISH * losses.unpolished(roughness, metallic, maps.alpha)
        return loss

    def _priors(self, place: Place, view: View, maps: render.Maps) -> Tensor:
        """The progress goes to 1 on the object, the light to what it is likely to be."""
        loss = self.light_prior(place)
        if place.stage.diffuse and self.variant.pushed and (self.scene.masked or place.stage.name == "joint"):
            assert maps.material is not None
            weight = losses.SHORT_PROGRESS if self.settings.schedule.short else losses.PROGRESS
            loss = loss + weight * ((maps.material[..., 5] - view.mask(loss.device)) ** 2).mean()
        return loss

    def compare(self, place: Place, view: View) -> Compared:
        """Over what masks are looked at."""
        background = self.background()
        image, truth = self.picture(place, view, background)[0].clamp(0, 1), view.over(background)
        return Compared(image, truth, ((image - truth) ** 2).mean())

    @torch.no_grad()
    def finish_stage(self, place: Place, report: Report) -> None:
        """The look at a stage's end, and a sheet of every part of the picture."""
        super().finish_stage(place, report)
        path = self.settings.folder / f"stage_{place.number + 1}_{place.stage.name}.png"
        rows: list[Mapping[str, Tensor]] = []
        for view in self.looked_at():
            background = self.background()
            found = self.physical(place, view, background)
            image = found.image if place.stage.physical else self.picture(place, view, background)[0]
            rows.append({"truth": view.over(background), "picture": image, **sheet.parts(found)})
        sheet.write(path, rows)
