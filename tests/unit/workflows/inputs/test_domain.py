"""An image is compared with what the weights saw by its distribution, and the difference is said in plain words."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from shutil import copyfile
from typing import Any, cast

import numpy as np
import pytest
import torch

from terrafine.raster.read.images import image_sample
from terrafine.systems import find_model, find_weights
from terrafine.training.domain import band_quantiles
from terrafine.training.scenes.patches import surface_reflectance
from terrafine.workflows.inputs.domain import compared, domain_notes, resolution, trained_on

SEEN = {"0.05": 0.02, "0.25": 0.06, "0.50": 0.10, "0.75": 0.15, "0.95": 0.30}
QUANTILES = dict.fromkeys(("red", "green", "blue"), SEEN)
RANGES = dict.fromkeys(("red", "green", "blue"), (0.02, 0.3))


def image(shares: list[float]) -> np.ndarray:
    """Cells spread evenly within the quantiles of training, so many in each of the six parts."""
    edges = [0.0, *SEEN.values(), 0.6]
    parts = [np.linspace(a, b, 1 + round(2000 * s))[:-1] for a, b, s in zip(edges[:-1], edges[1:], shares, strict=True)]
    return np.repeat(np.concatenate(parts)[None], 3, axis=0)


AS_SEEN = [0.05, 0.2, 0.25, 0.25, 0.2, 0.05]


def test_an_image_like_the_training_is_not_noted() -> None:
    assert domain_notes(QUANTILES, image(AS_SEEN), "m") == ()


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ([0.7, 0.1, 0.1, 0.05, 0.05, 0], "red: 70 % of the image is below a reflectance of 0.02, against 5 % of what"),
        ([0, 0, 0.1, 0.1, 0.1, 0.7], "red: 70 % of the image is above a reflectance of 0.3, against 5 % of what"),
        ([0.5, 0, 0, 0, 0, 0.5], "red: 50 % of the image is"),  # the median alone is as in training
        ([0, 0, 0, 0, 1, 0], "red: 100 % of the image is above a reflectance of 0.15, against 25 % of what"),
    ],
)
def test_another_distribution_is_noted_also_where_its_median_is_usual(shares: list[float], words: str) -> None:
    notes = domain_notes(QUANTILES, image(shares), "m")
    assert len(notes) == 3
    assert notes[0].startswith(words)
    assert notes[0].endswith("take the result as unproven here")
    if words.endswith("is"):
        assert domain_notes(RANGES, image(shares), "m")[:-1] == ()  # a range sees nothing


def test_weights_that_state_a_range_only_are_said_to() -> None:
    notes = domain_notes(RANGES, image(AS_SEEN) + 0.5, "m")
    assert "red: half of the image is above a reflectance of" in notes[0]
    assert notes[-1] == "m states only the usual range of each band, so medians were compared, not distributions"


def test_weights_that_state_nothing_are_said_to() -> None:
    assert "m does not state which reflectances it saw" in domain_notes({}, image(AS_SEEN), "m")[0]


@pytest.mark.parametrize(("surface", "noted"), [(1.0, False), (0.0, True)])
def test_level_2a_is_usual_for_weights_that_saw_copies_of_it(
    surface: float, noted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = torch.rand(1, 4, 100, 100, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.09
    provenance = {
        "domain": band_quantiles(seen[0].flatten(1).numpy(), ("red", "green", "blue", "nir")),
        "recipe": {"patches": {"surface": surface}},
    }
    ref = find_model("citymap", 10, verb="map")
    ref = dataclasses.replace(ref, spec=dataclasses.replace(ref.spec, provenance=provenance))
    below = surface_reflectance(seen)[0, :3].flatten(1).numpy().astype(np.float64)
    monkeypatch.setattr(image_sample, "sample", lambda image: below)
    assert any("blue" in note for note in compared(cast(Any, None), ref)) is noted
    monkeypatch.setattr(image_sample, "sample", lambda image: below + 0.4)
    assert len(compared(cast(Any, None), ref)) == 3


@pytest.mark.parametrize("recipe", [None, [], {"patches": 5}, {"patches": {"surface": 1.0}}])
def test_a_recipe_of_another_form_has_no_copies(recipe: object, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = find_model("citymap", 10, verb="map")
    provenance = {"domain": QUANTILES, "recipe": recipe}
    ref = dataclasses.replace(ref, spec=dataclasses.replace(ref.spec, provenance=provenance))
    monkeypatch.setattr(image_sample, "sample", lambda _: image(AS_SEEN))
    assert compared(cast(Any, None), ref) == ()


def test_an_image_without_a_cell_is_not_compared() -> None:
    assert domain_notes(QUANTILES, np.zeros((3, 0)), "m") == ()


def test_ground_and_resolution_of_shipped_weights_are_told_and_of_a_file_of_the_same_name_not(tmp_path: Path) -> None:
    shipped = find_model("citymap", 10, verb="map")
    assert "Pisa and Montpellier" in trained_on(shipped)
    assert resolution(shipped) == "of buildings coarser than 320 m, measured in Pisa"
    copyfile(find_weights("citymap"), tmp_path / "own.safetensors")
    own = find_model(str(tmp_path / "own.safetensors"), 10, verb="map")
    assert (own.name, trained_on(own), resolution(own)) == ("citymap", "not stated", "not measured")
