# %% [markdown] lang="ko"
r"""
# 3강: 텐서, 행렬, 브로드캐스팅

숫자 하나 대신 배열을 씁니다. **텐서**(tensor)에서는 배열 전체가 노드 하나입니다. 텐서의 기울기는 텐서와 모양이 같습니다.
여러 번 쓰인 원소의 기울기는 쓰일 때마다 온 기울기를 모두 더한 것입니다.

(vectors-and-matrices)=
## 1. 벡터와 행렬

**벡터**(vector)는 수를 한 줄로 늘어놓은 것, **행렬**(matrix)은 직사각형으로 늘어놓은 것입니다. **행렬곱**(matrix product)의
$(i, j)$ 성분은 앞 행렬의 $i$행과 뒤 행렬의 $j$열의 **내적**(dot product)입니다.

$$(XW)_{ij} = \sum_k X_{ik} W_{kj}, \qquad (2 \times 3)\,(3 \times 2) \to (2 \times 2)$$

특성이 3개인 표본 2개를 층 하나에 통과시킵니다. $Y = \mathrm{relu}(XW + b)$, 여기서 $\mathrm{relu}(a) = \max(a, 0)$입니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 3: tensors, matrices, broadcasting

We replace single numbers by arrays. A **tensor** is one node that holds a whole array. Its gradient has the same shape, and the gradient of an
element that is used several times is the sum over its uses.

(vectors-and-matrices)=
## 1. Vectors and matrices

A **vector** is a list of numbers, a **matrix** a rectangular table of numbers. Element $(i, j)$ of a **matrix product** is the **dot
product** of row $i$ of the first with column $j$ of the second:

$$(XW)_{ij} = \sum_k X_{ik} W_{kj}, \qquad (2 \times 3)\,(3 \times 2) \to (2 \times 2)$$

We pass two examples with three features each through one layer, $Y = \mathrm{relu}(XW + b)$, where $\mathrm{relu}(a) = \max(a, 0)$.
"""

# %%
import numpy as np

from autolm import Tensor, topological_order


def show(title, array):
    rows = np.array2string(np.asarray(array), precision=3, suppress_small=True).splitlines()
    print(f"{title:18}{rows[0]}")
    for row in rows[1:]:
        print(f"{'':18}{row}")


x = Tensor([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0]], name="x")
W = Tensor([[0.5, -1.0], [1.0, 0.5], [-0.5, 1.0]], name="W")
b = Tensor([0.1, -0.2], name="b")
scores = x @ W
shifted = scores + b
y = shifted.relu()
total = y.sum()
show("XW       (2, 2)", scores.data)
show("b        (2,)", b.data)
show("XW + b   (2, 2)", shifted.data)
show("relu     (2, 2)", y.data)
show("Σ        ()", total.data)

# %% [markdown] lang="ko"
r"""
(matrix-product-backward)=
## 2. 행렬곱의 역전파: 전치

$Y = XW$이고 위에서 온 기울기가 $\bar Y_{ij} = \partial L/\partial Y_{ij}$라고 합시다. $W_{kj}$는 $j$열의 모든 $Y_{ij}$에 쓰이므로
연쇄법칙에 의해

$$\bar W_{kj} = \sum_i \bar Y_{ij} \frac{\partial Y_{ij}}{\partial W_{kj}} = \sum_i X_{ik} \bar Y_{ij}
\qquad \Rightarrow\; \bar W = X^{\mathsf T} \bar Y,
\qquad
\bar X_{ik} = \sum_j \bar Y_{ij} W_{kj} \qquad \Rightarrow\; \bar X = \bar Y W^{\mathsf T}.$$

행과 열을 바꾼 행렬 $X^{\mathsf T}$를 **전치행렬**(transpose)이라고 합니다. 행렬곱의 역전파도 행렬곱입니다.
**ReLU**의 미분은 $a > 0$이면 1, $a < 0$이면 0입니다. 입력이 양수인 자리의 기울기만 통과합니다. $a = 0$에서는 그래프가 꺾여서
미분가능하지 않습니다. 좌미분계수 0과 우미분계수 1 사이에서 하나를 정해야 하고, PyTorch처럼 0으로 정합니다.
"""

# %% [markdown] lang="en"
r"""
(matrix-product-backward)=
## 2. A matrix product, backwards: transpose

For $Y = XW$, write $\bar Y_{ij} = \partial L/\partial Y_{ij}$ for the gradient from above. $W_{kj}$ is used by every $Y_{ij}$ of column $j$,
so by the chain rule

$$\bar W_{kj} = \sum_i \bar Y_{ij} \frac{\partial Y_{ij}}{\partial W_{kj}} = \sum_i X_{ik} \bar Y_{ij}
\qquad \Rightarrow\; \bar W = X^{\mathsf T} \bar Y,
\qquad
\bar X_{ik} = \sum_j \bar Y_{ij} W_{kj} \qquad \Rightarrow\; \bar X = \bar Y W^{\mathsf T}.$$

$X^{\mathsf T}$, with rows and columns exchanged, is the **transpose**. The backward pass of a matrix product consists of matrix products.
The derivative of **ReLU** is 1 where $a > 0$ and 0 where $a < 0$: it passes the gradient where the input was positive. At $a = 0$ the curve has a kink
and ReLU is not differentiable; we choose the value 0, as PyTorch does.
"""

# %%
total.backward(retain_grads=True)
show("∂/∂relu", y.grad)
show("∂/∂(XW + b)", shifted.grad)
show("∂/∂b", b.grad)
show("∂/∂W", W.grad)
show("Xᵀ · ∂/∂(XW + b)", x.data.T @ shifted.grad)
show("∂/∂X", x.grad)
show("∂/∂(XW + b) · Wᵀ", shifted.grad @ W.data.T)

# %% [markdown] lang="ko"
r"""
$b$는 두 행에 모두 더해졌으므로 두 행에서 온 기울기를 모두 받습니다. 그래서 $\partial/\partial b$는 바로 위 배열의 열별 합입니다.

**생각해 보세요.** $X$의 모양이 $(32, 3)$, $W$의 모양이 $(3, 5)$일 때 $\bar W$를 구하는 식은 무엇입니까?

```{choose} 1
$X^{\mathsf T}\bar Y$
: $(3, 32)(32, 5) = (3, 5)$이고 $W$의 모양과 같습니다. 표본 32개의 기여를 모두 더합니다.

$\bar Y X^{\mathsf T}$
: $(32, 5)(3, 32)$는 안쪽 크기가 달라서 곱할 수 없습니다.

$\bar Y^{\mathsf T} X$
: $(5, 32)(32, 3) = (5, 3)$이므로 $W$의 전치와 모양이 같습니다. 기울기의 모양은 자기 데이터의 모양과 같아야 합니다.
```

```{player} total
```

(broadcasting)=
## 3. 브로드캐스팅

모양이 다른 배열을 더하면 축을 오른쪽부터 맞추고, 길이가 1인 축은 반복합니다. 이것이 **브로드캐스팅**(broadcasting)입니다.
거꾸로 갈 때는 **반복된 만큼 더합니다**. 그래서 기울기의 모양은 언제나 자기 데이터의 모양과 같습니다. 모양 $(2, 3)$인 기울기가 위에서
오면, 각 피연산자는 자기 모양에 맞추어 다음을 받습니다.
"""

# %% [markdown] lang="en"
r"""
$b$ was added to both rows, so it receives gradients from both: $\partial/\partial b$ holds the column sums of the array above it.

**Think first.** $X$ has shape $(32, 3)$ and $W$ has shape $(3, 5)$. Which formula gives $\bar W$?

```{choose} 1
$X^{\mathsf T}\bar Y$
: $(3, 32)(32, 5) = (3, 5)$, the shape of $W$. It adds up the contributions of all 32 examples.

$\bar Y X^{\mathsf T}$
: $(32, 5)(3, 32)$ cannot be multiplied: the inner sizes differ.

$\bar Y^{\mathsf T} X$
: $(5, 32)(32, 3) = (5, 3)$ is the shape of the transpose of $W$. A gradient must have the shape of its data.
```

```{player} total
```

(broadcasting)=
## 3. Broadcasting

Arrays of different shapes are matched axis by axis from the right, and an axis of length 1 is repeated: **broadcasting**.
In the backward pass, **we sum over the repeats**, so a gradient always has the shape of its data. For a gradient of shape $(2, 3)$
from above, operands of different shapes receive:
"""

# %%
upstream = np.arange(1.0, 7.0).reshape(2, 3)
show("ḡ        (2, 3)", upstream)
for shape in ((2, 3), (3,), (2, 1), ()):
    operand = Tensor(np.zeros(shape))
    (operand + np.zeros((2, 3))).backward(upstream)
    show(f"→ {shape!s}", operand.grad)

# %% [markdown] lang="ko"
r"""
(tensors-are-values)=
## 4. 텐서도 숫자로 이루어져 있습니다

텐서의 연산은 모두 1강의 `Value`로 풀 수 있고, 그때의 역전파는 1강의 연쇄법칙입니다. 합 $\Sigma$를 숫자로 풀어서 다시 미분해 봅시다.
"""

# %% [markdown] lang="en"
r"""
(tensors-are-values)=
## 4. Tensors are made of numbers

Every Tensor operation can be expanded into the Values of lesson 1, and its backward pass into the chain rule of lesson 1. Expand the
sum $\Sigma$ into numbers and differentiate again:
"""

# %%
value = total.to_values().item()
value.backward()
nodes = topological_order(value)
print(f"{len(topological_order(total))} Tensors = {len(nodes)} Values")
for node in nodes:
    if node.name.startswith("W["):
        print(f"∂/∂{node.name} = {node.grad:4g}")

# %% [markdown] lang="ko"
r"""
위에서 구한 $W$의 기울기와 원소마다 같습니다.

## 직접 실행하기

```{run}
from autolm import Value

x, W = [1.0, 2.0, -1.0], [[0.5, -1.0], [1.0, 0.5], [-0.5, 1.0]]
W = [[Value(w) for w in row] for row in W]
scores = [Value.dot(column, x) for column in zip(*W)]
total = Value.sum(s.relu() for s in scores)
total.backward()
for row in W:
    print([w.grad for w in row])
```

## 연습문제

**1. 값을 예측하세요.** 모양 $(4,)$인 편향 $b$가 모양 $(10, 4)$인 배열에 더해졌고, 위에서 온 기울기의 원소가 모두 0.5입니다.
$\partial L/\partial b_1$은?

```{predict} 10 * 0.5

$b_1$은 몇 개의 원소에 더해졌습니까?

10개의 행에 더해졌으므로 기울기 10개를 더합니다: $10 \cdot 0.5 = 5$.
```

**2. 틀린 규칙을 찾으세요.** 원소별 일차함수 $y = wx + b$입니다.

```{exercise} affine
x를 조금 바꾸면 y는 얼마나 바뀝니까? w를 바꾸면?
```
"""

# %% [markdown] lang="en"
r"""
The result equals the gradient of $W$ above, element by element.

## Run it yourself

```{run}
from autolm import Value

x, W = [1.0, 2.0, -1.0], [[0.5, -1.0], [1.0, 0.5], [-0.5, 1.0]]
W = [[Value(w) for w in row] for row in W]
scores = [Value.dot(column, x) for column in zip(*W)]
total = Value.sum(s.relu() for s in scores)
total.backward()
for row in W:
    print([w.grad for w in row])
```

## Exercises

**1. Predict.** A bias $b$ of shape $(4,)$ was added to an array of shape $(10, 4)$, and every element of the gradient from
above is 0.5. What is $\partial L/\partial b_1$?

```{predict} 10 * 0.5

To how many elements was $b_1$ added?

It was added in 10 rows, so 10 gradients are summed: $10 \cdot 0.5 = 5$.
```

**2. Find the wrong rule.** $y = wx + b$, a linear function for each element.

```{exercise} affine
How much does y change when x changes a little? How much when w does?
```
"""
