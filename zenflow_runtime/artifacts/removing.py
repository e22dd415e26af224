"""What a deleted flow has stored in a bucket, and nothing else: all objects below its own directory."""

from __future__ import annotations

from zenflow_runtime.artifacts import s3
from zenflow_runtime.artifacts.orders import Remove
from zenflow_runtime.artifacts.patience import Patience


def remove(order: Remove, patience: Patience) -> str:
    """Remove every object below the order's key, and say how many there were. Raises TransferError."""
    return f"removed {s3.remove(order.place, patience)} objects below {order.place.url}"
