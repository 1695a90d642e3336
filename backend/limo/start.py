# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the fit starts: in closed form, the compact sources apart from the light that the mirror resolves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..optics.sphere import SphereView
from .merge import merge_bracket, unwrap
from .renderer import Renderer
from .sharpen import sharpen
from .source_fit import Remainder, compact, refine
from .source_search import Sightings, search
from .sources import Sources

#: The least radiance: far below what EV 0 shows as black.
DARKEST = 2.0**-12
#: The resolved light is at most this many times brighter than the brightest pixel near.
_HIGHEST = 1.2
#: How often the sources are refined by both spheres; each time the diffuse one counts for more.
_TURNS = 2


@dataclass(frozen=True, eq=False)
class Start:
    """A first answer. panorama: (N, 2N, 3), to which ``sources`` are added.

    rest, shown: (P, 3) what the mirror's masked pixels show of either; ``rest`` is nothing without a mirror.
    clipped: bool, whether the mirror does not tell all.
    """

    panorama: Tensor
    sources: Sources
    shown: Tensor
    rest: Tensor | None = None
    clipped: bool = True


def start_from_diffuse(renderer: Renderer, diffuse: Tensor, evs: tuple[float, ...]) -> Start:
    """Grey light of the mean that the diffuse sphere's masked pixels (E, P, 3) show."""
    level = merge_bracket(diffuse, evs)[0].mean(0).clamp(min=DARKEST)
    grey = level.expand(renderer.height, 2 * renderer.height, 3).clone()
    return Start(grey, Sources.none(), torch.zeros_like(diffuse[0]))


def start_from_mirror(
    renderer: Renderer,
    mirror: Tensor,
    evs: tuple[float, ...],
    diffuse: Tensor | None = None,
    diffuse_evs: tuple[float, ...] = (),
) -> Start:
    """The merged, unwrapped, sharpened mirror (E, P, 3), and the sources that it and the diffuse sphere tell apart."""
    found = look(renderer.view, mirror, evs, diffuse, diffuse_evs, renderer.normals)
    return found.settled(renderer, found.compact)


@dataclass(frozen=True, eq=False)
class Found:
    """Candidates for compact sources K in a mirror's picture, before it is decided which are some.

    first: from the mirror alone; sources: with the diffuse sphere; compact: (K,) bool, which are real and compact.
    """

    sightings: Sightings
    first: Sources
    sources: Sources

    @property
    def compact(self) -> Tensor:
        """Which candidates are real and smaller than the mirror resolves, by this picture alone: (K,) bool."""
        return compact(self.sightings, self.sources)

    def settled(self, renderer: Renderer, chosen: Tensor) -> Start:
        """The start with the ``chosen`` candidates, (K,) bool, as sources, and the rest resolved."""
        sightings, sources = self.sightings.only(chosen), self.sources[chosen]
        rest, clipped = sightings.rest(self.first[chosen]), self.sightings.clipped
        panorama = _resolved(renderer, rest, clipped)
        return Start(panorama, sources, sightings.shown(sources), rest, bool(clipped.any()))


def look(
    view: SphereView,
    mirror: Tensor,
    evs: tuple[float, ...],
    diffuse: Tensor | None = None,
    diffuse_evs: tuple[float, ...] = (),
    normals: Tensor | None = None,
) -> Found:
    """The candidates for compact sources in a mirror's masked pixels (E, P, 3), refined by the diffuse sphere's.

    ``normals`` (Q, 3) of its pixels (E, Q, 3) are those of ``view`` unless given.
    """
    seen, clipped = merge_bracket(mirror, evs)
    sightings = search(view, seen, clipped)
    first = sources = refine(sightings, sightings.first_guess())
    if diffuse is not None and len(sources):
        lit, burnt = merge_bracket(diffuse, diffuse_evs)
        usable = ~burnt.any(-1)
        normals = (view.normals[view.mask] if normals is None else normals)[usable]
        # What the mirror alone takes for the rest stays the rest: else either could grow at the other's expense.
        explained = mirror_to_diffuse(view, normals) @ sightings.rest(first)
        for _ in range(_TURNS):
            sources = refine(sightings, sources, Remainder(normals, lit[usable], explained))
    return Found(sightings, first, sources)


def mirror_to_diffuse(view: SphereView, normals: Tensor) -> Tensor:
    """(Q, P): what a diffuse sphere of albedo 1 shows at ``normals`` (Q, 3) when the mirror's masked pixels show 1.

    What no pixel shows, behind the sphere, is as bright as the mirror is on average: all moments sum to zero.
    """
    moments = view.mirrored_moments[view.mask]
    hidden = -moments.sum(0) / moments.shape[0]
    return ((normals @ moments.T).clamp(min=0) + (normals @ hidden).clamp(min=0)[:, None]) / math.pi


def unwrapped(view: SphereView, pixels: Tensor, height: int, reach: int = 0) -> Tensor:
    """Masked pixels (P, 3) as a positive panorama (height, 2·height, 3); each the brightest within ``reach`` pixels."""
    picture = torch.full((view.size, view.size, 3), DARKEST)
    picture[view.mask] = pixels.clamp(min=DARKEST)
    if reach:
        wide = F.max_pool2d(picture.permute(2, 0, 1)[None], 2 * reach + 1, stride=1, padding=reach)
        picture = wide[0].permute(1, 2, 0)
    return torch.exp2(unwrap(picture.log2(), view, height))


def _resolved(renderer: Renderer, pixels: Tensor, clipped: Tensor) -> Tensor:
    first = unwrapped(renderer.view, pixels, renderer.height)
    highest = _HIGHEST * unwrapped(renderer.view, pixels, renderer.height, reach=1)
    return sharpen(first, renderer, pixels.clamp(min=DARKEST), clipped, highest)
