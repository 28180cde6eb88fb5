# %% [markdown] lang="ko"
r"""
# 2강: 뉴런 하나

**뉴런**(neuron)은 입력에 **가중치**(weight)를 곱해 더하고, **편향**(bias)을 더한 뒤, 그 합에 비선형 함수를 적용합니다.

$$o = \tanh(x_1 w_1 + x_2 w_2 + b)$$

이 뉴런은 Karpathy의 micrograd 강의에 나오는 것입니다. 기울기가 깔끔한 수가 되도록 편향을 골랐습니다.

(neuron-forward)=
## 1. 순전파

**순전파**(forward pass)는 식을 안쪽부터 계산하는 일입니다. 합에 적용하는 $\tanh$ 같은 비선형 함수를 **활성화 함수**(activation
function)라고 합니다. 이것이 없으면 층을 아무리 쌓아도 일차함수 하나와 같습니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 2: a neuron

A **neuron** multiplies its inputs by **weights**, adds a **bias**, and applies a nonlinear function to the sum.

$$o = \tanh(x_1 w_1 + x_2 w_2 + b)$$

This neuron comes from Karpathy's micrograd lecture; the bias is chosen so that the gradients are round numbers.

(neuron-forward)=
## 1. The forward pass

The **forward pass** computes the formula from the inside out. The nonlinear function, here $\tanh$, is the **activation function**:
without one, any number of layers is just one linear function.
"""

# %%
from autolm import Value

x1, x2 = Value(2, name="x1"), Value(0, name="x2")
w1, w2 = Value(-3, name="w1"), Value(1, name="w2")
b = Value(6.8813735870195432, name="b")

x1w1, x2w2 = x1 * w1, x2 * w2
both = x1w1 + x2w2
n = both + b
o = n.tanh()
x1w1.name, x2w2.name, both.name, n.name, o.name = "x1·w1", "x2·w2", "sum", "n", "o"
for node in (x1, x2, w1, w2, b, x1w1, x2w2, both, n, o):
    print(f"{node.name:5} = {node.data:8.4f}")

# %% [markdown] lang="ko"
r"""
(neuron-backward)=
## 2. 역전파

**역전파**(backpropagation)는 같은 식을 바깥쪽부터 거슬러 갑니다. 각 연산은 위에서 온 기울기 $\bar g$에 자신의 국소 기울기를
곱해서 아래로 보냅니다. 필요한 미분은 세 가지뿐입니다.

$$\frac{d}{dn}\tanh n = 1 - \tanh^2 n, \qquad \frac{\partial (a + b)}{\partial a} = 1, \qquad
\frac{\partial (ab)}{\partial a} = b$$

첫 번째 공식을 유도해 봅시다. $\tanh n = \dfrac{s}{c}$, $\;s = \dfrac{e^n - e^{-n}}{2}$, $\;c = \dfrac{e^n + e^{-n}}{2}$라 하면
$s' = c$, $c' = s$이므로 몫의 미분법에 의해

$$\begin{aligned}\left(\frac{s}{c}\right)' &= \frac{s'c - s c'}{c^2} = \frac{c^2 - s^2}{c^2} \\
&= 1 - \left(\frac{s}{c}\right)^2 = 1 - \tanh^2 n .\end{aligned}$$

아래의 규칙에서 ḡ는 위에서 온 기울기, y는 그 연산의 결과입니다.
"""

# %% [markdown] lang="en"
r"""
(neuron-backward)=
## 2. The backward pass

**Backpropagation** goes through the same formula from the outside in. Each operation multiplies the gradient from above, $\bar g$, by its own
local slopes and passes the products on. Only three derivatives are needed:

$$\frac{d}{dn}\tanh n = 1 - \tanh^2 n, \qquad \frac{\partial (a + b)}{\partial a} = 1, \qquad
\frac{\partial (ab)}{\partial a} = b$$

We derive the first one. Write $\tanh n = \dfrac{s}{c}$ with $s = \dfrac{e^n - e^{-n}}{2}$ and $c = \dfrac{e^n + e^{-n}}{2}$. Then
$s' = c$ and $c' = s$, and by the quotient rule

$$\begin{aligned}\left(\frac{s}{c}\right)' &= \frac{s'c - s c'}{c^2} = \frac{c^2 - s^2}{c^2} \\
&= 1 - \left(\frac{s}{c}\right)^2 = 1 - \tanh^2 n .\end{aligned}$$

In the rules below, ḡ is the gradient from above and y is the result of the operation.
"""

# %%
for step in o.steps():
    print(f"{step.index + 1}. {step.node.name}:  {step.node.op.formula}")
    for contribution, rule in zip(step.contributions, step.rule, strict=True):
        arithmetic = f"{step.upstream:.4f} × {contribution.local:7.4f} = {contribution.value:7.4f}"
        print(f"     ∂o/∂{contribution.parent.name:5} = {arithmetic}     {rule}")

# %% [markdown] lang="ko"
r"""
읽어 봅시다. $\partial o/\partial w_1 = 1$은 양수이므로 $w_1$을 키우면 $o$가 커집니다. $\partial o/\partial w_2 = 0$입니다.
$x_2 = 0$이라서 $w_2$를 바꾸어도 출력이 그대로이기 때문입니다. $\partial o/\partial x_1 = -1.5$는 음수입니다. 가중치 $w_1$이 음수라서
$x_1$이 커지면 $o$는 작아집니다.

**생각해 보세요.** $x_2$를 0에서 1로 바꾸고 나머지는 그대로 두면 $\partial o/\partial w_2$는 어떻게 됩니까?

```{choose} 3
여전히 0입니다
: 0이었던 까닭은 $x_2 = 0$이었기 때문입니다. $x_2 = 1$이면 $w_2$가 출력에 영향을 줍니다.

1이 됩니다
: $x_2 = 1$은 곱셈의 국소 기울기일 뿐입니다. 여기에 $\tanh$의 기울기 $1 - o^2$을 곱해야 합니다.

$1 - o^2$이 됩니다
: $\partial o/\partial w_2 = (1 - o^2) \cdot x_2$이고 $x_2 = 1$입니다. 다만 $n$이 $w_2 x_2 = 1$만큼 커지므로 $o$의 값도 바뀝니다.
```

```{drawing} o
뉴런의 계산 그래프와 거꾸로 흐르는 값.
```

```{player} o
5: 출력 o
7: tanh를 거꾸로
8: 덧셈을 거꾸로
11: 곱셈을 거꾸로
```

(neuron-learns)=
## 3. 학습시키기

출력이 0이 되도록 학습시켜 봅시다. **손실**(loss) $o^2$의 기울기의 반대 방향으로 세 파라미터를 20번 움직입니다.

$$\theta_{\text{new}} = \theta_{\text{old}} - 0.02 \cdot \frac{\partial (o^2)}{\partial \theta}$$
"""

# %% [markdown] lang="en"
r"""
The numbers mean the following. $\partial o/\partial w_1 = 1$ is positive, so increasing $w_1$ increases $o$. $\partial o/\partial w_2 = 0$: since
$x_2 = 0$, $w_2$ has no effect on the output. $\partial o/\partial x_1 = -1.5$ is negative because $w_1$ is negative: increasing
$x_1$ decreases $o$.

**Think first.** Suppose $x_2$ changes from 0 to 1 and all else stays. What happens to $\partial o/\partial w_2$?

```{choose} 3
It stays 0.
: It was 0 because $x_2$ was 0. With $x_2 = 1$, $w_2$ has an effect on the output.

It becomes 1.
: $x_2 = 1$ is only the local slope of the product. It is multiplied by the slope of $\tanh$, $1 - o^2$.

It becomes $1 - o^2$.
: $\partial o/\partial w_2 = (1 - o^2) \cdot x_2$ with $x_2 = 1$. The value of $o$ changes too, because $n$ grows by $w_2 x_2 = 1$.
```

```{drawing} o
The graph of the neuron and the gradients that flow back through it.
```

```{player} o
5: the output o
7: back through tanh
8: back through +
11: back through ×
```

(neuron-learns)=
## 3. Train it

Train it to output 0: move its three parameters 20 times in the opposite direction of the gradient of the **loss** $o^2$.

$$\theta_{\text{new}} = \theta_{\text{old}} - 0.02 \cdot \frac{\partial (o^2)}{\partial \theta}$$
"""

# %%
for number in range(21):
    output = (x1 * w1 + x2 * w2 + b).tanh()
    loss = output**2
    for parameter in (w1, w2, b):
        parameter.grad = 0
    loss.backward()
    if number % 5 == 0:
        print(f"{number:2d}   o = {output.data:.6f}   o² = {loss.data:.6f}")
    for parameter in (w1, w2, b):
        parameter.data -= 0.02 * parameter.grad

# %% [markdown] lang="ko"
r"""
```{run}
from autolm import Value

x1, x2, w1, w2 = Value(2.0), Value(0.0), Value(-3.0), Value(1.0)
b = Value(6.8813735870195432)
o = (x1 * w1 + x2 * w2 + b).tanh()
o.backward()
print(o.data)
print("w1", w1.grad, " w2", w2.grad, " b", b.grad)
```

## 연습문제

**1. 값을 예측하세요.** 역전파가 $\bar g = 1$이 아니라 $\bar g = 2$에서 시작한다면, $\partial o/\partial b$는 얼마가 됩니까? (위의 표에서 ḡ = 1일 때의 값을 보세요.)

```{predict} 2 * (1 - 0.5)

모든 기울기는 시작값 $\bar g$에 비례합니다.

$\bar g = 1$일 때 $1 - o^2 = 0.5$이므로, $\bar g = 2$이면 $2 \cdot 0.5 = 1$입니다.
```

**2. 틀린 규칙을 찾으세요.** $y = \tanh(ab)$의 규칙은 한 곳이 틀렸습니다.

```{exercise} tanh_of_product
공식 1 − tanh² 안에는 무엇의 제곱이 들어갑니까? 입력입니까, 결과입니까?
```

**3. 만들어 보세요.** `Value`를 직접 만드세요. `data`, `grad`, 부모와 규칙을 가진 노드이고, 연산은 `+`, `*`, `tanh`입니다. `backward()`는 위상 정렬의 역순으로 규칙을 불러 기여를 **더합니다**. 30줄이면 됩니다. `autolm`을 불러오지 않고 만듭니다.

```{build} value
__add__를 보세요. 규칙은 부모마다 수 하나를 돌려줍니다.
부모를 모두 방문한 다음에 자신을 목록에 넣으면 위상 정렬이 됩니다.
같은 노드가 두 번 쓰이면 grad에는 두 값이 더해져야 합니다.
```
"""

# %% [markdown] lang="en"
r"""
```{run}
from autolm import Value

x1, x2, w1, w2 = Value(2.0), Value(0.0), Value(-3.0), Value(1.0)
b = Value(6.8813735870195432)
o = (x1 * w1 + x2 * w2 + b).tanh()
o.backward()
print(o.data)
print("w1", w1.grad, " w2", w2.grad, " b", b.grad)
```

## Exercises

**1. Predict.** If the backward pass starts with $\bar g = 2$ instead of 1, what is $\partial o/\partial b$?
(See above for its value with $\bar g = 1$.)

```{predict} 2 * (1 - 0.5)

Every gradient is proportional to the starting value $\bar g$.

With $\bar g = 1$ it is $1 - o^2 = 0.5$; with $\bar g = 2$ it is $2 \cdot 0.5 = 1$.
```

**2. Find the wrong rule.** The rule of $y = \tanh(ab)$ has one mistake.

```{exercise} tanh_of_product
In 1 − tanh², what is squared: the input or the result?
```

**3. Build it.** Write `Value` yourself: a node with `data`, `grad`, its parents and a rule, and the operations `+`, `*` and `tanh`. `backward()` calls the rules in reverse topological order and **adds** the contributions. 30 lines are enough, without importing `autolm`.

```{build} value
Look at __add__: a rule returns a number for each parent.
Visit all parents before you append the node itself: that gives a topological order.
If a node is used twice, its grad is a sum of two values.
```
"""
