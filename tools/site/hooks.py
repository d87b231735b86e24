"""Hooks of MkDocs: pages from outside `docs/`, the references made from the code, and links between all of them.

Model cards, the plugin's page, change log and contributing guide stay where they are and are read as pages of the
site. Links in every page are those of the repository, so that they work there too; here they are rewritten. A link to
a file that does not exist, or that is not part of the site, is a warning, which `mkdocs build --strict` refuses.
"""

from __future__ import annotations

import logging
import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
from tools.site import commands, model_spec, public, recipes  # noqa: E402

log = logging.getLogger("mkdocs.hooks.terrafine")
SYSTEMS = "src/terrafine/systems"
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\()([^)\s]+)(\))")
_CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]+`", re.S | re.M)

BROUGHT_IN = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "readme.md",
    "integrations/qgis/README.md": "guides/qgis.md",
    "src/terrafine/inference/DESIGN.md": "guides/engine.md",
    "demo/data/LICENSE.md": "sample.md",
    **{
        p.relative_to(ROOT).as_posix(): f"models/{p.parent.name}.md"
        for p in sorted((ROOT / SYSTEMS).glob("*/README.md"))
    },
}
"""File of the repository -> page of the site."""
SHOWN = {
    p.relative_to(ROOT).as_posix(): f"recipes/{p.stem}.md" for p in sorted((ROOT / SYSTEMS).glob("*/recipes/*.toml"))
}
"""Recipes, each shown as a page."""
GENERATED = {"model_spec.schema.json"}
"""Links to files that are made with the page."""
_origin: dict[str, str] = {}  # page of the site -> file of the repository


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside `docs/` and those that are generated."""
    _origin.clear()
    _origin.update({f.src_uri: f"docs/{f.src_uri}" for f in files})
    for source, page in BROUGHT_IN.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
        _origin[page] = source
    for source, page in SHOWN.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        content = f"# Recipe `{Path(source).name}`\n\nKeys: [recipes](../reference/recipes.md).\n\n```toml\n{text}```\n"
        _generate(files, config, page, content)
    _generate(files, config, "reference/recipes.md", recipes.reference())
    _generate(files, config, "reference/commands.md", commands.reference())
    _generate(files, config, "reference/python.md", public.reference())
    _generate(files, config, "reference/model_spec.md", model_spec.reference())
    _generate(files, config, "reference/model_spec.schema.json", model_spec.text())
    return files


def _generate(files: Files, config: Any, page: str, content: str) -> None:
    files.append(File.generated(config, page, content=content))
    _origin[page] = f"docs/{page}"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Rewrite the links of a page."""
    site = {origin: src for src, origin in _origin.items()}
    return outside_code(markdown, lambda text: relink(text, page.file.src_uri, site))


def outside_code(markdown: str, change: Any) -> str:
    """Apply a change to what is not code."""
    done, parts = 0, list[str]()
    for match in _CODE.finditer(markdown):
        parts += [change(markdown[done : match.start()]), match.group()]
        done = match.end()
    return "".join([*parts, change(markdown[done:])])


def relink(text: str, page: str, site: dict[str, str]) -> str:
    """Links of the repository as links of the site; a warning for each that leads nowhere."""
    origin = _origin[page]

    def new(match: re.Match[str]) -> str:
        target = match.group(2)
        if re.match(r"[a-z]+:|#|<", target) or target in GENERATED:
            return match.group()
        path, mark, anchor = target.partition("#")
        wanted = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        found = site.get(wanted) or SHOWN.get(wanted)
        if found is None:
            log.warning("%s: the link %s leads to %s, which is no page of the site", origin, target, wanted)
            return match.group()
        return (
            f"{match.group(1)}{posixpath.relpath(found, posixpath.dirname(page) or '.')}{mark}{anchor}{match.group(3)}"
        )

    return _LINK.sub(new, text)
