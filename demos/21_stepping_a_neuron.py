# %% [markdown] lang="ko"
r"""
# 21강: 뉴런을 한 단계씩 따라가기

2강의 뉴런입니다. 이번에는 `print`를 직접 쓰지 않아도 각 단계(step)를 출력하면 무엇을 하는지 나타납니다. 터미널에서 직접 따라가려면 다음 명령을 씁니다.

    autolm step demos/21_stepping_a_neuron.py --var o

(walk)=
## 1. 순전파의 단계
"""

# %% [markdown] lang="en"
r"""
# Lesson 21: step through a neuron

We return to the neuron of lesson 2. This time a step describes itself when it is printed. To step through it in a terminal, with the commands of pdb:

    autolm step demos/21_stepping_a_neuron.py --var o

(walk)=
## 1. The steps of the forward pass
"""

# %%
from autolm import Value, Walk, edit, explain

x1, x2 = Value(2, name="x1"), Value(0, name="x2")
w1, w2 = Value(-3, name="w1"), Value(1, name="w2")
b = Value(6.8813735870195432, name="b")

x1w1 = x1 * w1
x2w2 = x2 * w2
total = x1w1 + x2w2
n = total + b
o = n.tanh()
for node, name in ((x1w1, "x1w1"), (x2w2, "x2w2"), (total, "total"), (n, "n"), (o, "o")):
    node.name = name
for step in o.forward_steps():
    print(step)

# %% [markdown] lang="ko"
r"""
(walk-both-ways)=
## 2. 앞으로, 뒤로

`Walk`는 언제나 다음 단계를 **실행하기 직전에** 멈춰 있습니다. 디버거가 다음 줄을 실행하기 직전에 멈추는 것과 같습니다. `preview`는 다음 단계가 할 일을 미리 계산해서
보여 주기만 합니다. `step`은 한 단계를 실행하고, `back`은 되돌립니다. 되돌리면 그 단계에서 온 기울기도 없어집니다.
"""

# %% [markdown] lang="en"
r"""
(walk-both-ways)=
## 2. Forward and back

A `Walk` is always **before** a step, as a debugger is before a line. `preview` shows what the step will do without doing it.
`step` does it, and `back` undoes it together with the gradients that arrived in it.
"""

# %%
walk = Walk(o)
for _ in range(3):
    print(walk.step())
print("x1w1.grad:", x1w1.grad, "   w1:", w1.has_grad)
walk.back()
print("back →", walk.position, "   x1w1:", x1w1.has_grad)

# %% [markdown] lang="ko"
r"""
(breakpoints)=
## 3. 중단점

`watch=w1`은 $w_1$의 기울기가 변하기 직전에 멈춥니다. `send`는 한 단계의 기여 가운데 하나만 보냅니다. `run_back`은 거꾸로 되돌리며 실행합니다. 끝까지
가지 않고 그만두면(`abandon`) 모든 기울기가 처음 상태로 돌아갑니다.
"""

# %% [markdown] lang="en"
r"""
(breakpoints)=
## 3. Breakpoints

`watch=w1` stops just before the gradient of $w_1$ changes. `send` sends only one contribution of a step; `run_back` runs backwards. If you leave
before the end (`abandon`), every gradient is restored.
"""

# %%
walk.break_at(watch=w1)
walk.run()
print(walk.preview())
print("w1:", w1.has_grad)
print(walk.send())
walk.unsend()
walk.run_back(until=lambda step: step.node.op.name == "mul")
print(walk.preview())
walk.abandon()
print("w1:", w1.has_grad)

# %% [markdown] lang="ko"
r"""
(why)=
## 4. 왜 이 기울기인가, 만약에?

`explain`은 기울기를 쓰임마다 온 기여의 합으로 나누어 보여 줍니다. `edit`은 숫자를 바꾸고 모두 다시 계산해서 무엇이 변했는지 알려 줍니다.
$x_2 = 0$이므로 $w_2$를 바꾸어도 출력은 그대로이고, $x_2$의 기울기만 커집니다. $w_1$을 $-3.5$로 바꾸면 $\tanh$가 더 가파른 곳으로 가서
모든 기울기가 커집니다.
"""

# %% [markdown] lang="en"
r"""
(why)=
## 4. Why this gradient, and what if?

`explain` breaks a gradient into the contributions of each use. `edit` changes a number, computes everything again, and shows what changed. Since
$x_2 = 0$, changing $w_2$ does not change the output, and only the gradient of $x_2$ grows. With $w_1 = -3.5$ the $\tanh$ is steeper, and every
gradient grows.
"""

# %% tags=["verdicts"]
o.backward()
print(explain(w1, paths=1))
change = edit(o, w2, 5.0)
print(f"\n{change}")
change.undo()
print(f"\n{edit(o, w1, -3.5)}")

# %% [markdown] lang="ko"
r"""
```{player} o
```

## 직접 실행하기

```{run}
from autolm import Value

for weight in (-3.0, -3.25, -3.5):
    x, w, b = Value(2.0), Value(weight), Value(6.8813735870195432)
    o = (x * w + b).tanh()
    o.backward()
    print(weight, round(o.data, 4), round(w.grad, 4), round(x.grad, 4))
```

## 연습문제

**1. 값을 예측하세요.** $w_1 = -3.5$이면 $n = -7 + b$입니다. $\partial o/\partial n = 1 - o^2$는 얼마입니까? (계산기를 쓰세요. $b \approx 6.88$)

```{predict} 1 - o.data**2
:within: 0.02

$n \approx -7 + 6.88 = -0.12$이고, 0 가까이에서 $\tanh n \approx n$입니다.

$o \approx -0.12$이므로 $1 - o^2 \approx 1 - 0.014 \approx 0.99$입니다.
```

**2. 규칙을 쓰세요.** 뉴런 전체를 연산 하나로: $o = \tanh(wx + b)$.

```{exercise} whole_neuron
바깥부터: tanh의 기울기 1 − o²를 먼저 구해 두세요.
그다음은 3강의 일차함수와 같습니다.
```
"""

# %% [markdown] lang="en"
r"""
```{player} o
```

## Run it yourself

```{run}
from autolm import Value

for weight in (-3.0, -3.25, -3.5):
    x, w, b = Value(2.0), Value(weight), Value(6.8813735870195432)
    o = (x * w + b).tanh()
    o.backward()
    print(weight, round(o.data, 4), round(w.grad, 4), round(x.grad, 4))
```

## Exercises

**1. Predict.** With $w_1 = -3.5$, $n = -7 + b$. What is $\partial o/\partial n = 1 - o^2$? (Take a calculator: $b \approx 6.88$.)

```{predict} 1 - o.data**2
:within: 0.02

$n \approx -7 + 6.88 = -0.12$, and near 0, $\tanh n \approx n$.

$o \approx -0.12$, so $1 - o^2 \approx 1 - 0.014 \approx 0.99$.
```

**2. Write the rule.** The whole neuron as one operation: $o = \tanh(wx + b)$.

```{exercise} whole_neuron
Start from the outside: compute the slope of tanh, 1 − o².
Then comes the linear function of lesson 3.
```
"""
