"""One of two processes that train one step on their half of a batch; started by a test."""

import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

import softshare as ss


def main(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=2)
    net = ss.share(ss.models.PathNetwork(4, 8), 2).double()
    net.load_state_dict(torch.load(f"{folder}/start.pt", weights_only=True))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()  # its statistics would be those of half a batch
    x, y = torch.load(f"{folder}/batch.pt", weights_only=True)
    wrapped = DistributedDataParallel(net)
    optimizer = torch.optim.SGD(ss.param_groups(wrapped, 0.1), lr=0.1)
    half = slice(4 * rank, 4 * rank + 4)
    for step in range(2):
        optimizer.zero_grad()
        (wrapped(x[half]) - y[half]).square().mean().backward()
        gradients = {name: p.grad for name, p in net.named_parameters()}
        torch.save(gradients, f"{folder}/gradients-{rank}-{step}.pt")
        optimizer.step()
    torch.save(net.state_dict(), f"{folder}/end-{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
