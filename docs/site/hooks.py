"""Makes the pages of the repository a site: its links to files and lines keep working.

mkdocs calls the functions on_*. Pages outside docs/ and files of code that a page links
to become pages of the site, so that it needs no network and no host of the repository.

`python docs/site/hooks.py` sets the line numbers of links to code: [`name`](file.py#L1)
points to the first line of file.py that defines `name`.
"""

import pathlib
import posixpath
import re
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
LINK = re.compile(r"(?<=\]\()([^)\s:#]+)(#[^)\s]*)?(?=\))")
CODE_LINK = re.compile(r"\[`(\w+)`\]\(([^)\s:#]+\.py)#L(\d+)\)")
_LANGUAGES = {".py": "python", ".cfg": "ini", ".mk": "make", ".json": "json"}


def documents() -> list[pathlib.Path]:
    """Returns every page that people read, the README first."""
    named = ("README.md", "CONTRIBUTING.md", "experiments/README.md", "CHANGELOG.md")
    return [*(ROOT / name for name in named), *sorted((ROOT / "docs").glob("*.md"))]


def line_of(name: str, code: str) -> int | None:
    """Returns the first line of code that defines a name, None where none does."""
    # A field is looked for last: docstrings name arguments as `name:` too.
    for definition in (rf"\s*(def|class) {name}\b", rf"\s*{name}(:| =)"):
        for number, line in enumerate(code.splitlines(), start=1):
            if re.match(definition, line):
                return number
    return None


def with_lines(text: str, folder: pathlib.Path) -> str:
    """Returns a page's text with the lines of its links to code set.

    Args:
      text: of the page.
      folder: that the page's links start from.

    Raises:
      ValueError: when a file does not define the name that a link shows.
    """

    def link(match: re.Match[str]) -> str:
        name, target = match[1], match[2]
        number = line_of(name, (folder / target).read_text(encoding="utf-8"))
        if number is None:
            raise ValueError(f"{target} defines no {name}")
        return f"[`{name}`]({target}#L{number})"

    return CODE_LINK.sub(link, text)


def site_path(path: str) -> str:
    """Returns the path in the site of a file of the repository."""
    if path == "README.md":
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return path if path.endswith(".md") else f"source/{path}.md"


def with_site_links(text: str, path: str) -> tuple[str, set[str]]:
    """Points a page's links to the pages of the site.

    Args:
      text: of the page.
      path: of the page in the repository.

    Returns:
      The text, and the files of the repository that it links to.
    """
    here, there = posixpath.dirname(path), posixpath.dirname(site_path(path))
    linked = set()

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(here, match[1]))
        file = ROOT / target
        if file.is_dir() and (file / "README.md").exists():
            target, file = f"{target}/README.md", file / "README.md"
        if not file.is_file():
            return match[0]  # mkdocs tells of it.
        linked.add(target)
        anchor = re.sub(r"^#L(\d+)$", r"#line-\1", match[2] or "")
        return posixpath.relpath(site_path(target), there or ".") + anchor

    return LINK.sub(link, text), linked


def _source_page(path: str) -> str:
    file = ROOT / path
    code = file.read_text(encoding="utf-8").rstrip()
    language = _LANGUAGES.get(file.suffix, "text")
    fence = "`" * 6
    head = f"# {path}\n\n{fence}{{.{language} linenums=1}}"
    return f"{head}\n{code}\n{fence}\n"


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages outside docs/, and all files that pages link to."""
    from mkdocs.structure.files import File

    waiting = [str(page.relative_to(ROOT)) for page in documents()]
    seen: set[str] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        file = ROOT / path
        if file.suffix == ".md":
            text, linked = with_site_links(file.read_text(encoding="utf-8"), path)
            waiting += linked
        elif path.startswith("docs/"):
            continue  # Pictures are there already.
        else:
            text = _source_page(path)
        name = site_path(path)
        old = files.get_file_from_path(name)
        if old is not None:
            files.remove(old)
        files.append(File.generated(config, name, content=text))
    return files


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Names the lines of code as links do, and tells mkdocs of them.

    A mean and its deviation stay on one line.
    """
    html = html.replace(" ± ", "&nbsp;±&nbsp;")
    if page.file.src_uri.startswith("source/"):
        html = re.sub(r'((?:id|name)="|href="#)__codelineno-\d+-', r"\1line-", html)
        page.present_anchor_ids |= set(re.findall(r'id="(line-\d+)"', html))
    return html


def main() -> None:
    """Sets the line numbers of all links to code."""
    for page in documents():
        old = page.read_text(encoding="utf-8")
        new = with_lines(old, page.parent)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(f"{page.relative_to(ROOT)}: set")


if __name__ == "__main__":
    main()
