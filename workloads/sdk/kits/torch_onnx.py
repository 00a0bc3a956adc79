"""The ONNX form of a torch module, whose bytes depend on the module only."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn


def exported(
    module: nn.Module, examples: Mapping[str, Tensor], axes: Mapping[str, Sequence[str]], inside: Mapping[str, str]
) -> bytes:
    """A module as ONNX, all weights in the one file; its output is `outputs`.

    Args:
        module: takes the examples in their order, and gives one tensor.
        examples: an input of each name, with more than one element along each axis that may vary.
        axes: of each input, the names of its first axes, all of which may vary.
        inside: what else is kept in it, by name.
    """
    from onnx.helper import set_model_props

    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)  # torchvision is not used
    dimensions = {name: torch.export.Dim(name) for names in axes.values() for name in names}
    shapes = tuple({at: dimensions[axis] for at, axis in enumerate(axes[name])} for name in examples)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")
        warnings.filterwarnings("ignore", message="# The axis name")
        program = torch.onnx.export(
            module.eval(),
            tuple(examples.values()),
            input_names=list(examples),
            output_names=["outputs"],
            dynamic_shapes=shapes,
            external_data=False,
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto
    _strip(model)
    set_model_props(model, dict(inside))
    return model.SerializeToString()


def _strip(model: Any) -> None:
    """Take out the exporter's notes on source files and lines: they would change the digest, and not the model."""
    del model.metadata_props[:]
    for part in [model.graph, *model.functions]:
        del part.metadata_props[:]
        for item in [*part.node, *part.value_info, *getattr(part, "initializer", ())]:
            del item.metadata_props[:]
            item.doc_string = ""
    for item in [*model.graph.input, *model.graph.output]:
        del item.metadata_props[:]
