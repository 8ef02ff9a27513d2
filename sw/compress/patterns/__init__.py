"""Where zeros may stand: unstructured, N:M, balanced, blocks, tiles, whole outputs."""

from sw.compress.patterns.base import Pattern as Pattern
from sw.compress.patterns.by_magnitude import block_mask as block_mask
from sw.compress.patterns.by_magnitude import nm_mask as nm_mask
from sw.compress.patterns.by_magnitude import tile_mask as tile_mask
from sw.compress.patterns.by_magnitude import tile_vector_mask as tile_vector_mask
from sw.compress.patterns.by_magnitude import unstructured_mask as unstructured_mask
from sw.compress.patterns.parse import parse as parse
