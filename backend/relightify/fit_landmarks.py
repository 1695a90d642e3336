# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay the head's landmarks under a photo's: pose, camera, identity and expression at once, by damped Gauss-Newton.

Everything is in units of the photo's inter-ocular distance (between the outer corners of the eyes), so that a face of
any size is fitted alike. Expressions keep to 0..1; identity is drawn to N(0, 1), expressions to zero, an unknown
field of view to that of a portrait lens. Landmarks of the contour slide along it when a head turns, so that only
their distance to it counts much. Single landmarks that fit badly lose weight (Geman-McClure).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .head import HeadModel
from .landmarks import EYES

#: MediaPipe's oval around the face, clockwise in the picture from the middle of the forehead.
OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149,
        150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
#: Weights of the oval's landmarks across and along it; every other landmark has 1.
ACROSS, ALONG = 0.5, 0.1
#: What a landmark's error counts against the priors: several times its scatter, as neighbours err alike.
SPREAD = 0.06
#: Errors far above this, in inter-ocular distances, belong to landmarks that are wrong.
OUTLIER = 0.1
#: Spread of expressions about zero.
EXPRESSION = 0.35
#: Horizontal and vertical field of view of the longer side, degrees, if unknown, and spread of the focal length's log.
PORTRAIT_FOV, FOCAL_SPREAD = 35.0, 0.3
POSE = 7


@dataclass(frozen=True)
class Laid:
    """A head under a photo: ``identity`` (K,), ``expression`` (E,); ``rotation`` (3, 3), ``translation`` (3,) metres to
    the camera frame; ``focal`` in pixels. Double precision."""

    identity: Tensor
    expression: Tensor
    rotation: Tensor
    translation: Tensor
    focal: float

    def camera(self, points: Tensor) -> Tensor:
        """(…, 3) in the camera frame, of points (…, 3) in the head frame."""
        return points @ self.rotation.T + self.translation

    def place(self, points: Tensor) -> Tensor:
        """(…, 2) pixels right of and below the photo's middle, of points (…, 3) in the head frame."""
        seen = self.camera(points)
        return self.focal * seen[..., :2] / -seen[..., 2:] * seen.new_tensor([1, -1])


class LandmarkFit:
    """The fit of one set of landmarks; ``offsets`` (468, 3) metres are added to the head's landmarks."""

    def __init__(
        self, head: HeadModel, pixels: Tensor, size: tuple[int, int], focal: float | None, offsets: Tensor | None = None
    ) -> None:
        """``pixels`` (468, 2) in a picture of ``size``; ``focal`` in pixels, None to estimate it."""
        self.mean = head.landmarks(head.mean).double() + (0 if offsets is None else offsets.double())
        self.identity = head.landmarks(head.identity).double()
        self.expression = head.landmarks(head.expression).double()
        self.seen = pixels.double() - torch.tensor(size, dtype=torch.float64) / 2
        self.unit = float((self.seen[EYES[0]] - self.seen[EYES[1]]).norm())
        self.known = focal is not None
        self.usual = focal or max(size) / 2 / math.tan(math.radians(PORTRAIT_FOV) / 2)
        self.weight = self._weights()

    def _weights(self) -> Tensor:
        """(468, 2, 2): what turns an error in pixels into one that counts, across and along the oval."""
        weight = torch.eye(2, dtype=torch.float64).repeat(len(self.seen), 1, 1)
        ring = self.seen[list(OVAL)]
        along = torch.nn.functional.normalize(ring.roll(-1, 0) - ring.roll(1, 0), dim=-1)
        across = torch.stack([-along[:, 1], along[:, 0]], -1)
        weight[list(OVAL)] = torch.stack([ACROSS * across, ALONG * along], 1)
        return weight / (self.unit * SPREAD)

    def start(self) -> Laid:
        """The mean head, posed by a scaled parallel projection."""
        flat = torch.cat([self.mean, torch.ones(len(self.mean), 1, dtype=torch.float64)], 1)
        affine = torch.linalg.lstsq(flat, self.seen * torch.tensor([1.0, -1.0])).solution.T
        rows, shift = affine[:, :3], affine[:, 3]
        scale = float(rows.norm(dim=1).mean())
        u, _, v = torch.linalg.svd(torch.stack([rows[0], rows[1], torch.linalg.cross(rows[0], rows[1]) / scale]))
        rotation = u @ torch.diag(torch.tensor([1.0, 1.0, float(torch.linalg.det(u @ v))]).double()) @ v
        distance = self.usual / scale
        translation = torch.cat([shift / scale, torch.tensor([-distance], dtype=torch.float64)])
        modes, actions = len(self.identity), len(self.expression)
        zeros = torch.zeros(modes + actions, dtype=torch.float64)
        return Laid(zeros[:modes], zeros[modes:], rotation, translation, self.usual)

    def shape(self, laid: Laid) -> Tensor:
        """(468, 3): the landmarks in the head frame."""
        moved = torch.einsum("k,klc->lc", laid.identity, self.identity)
        return self.mean + moved + torch.einsum("e,elc->lc", laid.expression, self.expression)

    def errors(self, laid: Laid) -> Tensor:
        """(468,): distances in the photo, in inter-ocular distances."""
        return (laid.place(self.shape(laid)) - self.seen).norm(dim=-1) / self.unit

    def refine(self, laid: Laid, steps: int, *, shape: bool = True) -> Laid:
        """At most ``steps`` accepted steps down; only the pose moves without ``shape``."""
        damping = 1e-3
        cost, gradient, curvature = self.system(laid, shape)
        for _ in range(steps):
            moved = self.moved(laid, self.step(laid, gradient, curvature, damping))
            system = self.system(moved, shape)
            if system[0] < cost:
                done = cost - system[0] < 1e-6 * cost
                laid, (cost, gradient, curvature), damping = moved, system, damping / 3
                if done:
                    break
            elif damping > 1e6:
                break
            else:
                damping *= 5
        return laid

    def step(self, laid: Laid, gradient: Tensor, curvature: Tensor, damping: float) -> Tensor:
        """(P,): the damped Gauss-Newton step down a ``gradient`` (P,) with a ``curvature`` (P, P)."""
        free = self._free(laid, gradient)
        fixed = curvature[free][:, free]
        step = torch.zeros_like(gradient)
        step[free] = -torch.linalg.solve(fixed + damping * torch.diag(fixed.diagonal()), gradient[free])
        return step

    def _free(self, laid: Laid, gradient: Tensor) -> Tensor:
        """(P,) bool: the parameters that may move: not expressions that push against 0 or 1, no focal that is known."""
        free = torch.ones_like(gradient, dtype=torch.bool)
        free[6] = not self.known
        if len(gradient) > POSE:
            push = gradient[-len(laid.expression) :]
            stuck = ((laid.expression <= 0) & (push > 0)) | ((laid.expression >= 1) & (push < 0))
            free[-len(laid.expression) :] = ~stuck
        return free

    def moved(self, laid: Laid, step: Tensor) -> Laid:
        """A step of turn (3), shift over distance (3), log focal, and, if it has them, identity and expression."""
        distance = -float(laid.translation[2])
        turn = torch.linalg.matrix_exp(_cross_matrix(step[:3]))
        # The focal length and the distance change together, so that the face keeps its size.
        focal = laid.focal * math.exp(float(step[6].clamp(-0.3, 0.3)))
        shift = laid.translation + step[3:6] * distance
        nearer = replace(laid, rotation=turn @ laid.rotation, translation=shift * (focal / laid.focal), focal=focal)
        if len(step) == POSE:
            return nearer
        identity = laid.identity + step[POSE : POSE + len(laid.identity)]
        expression = (laid.expression + step[POSE + len(laid.identity) :]).clamp(0, 1)
        return replace(nearer, identity=identity, expression=expression)

    def system(self, laid: Laid, shape: bool = True) -> tuple[float, Tensor, Tensor]:
        """The cost, and its gradient (P,) and Gauss-Newton matrix (P, P)."""
        points = self.shape(laid)
        error = (self.weight @ (laid.place(points) - self.seen)[..., None])[..., 0]
        bases = (self.identity, self.expression) if shape else ()
        jacobian = screen_jacobian(laid, points, self.weight, *bases)
        return self._with_priors(laid, error, jacobian, shape)

    def _with_priors(self, laid: Laid, error: Tensor, jacobian: Tensor, shape: bool) -> tuple[float, Tensor, Tensor]:
        square = (error**2).sum(-1)
        cut = (OUTLIER / SPREAD) ** 2
        trust = (cut / (cut + square)) ** 2
        cost = float((cut * square / (cut + square)).sum())
        jacobian, error = jacobian.flatten(0, 1), error.flatten()
        trusted = trust.repeat_interleave(2)[:, None] * jacobian
        gradient, curvature = trusted.T @ error, trusted.T @ jacobian
        value = torch.zeros_like(gradient)
        stiff = torch.zeros_like(gradient)
        value[6], stiff[6] = math.log(laid.focal / self.usual), FOCAL_SPREAD**-2
        if shape:
            value[POSE:] = torch.cat([laid.identity, laid.expression])
            stiff[POSE:] = 1.0
            stiff[POSE + len(laid.identity) :] = EXPRESSION**-2
        cost += float((stiff * value**2).sum())
        return cost, gradient + stiff * value, curvature + torch.diag(stiff)


def screen_jacobian(laid: Laid, points: Tensor, rows: Tensor, *bases: Tensor) -> Tensor:
    """(P, D, 7 + M): how ``rows`` (P, D, 2) times the pixels of ``points`` (P, 3), head frame, change with the pose's
    parameters (:meth:`LandmarkFit.moved`) and with the coefficients of ``bases`` (…, P, 3)."""
    turned = points @ laid.rotation.T
    seen = turned + laid.translation
    depth = -seen[:, 2:]
    # d(pixels)/d(camera point), (P, 2, 3).
    x, y = (seen[:, :2] / depth).unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    ray = torch.stack([torch.stack([one, zero, x], -1), torch.stack([zero, -one, -y], -1)], 1)
    project = rows @ ray * (laid.focal / depth[..., None])
    columns = [project @ -_cross_matrix(turned), project * -float(laid.translation[2])]
    # Along the focal length all of the translation grows alike.
    columns.append(rows @ laid.place(points)[..., None] + project @ laid.translation[None, :, None])
    columns += [torch.einsum("pij,kpj->pik", project @ laid.rotation, basis) for basis in bases]
    return torch.cat(columns, -1)


def _cross_matrix(vectors: Tensor) -> Tensor:
    """(…, 3, 3): what multiplies as the cross product with vectors (…, 3) from the left."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [torch.stack([zero, -z, y], -1), torch.stack([z, zero, -x], -1), torch.stack([-y, x, zero], -1)]
    return torch.stack(rows, -2)
