"""CityMap: what its features ignore, what its tiles depend on, and how dates are combined."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from terrafine.errors import UsageError
from terrafine.nn.model import Tiles
from terrafine.nn.system import Options
from terrafine.nn.task import SceneBatch
from terrafine.systems.citymap.boosting import boost, fill
from terrafine.systems.citymap.features import BANDS, COUNT, greenness, ndvi, spectral_features
from terrafine.systems.citymap.forest import Forest
from terrafine.systems.citymap.model import CityModel, adapt, combine_dates, describe
from terrafine.systems.citymap.net import HALO, CityMap

ONE = torch.ones(1, 1, 1, 1)


def image(side: int = 48, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return 0.05 + 0.3 * torch.rand(1, 4, side, side)


def network(width: int = 4) -> CityMap:
    torch.manual_seed(1)
    net = CityMap(width).eval()
    torch.nn.init.normal_(net.heads.weight, std=0.3)
    return net


def test_trees_give_what_their_package_gives_and_untouched_ones_nothing() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3_000, COUNT)).astype(np.float32)
    label = (rows[:, 0] + rows[:, 5] * rows[:, 7] > 0).astype(np.float32)
    chosen = {"objective": "binary", "num_leaves": 7, "max_depth": 4, "verbose": -1, "num_threads": 1}
    grown = lightgbm.train(chosen, lightgbm.Dataset(rows, label, init_score=np.zeros(len(label))), 20)
    forest = Forest(2, 20, 4, COUNT)
    cells = torch.from_numpy(rows.T.copy()).reshape(1, COUNT, 50, 60)
    assert forest(cells).abs().max() == 0
    fill(forest, 1, grown.dump_model())
    out = forest(cells)
    assert out.shape == (1, 2, 50, 60) and out[:, 0].abs().max() == 0
    np.testing.assert_allclose(out[0, 1].numpy().ravel(), grown.predict(rows, raw_score=True), atol=2e-5)


def test_every_town_and_class_counts_the_same_in_boosting() -> None:
    pytest.importorskip("lightgbm")
    torch.manual_seed(0)
    places = []
    for built in (0.1, 0.9):  # a town of which a tenth is labelled as built, and one of which nine tenths are
        share = (torch.rand(1, 1, 64, 64) < built).float()
        fine = torch.nn.functional.interpolate(share, scale_factor=4).repeat(1, 2, 1, 1)
        level = share * torch.tensor([0.14, 0.14, 0.15, 0.17]).view(1, 4, 1, 1)
        level = level + (1 - share) * torch.tensor([0.05, 0.09, 0.08, 0.32]).view(1, 4, 1, 1)
        weight = fine / built + (1 - fine) / (1 - built)
        places.append(SceneBatch(level + 0.01 * torch.rand(1, 4, 64, 64), ONE, fine, weight / 2))
    net = CityMap(4, trees=8, depth=3).eval()
    boost(net, places, {"seed": 1})
    assert float(net.forest.leaf.abs().max()) > 0
    for place in places:
        added = net.forest(spectral_features(place.image, place.infrared))
        built_cells = torch.nn.functional.avg_pool2d(place.share, 4) > 0.5
        assert float(added[built_cells].median()) > 0.05 and float(added[~built_cells].median()) < -0.01


def test_a_scene_counts_in_boosting_by_its_weight() -> None:
    pytest.importorskip("lightgbm")
    torch.manual_seed(0)
    bright = torch.rand(1, 1, 64, 64)
    x = (0.1 + 0.2 * bright).repeat(1, 4, 1, 1)
    share = torch.nn.functional.interpolate((bright > 0.5).float(), scale_factor=4).repeat(1, 2, 1, 1)
    known = torch.ones_like(share)

    def rise(weight: float) -> float:
        """How much brighter cells gain where a second scene of that weight states the contrary."""
        net = CityMap(4, trees=8, depth=2).eval()
        boost(net, [SceneBatch(x, ONE, share, known), SceneBatch(x, ONE, 1 - share, known, weight)], {"seed": 1})
        added = net.forest(spectral_features(x, ONE))[:, :1]
        return float(added[bright > 0.5].mean() - added[bright <= 0.5].mean())

    assert rise(0.05) > 0.5 and abs(rise(1.0)) < 0.1 and rise(20.0) < -0.5


def test_a_border_is_read_and_left_out() -> None:
    x, net = image(64), network()
    whole, inner = net(x), net(x, ONE, 20)
    assert inner.shape[-1] == 4 * 24
    torch.testing.assert_close(inner[..., 16:-16, 16:-16], whole[..., 96:-96, 96:-96], atol=2e-4, rtol=0)


def test_an_untrained_network_ranks_cells_as_vegetation_does() -> None:
    x = image()
    logit = CityMap(4).eval()(x)
    assert logit.shape == (1, 2, 192, 192)
    green = torch.nn.functional.interpolate(ndvi(x), scale_factor=4, mode="bicubic")
    torch.testing.assert_close(logit[:, 0], 6 * (0.3 - green[:, 0]))


def test_light_that_is_the_same_in_all_bands_changes_only_brightness_itself() -> None:
    x = image()
    plain, lit = (spectral_features(v, ONE) for v in (x, 1.3 * x))
    assert plain.shape[1] == COUNT
    changed = (plain - lit).abs().amax(dim=(0, 2, 3)) > 1e-4
    assert changed.nonzero().flatten().tolist() == [2, 5, 31, 34]


def test_without_infrared_nothing_depends_on_its_values() -> None:
    x, other = image(), image()
    other[:, 3] = 0.9
    net = network()
    none = torch.zeros(1, 1, 1, 1)
    torch.testing.assert_close(net(x, none), net(other, none))
    assert (net(x) - net(other)).abs().max() > 0.1


def test_images_without_near_infrared_have_a_prior_and_trees_of_their_own() -> None:
    pytest.importorskip("lightgbm")
    torch.manual_seed(0)
    x, none = image(64), torch.zeros(1, 1, 1, 1)
    bare = x * torch.tensor([1.0, 1.0, 1.0, 0.0]).view(1, 4, 1, 1)
    share = torch.nn.functional.interpolate((x[:, 2:3] > 0.2).float(), scale_factor=4).repeat(1, 2, 1, 1)
    known = torch.ones_like(share)
    net = CityMap(4, trees=8, depth=2, visible=8).eval()
    torch.testing.assert_close(net.prior(bare, none), 15 * (-greenness(x)).repeat(1, 2, 1, 1))
    boost(net, [SceneBatch(x, ONE, share, known), SceneBatch(bare, none, 1 - share, known, 0.05)], {"seed": 1})
    blue = x[:, 2] > 0.2
    for trees, infrared, sign in ((net.forest, ONE, 1), (net.visible, none, -1)):
        assert trees is not None
        added = trees(spectral_features(x * infrared.clamp_min(1), infrared))[:, 0]
        assert sign * float(added[blue].mean() - added[~blue].mean()) > 0.5
        torch.testing.assert_close(net.boosted(spectral_features(x, infrared), infrared)[:, 0], added)
    both = torch.cat((ONE, none))
    mixed = net(torch.cat((x, bare)), both)
    torch.testing.assert_close(mixed[:1], net(x, ONE), atol=1e-5, rtol=0)
    torch.testing.assert_close(mixed[1:], net(bare, none), atol=1e-5, rtol=0)


def test_nothing_beyond_the_halo_changes_a_cell() -> None:
    side = 2 * HALO + 8
    x, net = image(side), network()
    for at in (0, 3):
        far = x.clone()
        far[..., : 4 + at, :] += 0.5
        rows = slice(4 * (4 + at + HALO), None)
        torch.testing.assert_close(net(x)[..., rows, :], net(far)[..., rows, :], atol=2e-5, rtol=0)
    near = x.clone()
    near[..., :4, :] += 0.5
    assert (net(x) - net(near))[..., 4 * 16 : 4 * 20, :].abs().max() > 1e-5


def test_probabilities_are_calibrated_and_on_the_tenfold_grid() -> None:
    net, x = network(), image()
    spec = describe(net, {"width": 4}, 10)
    tiles = Tiles(
        {name: x[:, i].numpy() for i, name in enumerate(BANDS)},
        np.ones((1, 48, 48), np.bool_),
        np.full((1, 2, 48), 10.0),
    )
    plain = adapt(spec, net, Options())(tiles)
    assert set(plain) == {"impervious", "building"} and plain["impervious"].shape == (1, 480, 480)
    from dataclasses import replace

    shifted = replace(spec, calibration={"impervious_scale": 1.0, "impervious_odds": 3.0})
    odds = {
        n: m["impervious"] / (1 - m["impervious"])
        for n, m in (("a", plain), ("b", adapt(shifted, net, Options())(tiles)))
    }
    np.testing.assert_allclose(odds["b"], 3 * odds["a"], rtol=1e-3)
    spread = adapt(spec, net, Options(outputs=("impervious", "building", "impervious_sigma")))(tiles)
    assert spread["impervious_sigma"].max() > 0 and not np.allclose(spread["impervious"], plain["impervious"])


def test_outputs_and_scales_that_it_has_not_are_refused() -> None:
    spec = describe(None, {}, 10)
    with pytest.raises(UsageError, match="makes no image"):
        CityModel(spec, network(), Options(outputs=("red",)))
    with pytest.raises(UsageError, match="×10"):
        describe(None, {}, 4)


def test_dates_are_combined_in_any_order_and_clouds_do_not_count() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 1, 2, 4, 4)
    torch.testing.assert_close(combine_dates([a, b]), combine_dates([b, a]))
    hidden = torch.zeros(1, 1, 4, 4)
    hidden[..., :2] = 1
    both = combine_dates([a, b], [torch.ones(1, 1, 4, 4), hidden])
    torch.testing.assert_close(both[..., 2:], a[..., 2:])
    torch.testing.assert_close(both[..., :2], (a + b)[..., :2] / 2)
