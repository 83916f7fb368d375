"""What sharing costs: a training step of SWRN 28-w against one of WRN 28-w, at k = L, 2 and 1.

The plain way is the network without sharing, trained by softshare just alike, so a ratio below 1
says how much longer a step takes with sharing. Steps are the library's own, of 128 images.
"""

from __future__ import annotations

from benchmark import Benchmark, arguments
from epochs import Epochs, image_recipe, title
from work import step_work

from softshare.training.engine import ENGINES

TEMPLATES = {"L": "", "2": "-2", "1": "-1"}  # k: end of the model's name
FREE = 1.005  # times as long: 1.00 in the digits that are shown


def most(device: str, k: str, width: int) -> float | None:
    """How many times as long a step is hoped to take, at most."""
    if device == "cuda":
        return 1.02 if k == "L" else FREE
    return 1.05 if width > 1 else None


def compare(bench: Benchmark, depth: int, width: int, batch: int, steps: int) -> None:
    engine = bench.options.engine
    if engine == "auto":
        engine = "graphs" if bench.device.type == "cuda" else "eager"
    plain = f"wrn-{depth}-{width}"
    models = {"plain": plain} | {k: f"s{plain}{end}" for k, end in TEMPLATES.items()}
    epochs = {
        k: Epochs(image_recipe(model, batch_size=batch), bench.device, steps, engine)
        for k, model in models.items()
    }
    seconds = bench.time(epochs, epochs["plain"].precision)
    for k in TEMPLATES:
        work, hoped = step_work(epochs[k], batch), most(bench.device.type, k, width)
        bench.record(
            f"{plain}-k{k}",
            seconds["plain"],
            seconds[k],
            ways=("the same network, not shared", epochs[k].about),
            settings={"net": title(models[k]), "batch": batch},
            flops=work["flops"] * batch,
            moved=work["moved"] * batch,
            dtype=work["dtype"],
            per="step",
            items=(steps, steps),
            expected=1 / hoped if hoped else None,
        )


def main() -> None:
    parser = arguments(__doc__, repeats=5)
    choice = "default auto: graphs on a GPU, where compiling twelve networks takes long, else eager"
    parser.add_argument("--engine", default="auto", choices=("auto", *ENGINES), help=choice)
    bench = Benchmark(__file__, parser)
    cuda = bench.device.type == "cuda"
    widths = [1] if bench.quick else [10, 4, 2] if cuda else [1, 2, 4]
    for width in bench.cases(widths):
        size = (16, width, 8, 1) if bench.quick else (28, width, 128, 30 if cuda else 1)
        compare(bench, *size)


if __name__ == "__main__":
    main()
