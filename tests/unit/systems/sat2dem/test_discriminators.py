"""The PatchGAN discriminator has the field of its paper."""

from __future__ import annotations

import pytest
import torch

from terrafine.systems.sat2dem.discriminators import PatchGan


@pytest.mark.parametrize(("layers", "field", "logits"), [(3, 70, 30), (2, 34, 62)])
def test_patchgan_has_the_field_and_the_logits_of_its_paper(layers: int, field: int, logits: int) -> None:
    torch.manual_seed(2)
    network = PatchGan(4, width=4, layers=layers)
    assert network.receptive_field == field
    assert network(torch.zeros(1, 4, 256, 256)).shape == (1, 1, logits, logits)


def test_a_logit_sees_its_field_and_no_more_where_nothing_is_normalised() -> None:
    torch.manual_seed(3)
    network = PatchGan(1, width=4, layers=2)
    body = torch.nn.Sequential(*[m for m in network.body if not isinstance(m, torch.nn.InstanceNorm2d)])
    x = torch.randn(1, 1, 128, 128, requires_grad=True)
    body(x)[0, 0, 15, 15].backward()
    assert x.grad is not None
    seen = (x.grad[0, 0] != 0).nonzero()
    assert (seen.amax(dim=0) - seen.amin(dim=0) + 1).tolist() == [network.receptive_field, network.receptive_field]
