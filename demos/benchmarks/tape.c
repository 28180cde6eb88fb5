/* A tape of single numbers, by hand in C: what Tape is measured against.
 *
 * The graph is a flat list of operations on one or two numbers. `data` holds the leaves first and
 * then a result for each operation; `a` and `b` say where an operation's operands are. Nothing is
 * checked: a number that is not finite goes on.
 */

#include <math.h>
#include <stdint.h>

enum { MUL, ADD, RELU, EXP, LOG, DIV, SUB, POW, NEG };

void forward(int64_t count, const uint8_t *code, const uint32_t *a, const uint32_t *b,
             double *data, int64_t leaves)
{
    for (int64_t k = 0; k < count; k++) {
        double x = data[a[k]], z = data[b[k]], y = 0.0;
        if (code[k] == MUL) { y = x * z; } else
        if (code[k] == ADD) { y = x + z; } else
        if (code[k] == RELU) { y = x < 0.0 ? 0.0 : x; } else
        if (code[k] == EXP) { y = exp(x); } else
        if (code[k] == LOG) { y = log(x); } else
        if (code[k] == DIV) { y = x / z; } else
        if (code[k] == SUB) { y = x - z; } else
        if (code[k] == POW) { y = pow(x, z); } else
        if (code[k] == NEG) { y = -x; } else {}
        data[leaves + k] = y;
    }
}

void backward(int64_t count, const uint8_t *code, const uint32_t *a, const uint32_t *b,
              const double *data, double *grad, int64_t leaves)
{
    for (int64_t i = 0; i < leaves + count; i++)
        grad[i] = 0.0;
    grad[leaves + count - 1] = 1.0;
    for (int64_t k = count - 1; k >= 0; k--) {
        double g = grad[leaves + k], y = data[leaves + k];
        double x = data[a[k]], z = data[b[k]];
        double *to_a = grad + a[k], *to_b = grad + b[k];
        if (code[k] == MUL) { *to_a += g * z; *to_b += g * x; } else
        if (code[k] == ADD) { *to_a += g; *to_b += g; } else
        if (code[k] == RELU) { *to_a += x > 0.0 ? g : 0.0; } else
        if (code[k] == EXP) { *to_a += g * y; } else
        if (code[k] == LOG) { *to_a += g / x; } else
        if (code[k] == DIV) { *to_a += g / z; *to_b -= g * y / z; } else
        if (code[k] == SUB) { *to_a += g; *to_b -= g; } else
        if (code[k] == POW) { *to_a += g * z * pow(x, z - 1.0); *to_b += g * y * log(x); } else
        if (code[k] == NEG) { *to_a -= g; } else {}
    }
}
