"""Features of images, frozen."""

from __future__ import annotations

import torch

from terrafine.systems.jointseg.perceptual import LiteFeatures, feature_distance


def test_features_shrink_by_two_at_each_strided_stage() -> None:
    found = LiteFeatures(range(7))(torch.rand(1, 3, 64, 96))
    assert [(f.shape[1], 64 // f.shape[2], 96 // f.shape[3]) for f in found] == [
        (16, 2, 2),
        (24, 4, 4),
        (40, 8, 8),
        (80, 16, 16),
        (112, 16, 16),
        (192, 32, 32),
        (320, 32, 32),
    ]


def test_features_stay_frozen_and_pass_gradients_to_the_image() -> None:
    net = LiteFeatures((0, 1))
    net.train()
    assert not net.training
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    feature_distance(net, image, torch.rand(1, 3, 32, 32)).backward()
    assert image.grad is not None
    assert float(image.grad.abs().sum()) > 0
    assert all(p.grad is None for p in net.parameters())


def test_the_distance_is_none_of_equals_and_grows_with_the_difference() -> None:
    torch.manual_seed(0)
    net, truth = LiteFeatures((0, 1)), torch.rand(1, 3, 32, 32)
    near, far = truth + 0.01 * torch.randn_like(truth), truth + 0.1 * torch.randn_like(truth)
    assert float(feature_distance(net, truth, truth)) == 0
    assert float(feature_distance(net, near, truth)) < float(feature_distance(net, far, truth))
