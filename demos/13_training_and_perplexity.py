# %% [markdown] lang="ko"
r"""
# 13강: 학습 루프와 퍼플렉시티

손실이 0.6이라고 해서 그것만으로 좋은지 나쁜지 알 수는 없습니다. 그래서 학습을 시작하기 전에, 무작위로 찍는 모델, 글자의 빈도만 아는 모델의
손실이 얼마인지 먼저 구합니다. 장난감 언어의 문법을 알고 있으므로, 어떤 모델도 넘을 수 없는 하한인 **엔트로피**까지 계산할 수 있습니다.

(toy-language)=
## 1. 데이터
"""

# %% [markdown] lang="en"
r"""
# Lesson 13: the training loop, and perplexity

A loss of 0.6 is neither good nor bad by itself. So before training we compute the loss of a random guess, of a model that knows only how often
letters occur, and so on. Since we know the grammar of our toy language, we can even compute its **entropy**: no model can do better.

(toy-language)=
## 1. The data
"""

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

from autolm import (
    AdamW,
    Training,
    TrainingConfig,
    stream_text,
    toy_language_corpus,
    train_tokenizer,
)
from autolm.nn import clip_gradients, schedule

corpus = toy_language_corpus(train_sentences=6000, validation_sentences=300)
config = TrainingConfig(
    d_model=48, d_ff=192, num_layers=2, num_heads=2, batch_size=8, steps=400, learning_rate=2e-2
)
training = Training(config, corpus, train_tokenizer(config, corpus))
for sentence in corpus.train.splitlines()[:4]:
    print(sentence)

# %% [markdown] lang="ko"
r"""
(loss-ladder)=
## 2. 기준선: 아는 것에 따라 손실이 얼마인가

글자당 손실(내트, nat)과 퍼플렉시티입니다. `uniform`은 모든 글자의 확률을 같게 놓는 모델, `unigram`은 글자의 빈도를,
`bigram`은 바로 이전 글자 하나를, `trigram`은 이전 글자 둘을 아는 모델이고, 모두 학습용 글로 구했습니다. `entropy`는 문법 전체를 알 때의 값, 즉 참값 $-\sum p \ln p$입니다.
"""

# %% [markdown] lang="en"
r"""
(loss-ladder)=
## 2. Baselines: the loss for each level of knowledge

The loss (in nats) and the perplexity of each letter. `uniform` gives all letters the same probability; `unigram` knows how often each
occurs, `bigram` also knows the letter before, `trigram` the two letters before; all are measured on the training text. `entropy`, $-\sum p \ln p$, is the value for the whole grammar.
"""

# %%
baselines, entropy = training.baselines(), training.true_entropy()
rungs = {
    "uniform": baselines.uniform,
    "unigram": baselines.unigram,
    "bigram": baselines.bigram,
    "trigram": baselines.trigram,
    "entropy": entropy,
}
for rung, nats in rungs.items():
    print(f"{rung:<8}{nats:8.3f}   PPL {math.exp(nats):6.2f}")

# %% [markdown] lang="ko"
r"""
(training-loop)=
## 3. 학습 루프

학습이란 다음 다섯 줄의 반복입니다.

1. 데이터에서 **배치**(batch)를 하나 꺼냅니다.
2. 순전파로 손실을 구합니다.
3. 이전 기울기를 지우고, 역전파로 모든 기울기를 구합니다.
4. 기울기가 너무 크면 크기를 제한합니다(**클리핑**, clipping).
5. 기울기의 반대 방향으로 파라미터를 조금 움직입니다. 얼마나 움직일지 정하는 수가 **학습률**(learning rate) $\alpha$입니다.

**왜 배치입니까?** 데이터 전체의 기울기를 구하려면 한 걸음에 데이터를 모두 보아야 합니다. 무작위로 고른 몇 문장의 평균 기울기도 평균적으로는 같은 방향이고, 같은 시간에 훨씬 많은 걸음을 움직일 수 있습니다. 대신 손실이
들쭉날쭉합니다. 배치가 클수록 덜 들쭉날쭉하지만 한 걸음이 오래 걸립니다. 데이터를 한 번 다 보는 것을 **에폭**(epoch)이라고 합니다. 데이터가 6000문장이고 배치가 60문장이면 한 에폭은 100걸음입니다.

**학습률**이 너무 작으면 거의 배우지 못하고, 너무 크면 손실이 오르내리다가 발산합니다(12강). 그래서 처음에는 작게 시작해 올리고 끝에서 다시 줄입니다. 학습을 너무 오래 하면 모델이 학습용 글을 외워서, 처음 보는 글의 손실은 오히려
커집니다. 이것이 **과적합**이고 19강에서 직접 봅니다. 그래서 손실은 학습에 쓰지 않은 글에서 재야 합니다.
Adam, 워밍업, 코사인 스케줄, 클리핑이 하는 일은 12강에서 하나씩 계산했습니다.
아래 줄에 출력하는 것은 배치의 손실이 아니라, 학습에 쓰지 않은 검증(validation) 문장의 손실입니다.
"""

# %% [markdown] lang="en"
r"""
(training-loop)=
## 3. The training loop

Training repeats these five lines:

1. take a **batch** from the data;
2. compute the loss in the forward pass;
3. reset the old gradients and compute the new ones in the backward pass;
4. limit the norm of the gradient (**clipping**);
5. move the parameters a little in the opposite direction of the gradient. The factor is the **learning rate** $\alpha$.

**Why batches?** The gradient over all the data would need all the data for each step. The mean gradient over some random sentences has the same direction on average, and allows many more steps in the same time; but the loss
becomes noisy. A larger batch is less noisy and takes longer. One pass over all the data is an **epoch**: with 6000 sentences and batches of 60, an epoch has 100 steps.

If the **learning rate** is too small, the model hardly learns; if it is too large, the loss oscillates and diverges (lesson 12). So it starts small, increases, and decreases again at the end. If training takes too many steps, the model memorizes
the training text, and the loss of unseen text increases: **overfitting**, as lesson 19 shows. Therefore measure the loss on text that was not used for training.
Lesson 12 computed, one by one, what Adam, warm-up, the cosine schedule and clipping do.
The lines below show the loss on sentences that were not used for training (validation), not the loss of a batch.
"""

# %% tags=["varies"]
model, batches = training.model, training.batches
optimizer = AdamW(model.named_parameters(), config.learning_rate, weight_decay=0.1)
rate = schedule("cosine", config.learning_rate, config.steps, warmup_steps=50)


def first_line(seed):
    rng = np.random.default_rng(seed)
    pieces = stream_text(model, training.tokenizer, "lines", "", 64, rng=rng)
    return "".join(pieces).splitlines()[0]


def report(step):
    L = training.validate()
    epochs = step * config.batch_size * config.block_size / training.text.train.num_targets
    print(f"{step:4}  epoch {epochs:4.2f}   L {L:6.3f}   PPL {math.exp(L):6.2f}   {first_line(1)}")
    return L


curve, validation = [], []
with threadpool_limits(1):  # matrices this small gain nothing from more
    validation.append((0, report(0)))
    for step in range(config.steps):
        inputs, targets = batches.next_batch()
        loss = model.compute_loss(inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        clip_gradients(model.parameters(), 1.0)
        optimizer.learning_rate = rate(step)
        optimizer.step()
        curve.append(loss.item())
        if (step + 1) % 100 == 0:
            L = report(step + 1)
            validation.append((step + 1, L))

# %% tags=["varies"] en="the loss of each batch falls in a noisy curve below one baseline after another, towards the entropy" ko="배치의 손실이 들쭉날쭉하게 기준선을 하나씩 지나 엔트로피 쪽으로 내려갑니다"
figure, ax = plt.subplots(figsize=(5, 2.8), layout="constrained")
ax.plot(curve, lw=0.7, label="batch")
ax.plot(*zip(*validation, strict=True), "o-", label="validation")
for rung, nats in rungs.items():
    ax.axhline(nats, color="0.7", lw=0.8)
    ax.text(config.steps, nats, rung, ha="right", va="bottom", fontsize=8)
ax.set(xlabel="step", ylabel="L")
ax.legend(loc="upper center")

# %% [markdown] lang="ko"
r"""
(good-loss)=
## 4. 좋은 손실인가
"""

# %% [markdown] lang="en"
r"""
(good-loss)=
## 4. Is that loss good?
"""

# %% tags=["varies"]
below = [rung for rung, nats in rungs.items() if nats > L]
print(f"L = {L:.3f} < {below[-1]}     L − entropy = {L - entropy:.3f}")
print(f"PPL = {math.exp(L):.2f}     exp(entropy) = {math.exp(entropy):.2f}\n")
for seed in range(2, 7):
    print(first_line(seed))

# %% [markdown] lang="ko"
r"""
손실이 어느 기준선 아래로 내려갔는지를 보면 모델이 무엇을 배웠는지 알 수 있습니다. 엔트로피와의 차이는 아직 배우지 못한 만큼입니다. 명령 `autolm train`은
더 큰 모델을 더 많은 데이터로 약 1분 동안 학습시킵니다.

**생각해 보세요.** 학습한 모델의 손실이 어떤 글에서 엔트로피보다 **낮게** 나왔습니다. 가장 그럴듯한 설명은 무엇입니까?

```{choose} 2
모델이 문법을 완벽하게 배웠습니다
: 문법을 완벽하게 알아도 평균 손실은 엔트로피입니다. 더 낮아질 수 없습니다.

학습에 쓴 글에서 쟀습니다
: 외운 글에서는 손실이 엔트로피보다 낮아질 수 있습니다. 검증용 글이 아주 짧아서 생긴 우연일 수도 있습니다.

퍼플렉시티를 잘못 계산했습니다
: 퍼플렉시티는 손실의 지수함수일 뿐이므로 손실의 값을 바꾸지 않습니다.
```

## 들여다보기

학습이 끝난 모델이 한 문장을 읽습니다. 막대는 다음 글자의 확률이고, 행렬의 행마다 글자가 적혀 있습니다. 맨 끝 단계가 AdamW의 다음 걸음입니다.
$\alpha$를 움직이면 그 걸음 뒤의 손실이 바뀝니다.
"""

# %% [markdown] lang="en"
r"""
The baselines below which the loss has fallen show what the model has learned; the difference from the entropy is what it has not learned yet. The command `autolm train`
trains a larger model on more data for about a minute.

**Think first.** On some text, the loss of a trained model is **below** the entropy. What is the most plausible reason?

```{choose} 2
The model has learned the grammar perfectly.
: Even with perfect knowledge of the grammar, the mean loss is the entropy. It cannot be lower.

The loss was measured on the training text.
: On memorized text the loss can be below the entropy. It may also be chance, if the validation text is very short.

The perplexity was computed wrongly.
: Perplexity is only the exponential of the loss and does not change the loss.
```

## Look into it

The trained model reads a sentence. Bars show the probabilities of the next letter, and each row of a matrix has its letter. The last
moment is the next step of AdamW: when you move $\alpha$, the loss after that step changes.
"""

# %%
from autolm.lm.text_loss import text_loss, tokens_of

beginning = corpus.train.splitlines()[0][:16].rpartition(" ")[0]  # cut at a word
line = text_loss(model, training.tokenizer, "stream", beginning)
letters = tokens_of(line, training.tokenizer)

# %% [markdown] lang="ko"
r"""
```{player} line, tokens=letters, optimizer=optimizer
```

## 나의 문장을 읽게 하기

방금 학습한 모델이 이 페이지 안에 있습니다. 장난감 언어의 문장을 써 보세요. 글자마다 놀라움 $-\ln p$, 마지막 글자가 이전 글자들에 준 어텐션 가중치(마지막 블록, 헤드의 평균), 다음 글자의 확률이 나옵니다.
"⏎"는 문장의 처음, "␣"는 빈칸입니다. **모델이 보는 글자의 수**를 1로 줄이면 bigram처럼 바로 이전 글자만 봅니다. 늘릴수록 평균 손실이 어떻게 변하는지 보세요.

```{typed} model, training.tokenizer
my crow near the barns flew home.
```

## 직접 실행하기

```{run}
from math import exp, log
from autolm import Value

score = {pair: Value(0.0, name=pair) for pair in ("ab", "ac")}
for step in range(31):
    total = score["ab"].exp() + score["ac"].exp()
    losses = [-(score[p].exp() / total).log() for p in ("ab", "ab", "ab", "ac")]
    loss = Value.sum(losses) / 4
    for s in score.values():
        s.grad = 0
    loss.backward()
    for s in score.values():
        s.data -= 1.0 * s.grad
    if step % 10 == 0:
        print(step, round(loss.data, 4), "PPL", round(exp(loss.data), 4))
print("entropy", round(-0.75 * log(0.75) - 0.25 * log(0.25), 4))
```

## 연습문제

**1. 값을 예측하세요.** 검증 손실이 $\ln 2$라면 퍼플렉시티는?

```{predict} math.exp(math.log(2))

퍼플렉시티는 $e^L$입니다.

$e^{\ln 2} = 2$.
```

**2. 값을 예측하세요.** 데이터가 12 000 토큰이고 배치가 토큰 480개라면, 한 에폭은 몇 걸음입니까?

```{predict} 12000 / 480
:within: 0

한 에폭은 데이터 전체를 한 번 보는 것입니다.

$12\,000 / 480 = 25$걸음입니다.
```

**3. 규칙을 쓰세요.** 두 단어의 퍼플렉시티 $y = \exp\bigl((a + b)/2\bigr)$, $a, b$는 두 단어의 손실입니다.

```{exercise} perplexity_of_two
eˣ의 미분은 자기 자신입니다. 그 안에는 a/2가 있습니다.
```

**4. 만들어 보세요.** 학습 루프를 쓰세요. 모델은 점수의 표 하나이고, `scores[a][b]`는 토큰 `a` 다음에 `b`가 올 점수입니다. 걸음마다 이웃한 모든 쌍의 평균 손실을 구하고, 기울기의 반대 방향으로 `rate`배만큼 움직입니다. 점수는 0에서 시작하고, 걸음마다 움직이기 **전의** 손실과 마지막 점수를 돌려줍니다.

```{build} training
쌍 (a, b)의 손실은 scores[a]의 소프트맥스에서 b의 −ln p입니다.
기울기는 행 a에만 있고, (p − 원-핫) ÷ 쌍의 수입니다.
모든 쌍의 기울기를 더한 다음에 움직이세요.
```
"""

# %% [markdown] lang="en"
r"""
```{player} line, tokens=letters, optimizer=optimizer
```

## Let it read your own sentence

The model that has just been trained runs in this page. Type a sentence of the toy language. You see the surprise $-\ln p$ of each letter, the attention weights of the last letter for the earlier ones (last block, mean of its heads), and the
probabilities of the next letter. "⏎" is the start of a sentence and "␣" a space. If **the number of letters that the model sees** is 1, it sees only the letter before, like a bigram. Watch the mean loss as you increase that number.

```{typed} model, training.tokenizer
my crow near the barns flew home.
```

## Run it yourself

```{run}
from math import exp, log
from autolm import Value

score = {pair: Value(0.0, name=pair) for pair in ("ab", "ac")}
for step in range(31):
    total = score["ab"].exp() + score["ac"].exp()
    losses = [-(score[p].exp() / total).log() for p in ("ab", "ab", "ab", "ac")]
    loss = Value.sum(losses) / 4
    for s in score.values():
        s.grad = 0
    loss.backward()
    for s in score.values():
        s.data -= 1.0 * s.grad
    if step % 10 == 0:
        print(step, round(loss.data, 4), "PPL", round(exp(loss.data), 4))
print("entropy", round(-0.75 * log(0.75) - 0.25 * log(0.25), 4))
```

## Exercises

**1. Predict.** With a validation loss of $\ln 2$, what is the perplexity?

```{predict} math.exp(math.log(2))

Perplexity is $e^L$.

$e^{\ln 2} = 2$.
```

**2. Predict.** The data has 12 000 tokens, and a batch 480. How many steps are in one epoch?

```{predict} 12000 / 480
:within: 0

An epoch is one pass over all the data.

$12\,000 / 480 = 25$ steps.
```

**3. Write the rule.** The perplexity of two words, $y = \exp\bigl((a + b)/2\bigr)$, where $a, b$ are their losses.

```{exercise} perplexity_of_two
The derivative of eˣ is itself; the inner function contains a/2.
```

**4. Build it.** Write the training loop. The model is one table: `scores[a][b]` is the score of token `b` after token `a`. In each step, compute the mean loss over all pairs of neighbours, and move by `rate` times the gradient in the opposite direction. Scores start at 0; return the loss **before** each step, and the final scores.

```{build} training
The loss of a pair (a, b) is −ln p of b under the softmax of scores[a].
Its gradient is nonzero only in row a: (p − one-hot) ÷ number of pairs.
Add the gradients of all pairs before you move.
```
"""
