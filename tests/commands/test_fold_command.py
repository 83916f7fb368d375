"""``softshare fold`` folds, saves and measures what a record holds, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from softshare.__main__ import main
from softshare.folding.folded_model import FoldedModel
from softshare.folding.network import fold
from softshare.records import Run
from softshare.training import train

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of a shared network and of a plain one."""
    root = tmp_path_factory.mktemp("command") / "data" / "runs"
    for model in ("swrn-16-1-2", "wrn-10-1"):
        settings = {"profile": "smoke", "epochs": 1, "examples": 64}
        train(model, runs=root, device="cpu", progress=False, **settings)
    return root


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path) -> None:
    monkeypatch.setenv("SOFTSHARE_DATA", str(folder.parent))
    monkeypatch.chdir(tmp_path)


def record(folder: Path, model: str = "swrn-16-1-2") -> Path:
    (path,) = folder.glob(f"**/{model}*/seed*.json")
    return path


def said(words: list[str], capsys: Captured) -> str:
    """What a command that is refused says: one sentence, and status 1."""
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


def test_it_prints_the_report_and_saves_the_network(folder: Path, capsys: Captured) -> None:
    run = Run.load(record(folder))
    expected = fold(run.network(folder), 0.01)
    for place in (str(record(folder)), run.path):
        words = ["fold", place, "--threshold", "0.01", "--out", "small.safetensors"]
        assert main(words) == 0
        out, err = capsys.readouterr()
        assert err == ""
        assert out.startswith(str(expected.report))
        size = Path("small.safetensors").stat().st_size
        assert out.endswith(f"saved small.safetensors, {size} bytes\n")
    back = FoldedModel.load("small.safetensors", like=run.network(folder))
    pairs = zip(back.state_dict().values(), expected.state_dict().values(), strict=True)
    assert all(a.equal(b) for a, b in pairs)
    assert main(["fold", run.path]) == 0
    assert capsys.readouterr().out.startswith("Folded at similarity 0.95: ")
    assert Run.load(record(folder)) == run, "the record is as it was"


def test_it_exports_the_network(folder: Path, capsys: Captured) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run = Run.load(record(folder))
    words = ["fold", run.path, "--threshold", "0.01", "--onnx", "small.onnx"]
    assert main(words) == 0
    size = Path("small.onnx").stat().st_size
    assert capsys.readouterr().out.endswith(f"exported small.onnx, {size} bytes\n")
    session = runtime.InferenceSession("small.onnx", providers=["CPUExecutionProvider"])
    folded = fold(run.network(folder), 0.01)
    x = torch.randn(3, *folded.input_shape)
    (out,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(out), folded(x), rtol=1e-3, atol=1e-4)


def test_measuring_fills_the_record_and_changes_no_result(folder: Path, capsys: Captured) -> None:
    path = record(folder)
    before = Run.load(path)
    assert before.folded == [], "a trial run"
    assert main(["fold", before.path, "--measure", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    head, *lines, last = out.splitlines()
    after = Run.load(path)
    assert "foldings: 100%" in err and f"{len(after.folded)}/{len(after.folded)}" in err
    assert head.split() == ["threshold", "parameters", "test_error", "recalibrated"]
    assert last == f"record {path}"
    assert len(lines) == len(after.folded) > 1
    for shown, line in zip(lines, after.folded, strict=True):
        assert [float(word) for word in shown.split()] == [
            round(x, 6 if i < 1 else 2) for i, x in enumerate(line.values())
        ]
    for name in ("recipe", "result", "curves", "coefficients", "model", "data"):
        assert getattr(after, name) == getattr(before, name)
    assert main(["fold", before.path, "--measure", "--device", "cpu"]) == 0
    assert Run.load(path).folded == after.folded


def test_of_a_plain_network_only_the_kept_weights_are_scored(
    folder: Path, capsys: Captured
) -> None:
    path = record(folder, "wrn-10-1")
    assert main(["fold", str(path), "--measure", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.startswith("wrn-10-1 shares nothing to fold")
    assert Run.load(path).folded == []
    assert Run.load(path).weights["test_error"] >= 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("fold", "the following arguments are required: RECORD"),
        ("fold x --threshold 1.5", "--threshold is a similarity, from 0 to 1; got 1.5"),
        ("fold x --threshold nan", "--threshold is a similarity, from 0 to 1; got nan"),
        ("fold x --measure --out y", "saves no network: no --out"),
        ("fold x --measure --threshold 0.5", "saves no network: no --threshold"),
        ("fold x --device cpu", "--device goes with --measure"),
        ("fold x --treshold 0.5", "there is no '--treshold', did you mean --threshold?"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(words: str, text: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    out, err = capsys.readouterr()
    assert (caught.value.code, out, err.count("\n")) == (2, "", 1)
    assert text in err


def test_what_cannot_be_folded_is_one_sentence(
    folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    path, place = record(folder), record(folder).relative_to(folder)
    assert "There is no record nothing.json, neither here nor below" in said(
        ["fold", "nothing.json"], capsys
    )
    weights = path.with_suffix(".safetensors")
    assert "is no record; the record is the .json file" in said(["fold", str(weights)], capsys)
    (tmp_path / "copy.json").write_bytes(path.read_bytes())
    assert "copy.json is not in its place" in said(["fold", "copy.json"], capsys)
    alone = tmp_path / "runs" / place
    alone.parent.mkdir(parents=True)
    alone.write_bytes(path.read_bytes())
    for words in (["fold", str(alone)], ["fold", str(alone), "--measure"]):
        assert "There are no weights" in said(words, capsys)
    alone.with_suffix(".safetensors").write_bytes(weights.read_bytes()[:-4])
    assert "are damaged, or of another run" in said(["fold", str(alone)], capsys)
    alone.write_bytes(path.read_bytes()[:-9])
    assert "is damaged: it is not a whole record" in said(["fold", str(alone)], capsys)
    (tmp_path / "file").touch()
    words = ["fold", str(path), "--out", "file/small.safetensors"]
    assert main(words) == 1
    assert "Could not write file/small.safetensors" in capsys.readouterr().err
