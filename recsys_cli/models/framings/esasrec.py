"""eSASRec: SASRec whose blocks open and close (Tikhonovich et al., "eSASRec", RecSys 2025).

The blocks are those of LiGR (Borisyuk et al., "From features to transformers", 2025): each branch is weighed, number
by number, by a gate that its input sets, x + dropout(sigmoid(G x) f(layer norm(x))), and the net on each position is
SwiGLU, C (silu(A x) * B x). The next item is told from a draw by softmax.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import silu

from recsys_cli.models.framings.sasrec import SASRec
from recsys_cli.models.framings.self_attention import CausalAttention
from recsys_cli.models.layers import Dropout

EXPANSION = 4  # inner vectors of the net on each position, in lengths of the outer ones


class ESASRec(SASRec):
    """SASRec with gated blocks; the settings are the same."""

    def block(self, dim: int, heads: int, dropout: float) -> nn.Module:
        """A gated block."""
        return GatedBlock(dim, heads, dropout)

    def kept(self) -> int:
        """Numbers that a block keeps of a position for the gradient, in lengths of a vector."""
        return super().kept() + 4 * EXPANSION + 6


class GatedBlock(nn.Module):
    """Attention, then a net on each position alone, each around its own layer norm and through its own gate."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.gates = nn.ModuleList(nn.Linear(dim, dim) for _ in range(2))
        self.branches = nn.ModuleList([CausalAttention(dim, heads), SwiGLU(dim, dropout)])
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch length dim"]) -> Float[Tensor, "batch length dim"]:
        """The positions, each with what it took from those before it."""
        for norm, gate, branch in zip(self.norms, self.gates, self.branches, strict=True):
            x = x + self.dropout(torch.sigmoid(gate(x)) * branch(norm(x)))
        return x


class SwiGLU(nn.Module):
    """A net whose inner numbers are products of two views of its input (Shazeer 2020)."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.inner = nn.Linear(dim, 2 * EXPANSION * dim)
        self.outer = nn.Linear(EXPANSION * dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch length dim"]) -> Float[Tensor, "batch length dim"]:
        """The new vector of each position."""
        one, other = self.inner(x).chunk(2, dim=-1)
        out: Tensor = self.outer(self.dropout(silu(one) * other))
        return out
