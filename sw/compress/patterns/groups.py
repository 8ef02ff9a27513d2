"""Patterns whose groups compete with each other: single weights, blocks, whole outputs."""

from torch import Tensor

from sw.compress.patterns.base import Grouped, check_sizes, sum_blocks


class Unstructured(Grouped):
    """Zeros anywhere: every weight is a group of its own."""

    elementwise = True
    where = "weight"

    def means(self, matrix: Tensor) -> Tensor:
        return matrix

    def sums(self, matrix: Tensor) -> Tensor:
        return matrix

    def spread(self, groups: Tensor, outputs: int, inputs: int) -> Tensor:
        return groups

    def __str__(self) -> str:
        return "unstructured"


class Block(Grouped):
    """Blocks of ``rows`` outputs by ``inputs`` inputs."""

    where = "blocks"

    def __init__(self, rows: int, inputs: int):
        check_sizes(rows=rows, inputs=inputs)
        self.rows, self.inputs = rows, inputs

    def sums(self, matrix: Tensor) -> Tensor:
        return sum_blocks(matrix, self.rows, self.inputs)

    def spread(self, groups: Tensor, outputs: int, inputs: int) -> Tensor:
        tall = groups.repeat_interleave(self.rows, 0)
        return tall.repeat_interleave(self.inputs, 1)[:outputs, :inputs]

    def __str__(self) -> str:
        return f"block:{self.rows}x{self.inputs}"


class Row(Grouped):
    """Whole outputs: neurons of a Linear, filters of a convolution."""

    where = "rows"
    whole_outputs = True

    def sums(self, matrix: Tensor) -> Tensor:
        return matrix.sum(1)

    def spread(self, groups: Tensor, outputs: int, inputs: int) -> Tensor:
        return groups[:, None].expand(outputs, inputs)

    def __str__(self) -> str:
        return "row"


class Channel(Row):
    """Whole outputs with their bias and normalization, and in the end they are really removed."""

    where = "channels"

    def __str__(self) -> str:
        return "channel"
