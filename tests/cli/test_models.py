"""`models` lists what can be named after `--model`."""

from tests.support.cli import Run

from terrafine.systems import list_models


def test_every_model_is_listed_once_with_its_scales(run: Run) -> None:
    result = run("models")
    assert result.exit_code == 0
    rows = [line.split()[:2] for line in result.output.splitlines()[1:]]
    served = [(ref.name, f"×{k}") for ref in list_models() for k in ref.spec.scales or (ref.spec.scale,)]
    assert sorted((name, scale) for name, scales in rows for scale in scales.split(",")) == sorted(served)
    assert rows


def test_a_formula_has_no_weights_and_a_network_has(run: Run) -> None:
    kinds = {ref.name: ref.path is None for ref in list_models()}
    for line in run("models").output.splitlines()[1:]:
        name, _, kind, *_ = line.split()
        assert kind == ("formula" if kinds[name] else "network")
