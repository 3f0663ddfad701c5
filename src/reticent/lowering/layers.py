"""Translation of layers: linear maps, convolutions, pooling, activations, reshapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from reticent.lowering import ops
from reticent.lowering.arithmetic import affine
from reticent.lowering.builder import Builder, Call, Translation, Value
from reticent.lowering.elementwise import Symbol

__all__ = ["LAYERS"]


def _linear(build: Builder, call: Call) -> Symbol:
    matrix = build.weight(call["weight"])
    bias = np.zeros(len(matrix)) if call["bias"] is None else build.weight(call["bias"])
    return build.emit(ops.Linear, build.value(call["input"]), weight=matrix, bias=bias)


def _matmul(build: Builder, call: Call) -> Symbol:
    x, matrix = call.values()
    found = build.weight(matrix)
    if found.ndim != 2:
        raise build.refuse(f"{build.label} with a parameter of {found.ndim} axes")
    return build.emit(ops.Linear, build.value(x), weight=found.T, bias=np.zeros(found.shape[1]))


def _addmm(build: Builder, call: Call) -> Symbol:
    if (call["beta"], call["alpha"]) != (1, 1):
        raise build.refuse("addmm with factors")
    weight, bias = build.weight(call["mat2"]).T, build.weight(call["self"])
    return build.emit(ops.Linear, build.value(call["mat1"]), weight=weight, bias=np.broadcast_to(bias, len(weight)))


def _pair(values: Any) -> tuple[int, int]:
    listed = [int(value) for value in values] if isinstance(values, Sequence) else [int(values)]
    return (listed[0], listed[-1])


def _conv2d(build: Builder, call: Call) -> Symbol:
    kernel = build.weight(call["weight"])
    bias = np.zeros(len(kernel)) if call["bias"] is None else build.weight(call["bias"])
    dilation = _pair(call["dilation"])
    return build.emit(
        ops.Conv2d,
        build.value(call["input"]),
        weight=kernel,
        bias=bias,
        stride=_pair(call["stride"]),
        padding=_padding(call["padding"], kernel.shape[2:], dilation),
        dilation=dilation,
        groups=int(call["groups"]),
    )


def _padding(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, int]) -> ops.Padding:
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        return ((totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2))
    rows, columns = (0, 0) if padding == "valid" else _pair(padding)
    return ((rows, rows), (columns, columns))


def _batch_norm(build: Builder, call: Call) -> Symbol:
    value = build.value(call["input"])
    if call.get("training") or call["running_mean"] is None or not isinstance(value, Symbol):
        raise build.mixes()
    scale = 1.0 / np.sqrt(build.weight(call["running_var"]) + call["eps"])
    scale = scale if call["weight"] is None else scale * build.weight(call["weight"])
    shift = -build.weight(call["running_mean"]) * scale
    shift = shift if call["bias"] is None else shift + build.weight(call["bias"])
    shape = (-1, *[1] * (len(build.shape(value)) - 1))
    scales, shifts = torch.from_numpy(scale.reshape(shape)), torch.from_numpy(shift.reshape(shape))
    return affine(build, value, scales, shifts, public=False)


def _activation(kind: type[ops.Op]) -> Translation:
    return lambda build, call: build.emit(kind, build.value(call["self"]))


def _softmax(kind: type[ops.Op]) -> Translation:
    def translate(build: Builder, call: Call) -> Symbol:
        axes = len(build.sample_shape()) + 1
        if call["dim"] % axes == 0:
            raise build.mixes()
        return build.emit(kind, build.value(call["self"]), axis=call["dim"] % axes - 1)

    return translate


def _max_pool(build: Builder, call: Call) -> Symbol:
    if call["ceil_mode"] or _pair(call["dilation"]) != (1, 1):
        raise build.refuse(
            "max pooling with ceil_mode or dilation", hint="leave ceil_mode and dilation at their defaults"
        )
    return _pool(build, ops.MaxPool2d, call)


def _avg_pool(build: Builder, call: Call) -> Symbol:
    odd = call["ceil_mode"] or call["divisor_override"] is not None
    if odd or (not call["count_include_pad"] and any(_pair(call["padding"]))):
        raise build.refuse(
            "average pooling with ceil_mode, divisor_override or count_include_pad=False",
            hint="leave ceil_mode, divisor_override and count_include_pad at their defaults",
        )
    return _pool(build, ops.AvgPool2d, call)


def _pool(build: Builder, kind: type[ops.Op], call: Call) -> Symbol:
    kernel = _pair(call["kernel_size"])
    stride = _pair(call["stride"]) if call["stride"] else kernel
    padding = _padding(call["padding"], kernel, (1, 1))
    return build.emit(kind, build.value(call["self"]), kernel=kernel, stride=stride, padding=padding)


def _average(build: Builder, value: Symbol, kernel: tuple[int, int], shape: tuple[int, ...]) -> Symbol:
    none = ((0, 0), (0, 0))
    return build.emit(ops.AvgPool2d, value, shape=shape, kernel=kernel, stride=kernel, padding=none)


def _adaptive_avg_pool(build: Builder, call: Call) -> Symbol:
    value = build.value(call["self"])
    if not isinstance(value, Symbol):
        raise build.refuse()
    (height, width), shape = build.shape(value)[1:], build.sample_shape()
    rows, columns = shape[1:]
    if height % rows or width % columns:
        raise build.refuse(
            f"adaptive average pooling from {(height, width)} to {(rows, columns)}", hint="divide evenly"
        )
    return _average(build, value, (height // rows, width // columns), shape)


def _mean(build: Builder, call: Call) -> Symbol:
    value = build.value(call["self"])
    shape = build.shape(value) if isinstance(value, Symbol) else ()
    if not isinstance(value, Symbol) or len(shape) != 3 or sorted(axis % 4 for axis in call["dim"]) != [2, 3]:
        raise build.refuse("a mean over other axes than height and width")
    pooled = _average(build, value, (shape[1], shape[2]), (shape[0], 1, 1))
    return pooled if build.sample_shape() == (shape[0], 1, 1) else build.emit(ops.Reshape, pooled)


def _reshape(build: Builder, call: Call) -> Symbol:
    value = build.value(next(iter(call.values())))
    if not isinstance(value, Symbol):
        raise build.refuse()
    shape = build.sample_shape()
    if math.prod(shape) != math.prod(build.shape(value)):
        raise build.mixes()
    return value if shape == build.shape(value) else build.emit(ops.Reshape, value)


def _same(build: Builder, call: Call) -> Value:
    return build.value(next(iter(call.values())))


def _dropout(build: Builder, call: Call) -> Value:
    if call["train"]:
        raise build.refuse("dropout that stays on in evaluation mode", hint="pass training=self.training to it")
    return build.value(call["input"])


LAYERS: dict[str, Translation] = {
    "_adaptive_avg_pool2d.default": _adaptive_avg_pool,
    "_log_softmax.default": _softmax(ops.LogSoftmax),
    "_native_batch_norm_legit_no_training.default": _batch_norm,
    "_softmax.default": _softmax(ops.Softmax),
    "_to_copy.default": _same,
    "_unsafe_view.default": _reshape,
    "adaptive_avg_pool2d.default": _adaptive_avg_pool,
    "addmm.default": _addmm,
    "alias.default": _same,
    "avg_pool2d.default": _avg_pool,
    "batch_norm.default": _batch_norm,
    "clone.default": _same,
    "contiguous.default": _same,
    "conv2d.default": _conv2d,
    "conv2d.padding": _conv2d,
    "detach.default": _same,
    "dropout.default": _dropout,
    "feature_dropout.default": _dropout,
    "flatten.using_ints": _reshape,
    "linear.default": _linear,
    "log_softmax.int": _softmax(ops.LogSoftmax),
    "matmul.default": _matmul,
    "max_pool2d.default": _max_pool,
    "max_pool2d_with_indices.default": _max_pool,
    "mean.dim": _mean,
    "mm.default": _matmul,
    "relu.default": _activation(ops.Relu),
    "reshape.default": _reshape,
    "sigmoid.default": _activation(ops.Sigmoid),
    "softmax.int": _softmax(ops.Softmax),
    "squeeze.dim": _reshape,
    "squeeze.dims": _reshape,
    "tanh.default": _activation(ops.Tanh),
    "to.dtype": _same,
    "unsqueeze.default": _reshape,
    "view.default": _reshape,
}
