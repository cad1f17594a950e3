"""Generators and critics: multilayer perceptrons and DCGANs, with or without batch normalisation and attention.

A critic returns one raw score for each point: a logit where the objective wants a probability, never a sigmoid.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .config import RunConfig

Shape = tuple[int, int, int]  # channels, height, width


def mlp(
    inputs: int, outputs: int, *, width: int, depth: int, batch_norm: bool = False, slope: float = 0.0
) -> nn.Module:
    """`depth` hidden layers of `width` units with leaky ReLU of the given slope, then a linear layer."""
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [nn.Linear(width if k else inputs, width, bias=not batch_norm)]
        layers += [nn.BatchNorm1d(width)] if batch_norm else []
        layers += [nn.LeakyReLU(slope) if slope else nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width if depth else inputs, outputs))


def dcgan_generator(
    inputs: int, shape: Shape, *, width: int, batch_norm: bool = True, attention: bool = False
) -> nn.Module:
    """Latent points (n, k) to images (n, C * H * W): transposed convolutions that double the side, ReLU, no pooling.

    References
    ----------
    A. Radford, L. Metz and S. Chintala, Unsupervised representation learning with DCGANs, ICLR 2016.
    """
    channels, side, doublings = _plan(shape)
    sizes = [width * 2**k for k in reversed(range(doublings))]
    layers: list[nn.Module] = [nn.Unflatten(1, (inputs, 1, 1)), nn.ConvTranspose2d(inputs, 2 * sizes[0], side)]
    last = 2 * sizes[0]
    for size in sizes:
        layers += [nn.BatchNorm2d(last)] if batch_norm else []
        layers += [nn.ReLU()]
        layers += [SelfAttention2d(last)] if attention and size == sizes[-1] else []
        layers += [nn.ConvTranspose2d(last, size, 4, stride=2, padding=1)]
        last = size
    layers += [nn.BatchNorm2d(last)] if batch_norm else []
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(last, channels, 3, padding=1), nn.Flatten())


def dcgan_critic(shape: Shape, *, width: int, batch_norm: bool = True, attention: bool = False) -> nn.Module:
    """Images (n, C * H * W) to scores (n, 1): strided convolutions that halve the side, leaky ReLU, no dense layer."""
    channels, side, halvings = _plan(shape)
    layers: list[nn.Module] = [nn.Unflatten(1, shape), nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
    last = width
    for k in range(halvings):
        layers += [nn.Conv2d(last, width * 2 ** (k + 1), 4, stride=2, padding=1)]
        last = width * 2 ** (k + 1)
        layers += [nn.BatchNorm2d(last)] if batch_norm else []
        layers += [nn.LeakyReLU(0.2)]
        layers += [SelfAttention2d(last)] if attention and not k else []
    return nn.Sequential(*layers, nn.Conv2d(last, 1, side), nn.Flatten())


def _plan(shape: Shape) -> tuple[int, int, int]:
    """(channels, side of the smallest image, how often it is doubled)."""
    channels, height, width = shape
    doublings = int(math.log2(max(height, 4) / 4))
    side = height >> doublings
    if height != width or doublings < 1 or side << doublings != height:
        raise ValueError(
            f"`net` 'dcgan' must double a square of 4 to 7 pixels into the images, but they have {height} x {width}. "
            "Resize them to a side such as 8, 14, 16, 28, 32 or 64 (--size for a folder of images), or use net='mlp'."
        )
    return channels, side, doublings


class SelfAttention2d(nn.Module):
    """Every pixel looks at all others; starts as the identity, since `strength` starts at 0.

    References
    ----------
    H. Zhang, I. Goodfellow, D. Metaxas and A. Odena, Self-attention generative adversarial networks, ICML 2019.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 8)
        self.query, self.key = nn.Conv2d(channels, inner, 1), nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, H, W) to the same shape."""
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))  # (n, c, H * W)
        seen = torch.softmax(query.transpose(1, 2) @ key, dim=-1)
        return x + self.strength * (value @ seen.transpose(1, 2)).view_as(x)


def generator_of(config: RunConfig, d: int, shape: Shape | None, bounded: bool) -> nn.Module:
    """The generator that a config describes: latent points (n, k) to points (n, d), in [-1, 1] where bounded."""
    latent = config.latent_dim or 0
    if config.net == "dcgan":
        net = dcgan_generator(
            latent, _images(shape), width=config.width, batch_norm=config.batch_norm, attention=config.attention
        )
    else:
        net = mlp(latent, d, width=config.width, depth=config.depth, batch_norm=config.batch_norm)
    return nn.Sequential(net, nn.Tanh()) if bounded else net


def critic_of(config: RunConfig, d: int, shape: Shape | None) -> nn.Module:
    """The critic that a config describes: points (n, d) to raw scores (n, 1)."""
    if config.net == "dcgan":
        return dcgan_critic(
            _images(shape), width=config.width, batch_norm=config.batch_norm, attention=config.attention
        )
    return mlp(d, 1, width=config.width, depth=config.depth, batch_norm=config.batch_norm, slope=0.2)


def _images(shape: Shape | None) -> Shape:
    if shape is None:
        raise ValueError(
            "`net` 'dcgan' must be given images, but the data are points. Use net='mlp', or tell their `shape` "
            "(--shape C,H,W)."
        )
    return shape


def has_batch_norm(net: nn.Module) -> bool:
    """Whether points of one batch see each other in this network."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in net.modules())
