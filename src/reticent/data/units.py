"""Units of measurement that sites may use in place of the contract's unit.

A unit belongs to a quantity and is `factor * unit + offset` in the quantity's base unit. Mass and amount concentrations
(mg/dL and mmol/L) are joined by the molar mass of a named analyte.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Conversion", "analytes", "conversion"]

_LINEAR: dict[str, dict[str, float]] = {
    "length": {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "km": 1e3, "in": 0.0254, "ft": 0.3048},
    "mass": {"kg": 1.0, "g": 1e-3, "mg": 1e-6, "ug": 1e-9, "lb": 0.45359237, "oz": 0.028349523125, "t": 1e3},
    "volume": {"L": 1.0, "dL": 0.1, "mL": 1e-3, "uL": 1e-6},
    "time": {"s": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0, "day": 86400.0, "week": 604800.0, "year": 31557600.0}
    | {"month": 2629800.0},
    "pressure": {"kPa": 1.0, "Pa": 1e-3, "hPa": 0.1, "bar": 100.0, "mmHg": 0.133322387415, "cmH2O": 0.0980665},
    "energy": {"kJ": 1.0, "J": 1e-3, "kcal": 4.184, "cal": 4.184e-3},
    "frequency": {"Hz": 1.0, "1/min": 1 / 60, "bpm": 1 / 60},
    "fraction": {"1": 1.0, "%": 1e-2, "permille": 1e-3},
    "mass concentration": {"g/L": 1.0, "g/dL": 10.0, "mg/L": 1e-3, "mg/dL": 1e-2, "mg/mL": 1.0}
    | {"ug/mL": 1e-3, "ug/L": 1e-6, "ug/dL": 1e-5, "ng/mL": 1e-6, "ng/L": 1e-9, "pg/mL": 1e-9},
    "amount concentration": {"mol/L": 1.0, "mmol/L": 1e-3, "umol/L": 1e-6, "nmol/L": 1e-9, "pmol/L": 1e-12},
}

_TEMPERATURE = {"K": (1.0, 0.0), "C": (1.0, 273.15), "F": (5 / 9, 459.67 * 5 / 9)}

_SAME = {"years": "year", "days": "day", "hours": "h", "weeks": "week", "months": "month", "minutes": "min"} | {
    "seconds": "s", "lbs": "lb", "inch": "in", "inches": "in", "°C": "C", "°F": "F", "degC": "C", "degF": "F",
    "l": "L", "ml": "mL", "dl": "dL", "g/l": "g/L", "mg/dl": "mg/dL", "mmol/l": "mmol/L", "g/dl": "g/dL",
    "µmol/L": "umol/L", "μmol/L": "umol/L", "µg": "ug", "mm Hg": "mmHg", "percent": "%", "mg/l": "mg/L",
    "umol/l": "umol/L", "μg": "ug", "µg/L": "ug/L", "beats/min": "bpm",
}  # fmt: skip

_MOLAR_MASS = {
    # g/mol. Triglycerides are counted as triolein and haemoglobin as its monomer, the conventions of laboratories.
    "albumin": 66500.0, "bilirubin": 584.66, "calcium": 40.078, "cholesterol": 386.65, "creatinine": 113.12,
    "glucose": 180.156, "haemoglobin": 16114.5, "iron": 55.845, "lactate": 90.08, "magnesium": 24.305,
    "phosphorus": 30.974, "triglycerides": 885.43, "urate": 168.11, "urea": 60.056, "urea nitrogen": 28.014,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conversion:
    """`ours = factor * theirs + offset`."""

    factor: float = 1.0
    offset: float = 0.0


def analytes() -> frozenset[str]:
    """Return the substances whose molar mass is known."""
    return frozenset(_MOLAR_MASS)


def conversion(theirs: str, ours: str, *, analyte: str | None = None) -> Conversion | None:
    """Return how to turn a value in unit `theirs` into unit `ours`; None if they do not measure the same quantity."""
    if theirs == ours:
        return Conversion()
    source, target = _place(theirs), _place(ours)
    if source is None or target is None:
        return None
    (quantity, factor, offset), (wanted, factor_ours, offset_ours) = source, target
    if quantity != wanted:
        if {quantity, wanted} != {"mass concentration", "amount concentration"} or analyte not in _MOLAR_MASS:
            return None
        molar_mass = _MOLAR_MASS[analyte]
        factor *= molar_mass if quantity == "amount concentration" else 1 / molar_mass
    return Conversion(factor / factor_ours, (offset - offset_ours) / factor_ours)


def _place(unit: str) -> tuple[str, float, float] | None:
    """Return quantity, factor and offset to the quantity's base unit."""
    name = _SAME.get(unit, unit)
    if name in _TEMPERATURE:
        return ("temperature", *_TEMPERATURE[name])
    for quantity, units in _LINEAR.items():
        if name in units:
            return (quantity, units[name], 0.0)
    return None
