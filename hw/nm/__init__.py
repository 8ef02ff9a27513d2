"""The N:M engine: structured sparsity, such as 2:4, at the multipliers of a dense array."""
