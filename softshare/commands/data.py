"""The command ``data``: how it is asked, and what it prints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from softshare import data
from softshare.data.image_stream import IMAGENET, adopt, stream
from softshare.paths import data_root
from softshare.recipe import PATHS


def data_parser(adding: Any, status: str) -> argparse.ArgumentParser:
    """Adds the command to those of a parser."""
    parser = adding.add_parser(
        "data",
        allow_abbrev=False,
        help="fetch or import an image set, and show what is there",
        description=(
            "Makes an image set ready for training and shows its size and checksums. cifar10 and "
            "cifar100 are downloaded where they are missing; any other set is imported once from "
            "an archive or folder that holds train/<class>/<image> and test/<class>/<image>. "
            "imagenet is a folder of such folders, which stays where it is and is read from there. "
            "A name and -q75 is that set after JPEG of quality 75, or any other from 1 to 99."
        ),
        epilog=status,
    )
    parser.add_argument(
        "name", metavar="NAME", help="cifar10, cifar100, imagenet, digits, or your own name"
    )
    parser.add_argument(
        "--from", dest="archive", metavar="PATH", help="archive or folder to import under NAME"
    )
    parser.set_defaults(run=_data, interrupted="")
    return parser


def _data(arguments: argparse.Namespace) -> None:
    if arguments.name == PATHS:
        raise ValueError(f"{PATHS} is drawn anew for each run; there is nothing to fetch.")
    archive = arguments.archive
    if arguments.name == IMAGENET:
        train, test = adopt(archive) if archive else stream(IMAGENET)
        print(
            f"{IMAGENET}: {len(train)} training and {len(test)} test images, "
            f"{len(train.classes)} classes, in {Path(train.paths[0]).parents[2]}"
        )
        print(train.checksum)
        return
    sets = data.register(arguments.name, archive) if archive else data.load(arguments.name)
    channels, height, width = sets[0].images.shape[1:]
    print(
        f"{sets[0].name}: {len(sets[0])} training and {len(sets[1])} test images of {channels} x "
        f"{height} x {width}, {sets[0].num_classes} classes, in {data_root()}"
    )
    for split, images in zip(("training", "test"), sets, strict=True):
        print(f"{split:>8} {images.checksum}")
