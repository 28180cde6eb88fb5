# %% [markdown] lang="ko"
r"""
# 17강: 강의의 코드, 그리고 다음 토큰 하나 예측하기

이 과정의 바탕이 된 강의는 코드로 끝납니다. `TinyLM` 클래스를 만들고, 문장 두 개로 5에폭 동안 학습하고, "The cat" 다음에 올 토큰을 예측합니다. 클래스를
직접 쓰는 대신 `from autolm import TinyLM` 한 줄로 가져오면, 나머지는 끝까지 실행됩니다. 먼저 실행해 보고, 그다음에 강의의 모델과 무엇이
같고 무엇이 다른지 하나씩 확인합니다.

(lesson-script)=
## 1. 강의의 스크립트를 실행하기

강의의 실행 부분입니다: 모델을 만들고, 문장 두 개를 학습률 0.001로 5에폭 학습하고, 예측합니다. 토큰 5, 12, 23은 "The cat sat"입니다. 각 위치에서 다음 토큰을 맞히도록 배웁니다. 시드를 정하지 않으므로 숫자는 실행할 때마다 조금씩 다릅니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 17: the published lesson's code, and the prediction of one token

The lesson that this course follows ends with code: it defines a class `TinyLM`, trains it on two sentences for 5 epochs, and predicts the token after "The cat". If we import the class instead,
with `from autolm import TinyLM`, the rest runs to its last line. We run it first, and then compare the lesson's model with ours point by point.

(lesson-script)=
## 1. Run the lesson's script

This is the part of the lesson that uses the model: create it, train it on two sentences for 5 epochs with a learning rate of 0.001, and predict. The tokens 5, 12, 23 are "The cat sat"; at each position the model learns to predict the next token. No seed is set, so the numbers differ a little from run to run.
"""

# %% tags=["varies", "lesson-script"]
import numpy as np

from autolm import TinyLM

# 모델 생성
model = TinyLM(vocab_size=50, d_model=32, num_heads=4, d_ff=64, num_layers=2)

# 학습 데이터
train_data = [
    ([5, 12, 23], [12, 23, 7]),
    ([8, 15, 31], [15, 31, 9]),
]

# 학습
for epoch in range(5):
    total_loss = 0
    for tokens, targets in train_data:
        loss_before, loss_after = model.train_step(tokens, targets, learning_rate=0.001)
        total_loss += loss_before
    print(f"Epoch {epoch + 1}: Loss = {total_loss / len(train_data):.4f}")

# 예측
logits, _ = model.forward([5, 12])
probs = model._softmax(logits[-1])
next_token = np.argmax(probs)
print(f"예측된 다음 토큰: {next_token} (확률: {probs[next_token]:.4f})")

# %% [markdown] lang="ko"
r"""
손실은 $\ln 50$ 근처에서 거의 움직이지 않습니다. 학습률 0.001로 열 걸음을 움직였을 뿐이기 때문입니다(5절). 클래스를 바꾸었으므로 다음이 강의와
다릅니다. 강의의 클래스에는 층 정규화와 마스크가 없고, 헤드를 나누지 않으며, `train_step`이 임베딩만 수치 미분으로 움직입니다. autolm의 `TinyLM`은
층 정규화, 인과 마스크, 헤드 4개가 기본이고, `train_step`이 모든 파라미터를 역전파의 정확한 기울기로 움직입니다.

(lesson-constructor)=
## 2. 강의의 모델과 모양

기본값을 바꾸면 강의의 모델 그대로가 됩니다: 정규화 없음(`norm=None`), 마스크 없음(`causal=False`), 헤드 하나. $V = 50$, $d_{\text{model}} = 32$,
$d_{ff} = 64$, 층 2이고, 강의처럼 가중치를 $\mathcal N(0, 0.01^2)$에서 뽑습니다: `randn · 0.01`. 표준편차가 모두 0.01쯤인지, 파라미터가 모두 몇 개인지
확인합니다.
"""

# %% [markdown] lang="en"
r"""
The loss stays close to $\ln 50$, because these are only ten steps with a learning rate of 0.001 (section 5). Since we replaced the class, some things differ from the lesson. The lesson's class has no layer norm and no mask,
does not split heads, and its `train_step` updates only the embedding, by numerical gradients. autolm's `TinyLM` has layer norm, a causal mask and 4 heads by default, and `train_step` updates all parameters by the exact
gradients of backpropagation.

(lesson-constructor)=
## 2. The lesson's model and its shapes

With other arguments it is the lesson's model: no norm (`norm=None`), no mask (`causal=False`), one head; $V = 50$, $d_{\text{model}} = 32$, $d_{ff} = 64$, 2 layers. Weights are drawn from
$\mathcal N(0, 0.01^2)$ as in the lesson: `randn · 0.01`. Check that every standard deviation is about 0.01, and count the parameters.
"""

# %%
from autolm import Tensor, cross_entropy


def lesson_model(std=0.01, norm=None, seed=0):
    """Make the model of the lesson, with weights of a standard deviation."""
    model = TinyLM(50, 32, 1, 64, 2, norm=norm, causal=False, dtype="float64", seed=0)
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data = rng.normal(size=parameter.shape) * std
    return model


model = lesson_model()
for path, parameter in model.named_parameters():
    if not path.startswith("blocks.1"):
        print(f"{path:30}{parameter.shape!s:10} std {parameter.data.std():.4f}")
print("Σ", model.num_parameters())

# %% [markdown] lang="ko"
r"""
(small-weights)=
## 3. 왜 작은 가중치로 시작하는가

모두 0이면 모든 뉴런이 똑같은 기울기를 받아 영원히 똑같습니다. 그래서 무작위여야 합니다. 너무 크면 소프트맥스가 처음부터 확신에 차서 틀리고
손실과 기울기가 폭발합니다. 너무 작으면 신호와 기울기가 층을 지나며 사라집니다. 폭 $n$의 합 $\sum_{i=1}^n w_i x_i$의 분산은 $n\sigma_w^2$이므로(4강과 같은 계산), 분산을 지키려면
$\sigma_w = 1/\sqrt n$, 즉 폭 32에서 $0.18$입니다. $0.01$은 안전하지만 작습니다. 처음 손실을 계산해 봅시다. $\ln 50 = 3.912$가
무작위로 찍는 모델의 손실입니다. 강의의 코드에는 층 정규화가 없습니다(no norm). 층 정규화를 넣으면(norm) 가중치가 커도 기울기가 폭발하지 않습니다.
"""

# %% [markdown] lang="en"
r"""
(small-weights)=
## 3. Why start with small weights?

If all weights are 0, all neurons get the same gradient and stay equal for ever, so they must be random. If they are too large, softmax is confident and wrong from the start, and loss and gradient explode. If they are too
small, signal and gradient vanish from layer to layer. A sum of $n$ terms $\sum_{i=1}^n w_i x_i$ has variance $n\sigma_w^2$ (by the computation of lesson 4), so $\sigma_w = 1/\sqrt n$ keeps the variance: for a width of 32 this is $0.18$. The
lesson's $0.01$ is safe, but small. We measure the first loss; a random guess has $\ln 50 = 3.912$. The lesson's code
has no layer norm; with one, large weights do not make the gradients explode.
"""

# %%
tokens, targets = np.array([5, 12, 23, 7, 31]), np.array([12, 23, 7, 31, 2])
print(f"ln 50 = {np.log(50):.3f}")
print("  std      L (no norm)  ‖∂L/∂W_Q‖    L (norm)   ‖∂L/∂W_Q‖")
for std in (0.0, 0.01, 0.18, 1.0):
    row = f"{std:5.2f}"
    for norm in (None, "pre"):
        trial = lesson_model(std, norm, seed=1)
        loss = trial.compute_loss(tokens, targets)
        loss.backward()
        size = np.linalg.norm(trial.blocks[0].attention.W_Q.grad)
        row += f"{loss.item():15.4g}{size:10.1e}"
    print(row)

# %% [markdown] lang="ko"
r"""
(activations)=
## 4. 중간값 보기: `store_activations`

층이 $N$개인 모델은 같은 모양의 블록을 $N$번 지납니다. 파라미터는 블록마다 다릅니다.

$$x^{(0)} = E[\text{토큰}] + PE, \qquad x^{(l)} = \text{블록}_l\bigl(x^{(l-1)}\bigr), \qquad
\text{logits} = x^{(N)} W_{\text{out}}$$

`forward(…, store_activations=True)`는 이 $x^{(l)}$을 모두 함께 돌려줍니다. 이 모델은 $N = 2$입니다. 가중치가 작아서 층이 더하는 값도 작고, 크기는 거의 위치 인코딩의 크기입니다.
"""

# %% [markdown] lang="en"
r"""
(activations)=
## 4. Intermediate values: `store_activations`

A model of $N$ layers passes through $N$ blocks of the same shape, each with its own parameters.

$$x^{(0)} = E[\text{token}] + PE, \qquad x^{(l)} = \text{block}_l\bigl(x^{(l-1)}\bigr), \qquad
\text{logits} = x^{(N)} W_{\text{out}}$$

`forward(…, store_activations=True)` returns every $x^{(l)}$ as well. Here $N = 2$. The weights are small, so each layer adds little, and the norms are nearly those of the positional encoding.
"""

# %%
logits, activations = model.forward(tokens, store_activations=True)
for name, x in activations.items():
    print(f"{name:8} {x.shape}   row norms {np.linalg.norm(x.data, axis=1).round(2)}")
print(f"logits   {logits.shape}")

# %% [markdown] lang="ko"
r"""
(log-softmax)=
### `+ 1e-10`은 필요 없습니다

강의의 손실은 $-\ln(p + 10^{-10})$입니다. 로그-소프트맥스에는 이 수가 필요 없고, 있으면 아주 틀린 예측의 손실이 작아집니다([10강](#cross-entropy-derivation)). 이 모델에서는 확률이
$1/50$쯤이라서 차이가 거의 없습니다.
"""

# %% [markdown] lang="en"
r"""
(log-softmax)=
### No need for `+ 1e-10`

The lesson's loss is $-\ln(p + 10^{-10})$. Log-softmax does not need that number, and with it the loss of a very wrong prediction is too small ([lesson 10](#cross-entropy-derivation)). In this model probabilities are about $1/50$,
so it makes almost no difference.
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
## 5. 학습 루프: 배치, 에폭, 학습률

**배치**(batch)는 한 번 움직이기 전에 함께 보는 데이터이고, **에폭**(epoch)은 데이터 전체를 한 번 다 보는 것입니다. 강의는 문장을 하나씩 보므로 배치는
문장 하나이고, 문장 두 개를 5에폭 보므로 모두 $2 \cdot 5 = 10$걸음을 움직입니다. **학습률**(learning rate) $\alpha = 0.001$은 한 걸음에 기울기의 몇 배를
움직일지 정합니다.

아래는 강의의 모델과 강의의 데이터로 돌린 강의의 루프입니다. 다른 점은 하나입니다. 강의의 `train_step`은 임베딩만 수치 미분으로 움직이고([14강](#measuring-trap)),
여기서는 모든 파라미터를 정확한 기울기로 움직입니다. 첫 줄에서 보듯이 $\alpha = 0.001$로 열 걸음을 가면 손실이 거의 그대로입니다. 학습률과 에폭을 늘리면 내려갑니다.
"""

# %% [markdown] lang="en"
r"""
(lesson-loop)=
## 5. The training loop: batch, epoch, learning rate

A **batch** is the data used for one step; an **epoch** is one pass over all the data. The lesson takes one sentence at a time, so a batch is one sentence, and two sentences for 5 epochs are
$2 \cdot 5 = 10$ steps. The **learning rate** $\alpha = 0.001$ is the factor by which the gradient is multiplied in each step.

Here is the lesson's loop, with the lesson's model and data. One thing differs: the lesson's `train_step` updates only the embedding, by numerical gradients ([lesson 14](#measuring-trap)); here all
parameters are updated by exact gradients. The first line shows that ten steps with $\alpha = 0.001$ hardly change the loss. A larger learning rate and more epochs decrease it.
"""

# %%
LESSON_DATA = [([5, 12, 23], [12, 23, 7]), ([8, 15, 31], [15, 31, 9])]


def train(model, data, rate, epochs):
    """Train on one sentence at a time; return the mean loss of each epoch."""
    losses = []
    for _ in range(epochs):
        steps = [model.train_step(tokens, targets, rate) for tokens, targets in data]
        losses.append(np.mean([before for before, _ in steps]))
    return losses


for rate, epochs in ((0.001, 5), (0.1, 5), (0.1, 200)):
    losses = train(lesson_model(), LESSON_DATA, rate, epochs)
    print(
        f"α = {rate:<6} {epochs:3} epochs   L {losses[0]:.4f} → {losses[-1]:.4f}   PPL {np.exp(losses[-1]):.2f}"
    )

# %% [markdown] lang="ko"
r"""
(predict-one-token)=
## 6. 다음 토큰 하나: argmax와 그 확률

강의의 데이터에는 단어가 없으므로, 문장 세 개로 autolm의 기본 모델(층 정규화, 마스크, 헤드 4개)을 학습한 뒤 "the cat sat" 다음의 토큰을 예측합니다. 마지막 위치의 로짓을 소프트맥스에 넣으면 어휘 전체의 확률이 나옵니다. 가장 큰 것을 고르는 것이 **argmax**(탐욕 선택), 확률대로 뽑는
것이 **표집**(sampling)입니다. **온도**(temperature) $\tau$로 나누면 $p_i \propto e^{z_i/\tau}$, $\tau$가 작을수록 뾰족해집니다.
"""

# %% [markdown] lang="en"
r"""
(predict-one-token)=
## 6. One token: argmax, and its probability

The lesson's data has no words, so we train autolm's usual model (layer norm, mask, 4 heads) on three sentences, and predict the token after "the cat sat". Softmax of the logits at the last position gives the probabilities of the whole vocabulary. Taking the largest is **argmax** (greedy); drawing according to the probabilities is **sampling**. Dividing the logits by
a temperature $\tau$ gives $p_i \propto e^{z_i/\tau}$: the smaller $\tau$, the more peaked.
"""

# %%
SENTENCES = ["the cat sat on the mat", "the dog ran in the park", "the bird flew in the sky"]
WORDS = ["<pad>", *dict.fromkeys(" ".join(SENTENCES).split())]
data = [np.array([WORDS.index(word) for word in sentence.split()]) for sentence in SENTENCES]
model = TinyLM(50, 32, 4, 64, 2, dtype="float64", seed=0)
losses = train(model, [(ids[:-1], ids[1:]) for ids in data], rate=0.1, epochs=40)
print(f"L {losses[0]:.3f} → {losses[-1]:.3f}")
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
```{slider} temperature
점수 on 3, in 1, mat 0.5, the −1의 소프트맥스. 온도 τ를 낮추면 한 단어에 몰리고, 높이면 고르게 됩니다.
```

**생각해 보세요.** 온도 $\tau$를 0에 가깝게 하면 표집은 무엇과 같아집니까?

```{choose} 3
모든 단어를 같은 확률로 뽑는 것
: $\tau$가 아주 클 때 그렇습니다.

온도 없이 뽑는 것
: $\tau = 1$일 때 그렇습니다.

argmax로 고르는 것
: 점수의 차를 아주 작은 수로 나누면 차가 커져서, 가장 큰 점수의 확률이 1에 가까워집니다.
```

(lesson-truth)=
## 7. 강의의 코드가 말하는 것과 하는 것

| 강의가 말하는 것 | 코드가 하는 것 |
| --- | --- |
| 파라미터 약 1만 개 | 19 584개 ([16강](#lesson-model-size)) |
| Multi-Head Attention | `num_heads`를 쓰지 않음: 헤드 하나 ([8강](#split-heads)) |
| $\sqrt{d_k}$로 나눔 | $\sqrt{d_{\text{model}}}$로 나눔 |
| 다음 단어 예측 | 마스크가 없어 학습할 때 답을 보고 있음 ([6강](#causal-mask)) |
| 수치 미분으로 기울기 | 첫 토큰만 옳음 ([14강](#measuring-trap)) |

## 들여다보기

학습한 모델이 "the cat sat on"을 읽습니다. 순전파의 끝에서는 다음 토큰의 확률을, 어텐션 안에서는 어느 단어가 어느 단어를 보는지를 확인하세요.
"""

# %% [markdown] lang="en"
r"""
```{slider} temperature
The softmax of the scores on 3, in 1, mat 0.5, the −1. A low temperature τ concentrates on one word; a high one makes the words more equal.
```

**Think first.** As the temperature $\tau$ approaches 0, sampling becomes the same as …

```{choose} 3
drawing all words with equal probability.
: That happens for very large $\tau$.

sampling without a temperature.
: That is $\tau = 1$.

taking the argmax.
: Differences of scores are divided by a very small number and become large, so the probability of the largest score approaches 1.
```

(lesson-truth)=
## 7. What the lesson's code says, and what it does

| it says | it does |
| --- | --- |
| about 10 K parameters | 19 584 ([lesson 16](#lesson-model-size)) |
| multi-head attention | ignores `num_heads`: one head ([lesson 8](#split-heads)) |
| divides by $\sqrt{d_k}$ | divides by $\sqrt{d_{\text{model}}}$ |
| predicts the next word | has no mask: each position sees its answer ([lesson 6](#causal-mask)) |
| numerical gradients | right for the first token only ([lesson 14](#measuring-trap)) |

## Look into it

The trained model reads "the cat sat on". Look at the probabilities of the next token at the end of the forward pass, and see in the attention which word attends to which.
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
With u = a/τ, p = σ(u) and p′ = p(1 − p).
And ∂u/∂a = 1/τ, ∂u/∂τ = −a/τ².
```
"""
