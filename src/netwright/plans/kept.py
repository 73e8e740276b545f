"""What a network really keeps for its backward pass, measured: what the counts of plans are held against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


def kept_bytes(network: nn.Module, inputs: Tensor) -> int:
    """Bytes that each further example of a batch keeps, every tensor once, without parameters.

    The network runs in the mode that it is in, on the examples and on twice as many; what does not grow with the
    batch, as the means of a normalization, is not counted.

    Args:
        network: The network.
        inputs: A batch (B, ...) of examples.
    """
    few, many = (_kept(network, batch) for batch in (inputs, torch.cat((inputs, inputs))))
    return (many - few) // len(inputs)


def _kept(network: nn.Module, inputs: Tensor) -> int:
    """Bytes of all tensors that the backward pass of a batch needs, without parameters."""
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that no two have one address

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage
        return tensor

    with torch.enable_grad(), saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = network(inputs)
    for parameter in network.parameters():
        storages.pop(parameter.untyped_storage().data_ptr(), None)
    found = sum(storage.nbytes() for storage in storages.values())
    del outputs
    return found
