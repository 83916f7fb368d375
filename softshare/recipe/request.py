"""What `softshare.train` is asked: a recipe, and where its images are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from softshare.data.archives import is_path, stem
from softshare.recipe import Recipe, for_profile


def request(
    model: str,
    data: str | None = None,
    profile: str = "paper",
    source: str | Path | None = None,
    **settings: Any,
) -> tuple[Recipe, Path | None]:
    """The recipe, and the folder or archive of its image set where one is named.

    Args:
        model: name for `softshare.build`.
        data: name of a data set, or the path of an image folder or archive, which is then called
            by its stem. Default: the profile's, or the stem of `source`.
        profile: ``paper``, ``fast`` or ``smoke``.
        source: folder or archive of the set that `data` names.
        **settings: other fields of `Recipe`.

    Raises:
        ValueError: unknown names, or values out of range.

    Example:
        >>> recipe, source = request("wrn-28-1", "sets/flowers.tar.gz")
        >>> recipe.data, source.name
        ('flowers', 'flowers.tar.gz')
    """
    if source is None and isinstance(data, str) and is_path(data):
        data, source = None, data
    if source is None:
        return for_profile(model, data, profile, **settings), None
    path = Path(source).expanduser().absolute()
    return for_profile(model, stem(path) if data is None else data, profile, **settings), path
