"""The TokenLearner layer in PyTorch, literally as documented: what this package's numbers are measured against.

For x of shape (..., C, H, W), with P = H * W pixels, G output tokens and K = ff_mult * C hidden channels a token:

    h[g, k, p] = sum_c W1[g * K + k, c] * x[c, p] + b1[g * K + k]
    A[g, p]    = sum_k w2[g, k] * gelu(h[g, k, p]) + b2[g]          gelu(v) = v / 2 * (1 + erf(v / sqrt(2)))
    y[c, g]    = 1 / P * sum_p x[c, p] * A[g, p]

Sources: M. S. Ryoo et al., "TokenLearner: What Can 8 Learned Tokens Do for Images and Videos?" (NeurIPS 2021, arXiv:2106.11297),
in the variant that the Zeta library documents as `TokenLearner` and that RT-1 implementations use: grouped 1x1 convolutions, no softmax,
no sigmoid, a mean over the pixels. It repeats x, keeps the hidden layer and the (B, C, G, H, W) product: slow on purpose.

`num_layers` counts the convolutions: 2 is the documented layer; 1 is a single grouped convolution C -> 1 per token; more insert K -> K ones.
"""

import math
from itertools import pairwise

import torch
from torch import nn


class TokenLearner(nn.Module):
    """Tokens (..., C, G) of x (..., C, H, W); with `return_attention` also the maps (..., G, H, W)."""

    def __init__(self, *, dim: int, ff_mult: int = 2, num_output_tokens: int = 8, num_layers: int = 2):
        super().__init__()
        self.groups = num_output_tokens
        widths = [dim, *[ff_mult * dim] * (num_layers - 1), 1]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs * self.groups, outputs * self.groups, 1, groups=self.groups), nn.GELU()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, x: torch.Tensor, return_attention: bool = False):
        leading, image = x.shape[:-3], x.shape[-3:]
        repeated = x.reshape(math.prod(leading), *image).repeat(1, self.groups, 1, 1)
        attention = self.net(repeated)
        product = repeated.unflatten(1, (self.groups, image[0])).transpose(1, 2) * attention.unsqueeze(1)
        tokens = product.mean(dim=(-2, -1)).reshape(*leading, image[0], self.groups)
        return (tokens, attention.reshape(*leading, self.groups, *image[1:])) if return_attention else tokens


def relative_l2_error(actual: torch.Tensor, reference: torch.Tensor) -> float:
    """|actual - reference| / |reference| in float64; 0 for tensors without elements."""
    expected = reference.double()
    error, norm = (actual.double() - expected).norm().item(), expected.norm().item()
    return error / norm if norm > 0 else error
