# SPDX-License-Identifier: GPL-3.0-or-later
"""The stack of UV maps: its channels, its normals, where the skin lies."""

import torch
from limelight.backend.relightify import head, maps


def test_the_maps_share_out_all_channels():
    taken = [channel for part in maps.MAPS.values() for channel in range(part.start, part.stop)]
    assert taken == list(range(maps.CHANNELS))


def test_normals_survive_their_encoding_and_never_point_into_the_skin():
    torch.manual_seed(0)
    normal = torch.nn.functional.normalize(torch.randn(2, 3, 8, 8), dim=1)
    normal[:, 2] = normal[:, 2].abs().clamp(min=0.05)
    normal = torch.nn.functional.normalize(normal, dim=1)
    assert torch.allclose(maps.decode_normal(maps.encode_normal(normal)), normal, atol=1e-5)
    assert bool((maps.decode_normal(torch.rand(3, 8, 8) * 0.4)[2] > 0).all())


def test_every_face_of_skin_lies_in_the_mask_and_the_corners_of_the_square_do_not():
    model, size = head.load(), 128
    mask = maps.skin_mask(size)
    centres = model.uv[model.faces[model.material == head.MATERIALS.index("skin")]].mean(1)
    x, y = (centres[:, 0] * size).long(), ((1 - centres[:, 1]) * size).long()
    assert bool((mask[0, y, x] == 1).all())
    assert mask[0, [0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [0, 0, 0, 0]
    assert 0.6 < float(mask.mean()) < 0.95


def test_an_empty_stack_is_flat():
    assert torch.allclose(maps.decode_normal(maps.empty(4)[maps.NORMAL])[2], torch.ones(4, 4))
