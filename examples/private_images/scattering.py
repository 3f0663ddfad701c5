"""A scattering transform of images: features that no data were used to choose.

Two layers of wavelets and moduli, then an average over 4 x 4 pixels (Bruna and Mallat, IEEE PAMI 2013), with the Morlet
filters of kymatio's defaults: J = 2 scales, L = 8 angles, 1 + 16 + 64 = 81 channels. Fixed features keep the model
small, and a small model suffers little from noise (Tramer and Boneh, ICLR 2021).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["ANGLES", "CHANNELS", "SCALES", "group_normalised", "scattering"]

SCALES, ANGLES = 2, 8
CHANNELS = 1 + SCALES * ANGLES + ANGLES * ANGLES * SCALES * (SCALES - 1) // 2
_STRIDE = 2**SCALES


def _wave(side: int, sigma: float, angle: float, frequency: float, slant: float) -> Tensor:
    """Return a Gabor wave of unit mass, wrapped around a square of `side`: complex `(side, side)`."""
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    curve = turn @ torch.diag(torch.tensor([1.0, slant**2], dtype=torch.float64)) @ turn.T / (2 * sigma**2)
    total = torch.zeros(side, side, dtype=torch.complex128)
    axis = torch.arange(side, dtype=torch.float64)
    for shift_x in range(-2, 3):
        for shift_y in range(-2, 3):
            x, y = torch.meshgrid(axis + shift_x * side, axis + shift_y * side, indexing="ij")
            envelope = curve[0, 0] * x**2 + (curve[0, 1] + curve[1, 0]) * x * y + curve[1, 1] * y**2
            phase = frequency * (x * math.cos(angle) + y * math.sin(angle))
            total += torch.polar(torch.exp(-envelope), phase)
    return total * slant / (2 * math.pi * sigma**2)


def _morlet(side: int, scale: int, index: int) -> Tensor:
    """Return a wavelet without mean, in the frequency domain: real `(side, side)`."""
    sigma, frequency, slant = 0.8 * 2**scale, 3 * math.pi / 4 / 2**scale, 4 / ANGLES
    angle = (ANGLES - ANGLES // 2 - 1 - index) * math.pi / ANGLES
    wave, bump = (_wave(side, sigma, angle, xi, slant) for xi in (frequency, 0.0))
    return torch.fft.fft2(wave - wave.sum() / bump.sum() * bump).real


def _averaged(signal: Tensor, low_pass: Tensor, edge: int) -> Tensor:
    """Return the local averages of `(n, side, side)` in the frequency domain, every fourth pixel, borders removed."""
    smooth = torch.fft.ifft2(signal * low_pass).real
    return smooth[:, edge:-edge:_STRIDE, edge:-edge:_STRIDE]


def scattering(images: Tensor) -> Tensor:
    """Return the scattering coefficients of square images whose side is a multiple of 4.

    Args:
      images: Float32 `(n, side, side)`.

    Returns:
      Float32 `(n, 81, side / 4, side / 4)`; each image by itself.
    """
    side = images.shape[-1] + 2 * _STRIDE
    padded = torch.nn.functional.pad(images.unsqueeze(1), (_STRIDE,) * 4, mode="reflect").squeeze(1)
    low_pass = torch.fft.fft2(_wave(side, 0.8 * 2 ** (SCALES - 1), 0.0, 0.0, 1.0)).real.float()
    wavelets = [[_morlet(side, scale, index).float() for index in range(ANGLES)] for scale in range(SCALES)]
    spectrum = torch.fft.fft2(padded)
    found = [_averaged(spectrum, low_pass, _STRIDE)]
    second = []
    for scale in range(SCALES):
        for wavelet in wavelets[scale]:
            inner = torch.fft.fft2(torch.fft.ifft2(spectrum * wavelet).abs())
            found.append(_averaged(inner, low_pass, _STRIDE))
            for coarser in wavelets[scale + 1 :]:
                for other in coarser:
                    modulus = torch.fft.ifft2(inner * other).abs()
                    second.append(_averaged(torch.fft.fft2(modulus), low_pass, _STRIDE))
    return torch.stack(found + second, dim=1)


def group_normalised(features: Tensor, groups: int = 27) -> Tensor:
    """Return `(n, d)`: each group of channels of each image with mean 0 and variance 1. No statistic of the data."""
    return torch.nn.functional.group_norm(features, groups).flatten(1)
