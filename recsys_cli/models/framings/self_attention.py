"""What models of sequences by self-attention share: the heads, and histories laid out as in training."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class CausalAttention(nn.Module):
    """Each position takes what it needs from the positions up to it (Vaswani et al. 2017).

    Args:
        dim: Length of the vectors.
        heads: Parts of them that look for themselves; a divisor of `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(dim, 3 * dim)
        self.join = nn.Linear(dim, dim)

    def forward(self, x: Float[Tensor, "batch length dim"]) -> Float[Tensor, "batch length dim"]:
        """What each position took."""
        of_heads = self.project(x).unflatten(
            2, (3, self.heads, -1)
        )  # (batch, length, 3, heads, dim / heads)
        queries, keys, values = of_heads.transpose(1, 3).unbind(2)
        taken = scaled_dot_product_attention(queries, keys, values, is_causal=True)
        joined: Tensor = self.join(taken.transpose(1, 2).flatten(2))
        return joined


def oldest_first(
    items: Int64[Tensor, "batch length"],
) -> tuple[Int64[Tensor, "batch length"], Int64[Tensor, " batch"]]:
    """Left-padded histories as training has them, padded on the right with 0, and how long each is."""
    real = items >= 0
    lengths = real.sum(1)
    position = torch.arange(items.shape[1], device=items.device)
    at = (position + items.shape[1] - lengths[:, None]).clamp(max=items.shape[1] - 1)
    return items.gather(1, at).clamp(min=0), lengths
