"""Files of folded models: what was saved comes back, and nothing else is taken for it."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import softshare as ss
from softshare.folding.folded_model import FoldedModel
from softshare.folding.looping import Loop
from softshare.sharing import banks
from softshare.storage import Damaged


@pytest.mark.parametrize("loops", [True, False])
def test_what_was_saved_comes_back(build, model, shared_places, name, loops, tmp_path):
    net, x = model(name)
    made = ss.fold(net, 0.999, loops=loops)
    with torch.no_grad():
        for tensor in (*made.parameters(), *made.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand_like(tensor))  # as training does
    path = tmp_path / "folded.safetensors"
    made.save(path)
    assert path.stat().st_size == made.report.bytes_after
    others = [net, lambda: build(name), build(name)]
    others += [ss.unshare(net)] if banks(net) else []
    for like in others:
        kept = copy.deepcopy(like.state_dict()) if isinstance(like, nn.Module) else {}
        back = FoldedModel.load(path, like=like)
        assert type(back) is type(made)
        assert back.report == made.report
        assert list(back.state_dict()) == list(made.state_dict())
        assert shared_places(back) == shared_places(made)
        for mode in (True, False):
            got = copy.deepcopy(back).train(mode)(x)
            torch.testing.assert_close(got, copy.deepcopy(made).train(mode)(x), rtol=0, atol=0)
        for key, value in kept.items():
            torch.testing.assert_close(like.state_dict()[key], value, rtol=0, atol=0)


def frozen(net: nn.Sequential) -> None:
    net[1][1].requires_grad_(False)


def evaluated(net: nn.Sequential) -> None:
    net[0].eval()


def hooked(net: nn.Sequential) -> None:
    net[3].register_forward_hook(lambda *_: None)


def towers() -> nn.Sequential:
    return nn.Sequential(
        *[nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh()) for _ in range(4)]
    )


@pytest.mark.parametrize(
    ("differ", "loops"), [(frozen, ["2_to_3"]), (evaluated, ["1_to_3"]), (hooked, ["0_to_2"])]
)
def test_blocks_that_differed_when_folded_are_the_same_loops_again(differ, loops, tmp_path):
    net = ss.share(towers(), 1)
    differ(net)
    made, x = ss.fold(net), torch.randn(3, 4)
    assert [loop.path for loop in made.report.loops] == loops
    made.save(tmp_path / "a")
    for like in (towers, towers().eval(), net):
        back = FoldedModel.load(tmp_path / "a", like=like)
        assert back.report == made.report and list(back._modules) == list(made._modules)
        torch.testing.assert_close(back.eval()(x), made.eval()(x), rtol=0, atol=0)


def test_loops_of_loops_come_back(linears, tmp_path):
    net, tau = ss.share(linears(12)), [0, 1, 1, 2, 1, 2] * 2
    with torch.no_grad():
        for bank in banks(net).values():
            bank.coefficients.copy_(torch.eye(12)[tau] * torch.linspace(-1, 2, 12)[:, None])
    made, x = ss.fold(net), torch.randn(3, 5)
    assert str(made.report.groups[0].program) == "2×(1 2 2×(2 3))"
    made.save(tmp_path / "a")
    back = FoldedModel.load(tmp_path / "a", like=linears(12))
    assert sum(isinstance(module, Loop) for module in back.modules()) == 2
    assert back.report == made.report
    torch.testing.assert_close(back.eval()(x), made.eval()(x), rtol=0, atol=0)


def test_blocks_that_cannot_loop_as_the_file_says_are_refused(tmp_path):
    ss.fold(ss.share(towers(), 1)).save(tmp_path / "a")
    like = towers()
    evaluated(like)
    with pytest.raises(ValueError, match="first and iteration 2 differ in training: False and Tr"):
        FoldedModel.load(tmp_path / "a", like=like)
    like = towers()
    like.__class__ = type("Stepping", (nn.Sequential,), {"forward": lambda self, x: x})
    with pytest.raises(ValueError, match=r"no nn\.Sequential with the blocks 0 to 3 to loop"):
        FoldedModel.load(tmp_path / "a", like=like)


def test_models_of_the_paper_load_by_name(folded, linears, tmp_path):
    made, x = folded("wrn")
    made.save(tmp_path / "a")
    back = FoldedModel.load(tmp_path / "a", like="swrn-28-1")
    torch.testing.assert_close(back.eval()(x), made.eval()(x), rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"folded from another architecture.*the file lacks"):
        FoldedModel.load(tmp_path / "a", like="swrn-28-2")
    with pytest.raises(ValueError, match=r"another architecture.*No layer or weight is called"):
        FoldedModel.load(tmp_path / "a", like="swrn-16-1")
    with pytest.raises(ValueError, match="another architecture"):
        FoldedModel.load(tmp_path / "a", like=linears())


def test_files_hold_each_number_once(folded, name, tmp_path):
    made, _ = folded(name)
    numbers = sum(t.numel() * t.element_size() for t in {*made.parameters(), *made.buffers()})
    made.save(tmp_path / "a")
    size = (tmp_path / "a").stat().st_size
    assert numbers < size < numbers + 200 * len(made.state_dict()) + 3000
    safetensors = pytest.importorskip("safetensors.torch")
    tensors = safetensors.load_file(tmp_path / "a")
    assert sum(t.numel() * t.element_size() for t in tensors.values()) == numbers


def test_damaged_and_foreign_files_are_refused(folded, linears, tmp_path):
    made, _ = folded("linear")
    path = tmp_path / "folded"
    made.save(path)
    whole = path.read_bytes()
    for content in (b"", b"not this", whole[:-7], whole[:40]):
        path.write_bytes(content)
        with pytest.raises(Damaged, match="damaged"):
            FoldedModel.load(path, like=linears())
    save = pytest.importorskip("safetensors.torch").save_file
    save({"a": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="holds no folded model"):
        FoldedModel.load(path, like=linears())
    with pytest.raises(FileNotFoundError, match="no folded model at"):
        FoldedModel.load(tmp_path / "nothing", like=linears())


def test_buffers_that_share_memory_are_kept_apart(linears, tmp_path):
    net = linears(3)
    both = torch.arange(6.0)
    net.register_buffer("first", both[:3])
    net.register_buffer("all", both)
    ss.share(net, 1)
    made = ss.fold(net, inputs=torch.randn(2, 5))
    made.save(tmp_path / "a")
    again = FoldedModel.load(tmp_path / "a", like=net)
    assert torch.equal(again.all, both) and torch.equal(again.first, both[:3])


class Scaled(nn.Linear):
    """Keeps a number beside its parameters, as a tensor or not."""

    def __init__(self, tensor: bool = False) -> None:
        super().__init__(5, 5)
        self.scale, self.tensor = 2.0, tensor

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale

    def get_extra_state(self) -> object:
        return torch.tensor(self.scale) if self.tensor else {"scale": self.scale}

    def set_extra_state(self, state: object) -> None:
        raise AssertionError("not asked for")


@pytest.mark.parametrize("tensor", [True, False])
def test_what_a_file_could_not_give_back_is_refused(tensor, tmp_path):
    net = ss.share(nn.Sequential(Scaled(tensor), Scaled(tensor)), 1)
    made = ss.fold(net, inputs=torch.randn(2, 5), loops=False)
    sentence = r"parameters and buffers.* neither: 0\._extra_state, 1\._extra_state\. .*buffer"
    with pytest.raises(ValueError, match=sentence):
        made.save(tmp_path / "a")
    assert not any(tmp_path.iterdir())


def test_the_example_of_the_book_runs(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).resolve().parents[2] / "book" / "own_model.md").read_text()
    code = page.partition("## Fold it")[2].partition("```python")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    assert names["again"].report == names["folded"].report
    assert "0_to_7 runs 8×(0)" in capsys.readouterr().out
