"""NAO's controller: sequences of tokens to points of a continuous space, their scores, and back (Luo et al. 2018).

"Neural Architecture Optimization", arXiv:1808.07233, section 3. An encoder (LSTM) reads one group of tokens a step; its
states, scaled to unit length, are the point. A predictor reads their mean; a decoder (LSTM with attention to the
states, `decoders`) spells the sequence out again. Moving the states along the predictor's gradient and decoding gives
sequences that it predicts to be better.

Written from a description of the published programs, which differ. `FLAVORS` has the controllers of all six, with their
exact sizes. Departures: a position admits the tokens of its gene and no other, also where the originals share a mask;
masked logits are minus infinity; the teacher-forced decoder reads the spelling that it is to give (the TensorFlow
programs have it read the one that was not exchanged). Not in the description: that biases of the TensorFlow programs
begin at 0, those of forget gates at 1, and the scale of attention at the root of 1 / H, as TensorFlow's layers do.

Shapes: B sequences, L tokens, T = L / group steps, H hidden, V tokens of the vocabulary with 0, the start.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.core import genes as encodings
from netwright.core.genes import Gene
from netwright.surrogates.decoders import META, AdditiveDecoder, Decoder, DotDecoder, embedding, pool

FlavorName = Literal["tf", "tf-rnn", "tf-ws", "tf-ws-rnn", "pt1", "pt2"]
SPREAD = 0.1  # TensorFlow's programs draw weights uniformly within this of 0


@dataclass(frozen=True)
class Flavor:
    """A controller: its sizes, and what differs between programs in how it is drawn and kept small.

    Args:
        step_width: Length of the vector that the encoder reads in one step: the embeddings of a group of tokens.
        hidden: Number of units of encoder and of decoder, H.
        layers: Number of hidden layers of the predictor.
        width: Number of units of each of these layers.
        dropout: Share of the units that is dropped after each of these layers.
        weight_decay: Weight decay of all parameters: Adam's with "pytorch"; with "tensorflow" this times half their
            squares is part of the loss, so that its gradient is clipped and scaled with the rest.
        copies: Number of spellings of each genotype that training draws from, where the space is symmetric.
        has_original: Whether the genotype itself is one of them.
        encoder_dropout: Share that is dropped of the encoder's embeddings, or, with "tensorflow", of its outputs before
            they are scaled to unit length.
        framework: Of the program: "tensorflow" has one vector of biases in an LSTM, and draws weights within 0.1 of 0.
        attention: Of the decoder: "mapped" or "plain" dot products, or "additive", fed back to it.
        is_orthogonal: Whether the decoder's LSTM begins with orthogonal weights; of "additive" ones only.
        predictor_spread: The predictor's parameters are drawn uniformly within this of 0; None: as all others.
        group: Number of tokens that the encoder reads in one step; None: the period of the genes' kinds.
    """

    step_width: int
    hidden: int
    layers: int
    width: int
    dropout: float
    weight_decay: float
    copies: int
    has_original: bool = False
    encoder_dropout: float = 0.0
    framework: Literal["pytorch", "tensorflow"] = "pytorch"
    attention: Literal["mapped", "plain", "additive"] = "mapped"
    is_orthogonal: bool = False
    predictor_spread: float | None = None
    group: int | None = None


# "tf" and "tf-rnn": of the TensorFlow program without shared weights, for cells of images and of sequences; "tf-ws" and
# "tf-ws-rnn": of the same authors' program with shared weights, the latter in PyTorch; "pt1", of their PyTorch program
# for the cells of NAONet; "pt2", of their balanced one-shot search. Most draw one exchanged spelling at every access,
# where 25 are possible; "pt2" adds 9 once and for all, and an epoch passes over all 10
_TF = Flavor(
    *(96, 96, 0, 0, 0.0, 1e-4, 32),
    encoder_dropout=0.1,
    framework="tensorflow",
    attention="additive",
    is_orthogonal=True,
)
FLAVORS: Mapping[FlavorName, Flavor] = {
    "tf": _TF,
    "tf-rnn": replace(_TF, layers=3, width=200, dropout=0.1, is_orthogonal=False, group=1),
    "tf-ws": replace(_TF, layers=3, width=100),
    "tf-ws-rnn": Flavor(
        *(96, 96, 4, 200, 0.0, 1e-4, 32), encoder_dropout=0.1, attention="plain", predictor_spread=0.04
    ),
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
    """Encoder, predictor and decoder; parameters as the program's framework draws them, but from `generator`."""

    def __init__(self, tokens: TokenChoices, flavor: Flavor, generator: torch.Generator) -> None:
        super().__init__()
        self.tokens, self.flavor = tokens, flavor
        hidden, vocabulary = flavor.hidden, tokens.vocabulary
        width = flavor.step_width // tokens.group
        self.encoder_embedding = embedding(vocabulary, width)
        self.encoder = nn.LSTM(width * tokens.group, hidden, batch_first=True, device=META)
        widths = [hidden, *[flavor.width] * flavor.layers, 1]
        pairs = itertools.pairwise(widths)
        self.predictor = nn.ModuleList(nn.Linear(before, after, device=META) for before, after in pairs)
        is_additive, is_mapped = flavor.attention == "additive", flavor.attention == "mapped"
        self.decoder: Decoder = (
            AdditiveDecoder(vocabulary, hidden) if is_additive else DotDecoder(vocabulary, hidden, is_mapped)
        )
        self.to_empty(device="cpu")
        _initialize(self, generator)

    def encode(self, sequences: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """States of unit length, shape (B, T, H), of sequences (B, L); with dropout where a generator is given."""
        share, is_behind = self.flavor.encoder_dropout, self.flavor.framework == "tensorflow"
        read = _dropped(self.encoder_embedding(sequences), 0.0 if is_behind else share, generator)
        steps = read.view(len(sequences), self.tokens.length // self.tokens.group, -1)
        return F.normalize(_dropped(self.encoder(steps)[0], share if is_behind else 0.0, generator), dim=-1)

    def predict(self, states: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Scores in (0, 1), shape (B,), of states (B, T, H); with dropout where a generator is given."""
        x = pool(states)
        for layer in list(self.predictor)[:-1]:
            x = _dropped(F.relu(layer(x)), self.flavor.dropout, generator)
        return torch.sigmoid(self.predictor[-1](x)).squeeze(1)

    def spell(self, sequences: Tensor, states: Tensor) -> Tensor:
        """Logits (B, L, V) of each token of `sequences`, shape (B, L), given those before it."""
        return self.decoder(sequences, states)

    def decode(self, states: Tensor) -> Tensor:
        """The sequences (B, L) that states (B, T, H) stand for: at each position the likeliest token that it admits."""
        return self.decoder.greedy(states, self.tokens.masks)

    def move(self, states: Tensor, step: float) -> Tensor:
        """States moved by `step` along the gradient of their predicted score, and back to unit length."""
        return shifted(states, self.slope(states), step)

    def slope(self, states: Tensor) -> Tensor:
        """The gradient of the predicted scores of states, in their shape (B, T, H)."""
        with torch.enable_grad():
            states = states.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.predict(states).sum(), states)
        return gradient


def shifted(states: Tensor, slope: Tensor, step: float) -> Tensor:
    """States (B, T, H) and `step` times their slope, at unit length."""
    return F.normalize(states.detach() + step * slope, dim=-1)


def size(controller: EncoderPredictorDecoder) -> int:
    """Number of parameters that are trained."""
    return sum(parameter.numel() for parameter in controller.parameters() if parameter.requires_grad)


def _dropped(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    if generator is None or not share:
        return x
    keep = 1.0 - share
    return x * torch.empty_like(x).bernoulli_(keep, generator=generator).div_(keep)


@torch.no_grad()
def _initialize(controller: EncoderPredictorDecoder, generator: torch.Generator) -> None:
    flavor = controller.flavor
    draw = _draw_as_tensorflow if flavor.framework == "tensorflow" else _draw_as_torch
    draw(controller, generator)
    if flavor.predictor_spread is not None:
        for parameter in controller.predictor.parameters():
            parameter.uniform_(-flavor.predictor_spread, flavor.predictor_spread, generator=generator)


def _draw_as_torch(controller: EncoderPredictorDecoder, generator: torch.Generator) -> None:
    """Embeddings normal, all else uniform within the root of the inverse of a unit's inputs."""
    for module in controller.modules():
        if isinstance(module, nn.Embedding):
            module.weight.normal_(generator=generator)
        elif isinstance(module, nn.LSTM | nn.Linear):
            bound = (module.hidden_size if isinstance(module, nn.LSTM) else module.in_features) ** -0.5
            for parameter in module.parameters():
                parameter.uniform_(-bound, bound, generator=generator)


def _draw_as_tensorflow(controller: EncoderPredictorDecoder, generator: torch.Generator) -> None:
    """Weights uniform within SPREAD of 0, biases 0 and those of forget gates 1; an LSTM's second biases stay 0."""
    hidden = controller.flavor.hidden
    forget = slice(hidden, 2 * hidden)
    for name, parameter in controller.named_parameters():
        if "bias" in name or name.endswith("offset"):
            parameter.zero_()
        else:
            parameter.uniform_(-SPREAD, SPREAD, generator=generator)
    controller.encoder.bias_ih_l0[forget] = 1.0
    controller.encoder.bias_hh_l0.requires_grad_(False)
    decoder = controller.decoder
    if isinstance(decoder, AdditiveDecoder):
        decoder.scale.fill_(hidden**-0.5)
        decoder.from_token.bias[forget] = 1.0
        if controller.flavor.is_orthogonal:
            weights = torch.empty(4 * hidden, 3 * hidden)
            nn.init.orthogonal_(weights, generator=generator)
            decoder.from_token.weight.copy_(weights[:, :hidden])
            decoder.from_memory.weight.copy_(weights[:, hidden:])
