"""Networks of the compression literature, untrained."""

from collections import OrderedDict

from torch import nn


def lenet_300_100(inputs: int = 28 * 28, outputs: int = 10) -> nn.Sequential:
    """LeNet-300-100 (LeCun et al., 1998): fully connected, and the first benchmark of pruning."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Linear(inputs, 300),
            relu1=nn.ReLU(),
            fc2=nn.Linear(300, 100),
            relu2=nn.ReLU(),
            fc3=nn.Linear(100, outputs),
        )
    )
