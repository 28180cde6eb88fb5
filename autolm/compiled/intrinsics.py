"""What compiled loops need of the machine itself: memory by address, BLAS, the bits of a float.

numba compiles loops over arrays. A recorded step is a list of instructions that name places in
memory; so its loops make arrays of addresses, and hand addresses to BLAS. In Python each of these
functions is a name only, which `teach_numba` gives its meaning where numba compiles.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController, threadpool_info

ROW_MAJOR, PLAIN, TURNED = 101, 111, 112  # as CBLAS numbers them
# How libraries spell CBLAS's names: what is put around them, and whether their integers are wide.
SPELLINGS = (("scipy_", "64_", True), ("", "64_", True), ("scipy_", "", False), ("", "", False))
LN2 = math.log(2)


class BLAS(NamedTuple):
    """Where the product of matrices of a dtype is, and whether its integers have 64 bits."""

    gemm: int
    gemv: int
    is_wide: bool


@cache
def blas_of(dtype: np.dtype[Any]) -> BLAS:
    """Find the products of matrices that NumPy itself uses.

    Raises
    ------
    LookupError
        If there are none under a name that is known.
    """
    letter = "s" if dtype == np.float32 else "d"
    np.ones((2, 2)) @ np.ones((2, 2))  # so that its library is loaded
    for library in threadpool_info():
        if library["user_api"] != "blas":
            continue
        loaded = ctypes.CDLL(library["filepath"])
        for before, after, is_wide in SPELLINGS:
            names = (f"{before}cblas_{letter}{kind}{after}" for kind in ("gemm", "gemv"))
            found = [getattr(loaded, name, None) for name in names]
            if None not in found:
                gemm, gemv = (
                    ctypes.cast(each, ctypes.c_void_p).value or 0 for each in found if each
                )
                return BLAS(gemm, gemv, is_wide)
    raise LookupError("NumPy's product of matrices was not found: it has no CBLAS by a known name")


class _Quieted:
    """How many calls want BLAS on one thread just now, and what it had before the first of them."""

    lock, count, before = Lock(), 0, list[int]()


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Let each product be one thread's: where it is small, to wake a second takes longer.

    It is set for the process, so the last of several callers to leave sets it back.
    """
    libraries = _blas_libraries()
    with _Quieted.lock:
        if not _Quieted.count:
            _Quieted.before = [library.num_threads for library in libraries]
            for library in libraries:
                library.set_num_threads(1)
        _Quieted.count += 1
    try:
        yield
    finally:
        with _Quieted.lock:
            _Quieted.count -= 1
            if not _Quieted.count:
                for library, threads in zip(libraries, _Quieted.before, strict=True):
                    library.set_num_threads(threads)


@cache
def _blas_libraries() -> list[Any]:
    return ThreadpoolController().select(user_api="blas").lib_controllers  # type: ignore[no-any-return]


def matrix_at(address: int, rows: int, columns: int, like: Any) -> Any:
    """View numbers of the type of `like` at an address as a matrix."""


def vector_at(address: int, size: int, like: Any) -> Any:
    """View them as a vector."""


def integers_at(address: int, size: int) -> Any:
    """View 64-bit integers at an address as a vector."""


def call_gemm(
    gemm: int,
    is_wide: bool,
    a_turned: bool,
    b_turned: bool,
    sizes: tuple[int, int, int],
    a: tuple[int, int],
    b: tuple[int, int],
    keep: bool,
    c: tuple[int, int],
    like: Any,
) -> None:
    """Let c = a · b, or c += a · b, (m, k) times (k, n): each told as address and width of rows."""


def call_gemv(
    gemv: int,
    is_wide: bool,
    turned: bool,
    sizes: tuple[int, int],
    matrix: int,
    x: int,
    keep: bool,
    y: int,
    like: Any,
) -> None:
    """Let y = A · x, or Aᵀ · x if it is `turned`, or add it; A is (rows, columns)."""


def power_of_two(exponent: Any) -> Any:
    """Return 2 to a 32-bit integer, as a 32-bit float, for what is neither too large nor small."""


def exponential(x: Any) -> Any:
    """Return eˣ for x ≤ 0, so that a loop of 32-bit floats does several at once.

    Its error is about |x| units in the last place, so at most one of those of 1.
    """


def _exponential_of_float32(x):  # type: ignore[no-untyped-def]
    one = np.float32(1)
    twos = x * np.float32(1 / LN2)
    whole = np.int32(twos - np.float32(0.5))  # cut off towards 0: the nearest, below 0
    rest = (twos - np.float32(whole)) * np.float32(LN2)
    y = one + rest * np.float32(1 / 7)
    y = one + rest * np.float32(1 / 6) * y
    y = one + rest * np.float32(1 / 5) * y
    y = one + rest * np.float32(1 / 4) * y
    y = one + rest * np.float32(1 / 3) * y
    y = one + rest * np.float32(1 / 2) * y
    y = one + rest * y
    return np.float32(0) if x < np.float32(-87) else y * power_of_two(whole)


def _exponential_of_float64(x):  # type: ignore[no-untyped-def]
    return math.exp(x)


@cache
def teach_numba() -> None:
    """Give the names above their meaning in what numba compiles from now on."""
    import numba
    from llvmlite import ir
    from numba.extending import overload

    library: Any = numba  # whose types a checker does not know
    carray, types, intrinsic = library.carray, library.types, library.extending.intrinsic

    integer, word, octets = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()

    @intrinsic
    def pointer(_: Any, address: Any, like: Any) -> Any:
        kind = types.CPointer(like.dtype)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.int64, like), generate

    @intrinsic
    def integer_pointer(_: Any, address: Any) -> Any:
        kind = types.CPointer(types.int64)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.int64), generate

    def gemm_with(wide: bool) -> Any:
        count = integer if wide else word

        @intrinsic
        def gemm(
            _: Any,
            address: Any,
            a_turned: Any,
            b_turned: Any,
            m: Any,
            n: Any,
            k: Any,
            a: Any,
            a_width: Any,
            b: Any,
            b_width: Any,
            keep: Any,
            c: Any,
            c_width: Any,
        ) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                (where, turn_a, turn_b, *sizes, at_a, wide_a, at_b, wide_b, beta, at_c, wide_c) = (
                    arguments
                )
                number = beta.type
                kind = ir.FunctionType(
                    ir.VoidType(),
                    [word] * 3
                    + [count] * 3
                    + [number, octets, count, octets, count, number, octets, count],
                )

                def size(given: Any) -> Any:
                    return given if wide else builder.trunc(given, word)

                def place(given: Any) -> Any:
                    return builder.inttoptr(given, octets)

                builder.call(
                    builder.inttoptr(where, kind.as_pointer()),
                    [
                        word(ROW_MAJOR),
                        builder.trunc(turn_a, word),
                        builder.trunc(turn_b, word),
                        *map(size, sizes),
                        number(1.0),
                        place(at_a),
                        size(wide_a),
                        place(at_b),
                        size(wide_b),
                        beta,
                        place(at_c),
                        size(wide_c),
                    ],
                )
                return context.get_dummy_value()

            return types.void(*[types.int64] * 10, keep, types.int64, types.int64), generate

        return gemm

    wide_gemm, narrow_gemm = gemm_with(True), gemm_with(False)

    def gemv_with(wide: bool) -> Any:
        count = integer if wide else word

        @intrinsic
        def gemv(
            _: Any,
            address: Any,
            turned: Any,
            rows: Any,
            columns: Any,
            matrix: Any,
            x: Any,
            keep: Any,
            y: Any,
        ) -> Any:
            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                where, turn, m, n, at_matrix, at_x, beta, at_y = arguments
                number = beta.type
                kind = ir.FunctionType(
                    ir.VoidType(),
                    [word] * 2
                    + [count] * 2
                    + [number, octets, count, octets, count, number, octets, count],
                )
                sizes = [each if wide else builder.trunc(each, word) for each in (m, n)]
                places = [builder.inttoptr(each, octets) for each in (at_matrix, at_x, at_y)]
                builder.call(
                    builder.inttoptr(where, kind.as_pointer()),
                    [
                        word(ROW_MAJOR),
                        builder.trunc(turn, word),
                        *sizes,
                        number(1.0),
                        places[0],
                        sizes[1],
                        places[1],
                        count(1),
                        beta,
                        places[2],
                        count(1),
                    ],
                )
                return context.get_dummy_value()

            return types.void(*[types.int64] * 6, keep, types.int64), generate

        return gemv

    wide_gemv, narrow_gemv = gemv_with(True), gemv_with(False)

    @intrinsic
    def bits_as_float(_: Any, bits: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], ir.FloatType())

        return types.float32(types.int32), generate

    # numba wants the same names, and annotations, of what chooses a meaning and of the meaning
    overload(matrix_at)(
        lambda address, rows, columns, like: (
            lambda address, rows, columns, like: carray(pointer(address, like), (rows, columns))
        )
    )
    overload(vector_at)(
        lambda address, size, like: (
            lambda address, size, like: carray(pointer(address, like), (size,))
        )
    )
    overload(integers_at)(
        lambda address, size: lambda address, size: carray(integer_pointer(address), (size,))
    )
    overload(power_of_two)(
        lambda exponent: (
            lambda exponent: bits_as_float(np.int32((exponent + np.int32(127)) << np.int32(23)))
        )
    )
    overload(exponential)(
        lambda x: _exponential_of_float32 if x == types.float32 else _exponential_of_float64
    )

    @overload(call_gemm)
    def _(
        gemm: Any,
        is_wide: Any,
        a_turned: Any,
        b_turned: Any,
        sizes: Any,
        a: Any,
        b: Any,
        keep: Any,
        c: Any,
        like: Any,
    ) -> Any:
        def call(
            gemm: Any,
            is_wide: Any,
            a_turned: Any,
            b_turned: Any,
            sizes: Any,
            a: Any,
            b: Any,
            keep: Any,
            c: Any,
            like: Any,
        ) -> None:
            m, n, k = sizes
            beta = like.dtype.type(1.0 if keep else 0.0)
            turn_a, turn_b = TURNED if a_turned else PLAIN, TURNED if b_turned else PLAIN
            if is_wide:
                wide_gemm(gemm, turn_a, turn_b, m, n, k, a[0], a[1], b[0], b[1], beta, c[0], c[1])
            else:
                narrow_gemm(gemm, turn_a, turn_b, m, n, k, a[0], a[1], b[0], b[1], beta, c[0], c[1])

        return call

    @overload(call_gemv)
    def _(
        gemv: Any,
        is_wide: Any,
        turned: Any,
        sizes: Any,
        matrix: Any,
        x: Any,
        keep: Any,
        y: Any,
        like: Any,
    ) -> Any:
        def call(
            gemv: Any,
            is_wide: Any,
            turned: Any,
            sizes: Any,
            matrix: Any,
            x: Any,
            keep: Any,
            y: Any,
            like: Any,
        ) -> None:
            rows, columns = sizes
            beta = like.dtype.type(1.0 if keep else 0.0)
            turn = TURNED if turned else PLAIN
            if is_wide:
                wide_gemv(gemv, turn, rows, columns, matrix, x, beta, y)
            else:
                narrow_gemv(gemv, turn, rows, columns, matrix, x, beta, y)

        return call
