"""Mixing in one operator is mixing by the formula: values, gradients, layouts, and as a kernel."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from softshare.models import build
from softshare.recipe import Recipe
from softshare.sharing import banks, mixing
from softshare.sharing.bank import TemplateBank
from softshare.sharing.mixing import fused_on, inner_products, mix, mixture
from softshare.training import step
from softshare.training.engine import ENGINES
from softshare.training.step import Step

SIZES = [(6, 6, 230), (6, 2, 1000), (10, 8, 77), (1, 1, 5), (20, 20, 9), (3, 1, 64), (1, 3, 300)]
GPU = torch.device("cuda")
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def apart(found: Tensor, expected: Tensor) -> float:
    difference = found.double() - expected.double()
    return (difference.norm() / expected.double().norm()).item()


@pytest.mark.parametrize(("L", "k", "n"), SIZES[:4])
def test_the_operators_have_the_gradients_of_their_formulas(L: int, k: int, n: int) -> None:
    """First and second, by finite differences."""
    L, k, n = min(L, 6), min(k, 6), min(n, 5)
    T, A, G = (
        torch.randn(*shape, dtype=torch.float64, requires_grad=True)
        for shape in ((k, n), (L, k), (L, n))
    )
    for work, inputs in (
        (lambda T, A: mixture(T, A, torch.float64), (T, A)),
        (inner_products, (G, T)),
    ):
        assert torch.autograd.gradcheck(work, inputs)
        assert torch.autograd.gradgradcheck(work, inputs)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck's own
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_operators_keep_what_pytorch_asks_of_operators(dtype: torch.dtype) -> None:
    T, A = torch.randn(3, 40, requires_grad=True), torch.randn(5, 3, requires_grad=True)
    torch.library.opcheck(mixture, (T, A, dtype))
    G = torch.randn(5, 40).to(dtype).requires_grad_()
    torch.library.opcheck(inner_products, (G, T))
    torch.library.opcheck(inner_products, (G, torch.randn(3, 40).to(dtype)))


@pytest.mark.parametrize("rounding", [None, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("autocast", [False, True])
def test_fused_weights_are_those_of_the_product(
    autocast: bool, layout: torch.memory_format, rounding: torch.dtype | None
) -> None:
    found = {}
    for fused in (False, True):
        torch.manual_seed(0)
        T = torch.randn(2 * 8, 4, 3, 3).to(memory_format=layout).requires_grad_()
        A = torch.randn(5, 2, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            weights = mix(T, A, rounding, fused)
        assert {w.dtype for w in weights} == {rounding if autocast and rounding else torch.float32}
        assert all(w.is_contiguous(memory_format=layout) for w in weights)
        sum((w.float().sin() * i).sum() for i, w in enumerate(weights)).backward()  # type: ignore[union-attr]
        found[fused] = (*weights, T.grad, A.grad)
    for one, two in zip(*found.values(), strict=True):
        torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit.script`")  # jvp's own
@pytest.mark.parametrize("way", ["grad", "jvp", "hessian", "vmap"])
def test_transforms_of_functions_see_the_product(way: str) -> None:
    """An operator of our own would pass on no tangent, and nobody would know."""
    T, A = torch.randn(4, 3), torch.randn(5, 2)
    transform: dict[str, Callable] = {
        "grad": lambda f: torch.func.grad(f)(A),
        "jvp": lambda f: torch.func.jvp(f, (A,), (torch.ones_like(A),))[1],
        "hessian": lambda f: torch.func.hessian(f)(A),
        "vmap": lambda f: torch.func.vmap(f)(A.expand(3, *A.shape)),
    }
    fused, plain = (
        transform[way](lambda A, fused=fused: sum(w.sin().sum() for w in mix(T, A, fused=fused)))
        for fused in (True, False)
    )
    torch.testing.assert_close(fused, plain)
    assert plain.norm() > 0.1


def test_a_copy_mixes_by_the_product_until_it_is_trained_itself() -> None:
    """It may be loaded where there is neither this GPU nor Triton."""
    bank = TemplateBank(torch.randn(2, 3), torch.randn(4, 2), list("abcd"))
    bank.fused = True
    assert not copy.deepcopy(bank).fused and not pickle.loads(pickle.dumps(bank)).fused
    assert bank.fused


@pytest.mark.parametrize(
    ("coefficients", "engine"), [("free", "eager"), ("fixed", "eager"), ("free", "compiled")]
)
def test_a_step_that_mixes_in_one_pass_is_the_same_step(
    coefficients: str, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced whole, too; a bank that is evaluated mixes by the product again."""
    compile_with = {"backend": "aot_eager"}
    plain = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **how: plain(f, **(how | compile_with)))
    recipe = Recipe("swrn-16-1-2", coefficients=coefficients, init="uniform")
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(4, 3, 16, 16, generator=generator), torch.arange(4)
    losses = {}
    for fused in (False, True):
        monkeypatch.setattr(step, "fused_on", lambda device, fused=fused: fused)
        torch.manual_seed(0)
        stepper = Step(build(recipe.model, init="uniform"), recipe, F.cross_entropy, engine=engine)
        assert {bank.fused for bank in banks(stepper.net).values()} == {fused}
        losses[fused] = [stepper(x, y).item() for _ in range(4)]
        assert stepper.engine == engine
        before = calls(monkeypatch)
        with torch.no_grad():
            losses[fused] += stepper.net.eval()(x).flatten().tolist()
        stepper.net(x)  # with gradient
        assert not before, "what is evaluated is exported, too"
    assert len(set(losses[True][:4])) == 4
    assert losses[True] == pytest.approx(losses[False], rel=1e-3, abs=1e-4)


def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each call of the operator from now on."""
    noted: list[str] = []

    def note(*arguments: object) -> Tensor:
        noted.append("mixture")
        return mixture(*arguments)

    monkeypatch.setattr(mixing, "mixture", note)
    return noted


@pytest.mark.parametrize("broken_one", ["mixture", "inner_products"])
@pytest.mark.parametrize("fault", ["error", "other numbers"])
def test_where_the_kernels_do_not_run_the_product_takes_over(
    fault: str, broken_one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = getattr(mixing, broken_one)

    def broken(*arguments: Any) -> Tensor:
        if fault == "error":
            raise RuntimeError("Failed to find C compiler\nand more")
        return works(*arguments) * 1.1

    plain = torch.linspace
    monkeypatch.setattr(torch, "linspace", lambda *a, device: plain(*a))  # on the CPU
    monkeypatch.setattr(mixing, broken_one, broken)
    with pytest.warns(UserWarning, match=r"^Mixing weights in one pass over memory failed on cuda"):
        assert fused_on.__wrapped__(GPU) is False
    monkeypatch.setattr(mixing, broken_one, works)
    assert fused_on.__wrapped__(GPU) is True
    assert fused_on.__wrapped__(torch.device("cpu")) is False


# ----------------------------------------------------------------------------------- the kernels


INTERPRETED = """
import torch
from softshare.sharing.mixing_kernels import inner_products, mixture, suits
torch.manual_seed(0)
for L, k, n in {sizes}:
    for dtype in (torch.float32, torch.bfloat16):
        T, A, G = torch.randn(k, n), torch.randn(L, k), torch.randn(L, n).to(dtype)
        assert suits(T, L) and suits(G, k)
        exact = A.double() @ T.double(), A.T.double() @ G.double(), G.double() @ T.double().T
        found = mixture(T, A, dtype), mixture(G, A.T, T.dtype), inner_products(G, T)
        apart = [((f - e).norm() / e.norm()).item() for f, e in zip(found, exact)]
        assert [f.dtype for f in found] == [dtype, T.dtype, T.dtype]
        # the interpreter cuts off where a GPU rounds to the nearest
        assert apart[0] < (1e-6 if dtype == torch.float32 else 2**-7), (L, k, n, dtype, apart)
        assert max(apart[1:]) < 1e-5, (L, k, n, dtype, apart)
print("all the same")
"""


def test_the_kernels_compute_the_formulas() -> None:
    """Interpreted by Triton, operation by operation, on the CPU."""
    pytest.importorskip("triton")
    script = INTERPRETED.format(sizes=[*SIZES, (32, 32, 130), (6, 6, 3000)])
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.stdout == "all the same\n", done.stderr


@pytest.mark.parametrize("architecture", [80, 90])
def test_the_kernels_compile_for_gpus_that_are_not_here(
    architecture: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from softshare.sharing import mixing_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))

    def code(kernel: Callable, pointers: dict[str, str], **constants: int) -> str:
        signature = pointers | {"n": "i32"} | dict.fromkeys(constants, "constexpr")
        source = ASTSource(kernel, signature=signature, constexprs=constants)
        how = mixing_kernels._ONE_WARP
        return triton.compile(source, GPUTarget("cuda", architecture, 32), how).asm["ptx"]

    for given, made in product(("*fp32", "*bf16"), repeat=2):
        pointers = {"rows": given, "A": "*fp32", "mixed": made}
        found = code(mixing_kernels.mixture_kernel, pointers, L=6, K=6, SIDE=8, BLOCK=128)
        assert ("cvt.rn.bf16" in found) == (made == "*bf16"), "rounded to the nearest"
    pointers = {"one": "*bf16", "two": "*fp32", "parts": "*fp32"}
    sizes = {"L": 6, "K": 6, "HEIGHT": 16, "WIDTH": 16, "BLOCK": 64}
    assert "tf32" in code(mixing_kernels.inner_products_kernel, pointers, **sizes)


@NEEDS_GPU
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("L", "k", "n"), [*SIZES, (33, 3, 50), (6, 6, 3_686_400), (6, 2, 230_400), (32, 32, 2304)]
)
def test_the_operators_compute_the_formulas_on_a_gpu(
    L: int, k: int, n: int, dtype: torch.dtype
) -> None:
    assert fused_on(GPU)
    T, A = torch.randn(k, n, device=GPU), torch.randn(L, k, device=GPU)
    G = torch.randn(L, n, device=GPU).to(dtype)
    assert apart(mixture(T, A, dtype), A.double() @ T.double()) < (
        1e-6 if dtype == torch.float32 else 2.5e-3  # rounded to the nearest
    )
    assert apart(mixture(G, A.T, T.dtype), A.T.double() @ G.double()) < 1e-6
    assert apart(inner_products(G, T), G.double() @ T.double().T) < 1e-5


@NEEDS_GPU
@pytest.mark.parametrize("engine", ENGINES)
def test_a_step_mixes_in_one_pass_on_a_gpu_by_any_engine(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe("swrn-16-1-2", init="uniform")
    x, y = torch.randn(8, 3, 16, 16, device=GPU), torch.arange(8, device=GPU)
    losses = {}
    for fused in (False, True):
        monkeypatch.setattr(step, "fused_on", lambda device, fused=fused: fused)
        torch.manual_seed(0)
        how: dict[str, Any] = {"device": GPU, "engine": engine if fused else "eager"}
        net = build(recipe.model, init="uniform")
        stepper = Step(net, recipe, F.cross_entropy, precision=torch.bfloat16, **how)
        losses[fused] = [stepper(x, y).item() for _ in range(6)]
        assert stepper.engine == how["engine"], "nothing fell back"
    assert losses[True] == pytest.approx(losses[False], rel=0.05, abs=0.02)
