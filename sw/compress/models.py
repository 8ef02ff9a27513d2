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


def lenet_5(outputs: int = 10) -> nn.Sequential:
    """LeNet-5 as the compression literature has it: 20 and 50 kernels of 5x5, 431,080 parameters.

    For pictures of 28x28. The form is that of Caffe, with a ReLU behind the convolutions, too.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 20, 5),
            pool1=nn.MaxPool2d(2),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(20, 50, 5),
            pool2=nn.MaxPool2d(2),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            fc1=nn.Linear(800, 500),
            relu3=nn.ReLU(),
            fc2=nn.Linear(500, outputs),
        )
    )


def small_convnet(outputs: int = 10) -> nn.Sequential:
    """Three convolutions of stride 2 with BatchNorm, two Linears: small, and has all that criteria
    ask for. For pictures of 28x28."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for at, (inputs, channels) in enumerate(((1, 16), (16, 32), (32, 64)), 1):
        layers[f"conv{at}"] = nn.Conv2d(inputs, channels, 3, stride=2, padding=1)
        layers[f"norm{at}"] = nn.BatchNorm2d(channels)
        layers[f"relu{at}"] = nn.ReLU()
    layers.update(flatten=nn.Flatten(), fc1=nn.Linear(64 * 16, 128), relu4=nn.ReLU())
    layers["fc2"] = nn.Linear(128, outputs)
    return nn.Sequential(layers)
