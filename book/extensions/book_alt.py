"""Gives drawings that a page's code makes an alternative text: the headings they stand under.

Without one, the page would read out the name of the file.
"""

from docutils import nodes
from sphinx.application import Sphinx


def headings(node: nodes.Node) -> list[str]:
    """Titles of the sections around a node, the page's first."""
    found = []
    while (node := node.parent) is not None:
        if isinstance(node, nodes.section):
            found.append(node[0].astext())
    return found[::-1]


def describe(app: Sphinx, page: nodes.document) -> None:
    """Names every image that has no alternative text."""
    for image in page.findall(nodes.image):
        if "alt" not in image and (above := headings(image)):
            image["alt"] = f"Drawing: {' / '.join(above)}"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-read", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
