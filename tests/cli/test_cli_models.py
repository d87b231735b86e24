"""`models` lists what can be named after `--model`."""

from collections.abc import Callable

from click.testing import Result

from terrafine.systems import list_models

Run = Callable[..., Result]


def test_every_model_is_listed_once_with_its_scale(run: Run) -> None:
    result = run("models")
    assert result.exit_code == 0
    rows = [line.split()[:2] for line in result.output.splitlines()[1:]]
    assert sorted(rows) == sorted([ref.name, f"×{ref.spec.scale}"] for ref in list_models())
    assert rows


def test_a_formula_has_no_weights_and_a_network_has(run: Run) -> None:
    kinds = {(ref.name, f"×{ref.spec.scale}"): ref.path is None for ref in list_models()}
    for line in run("models").output.splitlines()[1:]:
        name, scale, kind, *_ = line.split()
        assert kind == ("formula" if kinds[name, scale] else "network")
