"""What is asked of a table or figure is refused with a sentence where it makes no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import softshare as ss


@pytest.mark.parametrize(
    ("target", "asked", "sentence"),
    [
        ("table1", {"sedd": 1}, "There is no parameter 'sedd'; there are k, profile, data, seeds,"),
        ("table1", {"target": "table2"}, "There is no parameter 'target'"),
        (
            "table5",
            {},
            "knows table1, table2, table3, table4, figure3, figure4, figure5, figure6, figure7, ",
        ),
        ("table1", {"k": -1}, "k is a whole number from 0 up; got -1"),
        ("table1", {"k": "two"}, "k is a whole number from 0 up; got 'two'"),
        ("table1", {"k": True}, "k is a whole number from 0 up; got True"),
        ("table1", {"seeds": 0}, "seeds is a whole number from 1 up; got 0"),
        ("table1", {"seeds": 1.0}, "seeds is a whole number from 1 up; got 1.0"),
        ("table1", {"epochs": None}, "epochs is a whole number from 0 up; got None"),
        ("table1", {"width": -2}, "width is a whole number from 0 up; got -2"),
        ("table1", {"profile": "quick"}, "profile is auto, paper, fast, smoke; got 'quick'"),
        ("table1", {"profile": 3}, "profile is auto, paper, fast, smoke; got 3"),
        ("table1", {"train": "no"}, "train is True or False; got 'no'"),
        ("table1", {"train": 0}, "train is True or False; got 0"),
        ("table1", {"data": 10}, "data must be str; got 10"),
        ("table1", {"data": ""}, "data is a name"),
        ("table1", {"data": "nosuch"}, "an image set is one of .*, got 'nosuch'"),
        ("figure3", {"data": "flowers"}, "Figure 3 is of cifar10, cifar100, digits or a variant"),
        ("table1", {"data": "shortest-paths"}, "cnn, scnn, scnn-r train on 'shortest-paths'"),
        ("figure5", {"k": 2}, "figure5 are fixed: it takes no k; got k=2"),
        ("figure8", {"k": 2}, "figure8 are fixed: it takes no k; got k=2"),
        ("figure5", {"width": 2}, "figure5 are fixed.*width=2"),
        ("table3", {"width": 1}, "table3 are fixed.*width=1"),
        ("table3", {"data": "digits"}, "'digits'"),
        ("figure5", {"data": "digits"}, "figure5 are fixed.*data='digits'"),
    ],
)
def test_refused_with_a_sentence(
    trainer: Any, tmp_path: Path, target: str, asked: dict[str, Any], sentence: str
) -> None:
    for train in ({}, {"train": False}):
        with pytest.raises(ValueError, match=sentence):
            ss.reproduce(target, **(train | asked), runs=tmp_path)
    assert trainer.asked == []


def test_parameters_are_the_plain_values_of_a_namespace() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__", "_i1": "k = 2", "In": ["k = 2"]}
    exec("import os\nk: int = 2\nname: str = 'x'\nnothing = None\nflag = False", namespace)
    assert ss.parameters(namespace) == {"k": 2, "name": "x", "nothing": None, "flag": False}
