"""Explanations for `reticent.lowering`."""

EXPLANATIONS: dict[str, str] = {
    "lowering-example": (
        "Lowering follows the model on an example batch and reads the shape of one sample from it. A tensor without a "
        "batch axis, or an empty batch, shows no sample. Give `(batch, *sample)` with at least one sample; "
        "its values do not matter."
    ),
    "lowering-mixes-examples": (
        "The result for one sample depends on the others of its batch, or the model fixes the batch size. An encrypted "
        "prediction must treat each sample alone, for any batch. Use batch norm with running statistics, "
        "keep the batch on the first axis, and write `x.flatten(1)` or "
        "`x.view(x.size(0), -1)` instead of a constant batch size."
    ),
    "module-not-exportable": (
        "torch.export could not turn the module into a graph, because forward takes or returns something other than one "
        "tensor, changes the module's state, or branches on values. Secret values cannot steer a program. "
        "Let forward take one tensor, return one tensor, and choose its path by shapes alone."
    ),
    "program-input-shape": (
        "The batch that a lowered program was run on does not have the sample shape that it was lowered with. "
        "Give `(batch, *sample)`; for one sample, add the batch axis."
    ),
    "program-without-weights": (
        "The program is an architecture: shapes without weights, as the parties hold it that do not own the model. It "
        "cannot be run in clear text. Run the program that `lower` returned at the model's owner, or "
        "evaluate it under sharing."
    ),
    "unsupported-layer": (
        "The model has a layer, or a setting of one, that has no counterpart in the short list of operations that secret "
        "sharing and homomorphic encryption evaluate. The message names it and where it stands. Replace it by one of those "
        "that the message offers; for example GELU by ReLU, or layer norm by batch norm."
    ),
}
