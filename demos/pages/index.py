# %% [markdown] lang="ko"
r"""
# LLM 학습의 완전한 수학

언어 모델이 배우는 과정의 수학을 처음부터 끝까지 다룹니다. 미분 하나에서 시작해, 역전파를 손으로 유도하고, 마지막에는 자신의 글로 언어 모델을 만듭니다. 읽고, 그림을 보고, 한 단계씩 따라가고, 페이지 안에서
파이썬을 실행하고, 문제를 풀면 바로 채점됩니다. 설치할 것은 없습니다.

아래는 $y = wx + w^2$의 역전파입니다. 플레이어를 누르고 → 키를 눌러 보세요. 이 과정의 모든 강의에 이런 플레이어가 있습니다. 가장 큰 것은 언어 모델 전체입니다.
"""

# %% [markdown] lang="en"
r"""
# The complete mathematics of training a language model

This course covers the mathematics of how a language model learns, from beginning to end. It starts with one derivative, derives backpropagation by hand, and ends with a language model of your own text. Read, look at pictures,
step through computations, run Python in the page, and have your exercises marked at once. There is nothing to install.

Below is the backward pass of $y = wx + w^2$. Click the player and press →. Every lesson has such a player; the largest shows a whole language model.
"""

# %% tags=["remove-cell"]
from autolm import Value

w, x = Value(2, name="w"), Value(-3, name="x")
p, q = w * x, w**2
y = p + q
p.name, q.name, y.name = "p", "q", "y"

# %% [markdown] lang="ko"
r"""
```{player} y
3: 순전파의 끝
6: w²이 보낸 것
7: 두 경로가 만남
```

## 누구를 위한 과정입니까

고등학교 수학의 미분(다항함수와 지수함수, 합성함수의 미분법)을 알고 파이썬의 반복문과 함수를 읽을 수 있으면 됩니다. 벡터와 행렬, 확률, 정보 이론은 필요할 때 설명합니다. 난이도 ★은 고등학교, ★★은 대학 1학년,
★★★은 대학 2학년 수준입니다.

```{parts}
```

시간에는 읽기와 연습문제가 들어 있습니다. 강의마다 목표, 필요한 강의, 시간, 난이도가 맨 위에 있고, 세 줄 요약과 더 읽을거리가 맨 아래에 있습니다.

## 어디서 시작합니까

- **혼자 차례대로**: [1강](lessons/01_scalars_and_the_chain_rule)부터 시작하세요. 강의의 번호가 배우는 순서입니다.
- **하루(6시간)**: [1](lessons/01_scalars_and_the_chain_rule), [2](lessons/02_a_neuron), [5](lessons/05_softmax_and_cross_entropy), [6](lessons/06_attention), [9](lessons/09_forward_pass), [13강](lessons/13_training_and_perplexity).
- **2주(하루 2시간)**: 1–9강, 10강의 결과만, 11–13강, 15강, 16강, 19강.
- **한 학기(15주)**: 1–19강과 체크포인트. 주별 계획은 [선생님께](pages/teachers) 있습니다.
- **전체를 먼저 보기**: [수학 지도](pages/mathematics_map). 다루지 않는 것은 [여기](pages/left_out)에 있습니다.

## 사용하는 방법

- **플레이어**: 누른 뒤 ← → 키로 한 단계씩 따라갑니다.
- **실행**: [실행] 단추가 있는 상자는 페이지 안의 파이썬입니다. 숫자를 바꾸어 보세요. 처음 누를 때는 몇 초 걸립니다. Tab 키로 들여쓰고, Esc 키를 누르면 Tab이 다음 단추로 갑니다.
- **연습문제**: 역전파 규칙을 쓰고, 값을 예측하고, 틀린 규칙을 찾습니다. 틀리면 어느 점에서 값이 다른지 보여 줍니다. 힌트와 풀이는 원할 때 열 수 있습니다.
- **기록**: 고친 프로그램과 답은 이 브라우저에만 저장됩니다.

```{progress}
```

(five-lines)=
## 다섯 줄 요약

1. **입력**: 글을 토큰으로, 토큰을 벡터로 바꾸고 위치 인코딩을 더합니다.
2. **처리**: 어텐션이 단어 사이의 정보를 섞고, 피드포워드가 단어마다 따로 계산합니다. 결과를 잔차 연결로 더하고 정규화합니다. 이것을 $N$번 되풀이합니다.
3. **출력**: 벡터에서 로짓을 구하고, 소프트맥스로 다음 단어의 확률을 구합니다.
4. **손실**: 실제로 나온 단어의 $-\ln p$, 즉 놀라움을 평균합니다.
5. **학습**: 연쇄법칙으로 모든 파라미터의 기울기를 구하고, 반대 방향으로 조금 움직입니다. 이것을 되풀이합니다.

(five-checkpoints)=
## 다섯 체크포인트

배운 것을 스스로 확인하는 다섯 페이지입니다. 먼저 자신의 말로 답하고, 그다음에 답과 숫자를 여세요.

1. [순전파: 글에서 확률까지](pages/checkpoint_1)
2. [손실: 놀라움의 크기](pages/checkpoint_2)
3. [역전파: 손실에서 모든 파라미터까지](pages/checkpoint_3)
4. [학습: 한 걸음, 그리고 되풀이](pages/checkpoint_4)
5. [실제 LLM: 같은 원리, 다른 규모](pages/checkpoint_5)

```{toctree}
:hidden:
:caption: 시작

pages/mathematics_map
pages/teachers
pages/lesson_items
pages/glossary
```

```{toctree}
:hidden:
:caption: 1부 · 도함수와 신경망

lessons/01_scalars_and_the_chain_rule
lessons/02_a_neuron
lessons/03_tensors_and_broadcasting
```

```{toctree}
:hidden:
:caption: 2부 · 트랜스포머의 순전파와 역전파

lessons/04_functions_vectors_normalisation
lessons/05_softmax_and_cross_entropy
lessons/06_attention
lessons/07_positions
lessons/08_multi_head_attention
lessons/09_forward_pass
lessons/10_derivations
lessons/11_backward_pass
```

```{toctree}
:hidden:
:caption: 3부 · 학습

lessons/12_optimisation
lessons/13_training_and_perplexity
lessons/14_numerical_gradients
lessons/15_bpe
lessons/16_gpt3
```

```{toctree}
:hidden:
:caption: 4부 · 나의 모델

lessons/17_the_lessons_script
lessons/18_llama
lessons/19_build_your_own
```

```{toctree}
:hidden:
:caption: 도구 (선택)

lessons/20_check_a_gradient
lessons/21_stepping_a_neuron
lessons/22_stepping_an_attention_head
lessons/23_drawing
lessons/24_the_player
lessons/25_native_microgpt
lessons/26_growing_out
lessons/27_check_a_kernel
```

```{toctree}
:hidden:
:caption: 체크포인트

pages/checkpoint_1
pages/checkpoint_2
pages/checkpoint_3
pages/checkpoint_4
pages/checkpoint_5
```

```{toctree}
:hidden:
:caption: 참고

reference/guide
reference/names
reference/commands
reference/operations
reference/architecture
pages/left_out
pages/licences
```
"""

# %% [markdown] lang="en"
r"""
```{player} y
3: end of the forward pass
6: the contribution of w²
7: two paths meet
```

## Who is it for?

You need derivatives as taught at school (polynomials, the exponential function, the chain rule of composed functions), and should be able to read loops and functions in Python. Vectors and matrices, probability and information theory are
explained where they are needed. Level ★ is school mathematics, ★★ the first and ★★★ the second year of university.

```{parts}
```

The hours include reading and exercises. Each lesson begins with its aim, the lessons that it needs, its time and its level, and ends with a summary of three lines and further reading.

## Where do I start?

- **On your own, in order**: start with [lesson 1](lessons/01_scalars_and_the_chain_rule). The numbers give the order.
- **One day (6 hours)**: lessons [1](lessons/01_scalars_and_the_chain_rule), [2](lessons/02_a_neuron), [5](lessons/05_softmax_and_cross_entropy), [6](lessons/06_attention), [9](lessons/09_forward_pass) and [13](lessons/13_training_and_perplexity).
- **Two weeks (2 hours a day)**: lessons 1–9, only the results of 10, then 11–13, 15, 16 and 19.
- **A semester (15 weeks)**: lessons 1–19 and the checkpoints; see the weekly plan [for teachers](pages/teachers).
- **See the whole first**: [the map](pages/mathematics_map). Topics that the course leaves out are listed [here](pages/left_out).

## How to use it

- **Player**: click it, then step with the keys ← →.
- **Run**: a box with a button "Run" is Python in the page. Change the numbers. The first run takes a few seconds. Tab indents; after Esc, Tab goes to the next button.
- **Exercises**: write a backward rule, predict a number, find a wrong rule. A wrong answer is shown with the point where the values differ. Hints and solutions open when you ask for them.
- **Records**: changed programs and answers are stored in this browser only.

```{progress}
```

(five-lines)=
## In five lines

1. **Input**: a text becomes tokens, tokens become vectors, and a positional encoding is added.
2. **Processing**: attention mixes the information of the words, feed-forward processes each word separately; the results are added by residual connections and normalized. This is repeated $N$ times.
3. **Output**: vectors become logits, and softmax turns them into the probabilities of the next word.
4. **Loss**: the mean of $-\ln p$ of the actual words, their surprise.
5. **Learning**: the chain rule gives the gradient of every parameter; move a small step in the opposite direction; repeat.

(five-checkpoints)=
## Five checkpoints

Five pages to test yourself. Answer in your own words first; then open the answer and the numbers.

1. [Forward: from a text to probabilities](pages/checkpoint_1)
2. [Loss: the size of a surprise](pages/checkpoint_2)
3. [Backward: from the loss to every parameter](pages/checkpoint_3)
4. [Learning: one step, repeated](pages/checkpoint_4)
5. [Real models: the same principles, a larger scale](pages/checkpoint_5)

```{toctree}
:hidden:
:caption: Begin

pages/mathematics_map
pages/teachers
pages/lesson_items
pages/glossary
```

```{toctree}
:hidden:
:caption: Part 1 · derivatives and networks

lessons/01_scalars_and_the_chain_rule
lessons/02_a_neuron
lessons/03_tensors_and_broadcasting
```

```{toctree}
:hidden:
:caption: Part 2 · the transformer, forward and back

lessons/04_functions_vectors_normalisation
lessons/05_softmax_and_cross_entropy
lessons/06_attention
lessons/07_positions
lessons/08_multi_head_attention
lessons/09_forward_pass
lessons/10_derivations
lessons/11_backward_pass
```

```{toctree}
:hidden:
:caption: Part 3 · training

lessons/12_optimisation
lessons/13_training_and_perplexity
lessons/14_numerical_gradients
lessons/15_bpe
lessons/16_gpt3
```

```{toctree}
:hidden:
:caption: Part 4 · your own model

lessons/17_the_lessons_script
lessons/18_llama
lessons/19_build_your_own
```

```{toctree}
:hidden:
:caption: Tools (optional)

lessons/20_check_a_gradient
lessons/21_stepping_a_neuron
lessons/22_stepping_an_attention_head
lessons/23_drawing
lessons/24_the_player
lessons/25_native_microgpt
lessons/26_growing_out
lessons/27_check_a_kernel
```

```{toctree}
:hidden:
:caption: Checkpoints

pages/checkpoint_1
pages/checkpoint_2
pages/checkpoint_3
pages/checkpoint_4
pages/checkpoint_5
```

```{toctree}
:hidden:
:caption: Reference

reference/guide
reference/names
reference/commands
reference/operations
reference/architecture
pages/left_out
pages/licences
```
"""
