"""What MkDocs makes of the repository's pages, as its hook (mkdocs.yml).

The same files are read in the repository and on the site. Their links are those of the repository; here the README
becomes the first page, links follow it there, and a link to a file that is no page becomes its text.
"""

import posixpath
import re
from collections.abc import Callable, Iterator
from typing import Any

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
FENCE = re.compile(r"^(```.*?^```)[^\S\n]*$", re.MULTILINE | re.DOTALL)
AFTER_TEXT = re.compile(r"^(?!\s*(?:[-*]|\d+\.)\s)(\S.*)\n(?=(?:[-*]|1\.)\s)", re.MULTILINE)


def slug(heading: str, separator: str = "-") -> str:
    """A heading's anchor as GitHub makes it, which the repository's links are written for."""
    plain = LINK.sub(r"\2", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", separator)


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """A page with all but its blocks of code changed."""
    return "".join(part if part.startswith("```") else change(part) for part in FENCE.split(markdown))


def targets(markdown: str) -> Iterator[str]:
    """Where a page's links lead, but for those out of the repository."""
    for part in FENCE.split(markdown):
        if not part.startswith("```"):
            yield from (target for _, _, target in LINK.findall(part) if "://" not in target)


def in_repository(page: str) -> str:
    """The file that a page of the site is made of."""
    return "README.md" if page == "index.md" else f"docs/{page}"


def site_file(file: str) -> str | None:
    """What a file of the repository is on the site; nothing, where it is none of its pages or pictures."""
    if file == "README.md":
        return "index.md"
    return file.removeprefix("docs/") if file.startswith("docs/") and posixpath.splitext(file)[1] else None


def moved(markdown: str, page: str) -> str:
    """A page of the repository with its links as the site needs them."""
    source = posixpath.dirname(in_repository(page))

    def link(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        path, _, anchor = target.partition("#")
        if "://" in target or not path:
            return found[0]
        there = site_file(posixpath.normpath(posixpath.join(source, path)))
        if there is None:
            return text
        relative = posixpath.relpath(there, posixpath.dirname(page) or ".")
        return f"{mark}[{text}]({relative}{'#' + anchor if anchor else ''})"

    def change(part: str) -> str:
        # Python-Markdown wants a line between text and a list, and a word before it reads Markdown within HTML.
        part = AFTER_TEXT.sub(r"\1\n\n", LINK.sub(link, part))
        return part.replace("<details>", '<details markdown="1">')

    return outside_code(markdown, change)


# -- what MkDocs calls -------------------------------------------------------------------------------------------------


def on_config(config: Any) -> Any:
    config["mdx_configs"].setdefault("toc", {})["slugify"] = slug
    return config


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File  # pyright: ignore[reportMissingImports]

    readme = posixpath.join(posixpath.dirname(config["config_file_path"]), "README.md")
    files.append(File.generated(config, "index.md", abs_src_path=readme))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    return moved(markdown, page.file.src_uri)
