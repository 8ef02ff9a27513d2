"""The compiler for whatever engine a configuration is of."""

from typing import Any, overload

import numpy as np

from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.nm.config import NmConfig
from sw.compile.eie import driver as eie
from sw.compile.nm import driver as nm
from sw.compile.prepare import Model


@overload
def compile_network(
    model: Model, calibration: np.ndarray, config: EieConfig, **options: Any
) -> eie.Result: ...


@overload
def compile_network(
    model: Model, calibration: np.ndarray, config: NmConfig, **options: Any
) -> nm.Result: ...


def compile_network(
    model: Model, calibration: np.ndarray, config: EieConfig | NmConfig, **options: Any
) -> eie.Result | nm.Result:
    """Compile a network for an array.

    Options are those of :func:`sw.compile.eie.driver.compile_network` or of
    :func:`sw.compile.nm.driver.compile_network`, as the configuration is of.
    """
    if isinstance(config, EieConfig):
        return eie.compile_network(model, calibration, config, **options)
    if isinstance(config, NmConfig):
        return nm.compile_network(model, calibration, config, **options)
    raise UserError(f"a configuration is {type(config).__name__}, must be EieConfig or NmConfig")
