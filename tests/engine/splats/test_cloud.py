# SPDX-License-Identifier: GPL-3.0-or-later
"""A cloud's harmonics, axes and normals against what defines them, and clouds moved about."""

from __future__ import annotations

import numpy as np
from limelight.backend.splats import harmonics, place
from limelight.backend.splats.cloud import DC, Splats, from_tensors
from limelight.scene import splat_harmonics
from limelight.tests.engine.splats.other_files import cloud
from scipy.spatial.transform import Rotation
from scipy.special import sph_harm_y

DIRECTIONS = np.random.default_rng(2).normal(size=(500, 3))
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)


def colours(splats: Splats, directions: np.ndarray) -> np.ndarray:
    """(D, N, 3): what each Gaussian shows along each direction."""
    basis = np.stack(harmonics.terms(*directions.T, splats.degree), -1)
    return np.einsum("dk,nkc->dnc", basis, splats.sh)


def covariances(splats: Splats) -> np.ndarray:
    root = splats.rotations() * splats.scales[:, None]
    return root @ root.transpose(0, 2, 1)


def test_the_harmonics_are_scipys_with_the_condon_shortley_phase() -> None:
    polar, azimuth = np.arccos(DIRECTIONS[:, 2]), np.arctan2(DIRECTIONS[:, 1], DIRECTIONS[:, 0])
    found, index = harmonics.terms(*DIRECTIONS.T, 4), 0
    for degree in range(5):
        for order in range(-degree, degree + 1):
            value = sph_harm_y(degree, abs(order), polar, azimuth)
            part = value.real if order >= 0 else value.imag
            np.testing.assert_allclose(found[index], part * (np.sqrt(2) if order else 1), atol=1e-9)
            index += 1
    assert index == len(found) == 25


def test_the_add_on_has_the_same_harmonics() -> None:
    ours = np.stack(harmonics.terms(*DIRECTIONS.T, 4), -1)
    theirs = np.concatenate([splat_harmonics.values(DIRECTIONS, degree) for degree in splat_harmonics.DEGREES], 1)
    np.testing.assert_allclose(theirs, ours[:, 1:], atol=1e-14)
    assert splat_harmonics.DC == DC and len(splat_harmonics.POLYNOMIALS) == 24
    splats, turn = cloud(5, 4), Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    turned = splat_harmonics.turned(splats.sh[:, 1:], turn)
    np.testing.assert_allclose(turned, harmonics.turned(splats.sh, turn)[:, 1:], atol=1e-5)


def test_turned_colours_are_seen_along_turned_directions() -> None:
    splats, matrix = cloud(5, 4), np.eye(4)
    turn = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    matrix[:3, :3] = turn
    turned = place.placed(splats, matrix)
    np.testing.assert_allclose(colours(turned, DIRECTIONS @ turn.T), colours(splats, DIRECTIONS), atol=1e-4)


def test_an_affine_map_carries_covariances() -> None:
    splats = cloud(20, 1)
    turn = Rotation.from_rotvec([1, 2, 3]).as_matrix()
    for linear in (turn * 1.7, turn @ np.diag([1, 2, 0.5]), np.diag([-1.0, 1, 1])):
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = linear, [1, 2, 3]
        moved = place.placed(splats, matrix)
        np.testing.assert_allclose(covariances(moved), linear @ covariances(splats) @ linear.T, atol=2e-6)
        np.testing.assert_allclose(np.linalg.norm(moved.quats, axis=1), 1, atol=1e-6)


def test_quaternions_of_rotations() -> None:
    turns = Rotation.random(200, random_state=np.random.default_rng(0))
    expected = np.roll(turns.as_quat(), 1, axis=1)
    assert np.abs(np.sum(place.quaternions(turns.as_matrix()) * expected, axis=1)).min() > 1 - 1e-6


def test_normals_are_the_shortest_axes_towards_the_viewer() -> None:
    splats, viewer = cloud(50, 0), np.array([0.0, -4.0, 1.0])
    normals = splats.normals(viewer)
    assert (np.sum(normals * (viewer - splats.means), axis=1) >= 0).all()
    along = np.einsum("nij,ni,nj->n", covariances(splats), normals, normals)
    np.testing.assert_allclose(along, splats.scales.min(axis=1) ** 2, rtol=1e-2)


def test_clouds_merge_and_their_degrees_meet() -> None:
    one, two = cloud(5, 1, material=True), cloud(7, 3, seed=1, material=True)
    both = place.merged([one, two])
    assert len(both) == 12 and both.degree == 3 and both.material is not None
    np.testing.assert_array_equal(both.sh[:5, :4], one.sh)
    assert not both.sh[:5, 4:].any()
    assert place.merged([one, cloud(3, 0)]).material is None


def test_tensors_and_back() -> None:
    splats = cloud(6, 2, material=True)
    again = from_tensors(splats.tensors())
    np.testing.assert_array_equal(again.sh, splats.sh)
    assert again.material is not None and splats.material is not None
    np.testing.assert_array_equal(again.material.progress, splats.material.progress)
