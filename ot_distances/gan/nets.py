"""Generators and critics: multilayer perceptrons and DCGANs, with or without batch normalisation and attention.

A critic returns one raw score for each point: a logit where the objective wants a probability, never a sigmoid.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .config import RunConfig
    from .data import Dataset

Shape = tuple[int, int, int]  # channels, height, width


def mlp(
    inputs: int, outputs: int, *, width: int, depth: int, batch_norm: bool = False, slope: float = 0.0
) -> nn.Module:
    """`depth` hidden layers of `width` units with leaky ReLU of the given slope, then a linear layer."""
    norm = nn.BatchNorm1d if batch_norm else nn.Identity
    layers: list[nn.Module] = []
    for k in range(depth):
        layers += [nn.Linear(width if k else inputs, width, bias=not batch_norm), norm(width), nn.LeakyReLU(slope)]
    return nn.Sequential(*layers, nn.Linear(width if depth else inputs, outputs))


def dcgan_generator(
    inputs: int, shape: Shape, *, width: int, batch_norm: bool = True, attention: bool = False
) -> nn.Module:
    """Latent points (n, k) to images (n, C * H * W): transposed convolutions that double the side, ReLU, no pooling.

    References
    ----------
    A. Radford, L. Metz and S. Chintala, Unsupervised representation learning with DCGANs, ICLR 2016.
    """
    side, doublings = _plan(shape)
    norm = nn.BatchNorm2d if batch_norm else nn.Identity
    last = width * 2**doublings
    layers: list[nn.Module] = [nn.Unflatten(1, (inputs, 1, 1)), nn.ConvTranspose2d(inputs, last, side)]
    for k in reversed(range(doublings)):
        layers += [norm(last), nn.ReLU(), *_attention(last, attention and k == 0)]
        layers += [nn.ConvTranspose2d(last, last // 2, 4, stride=2, padding=1)]
        last //= 2
    return nn.Sequential(*layers, norm(last), nn.ReLU(), nn.Conv2d(last, shape[0], 3, padding=1), nn.Flatten())


def dcgan_critic(shape: Shape, *, width: int, batch_norm: bool = True, attention: bool = False) -> nn.Module:
    """Images (n, C * H * W) to scores (n, 1): strided convolutions that halve the side, leaky ReLU, no dense layer."""
    side, halvings = _plan(shape)
    norm = nn.BatchNorm2d if batch_norm else nn.Identity
    last = width
    layers: list[nn.Module] = [nn.Unflatten(1, shape), nn.Conv2d(shape[0], last, 3, padding=1), nn.LeakyReLU(0.2)]
    for k in range(halvings):
        layers += [nn.Conv2d(last, 2 * last, 4, stride=2, padding=1)]
        last *= 2
        layers += [norm(last), nn.LeakyReLU(0.2), *_attention(last, attention and k == 0)]
    return nn.Sequential(*layers, nn.Conv2d(last, 1, side), nn.Flatten())


def _plan(shape: Shape) -> tuple[int, int]:
    """(side of the smallest image, how often it is doubled)."""
    _, height, width = shape
    doublings = int(math.log2(max(height, 4) / 4))
    side = height >> doublings
    if height != width or doublings < 1 or side << doublings != height:
        raise ValueError(
            f"`net` 'dcgan' must double a square of 4 to 7 pixels into the images, but they have {height} x {width}. "
            "Resize them to a side such as 8, 14, 16, 28, 32 or 64 (--size for a folder of images), or use net='mlp'."
        )
    return side, doublings


def _attention(channels: int, wanted: bool) -> list[nn.Module]:
    return [SelfAttention2d(channels)] if wanted else []


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


def generator_of(config: RunConfig, latent_dim: int, data: Dataset) -> nn.Module:
    """The generator that a config describes: latent points (n, k) to points (n, d), in [-1, 1] where those are."""
    options: dict[str, Any] = {"width": config.width, "batch_norm": config.batch_norm}
    if config.net == "dcgan":
        net = dcgan_generator(latent_dim, _images(data), **options, attention=config.attention)
    else:
        net = mlp(latent_dim, data.train.shape[1], **options, depth=config.depth)
    return nn.Sequential(net, nn.Tanh()) if data.bounded else net


def critic_of(config: RunConfig, data: Dataset) -> nn.Module:
    """The critic that a config describes: points (n, d) to raw scores (n, 1)."""
    options: dict[str, Any] = {"width": config.width, "batch_norm": config.batch_norm}
    if config.net == "dcgan":
        return dcgan_critic(_images(data), **options, attention=config.attention)
    return mlp(data.train.shape[1], 1, **options, depth=config.depth, slope=0.2)


def _images(data: Dataset) -> Shape:
    if data.shape is None:
        raise ValueError(
            f"`net` 'dcgan' must be given images, but {data.name} are points. Use net='mlp', or tell their `shape` "
            "(--shape C,H,W)."
        )
    return data.shape
