"""What to do instead of an operation that the compiler does not take."""

from torch.fx import Node

from sw.compile.nodes import shape_of
from sw.compile.windows import argument

_APART = "compile what is in front of it and what is behind it as networks of their own"

_ADVICE = {
    "aten.conv1d": "a Conv2d with a kernel of one row on (samples, channels, 1, length) is the "
    "same",
    "aten.conv3d": "a kernel as deep as its input is that of a Conv2d, with depth among the "
    "channels",
    "aten.conv_transpose": f"it is no convolution of its input; {_APART}",
    "aten.max_pool1d": "a MaxPool2d on (samples, channels, 1, length) is the same",
    "aten.max_pool2d_with_indices": "use MaxPool2d without return_indices",
    "aten.adaptive_max_pool2d": "use MaxPool2d with a kernel in numbers",
    "aten.upsample": f"the host can do it; {_APART}",
    "aten.group_norm": "only BatchNorm folds into a layer, because it is fixed after training",
    "aten.instance_norm": "only BatchNorm folds into a layer, because it is fixed after training",
    "aten.layer_norm": "only BatchNorm folds into a layer, because it is fixed after training",
}

_AVERAGES = ("aten.avg_pool2d", "aten.adaptive_avg_pool2d", "aten.mean.dim")


def advice(node: Node) -> str:
    """What would work instead of a node; empty if nothing comes to mind."""
    target = str(node.target)
    if target.startswith(_AVERAGES):
        return _of_average(node)
    if target.startswith("aten.pad"):
        return _of_padding(node)
    return next((text for name, text in _ADVICE.items() if target.startswith(name)), "")


def _of_average(node: Node) -> str:
    """An average is a convolution with equal weights."""
    sizes = shape_of(node.args[0])
    if len(sizes) != 4:
        return ""
    kernel = "kernel"
    if str(node.target).startswith("aten.avg_pool2d"):
        kernel = str(tuple(argument(node, 1, "kernel_size", [])))
    elif len(after := shape_of(node)) < 4 or tuple(after[2:]) == (1, 1):
        kernel = f"({sizes[2]}, {sizes[3]})"
    return (
        f"an average is a Conv2d({sizes[1]}, {sizes[1]}, {kernel}, groups={sizes[1]}, bias=False) "
        "with the same stride, whose weights are all 1 / (the kernel's size)"
    )


def _of_padding(node: Node) -> str:
    mode = argument(node, 2, "mode", "constant")
    if mode == "constant":
        return "give the zeros to the Conv2d behind it: padding=..."
    return (
        f"padding is of zeros only, not {mode!r}: train with padding_mode='zeros', or, in front of "
        "the first layer, pad the samples on the host and convolve without padding"
    )
