# %% [markdown] lang="ko"
r"""
# 1강: 미분과 연쇄법칙

언어 모델을 학습시키는 일은 결국 **도함수**(derivative)를 구하는 일입니다. 컴퓨터는 계산하면서 어떤 연산을 했는지
기억합니다. 그 연산들을 거꾸로 따라가면, 각 연산은 자기 자신의 기울기만 알면 됩니다. 한 경로 위의 기울기는 곱하고,
여러 경로에서 온 값은 더합니다. 이것이 **연쇄법칙**(chain rule)이고, 이 과정의 거의 전부입니다.

이 강의의 식은 $y = wx + w^2$, 점은 $w = 2,\; x = -3$입니다.

(derivative-as-slope)=
## 1. 조금 움직여 보기

입력 하나를 $h = 0.001$만큼 움직이고 $y$를 다시 계산해서 $h$로 나눕니다. 이것이 **미분계수**의 정의에서
극한을 떼어 낸 모습입니다.

$$\frac{dy}{dw} = \lim_{h \to 0} \frac{y(w + h) - y(w)}{h}$$
"""

# %% [markdown] lang="en"
r"""
# Lesson 1: the derivative, and the chain rule

To train a language model is to find **derivatives**. A computation remembers its operations. Walking them
backwards, each operation needs to know only its own slopes: multiplied along a path, and added up over all
paths, they are the derivatives. This is the **chain rule**, and nearly the whole of this course.

The formula of this lesson is $y = wx + w^2$, at $w = 2,\; x = -3$.

(derivative-as-slope)=
## 1. Nudge it

Move one input by $h = 0.001$, compute $y$ once more, divide by $h$: the definition of the derivative, with its
limit left off.

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
거의 맞지만 조금 틀립니다(정확한 값은 1과 2입니다). 게다가 입력마다 식을 한 번씩 더 계산해야 합니다. 언어 모델의
입력, 즉 **파라미터**(parameter, 매개변수)는 수십억 개입니다.

(chain-rule)=
## 2. 연쇄법칙으로 한 번에

식을 부분으로 나눕니다. $p = wx$, $q = w^2$, $y = p + q$. 이제 $y$에서 거꾸로 걸어갑니다. 아래의 각 줄은
한 연산이 받은 기울기 × 그 연산의 **국소 기울기**(local slope) = 보내는 값입니다.
"""

# %% [markdown] lang="en"
r"""
It is nearly right (exactly, they are 1 and 2), and it costs one more computation for each input. The inputs of
a language model, its **parameters**, are billions.

(chain-rule)=
## 2. All at once, by the chain rule

Take the formula apart: $p = wx$, $q = w^2$, $y = p + q$. Now walk back from $y$. Each line below is what an
operation has received × its **local slope** = what it sends.
"""


# %%
def show(step):
    """Print what one operation sends to each of its operands that can change."""
    print(f"{step.node.name}:  ∂y/∂{step.node.name} = {step.upstream:g}")
    for parent, slope, sent, before, after in step.contributions:
        if parent.requires_grad:
            total = f"{sent:g}" if before is None else f"{before:g} + {sent:g} = {after:g}"
            arithmetic = f"{step.upstream:g} × {slope:2g} = {sent:2g}"
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

$$\frac{\partial y}{\partial \text{입력}} = \sum_{\text{경로}} \; \prod_{\text{경로 위}} \text{국소 기울기}
\qquad\Rightarrow\qquad \frac{\partial y}{\partial w} = 1 \cdot x + 1 \cdot 2w = x + 2w$$

입력이 여러 개일 때 하나만 변수로 보고 구한 이 값을 **편미분**(partial derivative)이라 하고, 편미분을 모두 모은
것이 **그래디언트**(gradient, 기울기 벡터)입니다.

```{drawing} y
y = wx + w²의 계산 그래프(computation graph). 상자 하나가 노드(node)입니다. 점선 화살표에는 거꾸로 보내는 값의 계산이 적혀 있습니다.
```

플레이어를 누른 뒤 ← → 키로 한 단계씩 걸어 보세요.

```{player} y
3: 순전파의 끝
6: w²이 보낸 것
7: 두 길이 만난다
```

(gradient-descent)=
## 3. 무엇에 쓰는가: 경사하강법

기울기는 어느 쪽이 내리막인지 알려 줍니다. **경사하강법**(gradient descent)은 기울기의 반대 방향으로 조금씩
움직이는 일입니다.

$$w_{\text{new}} = w_{\text{old}} - \alpha \, \frac{dy}{dw}, \qquad \alpha = 0.2$$
"""

# %% [markdown] lang="en"
r"""
Two paths lead from $w$ to $y$, so two numbers were added up for it:

$$\frac{\partial y}{\partial \text{input}} = \sum_{\text{paths}} \; \prod_{\text{on the path}} \text{local slope}
\qquad\Rightarrow\qquad \frac{\partial y}{\partial w} = 1 \cdot x + 1 \cdot 2w = x + 2w$$

Of several inputs one alone is varied here: that is a **partial derivative**, and all of them together are the
**gradient**.

```{drawing} y
The graph of y = wx + w². On the dashed arrows stands the arithmetic of what is sent back.
```

Click into the player, then walk with the keys ← →.

```{player} y
3: forward ends
6: what w² sends
7: two paths meet
```

(gradient-descent)=
## 3. What is it good for? Gradient descent

A derivative says which way is down. **Gradient descent** moves a little against it, again and again:

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

## 직접 실행하기

숫자를 바꾸어 실행해 보세요. 이 셀은 이 페이지 안에서 돌아갑니다.

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

**2. 틀린 규칙을 찾으세요.** 아래 규칙에는 경로 하나가 어딘가에서 사라졌습니다. `backward` 안만 고치세요.

```{exercise} two_paths
w에서 y로 가는 경로는 몇 개입니까?
w²의 미분을 떠올려 보세요. 두 경로의 값은 더합니다.
```
"""

# %% [markdown] lang="en"
r"""
The lowest $y$ is at $w = 1.5$, where the derivative is 0. You have just trained a model with one parameter.

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

**2. Find the wrong rule.** Somewhere in the rule below a path went missing. Change `backward` alone.

```{exercise} two_paths
How many paths lead from w to y?
Remember the derivative of w². What comes by two paths is added.
```
"""
