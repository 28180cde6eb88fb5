/* One step of training of TinyLM with layer norms before each part, by hand: what a machine can do.

   Loops over rows with a small kernel for products, and OpenMP where there is enough to share. It is
   written for this one model, and knows nothing of a graph; its losses are compared with autolm's. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef float v8 __attribute__((vector_size(32), aligned(4)));
typedef struct { long V, D, H, F, L, B, T; int threads; } Sizes;

static int many(long work, int threads) { return work > 200000 ? threads : 1; }

/* c (m, n) = or += a (m, k), told by two strides, times b (k, n) */
static void product(long m, long n, long k, const float *a, long ai, long ak, const float *b, long bw,
                    float *c, long cw, int keep, int threads) {
  long blocks = (m + 5) / 6;
#pragma omp parallel for num_threads(many(m * n * k, threads)) if (many(m * n * k, threads) > 1)
  for (long block = 0; block < blocks; block++) {
    long i0 = block * 6, rows = m - i0 < 6 ? m - i0 : 6, j = 0;
    for (; rows == 6 && j + 16 <= n; j += 16) {
      v8 s[6][2];
      for (int r = 0; r < 6; r++)
        for (int h = 0; h < 2; h++)
          s[r][h] = keep ? *(v8 *)(c + (i0 + r) * cw + j + 8 * h) : (v8){0};
      for (long q = 0; q < k; q++) {
        v8 b0 = *(v8 *)(b + q * bw + j), b1 = *(v8 *)(b + q * bw + j + 8);
        for (int r = 0; r < 6; r++) {
          float x = a[(i0 + r) * ai + q * ak];
          s[r][0] += x * b0;
          s[r][1] += x * b1;
        }
      }
      for (int r = 0; r < 6; r++)
        for (int h = 0; h < 2; h++) *(v8 *)(c + (i0 + r) * cw + j + 8 * h) = s[r][h];
    }
    for (long i = i0; i < i0 + rows; i++) {
      if (!keep) memset(c + i * cw + j, 0, (n - j) * sizeof(float));
      for (long q = 0; q < k; q++) {
        float x = a[i * ai + q * ak];
        for (long t = j; t < n; t++) c[i * cw + t] += x * b[q * bw + t];
      }
    }
  }
}

static void turned(long rows, long columns, const float *a, long w, float *t) {
  for (long i = 0; i < rows; i++)
    for (long j = 0; j < columns; j++) t[j * rows + i] = a[i * w + j];
}

/* c = or += a (m, k) times bᵀ, b (n, k) */
static void product_turned(long m, long n, long k, const float *a, const float *b, float *c, int keep,
                           float *room, int threads) {
  turned(n, k, b, k, room);
  product(m, n, k, a, k, 1, room, n, c, n, keep, threads);
}

static void norm(long n, long d, const float *x, const float *gain, const float *bias, float *y,
                 float *mean, float *scale, int threads) {
#pragma omp parallel for num_threads(many(n * d * 8, threads)) if (many(n * d * 8, threads) > 1)
  for (long i = 0; i < n; i++) {
    float total = 0, squares = 0;
    for (long j = 0; j < d; j++) total += x[i * d + j];
    mean[i] = total / d;
    for (long j = 0; j < d; j++) squares += (x[i * d + j] - mean[i]) * (x[i * d + j] - mean[i]);
    scale[i] = 1 / sqrtf(squares / d + 1e-5f);
    for (long j = 0; j < d; j++) y[i * d + j] = (x[i * d + j] - mean[i]) * scale[i] * gain[j] + bias[j];
  }
}

/* to_x += what comes back through a norm */
static void norm_back(long n, long d, const float *up, const float *x, const float *gain, const float *mean,
                      const float *scale, float *to_x, float *to_gain, float *to_bias) {
  memset(to_gain, 0, d * sizeof(float));
  memset(to_bias, 0, d * sizeof(float));
  for (long i = 0; i < n; i++) {
    float total = 0, along = 0;
    const float *u = up + i * d, *r = x + i * d;
    for (long j = 0; j < d; j++) {
      float z = (r[j] - mean[i]) * scale[i];
      total += u[j] * gain[j];
      along += u[j] * gain[j] * z;
      to_gain[j] += u[j] * z;
      to_bias[j] += u[j];
    }
    for (long j = 0; j < d; j++)
      to_x[i * d + j] += (u[j] * gain[j] - total / d - (r[j] - mean[i]) * scale[i] * along / d) * scale[i];
  }
}

static void attend(const Sizes *z, const float *q, const float *k, const float *v, float *w, float *y,
                   float *room) {
  long T = z->T, D = z->D, d = D / z->H;
#pragma omp parallel for num_threads(many(z->B * T * T * D, z->threads)) if (many(z->B * T * T * D, z->threads) > 1)
  for (long bh = 0; bh < z->B * z->H; bh++) {
    long at = bh / z->H * T * D + bh % z->H * d;
    float *s = w + bh * T * T, *kt = room + bh * T * d;
    turned(T, d, k + at, D, kt);
    product(T, T, d, q + at, D, 1, kt, T, s, T, 0, 1);
    for (long i = 0; i < T; i++) {
      float largest = -INFINITY, total = 0, *row = s + i * T, factor = 1 / sqrtf(d);
      for (long j = 0; j <= i; j++) largest = fmaxf(largest, row[j] *= factor);
      for (long j = 0; j <= i; j++) total += row[j] = expf(row[j] - largest);
      for (long j = 0; j <= i; j++) row[j] /= total;
      for (long j = i + 1; j < T; j++) row[j] = 0;
    }
    product(T, d, T, s, T, 1, v + at, D, y + at, D, 0, 1);
  }
}

static void attend_back(const Sizes *z, const float *up, const float *q, const float *k, const float *v,
                        const float *w, float *tq, float *tk, float *tv, float *room, float *slopes) {
  long T = z->T, D = z->D, d = D / z->H;
#pragma omp parallel for num_threads(many(z->B * T * T * D, z->threads)) if (many(z->B * T * T * D, z->threads) > 1)
  for (long bh = 0; bh < z->B * z->H; bh++) {
    long at = bh / z->H * T * D + bh % z->H * d;
    const float *s = w + bh * T * T;
    float *vt = room + bh * T * d, *g = slopes + bh * T * T, factor = 1 / sqrtf(d);
    product(T, d, T, s, 1, T, up + at, D, tv + at, D, 0, 1);
    turned(T, d, v + at, D, vt);
    product(T, T, d, up + at, D, 1, vt, T, g, T, 0, 1);
    for (long i = 0; i < T; i++) {
      float along = 0;
      for (long j = 0; j < T; j++) along += g[i * T + j] * s[i * T + j];
      for (long j = 0; j < T; j++) g[i * T + j] = factor * s[i * T + j] * (g[i * T + j] - along);
    }
    product(T, d, T, g, T, 1, k + at, D, tq + at, D, 0, 1);
    product(T, d, T, g, 1, T, q + at, D, tk + at, D, 0, 1);
  }
}

typedef struct { float *w, *g; } Weight;

/* p, g, m, v: parameters, slopes and moments in the order of TinyLM's parameters; of `count` numbers. */
float step(const Sizes *z, float *p, float *g, float *m, float *v, long count, const float *positions,
           const long *ids, const long *targets, float *memory, int steps, float rate, float beta1,
           float beta2, float decay) {
  long V = z->V, D = z->D, F = z->F, L = z->L, N = z->B * z->T, A = z->B * z->H * z->T * z->T;
  int threads = z->threads;
  float *next = memory;
#define TAKE(size) (next += (size), next - (size))
  float *x = TAKE((2 * L + 1) * N * D), *n1 = TAKE(L * N * D), *n2 = TAKE(L * N * D);
  float *q = TAKE(L * N * D), *k = TAKE(L * N * D), *o = TAKE(L * N * D), *y = TAKE(L * N * D);
  float *w = TAKE(L * A), *h = TAKE(L * N * F), *stats = TAKE((2 * L + 1) * 2 * N), *last = TAKE(N * D);
  float *logits = TAKE(N * V), *dx = TAKE(N * D), *t1 = TAKE(N * D), *t2 = TAKE(N * D), *t3 = TAKE(N * D);
  float *t4 = TAKE(N * D), *dh = TAKE(N * F), *slopes = TAKE(A), *room = TAKE(N * D + D * F + D * V);
  long block = 4 * D * D + 2 * D * F + 4 * D, at = V * D;
  long of_norm = V * D + L * block, of_out = of_norm + 2 * D;
  for (long i = 0; i < N; i++)
    for (long j = 0; j < D; j++) x[i * D + j] = p[ids[i] * D + j] + positions[i % z->T * D + j];
  for (long l = 0; l < L; l++) {
    float *b = p + at + l * block, *norms = b + 4 * D * D + 2 * D * F, *s = stats + l * 4 * N;
    float *in = x + 2 * l * N * D, *mid = in + N * D, *out = mid + N * D;
    long e = l * N * D;
    norm(N, D, in, norms, norms + D, n1 + e, s, s + N, threads);
    product(N, D, D, n1 + e, D, 1, b, D, q + e, D, 0, threads);
    product(N, D, D, n1 + e, D, 1, b + D * D, D, k + e, D, 0, threads);
    product(N, D, D, n1 + e, D, 1, b + 2 * D * D, D, o + e, D, 0, threads);
    attend(z, q + e, k + e, o + e, w + l * A, y + e, room);
    memcpy(mid, in, N * D * sizeof(float));
    product(N, D, D, y + e, D, 1, b + 3 * D * D, D, mid, D, 1, threads);
    norm(N, D, mid, norms + 2 * D, norms + 3 * D, n2 + e, s + 2 * N, s + 3 * N, threads);
    product(N, F, D, n2 + e, D, 1, b + 4 * D * D, F, h + l * N * F, F, 0, threads);
    for (long i = 0; i < N * F; i++) h[l * N * F + i] = fmaxf(h[l * N * F + i], 0);
    memcpy(out, mid, N * D * sizeof(float));
    product(N, D, F, h + l * N * F, F, 1, b + 4 * D * D + D * F, D, out, D, 1, threads);
  }
  float *end = x + 2 * L * N * D, *s = stats + L * 4 * N, loss = 0;
  norm(N, D, end, p + of_norm, p + of_norm + D, last, s, s + N, threads);
  product(N, V, D, last, D, 1, p + of_out, V, logits, V, 0, threads);
  for (long i = 0; i < N; i++) {
    float *row = logits + i * V, largest = -INFINITY, total = 0, chosen;
    for (long j = 0; j < V; j++) largest = fmaxf(largest, row[j]);
    chosen = row[targets[i]] - largest;
    for (long j = 0; j < V; j++) total += row[j] = expf(row[j] - largest);
    loss += logf(total) - chosen;
    for (long j = 0; j < V; j++) row[j] /= total * N;
    row[targets[i]] -= 1.0f / N;
  }
  product(D, V, N, last, 1, D, logits, V, g + of_out, V, 0, threads);
  product_turned(N, D, V, logits, p + of_out, t1, 0, room, threads);
  memset(dx, 0, N * D * sizeof(float));
  norm_back(N, D, t1, end, p + of_norm, s, s + N, dx, g + of_norm, g + of_norm + D);
  for (long l = L - 1; l >= 0; l--) {
    float *b = p + at + l * block, *gb = g + at + l * block, *norms = b + 4 * D * D + 2 * D * F;
    float *gn = gb + 4 * D * D + 2 * D * F, *in = x + 2 * l * N * D, *mid = in + N * D, *hl = h + l * N * F;
    long e = l * N * D;
    s = stats + l * 4 * N;
    product(F, D, N, hl, 1, F, dx, D, gb + 4 * D * D + D * F, D, 0, threads);
    product_turned(N, F, D, dx, b + 4 * D * D + D * F, dh, 0, room, threads);
    for (long i = 0; i < N * F; i++) dh[i] = hl[i] > 0 ? dh[i] : 0;
    product(D, F, N, n2 + e, 1, D, dh, F, gb + 4 * D * D, F, 0, threads);
    product_turned(N, D, F, dh, b + 4 * D * D, t1, 0, room, threads);
    norm_back(N, D, t1, mid, norms + 2 * D, s + 2 * N, s + 3 * N, dx, gn + 2 * D, gn + 3 * D);
    product(D, D, N, y + e, 1, D, dx, D, gb + 3 * D * D, D, 0, threads);
    product_turned(N, D, D, dx, b + 3 * D * D, t4, 0, room, threads);
    attend_back(z, t4, q + e, k + e, o + e, w + l * A, t1, t2, t3, room, slopes);
    float *sent[3] = {t1, t2, t3};
    for (int part = 0; part < 3; part++) {
      product(D, D, N, n1 + e, 1, D, sent[part], D, gb + part * D * D, D, 0, threads);
      product_turned(N, D, D, sent[part], b + part * D * D, t4, part > 0, room, threads);
    }
    norm_back(N, D, t4, in, norms, s, s + N, dx, gn, gn + D);
  }
  memset(g, 0, V * D * sizeof(float));
  for (long i = 0; i < N; i++)
    for (long j = 0; j < D; j++) g[ids[i] * D + j] += dx[i * D + j];
  float begun1 = 1 - powf(beta1, steps), begun2 = 1 - powf(beta2, steps);
#pragma omp parallel for num_threads(many(count * 8, threads)) if (many(count * 8, threads) > 1)
  for (long i = 0; i < count; i++) {
    long own = i - at;
    int vector = (own >= 0 && own < L * block && own % block >= block - 4 * D) || (i >= of_norm && i < of_out);
    m[i] = beta1 * m[i] + (1 - beta1) * g[i];
    v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
    float change = m[i] / begun1 / (sqrtf(v[i] / begun2) + 1e-8f) + (vector ? 0 : decay * p[i]);
    p[i] -= rate * change;
  }
  return loss / N;
}
