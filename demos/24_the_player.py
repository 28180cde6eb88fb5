# %% [markdown] lang="ko"
r"""
# 24강: 플레이어

플레이어는 HTML 파일 하나이고, 다른 것은 아무것도 필요하지 않습니다. 역전파가 어떻게 이루어지는지 궁금해하는 사람에게 보내 주세요. 화살표 키는 한 단계,
스페이스는 재생, 노드를 누르면 설명, b는 중단점입니다. 너무 큰 그래프는 모듈 단위로 따라가고, 모듈을 누르면 열립니다.

    autolm step demos/21_stepping_a_neuron.py --html neuron.html

(play-neuron)=
## 1. 뉴런
"""

# %% [markdown] lang="en"
r"""
# Lesson 24: the player

The player is one HTML file that needs nothing else. Send it to anyone who wants to know how backpropagation works. Arrow keys step, space plays, a
click on a node explains it, b sets a breakpoint. A graph that is too large to read is stepped module by module; click a module to open it.

    autolm step demos/21_stepping_a_neuron.py --html neuron.html

(play-neuron)=
## 1. A neuron
"""

# %%
import numpy as np

from autolm import TinyLM, Value, player

x1, x2 = Value(2.0, name="x1"), Value(0.0, name="x2")
w1, w2 = Value(-3.0, name="w1"), Value(1.0, name="w2")
b = Value(6.8813735870195432, name="b")
n = x1 * w1 + x2 * w2 + b
n.name = "n"
o = n.tanh()
o.name = "o"
page = player(o, "neuron.html")
print(page, "w1:", w1.has_grad)

# %% [markdown] lang="ko"
r"""
파일을 만들어도 모델은 그대로입니다. $w_1$에는 아직 기울기가 없습니다. 주소 뒤에 단계의 번호를 붙이면 그 순간을 가리키는 링크가
됩니다: `neuron.html#step=8`.

```{player} o
```

(play-model)=
## 2. TinyLM 전체

손실을 숫자 하나하나로 풀어도 모듈 단위로 따라갈 수 있습니다.
"""

# %% [markdown] lang="en"
r"""
Writing the file does not change the model: $w_1$ still has no gradient. A link to a step names its number: `neuron.html#step=8`.

```{player} o
```

(play-model)=
## 2. A whole TinyLM

A loss that is expanded into single numbers can also be stepped module by module.
"""

# %%
model = TinyLM(vocab_size=9, d_model=8, num_heads=2, d_ff=16, num_layers=2, seed=3)
token_ids = np.array([1, 2, 3, 4, 5, 6])
loss = model.compute_loss(token_ids[:-1], token_ids[1:])
numbers = loss.to_values().item()
page = player(numbers, "tinylm.html")
print(page, f"L = {numbers.data:.4f}")

# %% [markdown] lang="ko"
r"""
```{player} numbers
```

## 직접 실행하기

```{run}
from autolm import Value

x1, x2 = Value(2.0, name="x1"), Value(0.0, name="x2")
w1, w2 = Value(-3.0, name="w1"), Value(1.0, name="w2")
o = (x1 * w1 + x2 * w2 + 6.8813735870195432).tanh()
for step in o.steps():
    for c in step.contributions:
        moved = f"{round(step.upstream, 4)} × {round(c.local, 4)} = {round(c.value, 4)}"
        print(step.index + 1, step.node.op.symbol, moved, c.parent.name or "")
```

## 연습문제

**1. 값을 예측하세요.** 뉴런의 플레이어를 끝까지 넘기기 전에, 마지막에 $b$의 기울기는 얼마입니까? 예측한 뒤 플레이어에서 확인하세요.

```{predict} 1 - o.data**2

$b$는 덧셈만 거쳐 $n$에 들어갑니다. $\partial o/\partial b = \partial o/\partial n$입니다.

$1 - o^2 = 0.5$.
```

**2. 그려서 설명하세요.** 위의 TinyLM에서 어텐션 상자 하나를 열어 보세요. 소프트맥스는 어느 상자들로 이루어져 있습니까?

```{answer}
최댓값을 빼고($-$), 지수함수($\exp$), 합($\Sigma$), 나눗셈($\div$)입니다. 5강의 공식 그대로입니다.
```
"""

# %% [markdown] lang="en"
r"""
```{player} numbers
```

## Run it yourself

```{run}
from autolm import Value

x1, x2 = Value(2.0, name="x1"), Value(0.0, name="x2")
w1, w2 = Value(-3.0, name="w1"), Value(1.0, name="w2")
o = (x1 * w1 + x2 * w2 + 6.8813735870195432).tanh()
for step in o.steps():
    for c in step.contributions:
        moved = f"{round(step.upstream, 4)} × {round(c.local, 4)} = {round(c.value, 4)}"
        print(step.index + 1, step.node.op.symbol, moved, c.parent.name or "")
```

## Exercises

**1. Predict.** Before you play the neuron to its end, predict the final gradient of $b$. Then check it in the player.

```{predict} 1 - o.data**2

$b$ enters $n$ through an addition only: $\partial o/\partial b = \partial o/\partial n$.

$1 - o^2 = 0.5$.
```

**2. Draw and explain.** Open an attention of the TinyLM above. Which boxes make up the softmax?

```{answer}
The largest is subtracted ($-$), then $\exp$, the sum ($\Sigma$) and the division ($\div$): the formula of lesson 5.
```
"""
