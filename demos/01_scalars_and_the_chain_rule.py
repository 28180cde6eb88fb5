# %% [markdown] lang="ko"
r"""
# 1강: 미분과 연쇄법칙

언어 모델을 학습시키려면 **도함수**(derivative)를 구해야 합니다. 컴퓨터는 계산하면서 어떤 연산을 했는지 기록합니다. 그 기록을 거꾸로
따라갈 때 각 연산은 자기 자신의 미분만 알면 됩니다. 한 경로 위의 기울기는 곱하고, 여러 경로에서 온 값은 더합니다. 이것이 **연쇄법칙**(chain rule)이고, 이 과정의 거의 전부입니다.

함수 $y = wx + w^2$을 점 $w = 2,\; x = -3$에서 미분합니다.

(derivative-as-slope)=
## 1. 조금 움직여 보기

입력 하나를 $h = 0.001$만큼 움직이고 $y$를 다시 계산해서 $h$로 나눕니다. **미분계수**의 정의에서 극한만 생략한
것입니다.

$$\frac{dy}{dw} = \lim_{h \to 0} \frac{y(w + h) - y(w)}{h}$$
"""

# %% [markdown] lang="en"
r"""
# Lesson 1: derivatives and the chain rule

Training a language model means computing **derivatives**. The computer records the operations of a computation. Going back through that
record, each operation needs only its own derivatives: we multiply them along a path and add over all paths. This is the **chain rule**, and it is
nearly all of this course.

We differentiate $y = wx + w^2$ at $w = 2,\; x = -3$.

(derivative-as-slope)=
## 1. Change one input a little

Move one input by $h = 0.001$, compute $y$ again, and divide the change by $h$. This is the definition of the derivative without its limit.

$$\frac{dy}{dw} = \lim_{h \to 0} \frac{y(w + h) - y(w)}{h}$$
"""


# %%
from autolm import Value


def formula(w, x):
    return w * x + w**2


h = 0.001
y = formula(2, -3)
print(f"Δy/Δw = {(formula(2 + h, -3) - y) / h:7.4f}")
print(f"Δy/Δx = {(formula(2, -3 + h) - y) / h:7.4f}")

# %% [markdown] lang="ko"
r"""
정확한 값 1과 2에 가깝지만 오차가 있습니다. 게다가 입력마다 식을 한 번씩 더 계산해야 합니다. 언어 모델의
입력, 즉 **파라미터**(parameter, 매개변수)는 수십억 개입니다.

(chain-rule)=
## 2. 연쇄법칙으로 한 번에

식을 부분으로 나눕니다. $p = wx$, $q = w^2$, $y = p + q$. 이제 $y$에서 거꾸로 한 단계씩 따라갑니다. 아래의 각 줄은
(연산이 받은 기울기) × (그 연산의 **국소 기울기**(local slope)) = (보내는 값)입니다.
"""

# %% [markdown] lang="en"
r"""
The results are close to the exact values 1 and 2, but each input costs one more computation of the formula. A language model has
billions of inputs to differentiate by: its **parameters**.

(chain-rule)=
## 2. All derivatives at once: the chain rule

Split the formula into $p = wx$, $q = w^2$, $y = p + q$, and go back from $y$ step by step. Each line below shows
(the gradient that an operation received) × (its **local slope**) = (the value that it sends).
"""


# %%
def show(step):
    """Print what one operation sends to each of its operands that can change."""
    print(f"{step.node.name}:  ∂y/∂{step.node.name} = {step.upstream:g}")
    for parent, slope, value, before, after in step.contributions:
        if parent.requires_grad:
            total = f"{value:g}" if before is None else f"{before:g} + {value:g} = {after:g}"
            arithmetic = f"{step.upstream:g} × {slope:2g} = {value:2g}"
            print(f"   → {parent.name}:  {arithmetic}     ∂y/∂{parent.name} = {total}")


w, x = Value(2, name="w"), Value(-3, name="x")
p, q = w * x, w**2
y = p + q
p.name, q.name, y.name = "p", "q", "y"
for step in y.steps():
    show(step)
print(f"\n∂y/∂w = x + 2w = {w.grad:g}")
print(f"∂y/∂x = w      = {x.grad:g}")

# %% [markdown] lang="ko"
r"""
$w$에서 $y$로 가는 경로는 두 개입니다. 그래서 $w$에는 두 수가 더해졌습니다.

**왜 곱하고, 왜 더합니까?** $w$를 아주 조금, $\Delta w$만큼 바꾼다고 합시다. $p = wx$는 $x\,\Delta w$만큼, $q = w^2$은 약 $2w\,\Delta w$만큼 변합니다. 한 경로에서는 앞 단계의 변화가 다음 단계의 입력의 변화가
되므로 비율이 **곱해집니다**. 2배로 늘어난 것이 다시 3배로 늘어나면 6배가 되는 것과 같습니다. $y = p + q$에는 두 경로의 변화가 함께 들어오므로 $\Delta y \approx x\,\Delta w + 2w\,\Delta w$처럼 **더해집니다**.
양변을 $\Delta w$로 나누면 $x + 2w$입니다. 경로 하나를 빠뜨리면 $w$가 $y$에 미치는 영향의 일부를 빠뜨린 것입니다.

$$\frac{\partial y}{\partial \text{입력}} = \sum_{\text{경로}} \; \prod_{\text{경로 위}} \text{국소 기울기}
\qquad\Rightarrow\qquad \frac{\partial y}{\partial w} = 1 \cdot x + 1 \cdot 2w = x + 2w$$

입력이 여러 개일 때 하나만 변수로 보고 구한 이 값을 **편미분**(partial derivative)이라 하고, 편미분을 모두 모은
것이 **그래디언트**(gradient, 기울기 벡터)입니다.

**생각해 보세요.** $y = w \cdot w$를 두 경로로 보면 $\partial y/\partial w$는 무엇입니까?

```{choose} 2
$w$
: 경로 하나만 세었습니다. $w$는 곱셈의 왼쪽과 오른쪽에 모두 들어갑니다.

$w + w = 2w$
: 두 경로에서 각각 다른 쪽의 값 $w$가 국소 기울기입니다. 더하면 $2w$이고, $w^2$의 미분과 같습니다.

$w \cdot w = w^2$
: 한 경로 위의 국소 기울기는 곱하지만, 서로 다른 경로의 기울기는 더합니다.
```

```{drawing} y
y = wx + w²의 계산 그래프(computation graph). 상자 하나가 노드(node)입니다. 점선 화살표에는 거꾸로 보내는 값의 계산이 적혀 있습니다.
```

플레이어를 누른 뒤 ← → 키로 한 단계씩 따라가 보세요.

```{player} y
3: 순전파의 끝
6: w²이 보낸 것
7: 두 경로가 만남
```

(gradient-descent)=
## 3. 무엇에 쓰는가: 경사하강법

기울기는 어느 쪽이 내리막인지 알려 줍니다. **경사하강법**(gradient descent)은 기울기의 반대 방향으로 조금씩 움직이는 방법입니다. 한 번에
얼마나 움직일지를 정하는 수 $\alpha$를 **학습률**(learning rate)이라고 합니다. 너무 작으면 오래 걸리고, 너무 크면 최솟값을 지나쳐 버립니다. 여기서는 $y$가 이차함수이므로, 한 걸음마다 최솟값까지의
거리가 $|1 - 2\alpha|$배가 됩니다. $\alpha = 0.2$이면 $0.6$배씩 줄고, $\alpha > 1$이면 오히려 멀어집니다.

$$w_{\text{new}} = w_{\text{old}} - \alpha \, \frac{dy}{dw}, \qquad \alpha = 0.2$$
"""

# %% [markdown] lang="en"
r"""
Two paths lead from $w$ to $y$, so its gradient is a sum of two numbers.

**Why multiply, and why add?** Change $w$ by a small amount $\Delta w$. Then $p = wx$ changes by $x\,\Delta w$, and $q = w^2$ by about $2w\,\Delta w$. Along one path, the change of one step is the change of the next step's input,
so the rates **multiply**: what doubles and then triples has grown six times. The changes of both paths enter $y = p + q$ together, so they **add**: $\Delta y \approx x\,\Delta w + 2w\,\Delta w$. Dividing by $\Delta w$ gives
$x + 2w$. Leaving out a path means leaving out a part of the effect of $w$ on $y$.

$$\frac{\partial y}{\partial \text{input}} = \sum_{\text{paths}} \; \prod_{\text{on the path}} \text{local slope}
\qquad\Rightarrow\qquad \frac{\partial y}{\partial w} = 1 \cdot x + 1 \cdot 2w = x + 2w$$

A derivative with respect to one of several inputs is a **partial derivative**; all of them together are the **gradient**.

**Think first.** Seen as two paths, what is $\partial y/\partial w$ for $y = w \cdot w$?

```{choose} 2
$w$
: This counts only one path. $w$ enters the product on the left and on the right.

$w + w = 2w$
: On each path the local slope is the other factor, $w$. The sum is $2w$, the derivative of $w^2$.

$w \cdot w = w^2$
: Slopes along one path are multiplied, but the contributions of different paths are added.
```

```{drawing} y
The computation graph of y = wx + w². Each box is a node; the dashed arrows show how the values sent back are computed.
```

Click the player, then step with the keys ← →.

```{player} y
3: end of the forward pass
6: the contribution of w²
7: two paths meet
```

(gradient-descent)=
## 3. What it is for: gradient descent

A derivative tells which way is downhill. **Gradient descent** repeatedly moves a small step in the opposite direction of the gradient. The factor
$\alpha$ that sets the size of a step is the **learning rate**. If it is too small, training takes long; if it is too large, a step jumps over the minimum. Here $y$ is a quadratic function, so each step multiplies the distance
from the minimum by $|1 - 2\alpha|$: by $0.6$ for $\alpha = 0.2$, and for $\alpha > 1$ the distance grows.

$$w_{\text{new}} = w_{\text{old}} - \alpha \, \frac{dy}{dw}, \qquad \alpha = 0.2$$
"""

# %%
x = Value(-3, requires_grad=False)
for number in range(11):
    y = formula(w, x)
    w.grad = 0
    y.backward()
    if number % 2 == 0:
        print(f"{number:2d}   w = {w.data:.4f}   y = {y.data:.4f}   dy/dw = {w.grad:7.4f}")
    w.data -= 0.2 * w.grad

# %% [markdown] lang="ko"
r"""
$y$가 가장 작은 곳은 $w = 1.5$이고, 거기서 기울기는 0입니다. 방금 파라미터 하나짜리 모델을 학습시켰습니다.

```{slider} descent
y = w² − 3w에서 w = 4로 시작해 8걸음. 학습률 α를 움직여 보세요. 0.5에서는 한 걸음에 도착하고, 1을 넘으면 발산합니다.
```

## 직접 실행하기

숫자를 바꾸어 실행해 보세요. 이 셀은 페이지 안에서 실행됩니다.

```{run}
from autolm import Value

w, x = Value(2.0), Value(-3.0)
y = w * x + w**2
y.backward()
print(w.grad, x.grad)
```

## 연습문제

**1. 값을 예측하세요.** $w = 3,\; x = 1$일 때 $\partial y/\partial w$는 얼마입니까?

```{predict} 1 + 2 * 3

$\partial y/\partial w = x + 2w$에 넣어 보세요.

$1 + 2 \cdot 3 = 7$. 앞의 항은 곱 $wx$에서, 뒤의 항은 $w^2$에서 옵니다.
```

**2. 틀린 규칙을 찾으세요.** 아래 규칙은 한 곳이 틀렸습니다. `backward` 안만 고치세요.

```{exercise} two_paths
w에서 y로 가는 경로는 몇 개입니까?
w²의 미분을 떠올려 보세요. 두 경로의 값은 더합니다.
```
"""

# %% [markdown] lang="en"
r"""
$y$ is smallest at $w = 1.5$, where the derivative is 0. You have just trained a model with one parameter.

```{slider} descent
Eight steps on y = w² − 3w, starting at w = 4. Move the learning rate α: with 0.5 one step is enough, and above 1 it diverges.
```

## Run it yourself

Change the numbers and run it: this cell runs in this page.

```{run}
from autolm import Value

w, x = Value(2.0), Value(-3.0)
y = w * x + w**2
y.backward()
print(w.grad, x.grad)
```

## Exercises

**1. Predict.** At $w = 3,\; x = 1$, what is $\partial y/\partial w$?

```{predict} 1 + 2 * 3

Use $\partial y/\partial w = x + 2w$.

$1 + 2 \cdot 3 = 7$: the first term comes from the product $wx$, the second from $w^2$.
```

**2. Find the wrong rule.** The rule below has one mistake. Change only `backward`.

```{exercise} two_paths
How many paths lead from w to y?
Remember the derivative of w². Contributions of two paths are added.
```
"""
