# %% [markdown] lang="ko"
r"""
# 16강: GPT-3와 비교하기

GPT-3는 TinyLM과 구조가 같습니다. 잔차 연결을 따라 어텐션과 피드포워드를 쌓은 모델입니다. 다른 것은 폭, 깊이, 학습한 글의 양입니다.
1750억이라는 수가 어디서 오는지 같은 공식으로 계산해 봅시다.

(gpt3-shape)=
## 1. 구조가 같은 두 모델

GPT-3는 폭이 12 288인 벡터를 96층에 통과시킵니다. 층마다 헤드 96개가 문맥 2 048토큰을 보고, 마지막에 어휘 50 257개의 확률을 냅니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 16: a comparison with GPT-3

GPT-3 has the same structure as TinyLM: blocks of attention and feed-forward, joined by residual connections. It differs in width, depth and the
amount of training text. The same formulas show where its 175 billion parameters come from.

(gpt3-shape)=
## 1. Two models with the same structure

GPT-3 passes vectors of width 12 288 through 96 layers. In each layer 96 heads attend to 2 048 tokens; the result is the probabilities
of 50 257 tokens.
"""

# %%
from autolm import TinyLM, TrainingConfig, toy_language_corpus
from autolm.lm.design import tinylm_design
from autolm.lm.size import GPT3, parts

letters = set(toy_language_corpus(train_sentences=1000).text)
ours = tinylm_design(len(letters), **TrainingConfig().architecture())


def grouped(number):
    """Write a whole number in groups of three: 1 234 567."""
    return f"{number:,}".replace(",", " ")


print(f"{'':<12}{'TinyLM':>10}{'GPT-3':>10}{'×':>8}")
for field in ("num_layers", "d_model", "num_heads", "d_ff", "max_len", "vocab_size"):
    small, large = getattr(ours, field), getattr(GPT3, field)
    name = "context" if field == "max_len" else field
    print(f"{name:<12}{grouped(small):>10}{grouped(large):>10}{large / small:8.0f}")

# %% [markdown] lang="ko"
r"""
(parameters)=
## 2. 파라미터는 어디에 있는가

폭이 $d$인 블록 하나에는 어텐션의 $d \times d$ 행렬이 넷($W_Q, W_K, W_V, W_O$), 피드포워드의 $d \times 4d$와 $4d \times d$ 행렬이 둘
있습니다.

$$\underbrace{4d^2}_{\text{어텐션}} + \underbrace{2 \cdot d \cdot 4d}_{\text{피드포워드}} = 12d^2,
\qquad N_{\text{GPT-3}} \approx 96 \cdot 12 \cdot 12288^2 + 50257 \cdot 12288$$
"""

# %% [markdown] lang="en"
r"""
(parameters)=
## 2. Where the parameters are

One block of width $d$ has four $d \times d$ matrices in attention ($W_Q, W_K, W_V, W_O$), and in feed-forward one of
$d \times 4d$ and one of $4d \times d$.

$$\underbrace{4d^2}_{\text{attention}} + \underbrace{2 \cdot d \cdot 4d}_{\text{feed-forward}} = 12d^2,
\qquad N_{\text{GPT-3}} \approx 96 \cdot 12 \cdot 12288^2 + 50257 \cdot 12288$$
"""

# %%
L, d, V = GPT3.num_layers, GPT3.d_model, GPT3.vocab_size
print(f"4d²       {grouped(4 * d * d):>18}")
print(f"8d²       {grouped(8 * d * d):>18}")
print(f"12d²      {grouped(12 * d * d):>18}")
print(f"{L} · 12d² {grouped(L * 12 * d * d):>18}")
print(f"V · d     {grouped(V * d):>18}\n")
print(f"{'':<16}{'TinyLM':>12}{'%':>8}{'GPT-3':>20}{'%':>8}")
totals = [sum(part.parameters for part in parts(model)) for model in (ours, GPT3)]
for small, large in zip(parts(ours), parts(GPT3), strict=True):
    cells = zip((12, 20), (small.parameters, large.parameters), totals, strict=True)
    words = "".join(f"{grouped(n):>{w}}{n / total:8.1%}" for w, n, total in cells)
    print(f"{small.name:<16}{words}")
print(f"{'Σ':<16}{grouped(totals[0]):>12}{'':8}{grouped(totals[1]):>20}")

# %% [markdown] lang="ko"
r"""
합이 논문의 "175B"입니다. 표의 각 줄은 편향도 포함하므로 $96 \cdot 4d^2$ 같은 값보다 조금 큽니다. GPT-3의 출력 행렬은 임베딩을 다시 쓰므로 한 번만 셉니다. 폭이 두 배면 파라미터는 네 배입니다.

**생각해 보세요.** 블록 하나에서 파라미터가 가장 많은 부분은 어디입니까? ($d_{ff} = 4d$)

```{choose} 1
피드포워드
: $8d^2$으로 블록의 3분의 2입니다. 어텐션은 $4d^2$입니다.

어텐션
: 행렬이 네 개지만 모두 $d \times d$입니다. 피드포워드의 두 행렬은 그 네 배씩입니다.

층 정규화
: $\gamma$와 $\beta$는 벡터라서 $2d$개씩뿐입니다.
```

(lesson-model-size)=
## 3. 강의 모델의 파라미터 수

이 과정의 바탕이 된 강의는 $V = 50,\; d = 32,\; d_{ff} = 64,\; N = 2$인 모델의 파라미터를 "약 1만 개"라고 합니다. 세어 봅시다.

$$2Vd + N(4d^2 + 2\,d\,d_{ff})$$
"""

# %% [markdown] lang="en"
r"""
The sum is the "175 B" of the paper. Each line of the table includes biases, so it is slightly larger than $96 \cdot 4d^2$ and the like. The output matrix of GPT-3 is its embedding, so it is counted once.
Doubling the width multiplies the parameters by four.

**Think first.** Which part of a block has the most parameters? ($d_{ff} = 4d$)

```{choose} 1
feed-forward
: It has $8d^2$, two thirds of the block; attention has $4d^2$.

attention
: It has four matrices, but each is $d \times d$. The two of feed-forward are four times as large.

layer norm
: $\gamma$ and $\beta$ are vectors, only $2d$ numbers for each norm.
```

(lesson-model-size)=
## 3. How many parameters does the lesson's model have?

The lesson that this course follows says "about 10 K" of a model with $V = 50,\; d = 32,\; d_{ff} = 64,\; N = 2$. We count them.

$$2Vd + N(4d^2 + 2\,d\,d_{ff})$$
"""

# %%
lesson = TinyLM(50, 32, 4, 64, 2, norm=None, causal=False, seed=0)
print(f"2 · 50 · 32            = {2 * 50 * 32:6}")
print(f"2 · (4 · 32²)          = {2 * 4 * 32**2:6}")
print(f"2 · (2 · 32 · 64)      = {2 * 2 * 32 * 64:6}")
print(f"Σ                      = {lesson.num_parameters():6}")

# %% [markdown] lang="ko"
r"""
(training-cost)=
## 4. 학습의 비용

토큰 하나의 순전파는 파라미터마다 곱셈과 덧셈을 한 번씩 하고, 역전파는 그 두 배입니다. 그래서 논문은 파라미터 하나, 토큰 하나마다 6 FLOP으로 계산합니다. GPT-3는 배치 하나에 토큰 320만 개를 넣었습니다. 아래의 첫 두 줄은 배치와 걸음 수입니다. (Brown et al. 2020, 표 2.1)
"""

# %% [markdown] lang="en"
r"""
(training-cost)=
## 4. What training costs

In the forward pass a token takes one multiplication and one addition for each parameter, and in the backward pass twice that, so the paper counts
6 FLOPs for each parameter and token. A batch of GPT-3 had 3.2 million tokens; the first two lines below are the batch and the number of steps.
(Brown et al. 2020, table 2.1)
"""

# %%
config = TrainingConfig()
batch, gpt3_batch = config.batch_size * config.block_size, 3.2e6
tokens, gpt3_tokens = config.steps * batch, 300e9
flops = [sum(part.flops for part in parts(model)) for model in (ours, GPT3)]
print(f"{'':<26}{'TinyLM':>12}{'GPT-3':>12}")
for name, small, large in (
    ("tokens / batch", batch, gpt3_batch),
    ("steps", config.steps, gpt3_tokens / gpt3_batch),
    ("tokens", tokens, gpt3_tokens),
    ("FLOP / token (forward)", *flops),
    ("FLOP = 3 · forward · tokens", 3 * flops[0] * tokens, 3 * flops[1] * gpt3_tokens),
    ("6 · N · tokens", 6 * totals[0] * tokens, 6 * totals[1] * gpt3_tokens),
    ("16 bytes · N (Adam)", 16 * totals[0], 16 * totals[1]),
):
    print(f"{name:<26}{small:12.3g}{large:12.3g}")
times = flops[1] * gpt3_tokens / (flops[0] * tokens)
print(f"\n1 min × {times:.3g} = {times / 60 / 24 / 365.25:.3g} years")

# %% [markdown] lang="ko"
r"""
"16 bytes · N (Adam)"은 학습에 필요한 메모리입니다. 파라미터마다 4바이트 수 네 개, 즉 파라미터, 기울기, Adam의 두 이동평균 $m$, $v$가 있습니다(12강).
마지막 줄은 우리 모델의 학습이 1분 걸리는 컴퓨터로 GPT-3를 학습시킬 때 걸리는 시간입니다. 수학은 같고 규모만 다릅니다.

| | TinyLM | GPT-3 |
| --- | --- | --- |
| 임베딩 + 위치 | 사인·코사인 | 학습되는 위치 |
| 층 정규화 | 앞에(pre) 또는 뒤에(post) | 앞에 |
| 활성화 | ReLU | GELU |
| 최적화 | SGD, Adam | Adam, 워밍업, 코사인, 클리핑 1.0 |
| 토큰 | 글자 또는 BPE | BPE 50 257개 |

## 들여다보기

강의의 모델 전체가 토큰 셋을 읽고, 손실에서 모든 파라미터까지 거꾸로 갑니다. 상자마다 행렬의 크기가 있습니다. GPT-3라면 같은 그림이
96층으로 쌓이고, 32 자리에 12288이 옵니다.

```{player} lesson.compute_loss([5, 12, 23], [12, 23, 45])
```

## 직접 실행하기

```{run}
def parameters(V, d, d_ff, N):
    return {"embedding": V * d, "attention": N * 4 * d * d, "feed-forward": N * 2 * d * d_ff}

for name, shape in (("lesson", (50, 32, 64, 2)), ("GPT-3", (50257, 12288, 4 * 12288, 96))):
    counts = parameters(*shape)
    print(name, counts, "sum", sum(counts.values()))
```

## 연습문제

**1. 값을 예측하세요.** 폭을 두 배로, 층을 두 배로 늘리면 블록들의 파라미터는 몇 배가 됩니까?

```{predict} 2**2 * 2
:within: 0

블록 하나의 파라미터 수는 $12d^2$입니다.

폭에서 $2^2 = 4$배, 층에서 2배: $4 \cdot 2 = 8$배.
```

**2. 값을 예측하세요.** $d = 64$인 블록 하나의 행렬에 있는 파라미터는 모두 몇 개입니까?

```{predict} 12 * 64**2
:within: 0

$4d^2 + 8d^2$입니다.

$12 \cdot 64^2 = 12 \cdot 4096 = 49\,152$.
```
"""

# %% [markdown] lang="en"
r"""
"16 bytes · N (Adam)" is the memory that training needs: four numbers of 4 bytes for each parameter, namely the parameter, its gradient, and Adam's moving averages $m$ and $v$ (lesson 12).
The last line is the time to train GPT-3 on a computer that trains our model in a minute. The mathematics is the same; only the scale differs.

| | TinyLM | GPT-3 |
| --- | --- | --- |
| embedding + position | sine and cosine | learned positions |
| layer norm | before (pre) or after (post) | before |
| activation | ReLU | GELU |
| optimisation | SGD, Adam | Adam, warm-up, cosine, clipping at 1.0 |
| tokens | letters or BPE | 50 257 by BPE |

## Look into it

The whole model of the lesson reads three tokens, and the backward pass goes from the loss to every parameter. For GPT-3 the picture would be the same, but with
96 layers, and 12288 instead of 32.

```{player} lesson.compute_loss([5, 12, 23], [12, 23, 45])
```

## Run it yourself

```{run}
def parameters(V, d, d_ff, N):
    return {"embedding": V * d, "attention": N * 4 * d * d, "feed-forward": N * 2 * d * d_ff}

for name, shape in (("lesson", (50, 32, 64, 2)), ("GPT-3", (50257, 12288, 4 * 12288, 96))):
    counts = parameters(*shape)
    print(name, counts, "sum", sum(counts.values()))
```

## Exercises

**1. Predict.** If the width and the number of layers are doubled, by what factor do the blocks' parameters grow?

```{predict} 2**2 * 2
:within: 0

One block has $12d^2$ parameters.

A factor of $2^2 = 4$ from the width and 2 from the layers: $4 \cdot 2 = 8$.
```

**2. Predict.** How many parameters are in the matrices of one block with $d = 64$?

```{predict} 12 * 64**2
:within: 0

It is $4d^2 + 8d^2$.

$12 \cdot 64^2 = 12 \cdot 4096 = 49\,152$.
```
"""
