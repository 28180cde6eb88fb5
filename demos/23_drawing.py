# %% [markdown] lang="ko"
r"""
# 23강: 계산을 그리기

노드 3개에서 십만 개까지, 계산 그래프를 그립니다. 그림은 노드마다 데이터와 기울기, 연산, 그리고 모든 화살표를 보여 줍니다. 너무 커서 읽을 수 없는
부분은 범위(scope)별로 접고, 몇 개를 숨겼는지 적습니다. 터미널에서는 다음과 같습니다.

    autolm draw demos/21_stepping_a_neuron.py --grad -o neuron.svg

(draw-square)=
## 1. 가장 작은 그림: $x \cdot x$

$x$의 상자는 하나이고, 거기서 화살표 두 개가 나갑니다. 아직 역전파하지 않았으므로 기울기는 "–"입니다. 구하지 않은 것은 0이 아닙니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 23: drawing a computation

We draw computation graphs of three nodes and of a hundred thousand. A picture shows each node with its data and gradient, each operation, and every edge. Parts that are
too large to read are collapsed by scope, with the number of hidden nodes. On the command line:

    autolm draw demos/21_stepping_a_neuron.py --grad -o neuron.svg

(draw-square)=
## 1. The smallest picture: $x \cdot x$

There is one box for $x$, with two edges. Its gradient is shown as "–", because it has not been computed yet; that is not the same as 0.
"""

# %%
import numpy as np

from autolm import Drawing, TinyLM, Value, draw, render

x = Value(3.0, name="x")
square = x * x
render(square, "square.svg")
arrows = [line.split(" [")[0].strip() for line in draw(square).body if "->" in line]
print(", ".join(arrows))

# %% [markdown] lang="ko"
r"""
```{drawing} square
x · x: 상자 하나에서 화살표 두 개가 나갑니다.
```

(draw-chain-rule)=
## 2. 연쇄법칙을 그림에

점선 화살표마다 `위에서 온 기울기 × 국소 기울기 = 기여`가 적혀 있습니다. 한 노드에 도착하는 값을 모두 더하면 그 노드의 기울기입니다.
"""

# %% [markdown] lang="en"
r"""
```{drawing} square
x · x: one box, and two edges from it.
```

(draw-chain-rule)=
## 2. The chain rule in the picture

Each dashed arrow shows `upstream × local = contribution`. The contributions that arrive at a node add up to its gradient.
"""

# %%
a, b, c = Value(2.0, name="a"), Value(-3.0, name="b"), Value(10.0, name="c")
o = (a * b + c).tanh()
o.name = "o"
o.backward()
render(o, "expression.svg", edges="chain rule")
print(f"a.grad = {a.grad:.4g}   b.grad = {b.grad:.4g}   c.grad = {c.grad:.4g}")

# %% [markdown] lang="ko"
r"""
```{drawing} o
tanh(a · b + c)와 그 역전파.
```

(draw-model)=
## 3. 언어 모델 전체

작은 TinyLM의 손실을 숫자 하나하나로 풀면 십만 개가 넘습니다. 전체, 블록, 어텐션, 가중치 하나의 주변을 각각 그립니다. 줄마다 끝에는 그림에서
무엇을 접어 두었는지 나옵니다.
"""

# %% [markdown] lang="en"
r"""
```{drawing} o
tanh(a · b + c), and its backward pass.
```

(draw-model)=
## 3. A whole language model

The loss of a small TinyLM, expanded into single numbers, has more than a hundred thousand nodes. We draw all of it, its blocks, one attention, and the surroundings of
one weight. Each line ends with what the picture has hidden.
"""

# %%
model = TinyLM(vocab_size=31, d_model=32, num_heads=4, d_ff=128, num_layers=2, seed=0)
token_ids = np.arange(33) % 31
loss = model.compute_loss(token_ids[:-1], token_ids[1:])
numbers = Drawing(loss.to_values().item())
print(f"{len(numbers.order):,}")
for name, options in {
    "tinylm.svg": {"depth": 0},
    "block.svg": {"depth": 1},
    "attention.svg": {"expand": "blocks.0.attention"},
    "weight.svg": {"focus": "blocks.0.attention.W_Q[3,5]", "radius": 1, "max_boxes": 9},
}.items():
    numbers.render(name, **options)
    print(f"{name:14} {numbers.view(**options).notes[-1]}")

# %% [markdown] lang="ko"
r"""
(draw-attention)=
## 4. 어텐션 상자 안에

첫 블록의 어텐션에는 소프트맥스가 모든 헤드와 모든 위치에 한꺼번에 들어 있습니다. 상자마다 그 안의 가장 작은 수와 가장 큰 수가 있습니다.
"""

# %% [markdown] lang="en"
r"""
(draw-attention)=
## 4. Inside the attention

The attention of the first block contains the softmax of every head and position at once. Each box shows the smallest and the largest of its numbers:
"""

# %%
for box in numbers.view(expand="blocks.0.attention").boxes:
    if box.frame == ("blocks.0", "attention"):
        print(f"{box.title:4} {box.subtitle:7} {box.rows[0][1]}")

# %% [markdown] lang="ko"
r"""
## 들여다보기

그림 2의 식을 움직여 보세요. 화살표마다 적힌 산술이 한 단계씩 나타납니다.

```{player} o
```

## 직접 실행하기

```{run}
from autolm import Value

def tree(node, depth=0):
    print("   " * depth + (node.op.symbol if node.op else node.name), "=", node.data)
    for parent in node.parents:
        tree(parent, depth + 1)

x = Value(3.0, name="x")
tree(x * x + x)
```

## 연습문제

**1. 값을 예측하세요.** $y = x \cdot x + x$를 그리면 상자 $x$에서 나가는 화살표는 몇 개입니까?

```{predict} 3
:within: 0

식에 $x$가 몇 번 나옵니까?

세 번입니다: 곱셈에 두 번, 덧셈에 한 번.
```

**2. 그려서 설명하세요.** $y = \tanh(x) \cdot \tanh(x)$를 그리되, $\tanh(x)$를 한 번만 계산했을 때와 두 번 계산했을 때의 그림을 비교하세요. $x$의
기울기는 같습니까?

```{answer}
같습니다. 한 번 계산하면 $t = \tanh x$에서 화살표 두 개가 나가서 $t$의 기울기가 $2t$이고, 두 번 계산하면 $x$에서 화살표 두 개가 나가서 $x$에서 더해집니다.
더하는 곳이 다를 뿐, 경로의 합은 같습니다.
```
"""

# %% [markdown] lang="en"
r"""
## Look into it

Step through the expression of picture 2: the arithmetic on its arrows appears step by step.

```{player} o
```

## Run it yourself

```{run}
from autolm import Value

def tree(node, depth=0):
    print("   " * depth + (node.op.symbol if node.op else node.name), "=", node.data)
    for parent in node.parents:
        tree(parent, depth + 1)

x = Value(3.0, name="x")
tree(x * x + x)
```

## Exercises

**1. Predict.** In a picture of $y = x \cdot x + x$, how many edges leave the box of $x$?

```{predict} 3
:within: 0

How often does $x$ occur in the expression?

Three times: twice in the product, once in the sum.
```

**2. Draw and explain.** Draw $y = \tanh(x) \cdot \tanh(x)$, with $\tanh(x)$ computed once, and computed twice. Is the gradient of $x$ the same?

```{answer}
Yes. Computed once, two edges leave $t = \tanh x$, whose gradient is $2t$. Computed twice, two edges leave $x$, and the sum is taken there. Only the place where the same paths are added differs.
```
"""
