# SPDX-License-Identifier: GPL-3.0-or-later
"""The rasteriser for processors: tiles in parallel, Gaussians by depth, gradients by formula."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import blend, project
from .camera import SplatCamera
from .tiles import TILE, TileLists, sort_into_tiles

#: Gaussians that one task projects.
_CHUNK = 8192


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="splats")


def _each(task: Callable[[int], object], count: int) -> None:
    """Do the tasks 0 … count − 1, by as many threads as torch may use; kernels let go of the interpreter."""
    threads = torch.get_num_threads()
    if threads == 1 or count == 1:
        for number in range(count):
            task(number)
    else:
        list(_pool(threads).map(task, range(count)))


def _ranges(count: int) -> Callable[[int], tuple[int, int]]:
    return lambda chunk: (chunk * _CHUNK, min((chunk + 1) * _CHUNK, count))


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [np.ascontiguousarray(t.detach().numpy()) for t in tensors]


class _Scene:
    """Gaussians as arrays, projected and sorted into tiles."""

    def __init__(self, tensors: tuple[Tensor, ...], camera: SplatCamera) -> None:
        self.means, self.quats, self.scales, opacity, screen, colours = _arrays(*tensors)
        kind, self.count, channels = self.means.dtype, len(self.means), colours.shape[1]
        c = camera.lens
        self.width, self.height, self.across = c.width, c.height, -(-c.width // TILE)
        self.view = np.ascontiguousarray(camera.viewmat[:3].numpy().astype(kind))
        self.lens, self.limits = np.array([c.fx, c.fy, c.cx, c.cy], kind), np.array(camera.limits(), kind)
        self.ellipses, self.boxes = np.zeros((self.count, project.COLUMNS), kind), np.empty((self.count, 4), np.int32)
        self.chunks, bounds, size = -(-self.count // _CHUNK), _ranges(self.count), np.array([c.width, c.height])
        _each(
            lambda k: project.forward(*bounds(k), self.means, self.quats, self.scales, opacity, screen, self.view,
                                      self.lens, self.limits, size, self.ellipses, self.boxes),
            self.chunks,
        )  # fmt: skip
        self.tiles: TileLists = sort_into_tiles(self.ellipses, self.boxes, c.width, c.height)
        # The last channel is the depth; then zeros up to a multiple of four.
        self.channels = channels + 1
        self.colours = np.zeros((self.count, -(-self.channels // 4) * 4), kind)
        self.colours[:, :channels], self.colours[:, channels] = colours, self.ellipses[:, project.DEPTH]

    def draw(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Channels (H, W, D + 1), what passes (H, W) in double, drawn (N,)."""
        image = np.zeros((self.height, self.width, self.colours.shape[1]), self.means.dtype)
        light, drawn = np.ones((self.height, self.width)), np.zeros(self.count, np.bool_)
        starts, members = self.tiles.starts, self.tiles.members
        _each(
            lambda tile: blend.forward(tile, self.across, starts, members, self.ellipses, self.boxes, self.colours,
                                       image, light, drawn),
            len(starts) - 1,
        )  # fmt: skip
        return image, light, drawn

    def gradients(self, image: np.ndarray, light: np.ndarray, g_image: np.ndarray, g_alpha: np.ndarray) -> np.ndarray:
        """(N, 8 + D): of every ellipse and its colours, for those of :meth:`draw`'s picture and its coverage."""
        behind = np.einsum("yxc,yxc->yx", image, g_image, dtype=np.float64) + g_alpha * (1 - light)
        starts, members, slots, firsts = self.tiles
        width = project.COLUMNS + self.colours.shape[1]
        parts = np.zeros((len(slots), width), self.means.dtype)
        out, bounds = np.zeros((self.count, width), self.means.dtype), _ranges(self.count)
        _each(
            lambda tile: blend.backward(tile, self.across, starts, members, slots, self.ellipses, self.boxes,
                                        self.colours, g_image, g_alpha, behind, parts),
            len(starts) - 1,
        )  # fmt: skip
        _each(lambda k: blend.gather(*bounds(k), firsts, parts, out), self.chunks)
        out[:, project.DEPTH] = out[:, project.COLUMNS + self.channels - 1]
        return out

    def unproject(self, g: np.ndarray) -> list[np.ndarray]:
        """Gradients of means, quats and scales from those of ellipses and depths."""
        found = [np.zeros_like(array) for array in (self.means, self.quats, self.scales)]
        bounds = _ranges(self.count)
        _each(
            lambda k: project.backward(*bounds(k), self.means, self.quats, self.scales, self.view, self.lens,
                                       self.limits, self.ellipses, g, *found),
            self.chunks,
        )  # fmt: skip
        return found


class Tiled(torch.autograd.Function):
    """means, quats (unit), scales, opacity, screen (N, 2), colours (N, D) → picture (H, W, D + 1) whose last channel
    is the depth, coverage (H, W), drawn (N,)."""

    @staticmethod
    def forward(ctx: Any, camera: SplatCamera, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scene = _Scene(tensors, camera)
        image, light, drawn = scene.draw()
        ctx.scene, ctx.image, ctx.light = scene, image, light
        outs = torch.from_numpy(image[..., : scene.channels]), torch.from_numpy(1 - light).to(tensors[0].dtype)
        seen = torch.from_numpy(drawn)
        ctx.mark_non_differentiable(seen)
        return *outs, seen

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        scene: _Scene = ctx.scene
        g_image = np.zeros_like(ctx.image)
        g_image[..., : scene.channels] = grads[0].numpy()
        g = scene.gradients(ctx.image, ctx.light, g_image, np.ascontiguousarray(grads[1].numpy()))
        means, quats, scales = (torch.from_numpy(array) for array in scene.unproject(g))
        rest = torch.from_numpy(g)
        first = project.COLUMNS
        return (None, means, quats, scales, rest[:, project.OPACITY], rest[:, : 2],
                rest[:, first : first + scene.channels - 1])  # fmt: skip
