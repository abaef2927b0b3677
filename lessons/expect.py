"""What the checks of the exercises say when an answer is wrong: what was expected, what came, and for which input."""

from __future__ import annotations

from typing import Any


class Wrong(Exception):
    """An answer is wrong; the sentence says how."""


def show(value: Any) -> str:
    text = str(value.tolist() if hasattr(value, "tolist") else repr(value))
    return text if len(text) < 400 else f"{text[:400]} ..."


def expect(got: Any, expected: Any, given: Any, why: str, tolerance: float = 0.0) -> None:
    """Raise Wrong unless `got` equals `expected`, within `tolerance` where they are numbers or tensors. `why` is the
    sentence that explains this kind of mistake."""
    if not same(got, expected, tolerance):
        raise Wrong(f"{why}\n  input     {show(given)}\n  expected  {show(expected)}\n  got       {show(got)}")


def same(got: Any, expected: Any, tolerance: float) -> bool:
    if hasattr(expected, "tolist"):
        if not hasattr(got, "tolist") or tuple(got.shape) != tuple(expected.shape):
            return False
        got, expected = got.tolist(), expected.tolist()
    if isinstance(expected, list | tuple):
        alike = isinstance(got, list | tuple) and len(got) == len(expected)
        return alike and all(same(a, b, tolerance) for a, b in zip(got, expected, strict=True))
    if isinstance(expected, int | float) and isinstance(got, int | float):
        return abs(got - expected) <= tolerance
    return bool(got == expected)
