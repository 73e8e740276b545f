"""NAO's controller: sequences of tokens to points of a continuous space, their scores, and back (Luo et al. 2018).

"Neural Architecture Optimization", arXiv:1808.07233, section 3. An encoder (LSTM) reads one group of tokens a step; its
states, scaled to unit length, are the point. A predictor reads their mean; a decoder (LSTM with attention to the
states) spells the sequence out again. Moving the states along the predictor's gradient and decoding gives sequences
that it predicts to be better.

Written from a description of the published programs, which differ. `FLAVORS` has the two whose sizes are known exactly:
"pt1", of the authors' PyTorch program for the cells of NAONet (279,533 parameters for its 40 tokens), and "pt2", of
their balanced one-shot search (80,845). Departures: a position admits the tokens of its gene and no other, also where
the originals share a mask; masked logits are minus infinity; the teacher-forced decoder runs over whole sequences.

Shapes: B sequences, L tokens, T = L / group steps, H hidden, V tokens of the vocabulary with 0, the start.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.core import genes as encodings
from netwright.core.genes import Gene

FlavorName = Literal["pt1", "pt2"]


@dataclass(frozen=True)
class Flavor:
    """Sizes of a controller.

    Args:
        step_width: Length of the vector that the encoder reads in one step: the embeddings of a group of tokens.
        hidden: Number of units of encoder and of decoder, H.
        layers: Number of hidden layers of the predictor.
        width: Number of units of each of these layers.
        dropout: Share of the units that is dropped after each of these layers.
        weight_decay: Weight decay of Adam, on all parameters.
        copies: Number of spellings of each genotype that training draws from, where the space is symmetric.
        has_original: Whether the genotype itself is one of them.
    """

    step_width: int
    hidden: int
    layers: int
    width: int
    dropout: float
    weight_decay: float
    copies: int
    has_original: bool = False


# the original draws one exchanged spelling at every access in "pt1", where 25 are possible; in "pt2" it adds 9 once and
# for all, and an epoch passes over all 10
FLAVORS: Mapping[FlavorName, Flavor] = {
    "pt1": Flavor(96, 96, 3, 200, 0.1, 1e-4, 32),
    "pt2": Flavor(64, 64, 0, 0, 0.0, 0.0, 10, has_original=True),
}


@dataclass(frozen=True, eq=False)
class TokenChoices:
    """Which tokens a sequence may have at each position.

    Args:
        masks: Which tokens each position admits, shape (L, V), bool.
        group: Tokens that the encoder reads in one step; divides L.
    """

    masks: Tensor
    group: int = 1

    @staticmethod
    def of(genes: Sequence[Gene], group: int | None = None) -> TokenChoices:
        """The choices of genotypes of `genes`; without a `group`, its size is the period of the genes' kinds."""
        found = encodings.group_size(genes) if group is None else group
        return TokenChoices(torch.from_numpy(encodings.token_masks(genes)), found)

    @property
    def length(self) -> int:
        """Number of tokens of a sequence, L."""
        return int(self.masks.shape[0])

    @property
    def vocabulary(self) -> int:
        """Number of tokens of the vocabulary, V, with the start token."""
        return int(self.masks.shape[1])


class EncoderPredictorDecoder(nn.Module):
    """Encoder, predictor and decoder; parameters as torch draws them by default, but from `generator`."""

    def __init__(self, tokens: TokenChoices, flavor: Flavor, generator: torch.Generator) -> None:
        super().__init__()
        self.tokens, self.flavor = tokens, flavor
        hidden, vocabulary = flavor.hidden, tokens.vocabulary
        embedding = flavor.step_width // tokens.group
        # made on no device, so that nothing is drawn from torch's global generator
        meta = torch.device("meta")
        self.encoder_embedding = _embedding(vocabulary, embedding)
        self.encoder = nn.LSTM(embedding * tokens.group, hidden, batch_first=True, device=meta)
        widths = [hidden, *[flavor.width] * flavor.layers, 1]
        pairs = itertools.pairwise(widths)
        self.predictor = nn.ModuleList(nn.Linear(before, after, device=meta) for before, after in pairs)
        self.decoder_embedding = _embedding(vocabulary, hidden)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True, device=meta)
        self.query = nn.Linear(hidden, hidden, bias=False, device=meta)
        self.combine = nn.Linear(2 * hidden, hidden, bias=False, device=meta)
        self.out = nn.Linear(hidden, vocabulary, device=meta)
        self.to_empty(device="cpu")
        _initialize(self, generator)

    def encode(self, sequences: Tensor) -> Tensor:
        """States of unit length, shape (B, T, H), of sequences (B, L)."""
        steps = self.encoder_embedding(sequences).view(len(sequences), self.tokens.length // self.tokens.group, -1)
        return F.normalize(self.encoder(steps)[0], dim=-1)

    def predict(self, states: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Scores in (0, 1), shape (B,), of states (B, T, H); with dropout where a generator is given."""
        x = pool(states)
        for layer in list(self.predictor)[:-1]:
            x = F.relu(layer(x))
            if generator is not None and self.flavor.dropout:
                keep = 1.0 - self.flavor.dropout
                x = x * torch.empty_like(x).bernoulli_(keep, generator=generator).div_(keep)
        return torch.sigmoid(self.predictor[-1](x)).squeeze(1)

    def spell(self, sequences: Tensor, states: Tensor) -> Tensor:
        """Logits (B, L, V) of each token of `sequences`, shape (B, L), given those before it."""
        previous = F.pad(sequences[:, :-1], (1, 0))  # behind the start token
        start = pool(states).unsqueeze(0)
        outputs, _ = self.decoder(self.decoder_embedding(previous), (start, start))
        return self._logits(outputs, *self._attended(states))

    @torch.no_grad()
    def decode(self, states: Tensor) -> Tensor:
        """The sequences (B, L) that states (B, T, H) stand for: at each position the likeliest token that it admits."""
        start = pool(states).unsqueeze(0)
        memory, token = (start, start), torch.zeros(len(states), dtype=torch.int64)
        keys, values, found = *self._attended(states), []
        for mask in self.tokens.masks:
            outputs, memory = self.decoder(self.decoder_embedding(token).unsqueeze(1), memory)
            logits = self._logits(outputs, keys, values).squeeze(1)
            token = logits.masked_fill(~mask, -math.inf).argmax(1)
            found.append(token)
        return torch.stack(found, 1)

    def move(self, states: Tensor, step: float) -> Tensor:
        """States moved by `step` along the gradient of their predicted score, and back to unit length."""
        return shifted(states, self.slope(states), step)

    def slope(self, states: Tensor) -> Tensor:
        """The gradient of the predicted scores of states, in their shape (B, T, H)."""
        with torch.enable_grad():
            states = states.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.predict(states).sum(), states)
        return gradient

    def _attended(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """What attention reads, each (B, T, H), with the decoder's maps of queries and contexts already applied.

        Both maps are linear, so that they may as well act on the T states as on the L queries, which are more.
        """
        return states @ self.query.weight, states @ self.combine.weight[:, : self.flavor.hidden].T

    def _logits(self, outputs: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """tanh(combine([context; output])) to logits, where context = softmax(query(output) . states) states."""
        weights = torch.softmax(torch.bmm(outputs, keys.transpose(1, 2)), -1)  # (B, L, T)
        own = outputs @ self.combine.weight[:, self.flavor.hidden :].T
        return self.out(torch.tanh(torch.baddbmm(own, weights, values)))


def pool(states: Tensor) -> Tensor:
    """The mean of states (B, T, H), scaled to unit length: shape (B, H)."""
    return F.normalize(states.mean(1), dim=-1)


def shifted(states: Tensor, slope: Tensor, step: float) -> Tensor:
    """States (B, T, H) and `step` times their slope, at unit length."""
    return F.normalize(states.detach() + step * slope, dim=-1)


def _embedding(vocabulary: int, width: int) -> nn.Embedding:
    """An embedding to be drawn: torch's own drawing of one on no device imports its compiler, which takes seconds."""
    return nn.Embedding.from_pretrained(torch.empty(vocabulary, width), freeze=False)


@torch.no_grad()
def _initialize(controller: EncoderPredictorDecoder, generator: torch.Generator) -> None:
    """Draw as torch does: embeddings normal, all else uniform within the root of the inverse of a unit's inputs."""
    for module in controller.modules():
        if isinstance(module, nn.Embedding):
            module.weight.normal_(generator=generator)
        elif isinstance(module, nn.LSTM | nn.Linear):
            bound = (module.hidden_size if isinstance(module, nn.LSTM) else module.in_features) ** -0.5
            for parameter in module.parameters():
                parameter.uniform_(-bound, bound, generator=generator)
