"""Makes CrypTen 0.4.1 importable with torch 2.9 and later, which moved a module it asks for; changes nothing else."""

import importlib
import sys

MOVED = "torch.onnx._internal.registration"
try:
    importlib.import_module(MOVED)
except ModuleNotFoundError:
    sys.modules[MOVED] = importlib.import_module("torch.onnx._internal.torchscript_exporter.registration")
