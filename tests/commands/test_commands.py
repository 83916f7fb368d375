"""The command line does what it says, and says in a sentence why it does not."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from softshare.__main__ import main
from softshare.commands import flags, parse
from softshare.commands import train as train_command
from softshare.data import image_cache
from softshare.data.image_set import Splits, image_sets
from softshare.recipe import Recipe, for_profile
from softshare.recipe.request import request
from softshare.records import Run, origin
from softshare.records.provenance import command
from softshare.training.image_task import ImageTask

ON_CPU = ["--profile", "smoke", "--device", "cpu", "--examples", "64"]
SMOKE = [*ON_CPU, "--batch_size", "32", "--epochs", "1", "--quiet"]
RECIPES = [
    for_profile("swrn-28-10-2"),
    for_profile("scnn-r", profile="fast", seed=2),
    replace(
        Recipe("swrn-28-10-2"),
        data="cifar100",
        profile="fast",
        seed=4,
        epochs=7,
        batch_size=64,
        optimizer="adam",
        lr=0.01,
        milestones=(0.25, 1.0),
        decay=0.5,
        weight_decay=0.0,
        dropout=0.3,
        cutout=16,
        init="normal",
        recurrence=0.5,
        examples=1000,
    ),
    for_profile("cnn", milestones=(), phases=2),
    for_profile("swrn-28-10-2", "cifar10-jpeg", "fast", momentum=0.0, fold=0.9, tune=3),
]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data root, and the working directory: nothing is read or written elsewhere."""
    monkeypatch.setenv("SOFTSHARE_COMMIT", "0123456789ab")  # tests may be a copy without history
    monkeypatch.setenv("SOFTSHARE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def usage(argv: list[str], capsys: Captured) -> str:
    """What a wrong command line is told: one sentence, and exit status 2."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    return one_line(err)


def refusal(argv: list[str], capsys: Captured) -> str:
    """What a refused command says: one sentence on stderr, and exit status 1."""
    assert main(argv) == 1
    out, err = capsys.readouterr()
    assert out == ""
    return one_line(err)


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text[:-1]


def record(folder: Path) -> Path:
    (path,) = folder.glob("data/runs/**/seed*.json")
    return path


# ------------------------------------------------------------------------------------------ train


def test_train_writes_the_record_and_says_what_came_out(folder: Path, capsys: Captured) -> None:
    assert main(["train", "wrn-10-1", *SMOKE, "--seed", "3", "--lr", "0.05"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    run = Run.load(record(folder))
    assert (run.seed, run.recipe.lr, run.recipe.examples) == (3, 0.05, 64)
    line = one_line(out)
    assert line.startswith("wrn-10-1 on digits, smoke, seed 3: test error ")
    assert f"{run.test_error:.2f} % after 1 epoch, {run.cost['seconds']} s" in line
    assert line.endswith(f"record {folder / 'data' / 'runs' / run.path}")
    before = record(folder).stat().st_mtime_ns
    assert main(["train", "wrn-10-1", *SMOKE, "--seed", "3", "--lr", "0.05"]) == 0
    assert capsys.readouterr().out == out, "found, and shown the same"
    assert record(folder).stat().st_mtime_ns == before


def test_records_go_where_they_are_asked_to_go(folder: Path, capsys: Captured) -> None:
    assert main(["train", "wrn-10-1", *SMOKE, "--runs", "elsewhere/runs"]) == 0
    (path,) = folder.glob("elsewhere/runs/**/seed0-*.json")
    assert str(path.relative_to(folder)) in capsys.readouterr().out
    assert not (folder / "data" / "runs").exists()


def test_progress_is_shown_unless_quiet(folder: Path, capsys: Captured) -> None:
    loud = [word for word in SMOKE if word != "--quiet"]
    assert main(["train", "wrn-10-1", *loud]) == 0
    assert "wrn-10-1 seed 0: 100%" in capsys.readouterr().err


def test_every_field_of_a_recipe_is_a_flag_with_its_meaning_and_default(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "--help"])
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for field in fields(Recipe):
        if field.name != "model":
            assert f"--{field.name} " in text
            assert flags.meanings()[field.name] in text
    assert "Default 200 (fast 30, smoke 10); shortest paths 50 (fast 10, smoke 1)." in text
    assert "Default 0.3,0.6,0.8; shortest paths none." in text
    assert "Default 0.0; scnn-r 0.01." in text
    assert "Default paper." in text


@pytest.mark.parametrize(
    "recipe",
    RECIPES,
    ids=lambda recipe: recipe.key,
)
def test_flags_ask_for_any_recipe(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Recipe] = []

    def note(**asked: object) -> Run:
        for name in ("runs", "device", "progress", "source", "precision", "engine"):
            asked.pop(name)
        seen.append(for_profile(**asked))  # type: ignore[arg-type]
        return Run(recipe, result={"f1": 0.5}, cost={"seconds": 1.0})

    monkeypatch.setattr(train_command, "train", note)
    words = []
    for name, value in recipe.changes().items() | {("data", recipe.data)}:
        text = ",".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
        words += [f"--{name}", text] if name != "model" else []
    assert main(["train", recipe.model, *words]) == 0
    dashes = [flag.replace("_", "-") if flag.startswith("--") else flag for flag in words]
    assert main([*["train"], *dashes, recipe.model]) == 0
    assert seen == [recipe, recipe]


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
    words: str, text: str, folder: Path, capsys: Captured
) -> None:
    sentence = usage(words.split(), capsys)
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
    words: str, text: str, folder: Path, capsys: Captured
) -> None:
    sentence = refusal(words.split(), capsys)
    assert sentence.startswith("softshare: ")
    assert text in sentence
    assert not list(folder.glob("data/**/*.pt"))
    assert not list(folder.glob("data/**/*.json"))


def test_damaged_archives_are_named(folder: Path, capsys: Captured) -> None:
    for name in ("flowers.zip", "flowers.tar.gz", "cifar-10-python.tar.gz"):
        (folder / name).write_bytes(b"PK\x03\x04 and then nothing of the kind")
    sentences = [
        refusal(["train", "wrn-28-1", "--data", "flowers.zip"], capsys),
        refusal(["train", "wrn-28-1", "--data", "flowers.tar.gz"], capsys),
        refusal(["data", "flowers", "--from", "flowers.zip"], capsys),
        refusal(["data", "cifar10", "--from", "cifar-10-python.tar.gz"], capsys),
    ]
    assert f"{folder / 'flowers.zip'} is damaged" in sentences[0]
    assert f"{folder / 'flowers.tar.gz'} is damaged" in sentences[1]
    assert f"{folder / 'flowers.zip'} is damaged" in sentences[2]
    assert "is not the official archive of cifar10: its md5 is" in sentences[3]


def test_train_tells_a_copy_without_history_how_records_name_their_commit(
    folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "PACKAGE", folder / "softshare")
    for commit in ("", "0123456789ab"):
        monkeypatch.setenv("SOFTSHARE_COMMIT", commit)
        assert main(["train", "wrn-10-1", *SMOKE, "--seed", str(len(commit))]) == 0
        assert ("set SOFTSHARE_COMMIT to what" in capsys.readouterr().err) == (not commit)
        (path,) = folder.glob(f"data/runs/**/seed{len(commit)}-*.json")
        assert Run.load(path).origin["commit"] == (commit or "unknown")


def test_a_damaged_record_is_named_set_aside_and_trained_again(
    folder: Path, capsys: Captured
) -> None:
    assert main(["train", "wrn-10-1", *SMOKE]) == 0
    path = record(folder)
    path.write_bytes(path.read_bytes()[:-20])
    sentence = refusal(["runs"], capsys) if capsys.readouterr().out else ""
    assert sentence == f"softshare: The record {path} is damaged: it is not a whole record."
    assert main(["train", "wrn-10-1", *SMOKE]) == 0
    out, err = capsys.readouterr()
    assert one_line(err).startswith(f"softshare: The record {path} is damaged: it is not a whole")
    assert "The file was set aside as" in err
    assert f"record {path}" in out
    assert Run.load(path).seed == 0


def test_a_run_that_diverges_fails_and_leaves_no_record(folder: Path, capsys: Captured) -> None:
    wild = ["--lr", "1000", "--weight_decay", "1000", "--examples", "640"]
    sentence = refusal(["train", "wrn-10-1", *SMOKE, *wild], capsys)
    assert re.match(
        r"softshare: The (loss|output) of wrn-10-1 stopped being a number .*, learning rate "
        r"1000\.0; lower lr\. No record was written\.$",
        sentence,
    )
    assert not list(folder.glob("data/runs/**/*.json"))


def test_an_unwritable_place_is_named(folder: Path, capsys: Captured) -> None:
    (folder / "file").touch()
    sentence = refusal(["train", "wrn-10-1", *SMOKE, "--runs", "file/runs"], capsys)
    assert "file" in sentence
    assert re.match(r"softshare: (Not a directory|File exists)", sentence)


def test_a_traceback_is_shown_on_request() -> None:
    with pytest.raises(ValueError, match="Models are named"):
        main(["train", "resnet", "--traceback"])


def test_ctrl_c_is_130_and_says_that_the_run_goes_on(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ImageTask, "batches", stop)
        assert main(["train", "wrn-10-1", *SMOKE]) == 130
    assert one_line(capsys.readouterr().err) == (
        "Interrupted; the same command goes on from the last checkpoint."
    )


def test_a_real_process_can_be_interrupted_and_goes_on(folder: Path, capsys: Captured) -> None:
    """Ctrl-C in a process that holds its breath after its third epoch; the rest runs here."""
    words = ["wrn-10-1", *ON_CPU, "--batch_size", "64", "--epochs", "4"]
    slow = (
        "import signal, time, torch; torch.set_num_threads(1)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # "&" of a script ignores it
        "import softshare.training as t; t.train.__kwdefaults__['checkpoint_seconds'] = 0\n"
        "from softshare.training.journal import Journal as J; note = J.note\n"
        "def waiting(self, *rest): note(self, *rest); time.sleep(60 * (self.epochs == 3))\n"
        "J.note = waiting\n"
        "import sys; from softshare.__main__ import main; sys.exit(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", slow, "train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    saved = folder / "data" / "checkpoints"
    while not list(saved.glob("*.pt")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("Interrupted; the same command goes on from the last checkpoint.\n")
    assert "Traceback" not in err
    assert main(["train", *words]) == 0
    out, err = capsys.readouterr()
    assert re.search(r"\b[123]/4 ", err), "the bar starts at the checkpoint"
    assert "0/4" not in err
    assert record(folder).is_file()
    assert not list(saved.glob("*.pt"))


# ------------------------------------------------------------------------------------ data and runs


def test_data_shows_what_is_there(capsys: Captured, folder: Path) -> None:
    assert main(["data", "digits"]) == 0
    first, train, test = capsys.readouterr().out.splitlines()
    assert first == (
        f"digits: 1438 training and 359 test images of 1 x 8 x 8, 10 classes, in {folder / 'data'}"
    )
    assert re.fullmatch(r"training sha256:[0-9a-f]{64}", train)
    assert re.fullmatch(r"    test sha256:[0-9a-f]{64}", test)


def test_imagenet_is_shown_where_it_is(capsys: Captured, photo_folder: Callable[..., Path]) -> None:
    place = photo_folder(train=7, held_out=4)
    assert main(["data", "imagenet", "--from", str(place)]) == 0
    shown = capsys.readouterr().out
    first, checksum = shown.splitlines()
    assert first == f"imagenet: 7 training and 4 test images, 3 classes, in {place}"
    assert re.fullmatch(r"names and sizes, sha256:[0-9a-f]{64}", checksum)
    assert main(["data", "imagenet"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert again[1] == checksum


def test_an_imported_set_can_be_trained_on_by_its_name(folder: Path, capsys: Captured) -> None:
    image = pytest.importorskip("PIL.Image")
    for split, label in (("train", "a"), ("train", "b"), ("test", "a"), ("test", "b")):
        place = folder / "pictures" / split / label
        place.mkdir(parents=True)
        for i in range(3):
            image.new("RGB", (8, 8), (90 * (label == "b"), 40 * i, 7)).save(place / f"{i}.png")
    assert main(["data", "shades", "--from", "pictures"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("shades: 6 training and 6 test images of 3 x 8 x 8, 2 classes")
    assert main(["data", "shades"]) == 0
    assert capsys.readouterr().out == shown
    settings = ["--epochs", "1", "--device", "cpu", "--quiet"]
    assert main(["train", "wrn-10-1", "--data", "shades", *settings]) == 0
    run = Run.load(record(folder))
    assert run.data["checksum"] in shown
    assert run.data["name"] == "shades"


def test_a_damaged_copy_of_an_imported_set_is_named(folder: Path, capsys: Captured) -> None:
    pixels = np.zeros((2, 3, 8, 8), dtype=np.uint8), np.arange(2)
    cache = folder / "data" / "cache" / f"pair-{'0' * 12}.npz"
    image_cache.save(cache, *image_sets("pair", Splits(("a", "b"), pixels, pixels)))
    assert main(["data", "pair"]) == 0
    cache.write_bytes(cache.read_bytes()[:-50])
    capsys.readouterr()
    assert main(["data", "pair"]) == 1
    warning, sentence = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"softshare: the decoded images in {cache} are damaged")
    assert "import its archive with" in sentence


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


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.key)
def test_the_command_that_provenance_prints_asks_for_the_recipe(recipe: Recipe) -> None:
    words = shlex.split(command(recipe))
    assert words[:4] == ["python", "-m", "softshare", "train"]
    asked = train_command.asked(parse(words[3:]))
    assert request(**asked)[0] == recipe
