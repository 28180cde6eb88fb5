# %% [markdown] lang="ko"
r"""
# 19강: 최종 프로젝트, 나만의 언어 모델 만들기

원래 연재의 다음 날(48일째)에는 언어 모델을 직접 만듭니다. 바로 이 강의에서 만듭니다. 글을 하나 골라 아래 일곱 단계를 따라 하세요. 이 페이지는 속담 스물네 개로 같은 일을 하는
예시입니다. 끝에는 스스로 채점하는 표가 있습니다.

(project-text)=
## 1. 글 고르기

같은 규칙이 되풀이되는 글이 좋습니다. 예를 들면 가사, 레시피, 이름 목록, 채팅, 시조입니다. 처음에는 1만 글자면 충분합니다. 저작권이 없는 글이나 자기 글을 쓰세요.
"""

# %% [markdown] lang="en"
r"""
# Lesson 19: the final project, build your own language model

On the next day of the original series (day 48), the reader builds a language model. This is that lesson. Choose a text and follow the seven steps below. This page follows them with twenty-four proverbs as an example, and ends with a table for marking
your own project.

(project-text)=
## 1. Choose a text

Choose a text with repeated patterns: lyrics, recipes, lists of names, chats, poems. Ten thousand letters are enough to start. Use a text without copyright, or your own.
"""

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

from autolm import AdamW, CharacterTokenizer, Tensor, TinyLM, explain, no_grad
from autolm.lm.text_loss import tokens_of
from autolm.nn import clip_gradients, schedule

PROVERBS = """가는 말이 고와야 오는 말이 곱다
낮말은 새가 듣고 밤말은 쥐가 듣는다
말 한마디에 천 냥 빚도 갚는다
발 없는 말이 천 리 간다
세 살 버릇 여든까지 간다
소 잃고 외양간 고친다
바늘 도둑이 소 도둑 된다
티끌 모아 태산
천 리 길도 한 걸음부터
시작이 반이다
하늘이 무너져도 솟아날 구멍이 있다
원숭이도 나무에서 떨어진다
우물 안 개구리
등잔 밑이 어둡다
아니 땐 굴뚝에 연기 날까
콩 심은 데 콩 나고 팥 심은 데 팥 난다
윗물이 맑아야 아랫물이 맑다
백지장도 맞들면 낫다
사공이 많으면 배가 산으로 간다
돌다리도 두들겨 보고 건너라
고래 싸움에 새우 등 터진다
호랑이도 제 말 하면 온다
누워서 침 뱉기
가랑비에 옷 젖는 줄 모른다"""
text = PROVERBS + "\n"
print(f"len(text) = {len(text)}   len(set(text)) = {len(set(text))}   {len(text.splitlines())} ×")

# %% [markdown] lang="ko"
r"""
(project-tokens)=
## 2. 토큰으로 바꾸기

글이 짧으면 글자, 길면(10만 글자 이상) BPE가 좋습니다. 15강을 보세요. 부호화했다가 복호화하면 같은 글이 나와야 합니다.
"""

# %% [markdown] lang="en"
r"""
(project-tokens)=
## 2. Turn it into tokens

Use letters for a short text, and BPE for a long one (100 000 letters and more): see lesson 15. Encoding and then decoding must give the same text.
"""

# %%
tokenizer = CharacterTokenizer.train(text)
ids = np.array(tokenizer.encode(text))
assert tokenizer.decode(ids.tolist()) == text
print("V =", tokenizer.vocab_size, "  ", ids[:9], repr(text[:9]))

# %% [markdown] lang="ko"
r"""
(project-ladder)=
## 3. 학습하기 전에 기준선 구하기

먼저 글을 둘로 나눕니다. 속담 여섯 개 가운데 하나는 **검증**(validation)에만 쓰고, 나머지로 학습합니다. 학습에 쓴 글의 손실은 외워도 내려가므로,
모델이 규칙을 배웠는지는 검증용 글의 손실로만 알 수 있습니다.

그다음에 검증용 글에서 무작위로 찍는 모델(uniform), 글자의 빈도만 아는 모델(unigram), 바로 이전 글자를 아는 모델(bigram)의 손실을 구합니다. 확률은 학습용 글에서 셉니다.
학습용 글에 한 번도 나오지 않은 쌍은 확률이 0이라서 손실이 무한대가 됩니다. 그래서 모든 쌍의 횟수에 1을 더합니다. 이것을 평활화(add-one smoothing)라고 합니다.

$$P(b \mid a) = \frac{\text{쌍 } ab\text{의 횟수} + 1}{\text{글자 } a\text{의 횟수} + V}$$
"""

# %% [markdown] lang="en"
r"""
(project-ladder)=
## 3. Compute the baselines before training

First split the text. One proverb in six is used for **validation** only, and the others for training. Memorizing also decreases the loss of the training text, so only the loss of the validation text shows
whether the model has learned rules.

Then compute the loss on the validation text of a random guess (uniform), of a model that knows the frequencies of letters (unigram), and of one that knows the letter before (bigram). Probabilities are counted in the training text.
A pair that never occurs there would have probability 0 and an infinite loss, so we add 1 to every count (add-one smoothing):

$$P(b \mid a) = \frac{\text{count of the pair } ab + 1}{\text{count of the letter } a + V}$$
"""

# %%
V = tokenizer.vocab_size
lines = text.splitlines(keepends=True)
texts = {
    "train": "".join(line for i, line in enumerate(lines) if i % 6),
    "val": "".join(lines[::6]),
}
data = {name: np.array(tokenizer.encode(part)) for name, part in texts.items()}
pairs = np.ones((V, V))  # each count begins at 1
np.add.at(pairs, (data["train"][:-1], data["train"][1:]), 1)
p_letter = pairs.sum(0) / pairs.sum()
p_next = pairs / pairs.sum(1, keepdims=True)
before, after = data["val"][:-1], data["val"][1:]
baselines = {
    "uniform": math.log(V),
    "unigram": -np.log(p_letter[after]).mean(),
    "bigram": -np.log(p_next[before, after]).mean(),
}
print({name: len(ids) for name, ids in data.items()})
for name, nats in baselines.items():
    print(f"{name:8} {nats:.3f} nat   PPL {math.exp(nats):6.2f}")

# %% [markdown] lang="ko"
r"""
(project-model)=
## 4. 모델의 크기 정하기

파라미터의 수를 먼저 셉니다(16강). 글에 비해 너무 큰 모델은 규칙을 배우는 대신 글을 외웁니다(**과적합**, overfitting). 이 글은 짧으므로 이 모델은 외울 것입니다.
학습 손실과 검증 손실을 함께 보면 그것을 알 수 있습니다.
"""

# %% [markdown] lang="en"
r"""
(project-model)=
## 4. Choose the size of the model

Count the parameters first (lesson 16). A model that is too large for its text memorizes the text instead of learning its rules (**overfitting**). This text is short, so this model will memorize it.
Comparing the training loss with the validation loss shows this.
"""

# %%
d, N, block_size = 48, 2, 24
model = TinyLM(V, d, 4, 4 * d, N, max_len=block_size, seed=7)
count = model.num_parameters()
print(f"2Vd + 12Nd² + norms = {2 * V * d + 12 * N * d * d + 2 * d * (2 * N + 1)} = {count}")

# %% [markdown] lang="ko"
r"""
(project-train)=
## 5. 학습 루프 쓰기

여기서는 `autolm train`을 쓰지 말고 직접 쓰세요. 13강의 다섯 줄입니다. 학습용 글의 손실(train)과 검증용 글의 손실(val)을 함께 출력하고, 손실이 어느 기준선보다 낮아졌는지 보면서 학습합니다.
"""

# %% [markdown] lang="en"
r"""
(project-train)=
## 5. Write the training loop

Write it yourself, without `autolm train`: the five lines of lesson 13. Print the loss of the training text (train) and of the validation text (val), and watch which baselines it has passed.
"""

# %% tags=["varies"]
rng = np.random.default_rng(0)
steps, batch = 400, 8
optimizer = AdamW(model.named_parameters(), 5e-3, weight_decay=0.01)
rate = schedule("cosine", 5e-3, steps, warmup_steps=40)
train_ids, curve = data["train"], []


def loss_of(name):
    """Return the mean loss of one text, in windows as long as those of training."""
    ids = data[name]
    starts = np.arange(0, len(ids) - block_size, block_size)
    window = ids[starts[:, None] + np.arange(block_size + 1)]
    with no_grad():
        return model.compute_loss(window[:, :-1], window[:, 1:]).item()


with threadpool_limits(1):
    for step in range(steps + 1):
        if step % 25 == 0:
            curve.append((step, loss_of("train"), loss_of("val")))
        starts = rng.integers(len(train_ids) - block_size, size=batch)
        window = train_ids[starts[:, None] + np.arange(block_size + 1)]
        loss = model.compute_loss(window[:, :-1], window[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(model.parameters(), 1.0)
        optimizer.learning_rate = rate(step)
        optimizer.step()
for step, train, val in curve[::2]:
    below = [name for name, nats in baselines.items() if nats > val] or ["–"]
    print(f"{step:4}   train {train:.3f}   val {val:.3f}   val < {below[-1]}")

# %% [markdown] lang="ko"
r"""
두 손실을 그려 보면 과적합이 보입니다. 학습 손실은 계속 내려가지만, 검증 손실은 어느 걸음부터 다시 올라갑니다. 그때 학습을 멈추거나 더 긴 글을 써야 합니다.
"""

# %% [markdown] lang="en"
r"""
A plot of the two losses shows overfitting: the training loss keeps decreasing, but from some step on the validation loss increases again. At that point, stop training or use a longer text.
"""

# %% tags=["varies"] en="the training loss falls to near 0 while the validation loss falls at first and then rises" ko="학습 손실은 0 가까이 내려가고, 검증 손실은 처음에 내려가다가 다시 올라갑니다"
figure, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
ax.plot(*np.array(curve)[:, :2].T, label="train")
ax.plot(*np.array(curve)[:, [0, 2]].T, label="val")
ax.axhline(baselines["bigram"], color="0.7", lw=0.8)
ax.text(steps, baselines["bigram"] - 0.1, "bigram", ha="right", va="top", fontsize=8)
ax.set(xlabel="step", ylabel="L", ylim=(0, None))
ax.legend(loc="center right")

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** 학습 손실 0.1, 검증 손실 5.0인 모델이 있습니다. 먼저 무엇을 해 보아야 합니까?

```{choose} 1
글을 늘리거나, 모델을 줄이거나, 더 일찍 멈춥니다
: 학습한 글만 외운 상태(과적합)입니다. 세 가지 모두 외우기 어렵게 만듭니다.

층을 더 쌓습니다
: 큰 모델은 글을 더 쉽게 외웁니다. 이미 학습 손실이 작으므로 크기가 모자란 것이 아닙니다.

걸음 수를 늘립니다
: 더 오래 학습하면 검증 손실은 더 커집니다.
```

(project-sample)=
## 6. 글을 생성하고 다음 글자를 예측하기

온도를 바꾸어 가며 글을 생성해 보세요. 그리고 다음 글자 하나의 확률을 직접 확인하세요(17강).
"""

# %% [markdown] lang="en"
r"""
**Think first.** A model has a training loss of 0.1 and a validation loss of 5.0. What should you try first?

```{choose} 1
more text, a smaller model, or fewer steps
: The model has memorized its training text (overfitting). All three make memorizing harder.

more layers
: A larger model memorizes more easily. Its training loss is small already, so it is not too small.

more steps
: With more training, the validation loss increases further.
```

(project-sample)=
## 6. Generate text and predict one token

Generate text at several temperatures, and look at the probabilities of one next letter (lesson 17).
"""

# %% tags=["varies"]
for temperature in (0.3, 1.0, 1.5):
    written = model.generate(
        data["train"][:3], 40, temperature=temperature, rng=np.random.default_rng(1)
    )
    print(f"τ = {temperature}   {tokenizer.decode(written.tolist()).splitlines()[:3]}")
prompt = "천 리 "
logits, _ = model.forward(np.array(tokenizer.encode(prompt)))
p = Tensor(logits.data[-1]).softmax().data
for i in np.argsort(p)[::-1][:3]:
    print(f"P({tokenizer.decode([int(i)])!r} | {prompt!r}) = {p[i]:.3f}")

# %% [markdown] lang="ko"
r"""
## 나의 문장을 넣어 보기

이 모델에도 직접 글을 넣어 볼 수 있습니다. 외운 속담의 첫머리를 쓰고 [이어서 쓰기]를 눌러 보세요. 그다음에 속담에 없는 문장을 쓰고 글자마다의 놀라움을 비교해 보세요.

```{typed} model, tokenizer
시작이 반
```

(project-look)=
## 7. 들여다보고, 검증하고, 설명하기

모델의 손실 하나를 플레이어로 한 단계씩 따라가 보고, 파라미터 하나의 기울기가 왜 그 값인지 `explain`으로 설명하세요.
"""

# %% [markdown] lang="en"
r"""
## Type a sentence of your own

You can type into this model, too. Write the beginning of a proverb that it has memorized and press "Continue the text". Then write a sentence that is not among the proverbs, and compare the surprise of its letters.

```{typed} model, tokenizer
시작이 반
```

(project-look)=
## 7. Inspect, check and explain it

Step through one loss of your own model in the player, and explain why the gradient of one parameter has its value.
"""

# %% tags=["varies"]
sentence = np.array(tokenizer.encode("시작이 반이다"))
model.zero_grad()
loss = model.compute_loss(sentence[:-1], sentence[1:])
W_Q = model.blocks[0].attention.W_Q
loss.backward()
letters = tokens_of(loss, tokenizer)
print(f"L = {loss.item():.4f}   ‖∂L/∂W_Q‖ = {np.linalg.norm(W_Q.grad):.2e}")
print(str(explain(W_Q, loss, paths=1)).splitlines()[0])

# %% [markdown] lang="ko"
r"""
```{player} loss, tokens=letters
```

(project-marks)=
## 스스로 채점하기

| | 점수 | 기준 |
| --- | ---: | --- |
| 기준선 | 2 | 검증용 글의 uniform, unigram, bigram을 계산하고 설명했습니다 |
| 크기 | 1 | 파라미터의 수를 공식으로 세었고, 코드의 수와 같았습니다 |
| 루프 | 2 | 학습 루프를 직접 썼고, 학습 손실과 검증 손실을 그려 어느 걸음에서 검증 손실이 bigram보다 낮아졌습니다 |
| 예측 | 1 | 다음 토큰 하나의 확률을 구하고, 온도의 뜻을 설명했습니다 |
| 역전파 | 2 | 파라미터 하나의 기울기를 손실에서부터 거슬러 설명했습니다 |
| 검증 | 1 | 내가 쓴 연산 하나를 `autolm check`로 검증했습니다 |
| 비교 | 1 | 같은 글에서 두 가지 선택(층의 수, 학습률, 토크나이저)을 비교했습니다 |

10점 만점입니다. 글을 10만 글자로 늘리고 `autolm train 내글.txt`로 이어 가세요.

## 부품을 모두 이어 붙이기

[2강](02_a_neuron), [5강](05_softmax_and_cross_entropy), [6강](06_attention), [12강](12_optimisation), [13강](13_training_and_perplexity)에서 직접 만든 부품으로 작은 언어 모델 하나가 됩니다. `Value`, 소프트맥스와 손실, 어텐션 헤드 하나,
Adam, 학습 루프가 모두 들어 있습니다. 페이지 안에서 40걸음을 학습하고(몇 초 걸립니다), 다섯 걸음마다 두 손실을 그립니다. 폭 `d`, 문맥의 길이 `context`, 학습률을 바꾸어 보세요.

```{run}
from math import log, sqrt
from random import Random
from autolm import Value

train = "가는 말이 고와야 오는 말이 곱다\n발 없는 말이 천 리 간다\n"
val = "오는 말이 천 리 간다\n"
letters = sorted(set(train))
d, random = 6, Random(1)

def matrix(rows):
    return [[Value(random.gauss(0, 0.4)) for _ in range(d)] for _ in range(rows)]

E, Q, K, V, W = matrix(len(letters)), matrix(d), matrix(d), matrix(d), matrix(len(letters))
parameters = [x for M in (E, Q, K, V, W) for row in M for x in row]

def times(M, x):
    return [Value.dot(row, x) for row in M]

def softmax(z):
    largest = max(x.data for x in z)
    e = [(x - largest).exp() for x in z]
    total = Value.sum(e)
    return [x / total for x in e]

def loss_of(text, context=5):
    ids = [letters.index(letter) for letter in text]
    keys, values = ([times(M, E[i]) for i in ids] for M in (K, V))
    losses = []
    for t in range(len(ids) - 1):
        first, q = max(0, t - context + 1), times(Q, E[ids[t]])
        weights = softmax([Value.dot(q, k) / sqrt(d) for k in keys[first : t + 1]])
        found = [Value.dot(weights, column) for column in zip(*values[first : t + 1])]
        x = [a + b for a, b in zip(E[ids[t]], found)]
        losses.append(-softmax(times(W, x))[ids[t + 1]].log())
    return Value.sum(losses) / len(losses)

print("uniform", round(log(len(letters)), 3), " parameters", len(parameters))
m, v = [0.0] * len(parameters), [0.0] * len(parameters)
for step in range(1, 41):
    for p in parameters:
        p.grad = 0.0
    loss = loss_of(train)
    loss.backward()
    for i, p in enumerate(parameters):
        m[i] = 0.9 * m[i] + 0.1 * p.grad
        v[i] = 0.99 * v[i] + 0.01 * p.grad**2
        p.data -= 0.05 * (m[i] / (1 - 0.9**step)) / (sqrt(v[i] / (1 - 0.99**step)) + 1e-8)
    if step % 5 == 0:
        held = loss_of(val).data
        print(f"{step:3}  train {loss.data:.3f} {'█' * round(10 * loss.data):32} val {held:.3f}")
```

## 연습문제

**1. 값을 예측하세요.** 이 모델의 첫 손실은 어떤 값에 가깝습니까? ($V$는 위에 있습니다.)

```{predict} math.log(V)
:within: 0.02

배우지 않은 모델은 글자 $V$개에 거의 같은 확률을 줍니다.

$-\ln(1/V) = \ln V$입니다.
```

**2. 규칙을 쓰세요.** 두 글자의 평균 손실 $L = \tfrac12\bigl(\ln(1 + e^{-a}) + \ln(1 + e^{-b})\bigr)$. $a, b$는 맞는 글자와 틀린 글자의 점수의 차입니다.

```{exercise} mean_loss
ln(1 + e^{−a})의 미분은 −1/(1 + e^{a})입니다. 직접 확인해 보세요.
평균이므로 각각 1/2이 곱해집니다.
```

**3. 글로 답하세요.** 이 모델이 쓴 글이 원래 글에 있는 문장뿐이라면, 그 모델은 무엇을 배운 것입니까? 어떻게 알아낼 수 있습니까?

```{answer}
글을 외운 것입니다(과적합, overfitting). 학습에 쓰지 않은 검증 문장의 손실을 재면 알 수 있습니다. 학습 손실은 내려가는데 검증 손실이 오르기 시작하면, 그때부터 외우기 시작한 것입니다.
```
"""

# %% [markdown] lang="en"
r"""
```{player} loss, tokens=letters
```

(project-marks)=
## Mark your project

| | marks | if you |
| --- | ---: | --- |
| baselines | 2 | computed uniform, unigram and bigram of the validation text, and can explain them |
| size | 1 | counted the parameters by the formula, and the code agreed |
| loop | 2 | wrote the loop yourself and plotted both losses, and at some step the validation loss was below the bigram |
| prediction | 1 | found the probability of one next token, and can explain the temperature |
| backprop | 2 | explained the gradient of one parameter, starting at the loss |
| check | 1 | checked an operation of yours with `autolm check` |
| comparison | 1 | compared two choices (layers, learning rate, tokenizer) on the same text |

The maximum is 10. Then collect 100 000 letters and continue with `autolm train mytext.txt`.

## All parts together

The parts that you built in lessons [2](02_a_neuron), [5](05_softmax_and_cross_entropy), [6](06_attention), [12](12_optimisation) and [13](13_training_and_perplexity) make a small language model: `Value`, softmax and loss, one attention head,
Adam, and the training loop. It trains for 40 steps in the page (some seconds) and draws both losses every five steps. Change the width `d`, the length `context`, and the learning rate.

```{run}
from math import log, sqrt
from random import Random
from autolm import Value

train = "가는 말이 고와야 오는 말이 곱다\n발 없는 말이 천 리 간다\n"
val = "오는 말이 천 리 간다\n"
letters = sorted(set(train))
d, random = 6, Random(1)

def matrix(rows):
    return [[Value(random.gauss(0, 0.4)) for _ in range(d)] for _ in range(rows)]

E, Q, K, V, W = matrix(len(letters)), matrix(d), matrix(d), matrix(d), matrix(len(letters))
parameters = [x for M in (E, Q, K, V, W) for row in M for x in row]

def times(M, x):
    return [Value.dot(row, x) for row in M]

def softmax(z):
    largest = max(x.data for x in z)
    e = [(x - largest).exp() for x in z]
    total = Value.sum(e)
    return [x / total for x in e]

def loss_of(text, context=5):
    ids = [letters.index(letter) for letter in text]
    keys, values = ([times(M, E[i]) for i in ids] for M in (K, V))
    losses = []
    for t in range(len(ids) - 1):
        first, q = max(0, t - context + 1), times(Q, E[ids[t]])
        weights = softmax([Value.dot(q, k) / sqrt(d) for k in keys[first : t + 1]])
        found = [Value.dot(weights, column) for column in zip(*values[first : t + 1])]
        x = [a + b for a, b in zip(E[ids[t]], found)]
        losses.append(-softmax(times(W, x))[ids[t + 1]].log())
    return Value.sum(losses) / len(losses)

print("uniform", round(log(len(letters)), 3), " parameters", len(parameters))
m, v = [0.0] * len(parameters), [0.0] * len(parameters)
for step in range(1, 41):
    for p in parameters:
        p.grad = 0.0
    loss = loss_of(train)
    loss.backward()
    for i, p in enumerate(parameters):
        m[i] = 0.9 * m[i] + 0.1 * p.grad
        v[i] = 0.99 * v[i] + 0.01 * p.grad**2
        p.data -= 0.05 * (m[i] / (1 - 0.9**step)) / (sqrt(v[i] / (1 - 0.99**step)) + 1e-8)
    if step % 5 == 0:
        held = loss_of(val).data
        print(f"{step:3}  train {loss.data:.3f} {'█' * round(10 * loss.data):32} val {held:.3f}")
```

## Exercises

**1. Predict.** What value is the first loss of this model close to? ($V$ is given above.)

```{predict} math.log(V)
:within: 0.02

A model that has not learned gives nearly equal probabilities to all $V$ letters.

$-\ln(1/V) = \ln V$.
```

**2. Write the rule.** The mean loss of two letters, $L = \tfrac12\bigl(\ln(1 + e^{-a}) + \ln(1 + e^{-b})\bigr)$; $a, b$ are the differences between the scores of the right and the wrong letter.

```{exercise} mean_loss
The derivative of ln(1 + e^{−a}) is −1/(1 + e^{a}): verify it.
It is a mean: each has a factor of 1/2.
```

**3. Answer in words.** If a model generates only sentences of its training text, what has it learned? How can you find out?

```{answer}
It has memorized the text (overfitting). Measure the loss on sentences that were not used for training: it starts to memorize where the training loss still falls but the validation loss starts to rise.
```
"""
