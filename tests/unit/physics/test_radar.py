"""Radar geometry: angles on planes and cones, layover and shadow where they can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.support.surfaces import cone, plane, rough
from torch import Tensor

from terrafine.physics.hillshade import hillshade
from terrafine.physics.radar import (
    ORBITS,
    cos_local_incidence,
    layover,
    look_azimuth,
    look_vector,
    shadow,
    track_heading,
)
from terrafine.physics.shadow import cast_layover, cast_shadow, radar_masks, reach_m
from terrafine.physics.terrain import gradient


def tan(degrees: float) -> float:
    return math.tan(math.radians(degrees))


def tilted(slope: float, azimuth: float, side: int = 12) -> Tensor:
    """A plane that faces `azimuth` with that slope, both in degrees."""
    return plane(-tan(slope) * math.sin(math.radians(azimuth)), -tan(slope) * math.cos(math.radians(azimuth)), side)


def lia(z: Tensor, incidence: float, azimuth: float, size: object = 30.0) -> Tensor:
    return torch.rad2deg(torch.acos(cos_local_incidence(z, size, incidence, azimuth)))  # type: ignore[arg-type]


def squares(side: int, size: float = 30.0) -> np.ndarray:
    return np.full((2, side), size)


@pytest.mark.parametrize(("orbit", "low", "high"), [("ascending", 257, 261), ("descending", 99, 103)])
@pytest.mark.parametrize("latitude", [20, 30, 40, 50, 60])
def test_the_sensor_stands_where_sentinel_1_does(orbit, low, high, latitude) -> None:  # type: ignore[no-untyped-def]
    assert low < look_azimuth(orbit, latitude) < high


def test_headings_at_the_equator_are_those_of_sentinel_1_products() -> None:
    assert track_heading("ascending", 0) == pytest.approx(348.0, abs=0.1)
    assert track_heading("descending", 0) == pytest.approx(192.0, abs=0.1)


@pytest.mark.parametrize("latitude", [-70, -35, 0, 35, 70])
def test_the_two_orbits_mirror_each_other_in_the_meridian(latitude: float) -> None:
    up, down = (look_azimuth(orbit, latitude) for orbit in ORBITS)
    assert up + down == pytest.approx(360, abs=1e-6)
    assert look_azimuth("ascending", latitude, incidence=30) != pytest.approx(up, abs=1e-3) or latitude == 0


def test_the_sensor_is_at_right_angles_to_the_track_below_it() -> None:
    # From the satellite's own foot, found by walking the great circle from the target, the target lies at heading + 90.
    latitude, incidence = 47.0, 39.0
    azimuth = math.radians(look_azimuth("ascending", latitude, incidence=incidence))
    arc = math.radians(incidence) - math.asin(6371 / 7064 * math.sin(math.radians(incidence)))
    target = np.array([math.cos(math.radians(latitude)), 0.0, math.sin(math.radians(latitude))])
    east, north = np.array([0.0, 1.0, 0.0]), np.array([-target[2], 0.0, target[0]])
    foot = math.cos(arc) * target + math.sin(arc) * (math.sin(azimuth) * east + math.cos(azimuth) * north)
    heading = math.radians(track_heading("ascending", math.degrees(math.asin(foot[2]))))
    east_there = np.cross([0, 0, 1], foot) / np.hypot(*foot[:2])
    along = math.sin(heading) * east_there + math.cos(heading) * np.cross(foot, east_there)
    assert abs(along @ target) < 1e-9
    assert np.cross(along, foot) @ target > 0  # to the right


def test_a_stated_heading_wins_and_must_be_of_the_orbit() -> None:
    assert look_azimuth("ascending", 45, 346) == 256
    assert look_azimuth("descending", 45, 194) == 104
    assert look_azimuth("descending", 45, -166) == 104
    with pytest.raises(ValueError, match="not of orbit 'ascending'"):
        look_azimuth("ascending", 45, 194)


def test_what_is_no_orbit_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 'ascending' or 'descending'"):
        look_azimuth("sideways", 45)  # type: ignore[arg-type]
    for latitude in (82.5, -90, 123):
        with pytest.raises(ValueError, match="never under the track"):
            track_heading("ascending", latitude)


def test_the_look_vector_has_length_one_and_points_up_to_the_sensor() -> None:
    east, north, up = look_vector(40.0, 259.0)
    assert float(east**2 + north**2 + up**2) == pytest.approx(1)
    assert float(up) == pytest.approx(math.cos(math.radians(40)))
    assert float(east) < -0.6 < float(north) < 0


@pytest.mark.parametrize("azimuth", [0.0, 100.0, 259.0])
@pytest.mark.parametrize("slope", [0.0, 15.0, 30.0])
def test_local_incidence_on_planes(azimuth: float, slope: float) -> None:
    theta = 38.0
    for turned, expected in (
        (0, abs(theta - slope)),
        (180, theta + slope),
        (90, math.degrees(math.acos(math.cos(math.radians(theta)) * math.cos(math.radians(slope))))),
    ):
        z = tilted(slope, azimuth + turned)
        torch.testing.assert_close(lia(z, theta, azimuth), torch.full_like(z, expected), atol=1e-6, rtol=0)


def test_local_incidence_is_the_shade_under_a_sun_at_the_sensor() -> None:
    z = rough()
    torch.testing.assert_close(
        cos_local_incidence(z, 30.0, 40.0, 259.0).clamp_min(0),
        hillshade(*gradient(z, 30.0), 259.0, 50.0),
        atol=1e-9,
        rtol=0,
    )


def test_incidence_may_differ_from_cell_to_cell() -> None:
    z, theta = rough(), torch.linspace(31, 46, 32, dtype=torch.float64)
    got = cos_local_incidence(z, 30.0, theta, 100.0)
    for column in (3, 28):
        alone = cos_local_incidence(z, 30.0, float(theta[column]), 100.0)
        torch.testing.assert_close(got[:, column], alone[:, column])


def test_local_incidence_passes_the_finite_difference_check() -> None:
    z = rough(1, 6).requires_grad_()
    theta = torch.tensor(38.0, dtype=torch.float64, requires_grad=True)
    alpha = torch.tensor(259.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda *a: cos_local_incidence(a[0], (30.0, 20.0), a[1], a[2]), (z, theta, alpha))


@pytest.mark.parametrize("azimuth", [0.0, 90.0, 101.0, 180.0, 259.0, 300.0])
def test_ground_is_laid_over_just_where_it_faces_the_sensor_more_steeply_than_theta(azimuth: float) -> None:
    theta, inner = 38.0, np.s_[4:-4, 4:-4]
    for slope, expected in ((36.0, False), (40.0, True)):
        z = tilted(slope, azimuth, 20)
        assert (layover(z, 30.0, theta, azimuth) == expected).all()
        assert not layover(tilted(slope, azimuth + 180, 20), 30.0, theta, azimuth).any()
        assert (cast_layover(z.numpy(), squares(20), theta, azimuth)[inner] == expected).all()
        assert not cast_layover(tilted(slope, azimuth + 180, 20).numpy(), squares(20), theta, azimuth).any()


@pytest.mark.parametrize("azimuth", [0.0, 90.0, 101.0, 180.0, 259.0, 300.0])
def test_ground_shades_itself_just_where_it_faces_away_more_steeply_than_90_minus_theta(azimuth: float) -> None:
    theta, inner = 38.0, np.s_[4:-4, 4:-4]
    for slope, expected in ((51.0, False), (53.0, True)):
        z = tilted(slope, azimuth + 180, 20)
        assert (shadow(z, 30.0, theta, azimuth) == expected).all()
        assert (cast_shadow(z.numpy(), squares(20), theta, azimuth)[inner] == expected).all()
        assert not cast_shadow(tilted(slope, azimuth, 20).numpy(), squares(20), theta, azimuth).any()


@pytest.mark.parametrize("azimuth", [90, 270, 0, 180])
@pytest.mark.parametrize("theta", [31.0, 46.0])
def test_a_wall_s_shadow_is_h_tan_theta_long(azimuth: int, theta: float) -> None:
    z, height, size = np.zeros((61, 61)), 200.0, 10.0
    away = {90: np.s_[::1, 29::-1], 270: np.s_[::1, 31:], 0: np.s_[31:, ::1], 180: np.s_[29::-1, ::1]}[azimuth]
    wall = np.s_[:, 30] if azimuth in (90, 270) else np.s_[30, :]
    z[wall] = height
    dark = cast_shadow(z, squares(61, size), theta, azimuth)
    behind = dark[away] if azimuth in (90, 270) else dark[away].T
    expected = int(height * tan(theta) / size)
    assert (behind.sum(1) == expected).all()
    assert behind[:, :expected].all()
    assert dark.sum() == behind.sum()
    assert reach_m(height, theta)[0] // size == expected


@pytest.mark.parametrize("azimuth", [259.0, 230.0, 101.0, 340.0])
def test_a_slanting_ray_shortens_the_shadow_by_the_sine(azimuth: float) -> None:
    theta, height, size = 40.0, 300.0, 10.0
    along_x = abs(math.sin(math.radians(azimuth))) > 0.5
    z = np.zeros((121, 121))
    z[(np.s_[:, 60] if along_x else np.s_[60, :])] = height
    dark = cast_shadow(z, squares(121, size), theta, azimuth)
    middle = dark[60] if along_x else dark[:, 60]
    part = math.sin(math.radians(azimuth)) if along_x else math.cos(math.radians(azimuth))
    assert middle.sum() == int(height * tan(theta) * abs(part) / size)


@pytest.mark.parametrize("theta", [31.0, 46.0])
def test_a_wall_is_laid_over_h_over_tan_theta_before_it(theta: float) -> None:
    z, height, size = np.zeros((9, 101)), 150.0, 10.0
    z[:, 50] = height
    laid = cast_layover(z, squares(9, size), theta, 270.0)
    expected = int(height / tan(theta) / size)
    assert (laid.sum(1) == expected + 1).all()  # the ground before it, and its top
    assert laid[:, 50 - expected : 51].all()


@pytest.mark.parametrize("azimuth", [90.0, 259.0])
def test_a_cone_s_shadow_ends_where_its_top_s_does(azimuth: float) -> None:
    theta, steep, radius = 45.0, 60.0, 120.0
    z, east, north = cone(steep, side=121, size=5.0)
    z = (z + radius * tan(steep)).clamp_min(0.0)
    dark = torch.from_numpy(cast_shadow(z.numpy(), squares(121, 5.0), theta, azimuth))
    a = math.radians(azimuth + 180)
    along, across = east * math.sin(a) + north * math.cos(a), east * math.cos(a) - north * math.sin(a)
    # The ray over the top meets the ground at h tan θ; the shadow is the triangle of tangents from there to the foot.
    tip = radius * tan(steep) * tan(theta)
    edge = math.degrees(math.asin(radius / tip))
    on_ground = torch.hypot(east, north) > radius
    inside = (across.abs() < (tip - along) * tan(edge)) & (along > radius**2 / tip) & on_ground
    assert (dark[on_ground] == inside[on_ground]).double().mean() > 0.995
    assert abs(float(along[dark].max()) - tip) < 10
    assert not cast_shadow(z.numpy() * 0.4, squares(121, 5.0), theta, azimuth).any()


def test_a_pyramid_s_far_side_alone_is_dark_and_its_near_side_alone_laid_over() -> None:
    y, x = np.mgrid[-20:21, -20:21] * 10.0
    z = tan(50) * (200 - np.maximum(abs(y), abs(x)))
    west, east = ((-x > abs(y)) & (x > -190)), ((x > abs(y)) & (x < 190))
    dark = shadow(torch.from_numpy(z), 10.0, 44.0, 270.0).numpy()
    over = layover(torch.from_numpy(z), 10.0, 44.0, 270.0).numpy()
    core = np.zeros_like(west)
    core[:, 2:-2] = west[:, 2:-2] & west[:, 4:] & west[:, :-4]
    assert over[core].all()
    assert not over[east].any()
    assert dark[east & (x > abs(y) + 20)].all()
    assert not dark[west].any()
    hidden = radar_masks(z, squares(41, 10.0), 44.0, 270.0)
    assert hidden.shadow[dark & east].all()
    assert hidden.layover[over & core].all()
    assert (hidden.either == (hidden.layover | hidden.shadow)).all()


def hill(size_y: np.ndarray, size_x: np.ndarray, side: int) -> np.ndarray:
    """A steep hill given in metres, on cells of those sizes by row."""
    north = -(np.cumsum(size_y) - size_y.sum() / 2)[:, None]
    east = (np.arange(side) - side / 2 + 0.5)[None] * size_x[:, None]
    return 900 * np.exp(-(east**2 + 1.5 * north**2) / 500**2) + 60 * np.sin(east / 150) * np.cos(north / 170)


@pytest.mark.parametrize("azimuth", [100.0, 259.0, 330.0])
def test_a_geographic_grid_sees_what_the_projected_one_does(azimuth: float) -> None:
    side, theta = 160, 40.0
    square, slim = squares(side, 20.0), np.stack([np.full(side, 20.0), np.linspace(14.0, 15.0, side)])
    masks = []
    for size in (square, slim):
        z = hill(*size, side)
        hidden = radar_masks(z, size, theta, azimuth)
        angle = lia(torch.from_numpy(z), theta, azimuth, torch.from_numpy(size))
        area = np.broadcast_to((size[0] * size[1])[:, None], z.shape)
        masks.append([float((m * area).sum()) for m in (hidden.layover, hidden.shadow)] + [float(angle.max())])
    assert masks[1] == pytest.approx(masks[0], rel=0.04)
    assert min(masks[0]) > 0
    skewed = radar_masks(hill(*slim, side), square, theta, azimuth)
    assert float(skewed.layover.sum()) * 400 != pytest.approx(masks[0][0], rel=0.04)


def test_rays_agree_with_a_search_cell_by_cell() -> None:
    z, theta = rough(3, 40, 300.0).numpy(), 40.0
    for azimuth, step in ((90, 1), (270, -1)):
        expected = np.zeros_like(z, bool)
        for y in range(40):
            for x in range(40):
                others = range(x + step, 40 if step > 0 else -1, step)
                expected[y, x] = any(z[y, o] - z[y, x] >= abs(o - x) * 30 / tan(theta) for o in others)
        got = cast_shadow(z, squares(40), theta, azimuth)
        assert (got == expected).all()
        assert got.any()
        assert (got != cast_shadow(z * 1.05, squares(40), theta, azimuth)).any()


def test_voids_shade_nothing_and_are_not_in_shadow() -> None:
    z = np.zeros((9, 60))
    z[:, 30] = 300.0
    whole = cast_shadow(z, squares(9), 40.0, 90.0)
    z[2, 30] = np.nan
    z[6, 25] = np.nan
    dark = cast_shadow(z, squares(9), 40.0, 90.0)
    assert whole[2, 25]
    assert not dark[2].any()
    assert not dark[6, 25]
    assert (dark[[0, 4, 8]] == whole[[0, 4, 8]]).all()
    assert not cast_shadow(np.full((5, 5), np.nan), squares(5), 40.0, 90.0).any()


def test_rays_refuse_what_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="expected between 0 and 90"):
        cast_shadow(np.zeros((5, 5)), squares(5), 90.0, 90.0)
    with pytest.raises(ValueError, match="expected \\(y, x\\) and \\(2, y\\)"):
        cast_layover(np.zeros((5, 5)), squares(6), 40.0, 90.0)
