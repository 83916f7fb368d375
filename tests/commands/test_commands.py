"""The command line lists, helps, and says in a sentence what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from softshare.__main__ import main
from softshare.recipe import for_profile
from softshare.records import Run

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("", "the following arguments are required: COMMAND; see python -m softshare --help."),
        ("trian wrn-28-1", "invalid choice: 'trian' (choose from"),
        ("train", "the following arguments are required: MODEL"),
        ("train wrn-28-1 --sedd 1", "there is no '--sedd', did you mean --seed?"),
        ("train wrn-28-1 --sedd=1", "there is no '--sedd', did you mean --seed?"),
        ("train wrn-28-1 --epoch 3", "there is no '--epoch', did you mean --epochs?"),
        (
            "train wrn-28-1 --zzz",
            "train: there is no '--zzz'; see python -m softshare train --help",
        ),
        ("train wrn-28-1 wrn-28-2", "there is no 'wrn-28-2'"),
        ("train wrn-28-1 --epochs many", "argument --epochs: invalid int value: 'many'"),
        ("train wrn-28-1 --epochs 2.5", "argument --epochs: invalid int value: '2.5'"),
        ("train wrn-28-1 --lr fast", "argument --lr: invalid float value: 'fast'"),
        ("train wrn-28-1 --lr nan", "lr must lie between 0 and 1000; got nan"),
        ("train wrn-28-1 --milestones a,b", "argument --milestones: takes numbers such as"),
        ("train wrn-28-1 --milestones 60,120", "milestones are rising fractions"),
        ("train wrn-28-1 --epochs 0", "epochs must lie between 1 and 1e+06; got 0"),
        ("train wrn-28-1 --seed -1", "seed must lie between 0"),
        ("train wrn-28-1 --profile quick", "profile is one of paper, fast, smoke; got 'quick'"),
        ("train wrn-28-1 --optimizer adamw", "optimizer is one of sgd, adam; got 'adamw'"),
        ("train wrn-28-1 --init zero", "init is one of orthogonal,"),
        ("train wrn-28-1 --data shortest-paths", "train on 'shortest-paths' and nothing else"),
        ("train scnn --data digits", "train on 'shortest-paths' and nothing else"),
        ("train swrn-50-2 --data cifar10", "read photographs from files, imagenet or a folder"),
        ("train swrn-28-10 --data imagenet", "train on sets that are held in memory"),
        ("train wrn-28-1 --epochs", "argument --epochs: expected one argument"),
        ("data", "the following arguments are required: NAME"),
        ("data digits --form x", "there is no '--form', did you mean --from?"),
        ("runs --modle x", "there is no '--modle', did you mean --model?"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_status_2(
    usage: Callable, words: str, text: str, folder: Path
) -> None:
    sentence = usage(words.split())
    assert text in sentence
    assert sentence.startswith("python -m softshare")
    assert sentence.endswith("--help.")
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("train resnet", "Models are named wrn-L-w, swrn-L-w[-k], cnn, scnn or scnn-r; got"),
        ("train wrn-29-1", "A wide ResNet has depth 6n + 4 (10, 16, 22, 28, 40, ...); got 29"),
        ("train swrn-28-1-0", "A group of 6 layers takes 1 to 6 templates; got 0."),
        ("train swrn-28-1-7", "A group of 6 layers takes 1 to 6 templates; got 7."),
        ("train wrn-28-1 --recurrence 0.1", "needs shared layers; wrn-28-1 has none"),
        ("train wrn-28-1 --device gpu", "A device is cpu, cuda or cuda:N; got 'gpu'."),
        ("train wrn-28-1 --data nowhere", "got 'nowhere'"),
        ("train wrn-28-1 --data cifar10-jpeg", "import the archive of sha256"),
        ("train wrn-28-1 --data ./missing.zip", "there is no folder or archive"),
        ("train wrn-28-1 --data digits --examples 9999", "digits has 1438 training examples; got"),
        ("train wrn-28-1 --data digits --source here", "there is no folder or archive"),
        ("data nowhere", "got 'nowhere'"),
        ("data flowers --from missing.zip", "there is no folder or archive"),
        ("data imagenet", "imagenet is not in"),
        ("data imagenet --from nowhere", "there is no folder"),
        ("train swrn-50-2", "run `python -m softshare data imagenet --from FOLDER`"),
        ("train swrn-50-2 --data flowers", "pass 'imagenet', or the path of a folder of train/"),
        ("data shortest-paths", "is drawn anew for each run; there is nothing to fetch"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_status_1(
    refusal: Callable, words: str, text: str, folder: Path
) -> None:
    sentence = refusal(words.split())
    assert sentence.startswith("softshare: ")
    assert text in sentence
    assert not list(folder.glob("data/**/*.pt"))
    assert not list(folder.glob("data/**/*.json"))


def test_damaged_archives_are_named(refusal: Callable, folder: Path) -> None:
    for name in ("flowers.zip", "flowers.tar.gz", "cifar-10-python.tar.gz"):
        (folder / name).write_bytes(b"PK\x03\x04 and then nothing of the kind")
    sentences = [
        refusal(["train", "wrn-28-1", "--data", "flowers.zip"]),
        refusal(["train", "wrn-28-1", "--data", "flowers.tar.gz"]),
        refusal(["data", "flowers", "--from", "flowers.zip"]),
        refusal(["data", "cifar10", "--from", "cifar-10-python.tar.gz"]),
    ]
    assert f"{folder / 'flowers.zip'} is damaged" in sentences[0]
    assert f"{folder / 'flowers.tar.gz'} is damaged" in sentences[1]
    assert f"{folder / 'flowers.zip'} is damaged" in sentences[2]
    assert "is not the official archive of cifar10: its md5 is" in sentences[3]


def test_a_traceback_is_shown_on_request() -> None:
    with pytest.raises(ValueError, match="Models are named"):
        main(["train", "resnet", "--traceback"])


def test_runs_lists_the_records_that_match(
    folder: Path, capsys: Captured, make_run: Callable[..., Run]
) -> None:
    runs = [
        make_run(for_profile("wrn-28-1"), 4.5),
        make_run(for_profile("wrn-28-1", profile="fast"), 12.25),
        make_run(for_profile("swrn-28-1-2", "cifar100"), 25.0),
        make_run(for_profile("scnn", profile="smoke"), 0.75),
    ]
    for run in runs:
        run.save()
    assert main(["runs"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["result", "epochs", "seconds", "record"]
    assert [line.split()[-1] for line in lines] == sorted(run.path for run in runs)
    shown = {line.split()[-1]: " ".join(line.split()[:-1]) for line in lines}
    assert shown[runs[0].path] == "test error 4.50 % 200 90.0"
    assert shown[runs[3].path] == "F1 0.7500 5 × 1 90.0"
    assert len({line.index(run.path) for run in runs for line in lines if run.path in line}) == 1
    assert main(["runs", "--model", "wrn-28-1", "--profile", "fast"]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]] == [runs[1].path]
    assert main(["runs", "--data", "cifar10-jpeg"]) == 0
    place = folder / "data" / "runs"
    assert capsys.readouterr().out == f"No runs are recorded in {place}, data cifar10-jpeg.\n"


def test_help_names_every_command(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for name in ("train", "data", "runs", "fold"):
        assert re.search(rf"^    {name} ", text, re.MULTILINE)
        with pytest.raises(SystemExit) as caught:
            main([name, "--help"])
        assert caught.value.code == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"usage: python -m softshare {name} ")
        assert "Exit status: 0 done; 1 refused" in " ".join(shown.split())


def test_a_reader_that_closes_the_pipe_is_no_error(
    make_run: Callable[..., Run], start: Callable
) -> None:
    def listing() -> None:
        import os
        import sys

        from softshare.__main__ import main

        read, write = os.pipe()
        os.dup2(write, 1)
        os.close(write)
        os.close(read)
        sys.stdout = os.fdopen(1, "w")
        sys.exit(main(["runs"]))

    make_run(for_profile("wrn-28-1")).save()
    process = start(listing)
    process.join()
    assert process.exitcode == 0
