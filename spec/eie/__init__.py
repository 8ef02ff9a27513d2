"""Contracts of the EIE engine: unstructured sparsity, shared weights (Han et al., ISCA 2016)."""
