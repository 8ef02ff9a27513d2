"""The EIE engine: unstructured sparsity, shared weights (Han et al., ISCA 2016). One file per unit
of its picture."""
