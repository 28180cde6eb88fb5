# %% [markdown] lang="ko"
r"""
# 23강: 강의의 코드, 그리고 다음 토큰 하나 예측하기

이 과정의 바탕이 된 강의의 마지막 코드는 `TinyLM` 클래스와 학습 루프, 그리고 "The cat sat" 다음에 올 토큰의 예측입니다. `from autolm import TinyLM` 한 줄만
바꾸면 그대로 실행됩니다. 실행하고, 그 코드가 말하는 것과 실제로 하는 것을 하나씩 확인합니다.

(lesson-constructor)=
## 1. 모델과 모양

$V = 50$, $d_{\text{model}} = 32$, 헤드 4, $d_{ff} = 64$, 층 2. 강의는 가중치를 $\mathcal N(0, 0.01^2)$에서 뽑습니다: `randn · 0.01`.
"""

# %% [markdown] lang="en"
r"""
# Lesson 23: the lesson's own script, and the prediction of one token

The last code of the lesson that this course follows is a class `TinyLM`, a training loop, and the prediction of what comes after "The cat sat". With one line changed, `from autolm import TinyLM`, it
runs. We run it, and look at what it says and what it does.

(lesson-constructor)=
## 1. The model and its shapes

$V = 50$, $d_{\text{model}} = 32$, 4 heads, $d_{ff} = 64$, 2 layers. The lesson draws its weights from $\mathcal N(0, 0.01^2)$: `randn · 0.01`.
"""

# %%
import numpy as np

from autolm import Tensor, TinyLM, cross_entropy

model = TinyLM(vocab_size=50, d_model=32, num_heads=4, d_ff=64, num_layers=2, seed=0)
for path, parameter in model.named_parameters():
    if "norm" not in path and not path.startswith("blocks.1"):
        print(f"{path:30}{parameter.shape!s:10} std {parameter.data.std():.4f}")
print("Σ", model.num_parameters())

# %% [markdown] lang="ko"
r"""
(small-weights)=
## 2. 왜 작은 가중치로 시작하는가

모두 0이면 모든 뉴런이 똑같은 기울기를 받아 영원히 똑같습니다. 그래서 무작위여야 합니다. 너무 크면 소프트맥스가 처음부터 확신에 차서 틀리고(큰 손실, 포화된
기울기), 너무 작으면 신호와 기울기가 층을 지나며 사라집니다. 폭 $n$의 합 $\sum_{i=1}^n w_i x_i$의 분산은 $n\sigma_w^2$이므로(16강과 같은 계산), 분산을 지키려면
$\sigma_w = 1/\sqrt n$, 즉 폭 32에서 $0.18$입니다. $0.01$은 안전하지만 작습니다. 처음 손실을 재 봅시다. $\ln 50 = 3.912$가
"아무것도 모름"입니다. 강의의 코드에는 층 정규화가 없습니다(no norm). 있으면(norm) 가중치가 커도 기울기가 폭발하지 않습니다.
"""

# %% [markdown] lang="en"
r"""
(small-weights)=
## 2. Why begin with small weights?

With all of them 0, all neurons get the same gradient, and stay the same for ever: so they must be random. Too large, and softmax is sure and wrong from the start (a large loss, saturated gradients); too
small, and signal and gradient fade from layer to layer. A sum of $n$ terms $\sum_{i=1}^n w_i x_i$ has variance $n\sigma_w^2$ (by the computation of lesson 16), so to keep it, $\sigma_w = 1/\sqrt n$: for a width of 32, $0.18$. The
lesson's $0.01$ is safe, but small. Measure the first loss; $\ln 50 = 3.912$ is "knows nothing". The lesson's code
has no layer norm; with one, large weights do not make the gradients explode.
"""

# %%
tokens, targets = np.array([5, 12, 23, 7, 31]), np.array([12, 23, 7, 31, 2])
print(f"ln 50 = {np.log(50):.3f}")
print("  std      L (no norm)  ‖∂L/∂W_Q‖    L (norm)   ‖∂L/∂W_Q‖")
for std in (0.0, 0.01, 0.18, 1.0):
    row = f"{std:5.2f}"
    for norm in (None, "pre"):
        rng = np.random.default_rng(1)
        trial = TinyLM(50, 32, 4, 64, 2, norm=norm, causal=False, dtype="float64", seed=0)
        for parameter in trial.parameters():
            if parameter.ndim == 2:
                parameter.data = rng.normal(size=parameter.shape) * std
        loss = trial.compute_loss(tokens, targets)
        loss.backward()
        size = np.linalg.norm(trial.blocks[0].attention.W_Q.grad)
        row += f"{loss.item():15.4g}{size:10.1e}"
    print(row)

# %% [markdown] lang="ko"
r"""
(activations)=
## 3. 중간값 보기: `store_activations`

층이 $N$개인 모델은 같은 모양의 블록을 $N$번 지납니다. 파라미터는 블록마다 다릅니다.

$$x^{(0)} = E[\text{토큰}] + PE, \qquad x^{(l)} = \text{블록}_l\bigl(x^{(l-1)}\bigr), \qquad \text{logits} = x^{(N)} W_{\text{out}}$$

`forward(…, store_activations=True)`는 이 $x^{(l)}$을 모두 함께 돌려줍니다. 이 모델은 $N = 2$이고, 마지막에 한 번 더 정규화합니다.
"""

# %% [markdown] lang="en"
r"""
(activations)=
## 3. What is between: `store_activations`

A model of $N$ layers goes through $N$ blocks of one shape, each with parameters of its own.

$$x^{(0)} = E[\text{token}] + PE, \qquad x^{(l)} = \text{block}_l\bigl(x^{(l-1)}\bigr), \qquad \text{logits} = x^{(N)} W_{\text{out}}$$

`forward(…, store_activations=True)` returns every $x^{(l)}$ as well. Here $N = 2$, and the last is normalised once more.
"""

# %%
logits, activations = model.forward(tokens, store_activations=True)
for name, x in activations.items():
    print(f"{name:8} {x.shape}   row norms {np.linalg.norm(x.data, axis=1).round(2)}")
print(f"logits   {logits.shape}")

# %% [markdown] lang="ko"
r"""
(log-softmax)=
## 4. `+ 1e-10`은 필요 없다

강의의 손실은 $-\ln(p + 10^{-10})$입니다. 로그-소프트맥스에는 이 수가 필요 없고, 있으면 아주 틀린 예측의 손실이 작아집니다([19강](#cross-entropy-derivation)). 이 모델에서는 확률이
$1/50$쯤이라서 차이가 거의 없습니다.
"""

# %% [markdown] lang="en"
r"""
(log-softmax)=
## 4. No need for `+ 1e-10`

The lesson's loss is $-\ln(p + 10^{-10})$. Log-softmax needs no such number, which makes the loss of a very wrong prediction too small ([lesson 19](#cross-entropy-derivation)). In this model probabilities are about $1/50$,
and there is hardly a difference.
"""

# %%
p = logits.softmax().data[np.arange(5), targets]
print(f"cross_entropy {cross_entropy(logits, targets=targets).item():.6f}")
print(f"−ln(p + 1e-10) {-np.log(p + 1e-10).mean():.6f}")
print(f"p = 0: −ln(0 + 1e-10) = {-np.log(1e-10):.3f}")
far = cross_entropy(Tensor([0.0, 800.0]), targets=np.array(0))
print(f"       log-softmax    = {far.item():.3f}")

# %% [markdown] lang="ko"
r"""
(lesson-loop)=
## 5. 학습 루프: 배치와 에폭

강의의 루프는 문장 세 개를 한 문장씩, 10에폭, 학습률 0.001로 봅니다. 아래는 같은 루프이고, 기울기만 정확합니다. 학습률 0.001의 경사하강법으로는 거의 움직이지
않습니다. 학습률을 0.1로 올린 것과 비교합니다.
"""

# %% [markdown] lang="en"
r"""
(lesson-loop)=
## 5. The loop: batches and epochs

The lesson's loop sees three sentences, one at a time, for 10 epochs, with a learning rate of 0.001. Here is that loop, with exact gradients. By gradient descent with 0.001 it hardly moves; beside it, the same with
0.1.
"""

# %%
WORDS = [
    "<pad>",
    "the",
    "cat",
    "sat",
    "on",
    "mat",
    "dog",
    "ran",
    "in",
    "park",
    "bird",
    "flew",
    "sky",
]
SENTENCES = ["the cat sat on the mat", "the dog ran in the park", "the bird flew in the sky"]
data = [np.array([WORDS.index(word) for word in sentence.split()]) for sentence in SENTENCES]


def trained(rate, epochs):
    model = TinyLM(50, 32, 4, 64, 2, norm="pre", causal=True, dtype="float64", seed=0)
    losses = []
    for _ in range(epochs):
        steps = [model.train_step(ids[:-1], ids[1:], rate) for ids in data]
        losses.append(np.mean([before for before, _ in steps]))
    return model, losses


for rate, epochs in ((0.001, 10), (0.1, 10), (0.1, 40)):
    model, losses = trained(rate, epochs)
    print(
        f"α = {rate:<6} {epochs:2} epochs   L {losses[0]:.3f} → {losses[-1]:.3f}   PPL {np.exp(losses[-1]):.2f}"
    )

# %% [markdown] lang="ko"
r"""
(predict-one-token)=
## 6. 다음 토큰 하나: argmax와 그 확률

"the cat sat" 다음의 토큰입니다. 마지막 위치의 로짓을 소프트맥스에 넣으면 어휘 전체의 확률이 나옵니다. 가장 큰 것을 고르는 것이 **argmax**(탐욕 선택), 확률대로 뽑는
것이 **표집**(sampling)입니다. **온도**(temperature) $\tau$로 나누면 $p_i \propto e^{z_i/\tau}$, $\tau$가 작을수록 뾰족해집니다.
"""

# %% [markdown] lang="en"
r"""
(predict-one-token)=
## 6. One token: argmax, and its probability

What comes after "the cat sat"? The logits at the last position, through softmax, are the probabilities of the whole vocabulary. To take the largest is **argmax** (greedy); to draw by the probabilities is **sampling**. Divided by
a temperature $\tau$, $p_i \propto e^{z_i/\tau}$: the smaller $\tau$, the more peaked.
"""

# %%
context = np.array([WORDS.index(word) for word in ("the", "cat", "sat")])
logits, _ = model.forward(context)
last = logits.data[-1]
for tau in (1.0, 0.5, 2.0):
    p = Tensor(last / tau).softmax().data
    best = np.argsort(p)[::-1][:4]
    words = "  ".join(f"{WORDS[i] if i < len(WORDS) else i} {p[i]:.3f}" for i in best)
    print(f"τ = {tau}   P(next | the cat sat):  {words}")
print("argmax:", WORDS[int(np.argmax(last))])
sampled = model.generate(context, 3, temperature=0.3, rng=np.random.default_rng(0))
print("sampled:", " ".join(WORDS[i] if i < len(WORDS) else str(i) for i in sampled))

# %% [markdown] lang="ko"
r"""
(lesson-truth)=
## 7. 강의의 코드가 말하는 것과 하는 것

| 강의가 말하는 것 | 코드가 하는 것 |
| --- | --- |
| 파라미터 약 1만 개 | 19 584개 ([9강](#lesson-model-size)) |
| Multi-Head Attention | `num_heads`를 쓰지 않음: 헤드 하나 ([18강](#split-heads)) |
| $\sqrt{d_k}$로 나눔 | $\sqrt{d_{\text{model}}}$로 나눔 |
| 다음 단어 예측 | 마스크가 없어 답을 보고 있음 ([5강](#causal-mask)) |
| 모든 파라미터 학습 | 임베딩만 학습 |
| 수치 미분으로 기울기 | 첫 토큰만 옳음 ([21강](#measuring-trap)) |

## 들여다보기

학습한 모델이 "the cat sat on"을 읽습니다. 순전파의 끝에 다음 토큰의 확률이, 어텐션 속에 누가 누구를 보는지가 있습니다.
"""

# %% [markdown] lang="en"
r"""
(lesson-truth)=
## 7. What the lesson's code says, and what it does

| it says | it does |
| --- | --- |
| about 10 K parameters | 19 584 ([lesson 9](#lesson-model-size)) |
| multi-head attention | ignores `num_heads`: one head ([lesson 18](#split-heads)) |
| divides by $\sqrt{d_k}$ | divides by $\sqrt{d_{\text{model}}}$ |
| predicts the next word | has no mask: each word sees its answer ([lesson 5](#causal-mask)) |
| trains all parameters | trains the embedding alone |
| numerical gradients | right for the first token only ([lesson 21](#measuring-trap)) |

## Look into it

The trained model reads "the cat sat on": who looks at whom stands in its attention.
"""

# %%
from autolm.lm.text_loss import tokens_of

reading = model.compute_loss(data[0][:3], data[0][1:4])
read = tokens_of(reading, WORDS)

# %% [markdown] lang="ko"
r"""
```{player} reading, tokens=read
:open: blocks.0.attention
```

## 직접 실행하기

```{run}
from autolm import Value

logits = {"on": 3.0, "in": 1.0, "mat": 0.5, "the": -1.0}
for temperature in (1.0, 0.5, 2.0):
    e = {word: Value(z / temperature).exp() for word, z in logits.items()}
    total = Value.sum(e.values())
    print(temperature, {word: round((x / total).data, 3) for word, x in e.items()})
print("argmax", max(logits, key=logits.get))
```

## 연습문제

**1. 값을 예측하세요.** 로짓이 $(2, 2, 2, 2)$이면 argmax의 확률은?

```{predict} 0.25

네 점수가 같으면 네 확률이 같습니다.

$1/4$.
```

**2. 규칙을 쓰세요.** 두 단어의 확률에 온도를 넣은 것: $p = \dfrac{1}{1 + e^{-a/\tau}}$, $a$는 점수의 차, $\tau > 0$는 온도.

```{exercise} temperature
u = a/τ라 하면 p = σ(u), p′ = p(1 − p).
∂u/∂a = 1/τ이고 ∂u/∂τ = −a/τ²입니다.
```
"""

# %% [markdown] lang="en"
r"""
```{player} reading, tokens=read
:open: blocks.0.attention
```

## Run it yourself

```{run}
from autolm import Value

logits = {"on": 3.0, "in": 1.0, "mat": 0.5, "the": -1.0}
for temperature in (1.0, 0.5, 2.0):
    e = {word: Value(z / temperature).exp() for word, z in logits.items()}
    total = Value.sum(e.values())
    print(temperature, {word: round((x / total).data, 3) for word, x in e.items()})
print("argmax", max(logits, key=logits.get))
```

## Exercises

**1. Predict.** With logits $(2, 2, 2, 2)$, what is the probability of the argmax?

```{predict} 0.25

Four equal scores give four equal probabilities.

$1/4$.
```

**2. Write the rule.** The probability of one of two words at a temperature: $p = \dfrac{1}{1 + e^{-a/\tau}}$, where $a$ is the difference of their scores and $\tau > 0$.

```{exercise} temperature
Let u = a/τ: then p = σ(u), and p′ = p(1 − p).
And ∂u/∂a = 1/τ, ∂u/∂τ = −a/τ².
```
"""
