"""Extra terms of the generator's loss, each with the networks it brings: what some GANs add to any objective."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from .nets import mlp


class CodeTerm(nn.Module):
    """InfoGAN's term: the first coordinates of the latent point can be read back from the generated one.

    A second network Q predicts the code, and (code - Q(G(z)))^2 is, up to constants, a lower bound of the mutual
    information between the code and the point with the sign turned.

    References
    ----------
    X. Chen, Y. Duan, R. Houthooft, J. Schulman, I. Sutskever and P. Abbeel, InfoGAN, NeurIPS 2016.
    """

    def __init__(self, latent_dim: int, d: int, width: int) -> None:
        super().__init__()
        self.codes = min(2, latent_dim)
        self.reader = mlp(d, self.codes, width=width, depth=2)

    def forward(self, generator: nn.Module, z: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Mean squared error of the code."""
        return mse_loss(self.reader(y), z[:, : self.codes])


class CycleTerm(nn.Module):
    """CycleGAN's term: a second network maps back, and both round trips lead home.

    With `latent` a name of data, the generator translates from those data: A -> B -> A' and B -> A -> B'.

    References
    ----------
    J.-Y. Zhu, T. Park, P. Isola and A. Efros, Unpaired image-to-image translation using cycle-consistent adversarial
    networks, ICCV 2017.
    """

    def __init__(self, latent_dim: int, d: int, width: int) -> None:
        super().__init__()
        self.back = mlp(d, latent_dim, width=width, depth=2)

    def forward(self, generator: nn.Module, z: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Mean absolute error of z -> y -> z' and of x -> z -> x'."""
        return l1_loss(self.back(y), z) + l1_loss(generator(self.back(x)), x)


class OrthogonalTerm(nn.Module):
    """BigGAN's regularisation: the units of a layer look at different things.

    The sum over weight matrices W of |(W W^T) * (1 - I)|_F^2, which leaves the lengths of the rows free.

    References
    ----------
    A. Brock, J. Donahue and K. Simonyan, Large scale GAN training for high fidelity natural image synthesis, ICLR
    2019.
    """

    def __init__(self, latent_dim: int, d: int, width: int) -> None:
        super().__init__()

    def forward(self, generator: nn.Module, z: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """The sum of the squared products of different rows."""
        matrices = [weight.flatten(1) for weight in generator.parameters() if weight.ndim > 1]
        products = [matrix @ matrix.T for matrix in matrices]
        return sum((p.square().sum() - p.diagonal().square().sum() for p in products), y.new_zeros(()))


TERMS: dict[str, type[nn.Module]] = {"code": CodeTerm, "cycle": CycleTerm, "orthogonal": OrthogonalTerm}
