"""What is handed out: the wheel's contents, licences of every shipped file, citation, container and conda recipe."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from safetensors import safe_open
from tests.support.paths import ROOT

from terrafine import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TOOL = runpy.run_path(str(ROOT / "tools" / "check_wheel.py"))
DATA_SUFFIXES = {".safetensors", ".tif", ".png", ".jpg", ".onnx", ".geojson", ".gpkg", ".npz", ".h5"}
PAGE = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")


def rows(page: str) -> dict[str, list[str]]:
    """File -> cells of its row."""
    lines = (line.strip().strip("|").split("|") for line in page.splitlines() if line.startswith("| `"))
    return {cells[0].strip().strip("`"): [c.strip() for c in cells[1:]] for cells in lines}


def shipped() -> set[str]:
    """Tracked files that are data and not code, but those of the tests."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {
        p
        for p in listed.splitlines()
        if Path(p).suffix in DATA_SUFFIXES and not p.startswith("tests/") and (ROOT / p).is_file()
    }


def test_every_shipped_file_of_data_has_its_licence() -> None:
    assert set(rows(PAGE)) == shipped()
    assert all(all(cells) for cells in rows(PAGE).values())


def test_a_file_without_a_row_would_be_found() -> None:
    poorer = PAGE.replace("| `demo/data/sample_30m.tif`", "| demo/data/sample_30m.tif")
    assert shipped() - set(rows(poorer)) == {"demo/data/sample_30m.tif"}


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.safetensors")), ids=lambda p: p.stem)
def test_sources_that_ask_to_be_named_stand_in_the_table(path: Path) -> None:
    with safe_open(path, "np") as file:
        record = json.dumps(json.loads(file.metadata()["terrafine"])["provenance"])
    attribution = rows(PAGE)[path.relative_to(ROOT).as_posix()][-1]
    for word, named in (("Taiwan", "Taiwan"), ("Kenya", "Kenya"), ("Land Tirol", "terrain B")):
        assert (word in record) == (named in attribution), (word, attribution)
    for owner in ("Land Tirol", "ARSO", "GSI", "OS data", "Norwegian Polar Institute", "swisstopo"):
        assert owner in PAGE.partition("## Attribution")[2]


def test_the_wheel_is_looked_into(tmp_path: Path) -> None:
    whole, poor = tmp_path / "terrafine-1.whl", tmp_path / "terrafine-2.whl"
    licences = [f"terrafine-1.dist-info/licenses/{name}" for name in ("LICENSE", "docs/licences.md")]
    names = [*sorted(TOOL["expected"]()), *licences]
    for path, content in ((whole, names), (poor, [*names[:-2], "tests/x.py"])):
        with zipfile.ZipFile(path, "w") as archive:
            for name in content:
                archive.writestr(name, b"")
    assert list(TOOL["problems"](whole)) == []
    missing = list(TOOL["problems"](poor))
    assert missing == ["tests/x.py does not belong into the wheel", "LICENSE is missing", "licences.md is missing"]


def test_the_wheel_is_expected_to_hold_weights_recipes_and_the_report() -> None:
    found = TOOL["expected"]()
    assert {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src").rglob("*.safetensors")} <= found
    assert {"terrafine/py.typed", "terrafine/evaluation/report/page.css"} <= found
    weights = sum(p.stat().st_size for p in (ROOT / "src").rglob("*.safetensors")) / 1e6
    assert weights < TOOL["LARGEST_MB"]


@pytest.mark.long
def test_the_built_wheel_is_whole(tmp_path: Path) -> None:
    wheel = TOOL["build"](tmp_path)
    assert list(TOOL["problems"](wheel)) == []


def test_citation_states_version_and_licence() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


def test_the_plugin_and_the_change_log_state_the_version() -> None:
    plugin = (ROOT / "integrations" / "qgis" / "terrafine_qgis" / "metadata.txt").read_text(encoding="utf-8")
    assert f"\nversion={__version__}\n" in plugin
    newest = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)[0]
    assert re.fullmatch(rf"{re.escape(__version__)} \(\d{{4}}-\d\d-\d\d\)", newest)


def conda() -> dict[str, dict[str, list[str]]]:
    return yaml.safe_load((ROOT / "packaging" / "recipe.yaml").read_text(encoding="utf-8"))


def test_the_conda_recipe_requires_what_the_package_requires() -> None:
    found = {line.replace("pytorch", "torch").replace(" ", "") for line in conda()["requirements"]["run"]}
    wanted = {re.sub(r"\s", "", r) for r in PROJECT["dependencies"]} | {f"python{PROJECT['requires-python']}"}
    assert found == wanted
    assert conda()["context"]["version"] == __version__  # type: ignore[comparison-overlap]


def test_the_container_is_built_from_the_constraints() -> None:
    text = (ROOT / "packaging" / "Containerfile").read_text(encoding="utf-8")
    installs = re.findall(r"^(?:RUN |    )pip install[^\n]*", text, re.M)
    assert len(installs) == 2
    assert all("-c constraints.txt" in line for line in installs)
    asked = re.search(r'torch="(\$\([^\n]*\))"', text)
    assert asked is not None
    torch = subprocess.run(
        ["sh", "-c", f'echo "{asked.group(1)}"'], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"torch==[\w.+]+\n", torch.stdout)
    extras = re.search(r"\.\[([^\]]*)\]", text)
    assert extras is not None
    assert set(extras.group(1).split(",")) <= set(PROJECT["optional-dependencies"])
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", text, re.M)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
