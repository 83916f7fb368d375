"""A training epoch as softshare runs it, against the loop as the field writes it.

The plain loop: a DataLoader over PIL images with torchvision's crop, flip, ToTensor and Normalize,
float32 in NCHW, SGD with PyTorch's defaults, `.item()` after every step; without workers, and with
one a core. Same network, same generated images, same batch size, as many steps.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from benchmark import Benchmark, arguments
from epochs import Epochs, image_recipe, title
from generated import pictures
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from work import step_work

import softshare as ss
from softshare.cores import cores
from softshare.recipe import Recipe


class Pictures(Dataset):
    """Generated images as torchvision's CIFAR10 gives them: one PIL image at a time."""

    def __init__(self, n: int) -> None:
        images, self.labels = pictures(n)
        self.images = images.transpose(0, 2, 3, 1)  # (n, H, W, C)
        crop, flip = transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()
        half = (0.5, 0.5, 0.5)
        scale = transforms.Normalize(half, half)
        self.transform = transforms.Compose([crop, flip, transforms.ToTensor(), scale])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[i])), int(self.labels[i])


class PlainLoop:
    """One epoch of the plain loop a call."""

    def __init__(self, recipe: Recipe, device: torch.device, steps: int, workers: int) -> None:
        self.device = device
        self.loader = DataLoader(
            Pictures(steps * recipe.batch_size),
            recipe.batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
        )
        self.net = ss.build(recipe.model).to(device)
        self.optimizer = torch.optim.SGD(
            self.net.parameters(),
            lr=recipe.lr,
            momentum=recipe.momentum,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )

    def __call__(self) -> float:
        self.net.train()
        total = 0.0
        for images, labels in self.loader:
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.net(images), labels)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total


def compare(bench: Benchmark, model: str, steps: int) -> None:
    recipe = image_recipe(model, batch_size=16 if bench.quick else 128)
    loop = functools.partial(PlainLoop, recipe, bench.device, steps)
    ours = Epochs(recipe, bench.device, steps)
    ways = {"none": loop(0), "tuned": loop(cores()), "ours": ours}
    seconds = bench.time(ways, ours.precision)
    images = steps * recipe.batch_size
    for way, workers in (("none", 0), ("tuned", cores())):
        bench.record(
            f"{model}-workers-{way}",
            seconds[way],
            seconds["ours"],
            ways=(f"DataLoader, {workers} workers, float32, NCHW", ours.about),
            settings={"net": title(model), "batch": recipe.batch_size, "workers": workers},
            **step_work(ours, recipe.batch_size),
            per="image",
            items=(images, images),
            expected=1.5,
        )


def main() -> None:
    bench = Benchmark(__file__, arguments(__doc__, repeats=5))
    cuda = bench.device.type == "cuda"
    models = ["wrn-10-1"] if bench.quick else ["wrn-28-10", "wrn-28-2"] if cuda else ["wrn-28-1"]
    for model in bench.cases(models):
        compare(bench, model, 2 if bench.quick else 40 if cuda else 6)


if __name__ == "__main__":
    main()
