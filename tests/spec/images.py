"""Image files whose checksum is right although their contents are not."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors.numpy

from spec import image


def forged(
    program: image.Program,
    change: Callable[[dict], Any],
    tensors: dict[str, np.ndarray] | None = None,
) -> bytes:
    """An image with other metadata (and tensors) and a checksum that is right."""
    data = image.to_bytes(program)
    tensors = tensors or safetensors.numpy.load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    document = json.loads(header["__metadata__"]["skipstone"])
    text = json.dumps(change(document))
    metadata = {"skipstone": text, "sha256": image._checksum(text, tensors)}
    return safetensors.numpy.save(tensors, metadata)


def tensors_of(program: image.Program) -> dict[str, np.ndarray]:
    """Of its image file."""
    return safetensors.numpy.load(image.to_bytes(program))
