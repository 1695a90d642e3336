# SPDX-License-Identifier: GPL-3.0-or-later
"""A smooth rest on top of the morphable head, so that its landmarks meet the photo's.

Points move in the camera's plane alone, as the photo tells nothing of depth: the landmarks pull by what they miss, and
the mesh resists being bent (squared Laplacian) and being moved at all. Both are quadratic: one sparse solve.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix, diags, identity
from scipy.sparse.linalg import splu
from torch import Tensor

from .fit_landmarks import Laid, LandmarkFit
from .head import HeadModel

#: How the mesh resists bending, and moving, against a landmark's pull of 1.
BEND, MOVE = 10.0, 0.005
#: No landmark pulls by more than this part of the inter-ocular distance.
FARTHEST = 0.12


def offsets(head: HeadModel, fit: LandmarkFit, laid: Laid, bend: float = BEND) -> Tensor:
    """(V, 3) metres in the head frame that bring the head's landmarks of ``laid`` to the photo's."""
    points = fit.shape(laid)
    missed = fit.seen - laid.place(points)
    limit = FARTHEST * fit.unit
    missed = missed * (limit / missed.norm(dim=-1, keepdim=True).clamp(min=limit))
    depth = -laid.camera(points)[:, 2:]
    sideways = missed * missed.new_tensor([1, -1]) * depth / laid.focal
    wanted = torch.cat([sideways, torch.zeros_like(depth)], -1) @ laid.rotation
    return torch.from_numpy(_solve(head, wanted.numpy(), bend)).float()


def _solve(head: HeadModel, wanted: np.ndarray, bend: float) -> np.ndarray:
    """(V, 3): the smoothest field whose landmarks move by ``wanted`` (468, 3) as nearly as its resistance lets them."""
    pull, factor = _system(head, bend)
    return np.asarray(factor.solve(pull.T @ wanted))


@lru_cache(maxsize=4)
def _system(head: HeadModel, bend: float) -> tuple[csr_matrix, splu]:
    """The matrix (468, V) of the landmarks, and the factored system of the solve."""
    count = len(head.mean)
    ring = head.corner_point[head.landmark_corners].numpy()
    rows = np.repeat(np.arange(len(ring)), 3)
    pull = coo_matrix(
        (head.landmark_weights.double().numpy().ravel(), (rows, ring.ravel())), (len(ring), count)
    ).tocsr()
    laplacian = _laplacian(head)
    system = pull.T @ pull + bend * laplacian.T @ laplacian + MOVE * identity(count)
    return pull, splu(system.tocsc())


def _laplacian(head: HeadModel) -> csr_matrix:
    """(V, V): a point minus the mean of its neighbours, the nearer ones counting more. Rows of lone points are zero."""
    quads = head.corner_point[head.faces].numpy()
    start, end = quads.ravel(), np.roll(quads, -1, 1).ravel()
    length = np.linalg.norm(head.mean[start].numpy() - head.mean[end].numpy(), axis=1).clip(1e-4)
    ends = np.concatenate([start, end]), np.concatenate([end, start])
    count = len(head.mean)
    near = coo_matrix((np.tile(1 / length, 2), ends), (count, count)).tocsr()
    total = np.asarray(near.sum(1)).ravel()
    lone = total == 0
    share = diags(1 / np.where(lone, 1, total)) @ near
    return (diags((~lone).astype(float)) - share).tocsr()
