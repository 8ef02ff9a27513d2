"""From a PyTorch network to the same network with zeros in it, and few distinct weights."""
