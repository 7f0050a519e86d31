"""The README and the pages of docs/: their links lead somewhere, and the site's table of contents has every page."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from script_modules import script_module

ROOT = Path(__file__).parents[1]
PAGES = [Path("README.md"), *sorted(path.relative_to(ROOT) for path in (ROOT / "docs").rglob("*.md"))]


site = script_module("site_pages")


@cache
def text(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings; of equal ones the later are numbered, as GitHub does."""
    found = list[str]()
    for _, heading in re.findall(r"^(#+) (.*)$", site.FENCE.sub("", text(page)), flags=re.M):
        plain = site.slug(heading)
        found.append(f"{plain}-{found.count(plain)}" if plain in found else plain)
    return set(found)


def broken(page: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading of it."""
    wrong = []
    for target in site.targets(text(page)):
        path, _, anchor = target.partition("#")
        there = (ROOT / page.parent / path).resolve() if path else ROOT / page
        if not there.exists() or (anchor and anchor not in anchors(there.relative_to(ROOT))):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file_and_its_heading(page: Path) -> None:
    assert broken(page) == []


def test_the_contents_have_every_page() -> None:
    def pages(nav: Any) -> list[str]:
        parts = nav.values() if isinstance(nav, dict) else nav
        return [nav] if isinstance(nav, str) else [page for part in parts for page in pages(part)]

    named = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(named) == sorted(["index.md", *(str(page.relative_to("docs")) for page in PAGES[1:])])


def test_a_headings_anchor() -> None:
    assert site.slug("8 GPUs, 64 GPUs, V4: arithmetic") == "8-gpus-64-gpus-v4-arithmetic"
    assert site.slug("`best_prompt` and [RandOpt's](x.md) β – 2") == "best_prompt-and-randopts-β--2"


def test_links_fit_the_site() -> None:
    written = "[a](docs/methods.md#grpo) ![p](docs/report.png) [b](docs/results/x/about.md) [c](conf/x.yaml) [d](#e)\n"
    moved = "[a](methods.md#grpo) ![p](report.png) [b](results/x/about.md) c [d](#e)\n"
    assert site.moved(written, "index.md") == moved
    assert site.moved("[a](../../../README.md#speed) [b](../../log.md)", "results/x/about.md") == (
        "[a](../../index.md#speed) [b](../../log.md)"
    )
    assert site.moved("[a](../README.md) [b](https://x.org/y)", "peers.md") == "[a](index.md) [b](https://x.org/y)"


def test_code_stays_as_it_is() -> None:
    code = "```yaml\nx: [a](docs/methods.md)\n- b\n```\n"
    assert site.moved(code, "index.md") == code
    assert list(site.targets(code)) == []
    assert site.moved("text\n- a\n- b\n", "log.md") == "text\n\n- a\n- b\n"


def test_the_site_asks_no_other_server_for_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Built where the extra `docs` is installed; a warning is an error."""
    pytest.importorskip("material")
    commands = pytest.importorskip("mkdocs.commands.build")
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    config = pytest.importorskip("mkdocs.config").load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path))
    commands.build(config)
    made = sorted(tmp_path.rglob("*.html"))
    assert {"index.html", "peers.html", "migrating.html"} <= {page.name for page in made}
    for page in made:
        asked = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(https?:)?//", page.read_text("utf-8"))
        assert asked == [], page.name
