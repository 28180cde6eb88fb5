# %% [markdown] lang="ko"
r"""
# 선생님께

수업을 준비하는 분을 위한 페이지입니다. 과정의 개요와 시간은 [첫 페이지](../index)에 있습니다.

## 주별 계획 (한 학기, 15주, 주 2시간)

| 주 | 강의 | 중심 내용 | 체크포인트 |
| ---: | --- | --- | --- |
| 1 | 1, 2 | 연쇄법칙: 경로를 곱하고 더하기. 뉴런 하나를 손으로 |  |
| 2 | 3 | 행렬곱의 역전파, 기울기의 모양 |  |
| 3 | 4 | 그래프가 평평한 곳, √d_k의 유도 |  |
| 4 | 5 | 소프트맥스, 손실, p − y |  |
| 5 | 6 | 어텐션과 마스크를 숫자로 |  |
| 6 | 7, 8 | 위치 인코딩과 멀티헤드 | 1 |
| 7 | 9 | 순전파 전체를 계산기로 한 번 |  |
| 8 | 10 | 유도: 한 사람이 하나씩 칠판에서 |  |
| 9 | 11 | 역전파 전체, 모둠별로 한 블록씩 | 2, 3 |
| 10 | 12 | 최적화: 학습률을 바꾸어 비교 |  |
| 11 | 13, 14 | 학습 루프, 기준선, 수치 기울기 | 4 |
| 12 | 15, 16 | BPE와 규모 | 5 |
| 13 | 17, 18 | 강의의 코드와 Llama |  |
| 14, 15 | 19 | 최종 프로젝트와 발표 |  |

1–2시간은 함께 플레이어를 보며 설명하고, 나머지 시간에 연습문제를 풉니다. 강의마다 맨 위에 목표, 필요한 강의, 시간이 있습니다. 10강은 유도가 길므로 시간이 모자라면 소프트맥스와 잔차 연결만 유도하고 나머지는 결과만
확인합니다. 도구를 다루는 20–27강은 수업에 필요하지 않습니다. 다만 20강(기울기 검증)은 프로젝트에 도움이 됩니다.

## 자주 나오는 잘못과 대답

| 강의 | 잘못 | 물어볼 말 |
| --- | --- | --- |
| 1 | 여러 경로의 기울기를 더하지 않고 하나만 씁니다 | $w$를 조금 바꾸면 변하는 곳이 몇 군데입니까? |
| 2 | $1 - \tanh^2$에 결과 대신 입력을 넣습니다 | 미분공식의 제곱 안에는 무엇이 있습니까? |
| 3 | $\bar W = \bar Y X^{\mathsf T}$처럼 순서나 전치를 틀립니다 | 기울기의 모양이 $W$의 모양과 같습니까? |
| 3 | 편향의 기울기를 행마다 더하지 않습니다 | $b$는 몇 번 쓰였습니까? |
| 5 | 정답이 아닌 단어의 기울기를 0이라고 생각합니다 | 기울기를 모두 더하면 얼마여야 합니까? |
| 6 | 마스크한 칸을 0으로 바꾼 뒤 소프트맥스를 구합니다 | $e^0$은 얼마입니까? |
| 8 | 헤드를 나누면 파라미터가 늘어난다고 생각합니다 | $W_Q$의 모양은 무엇입니까? |
| 10, 11 | 층 정규화의 분모를 상수로 미분합니다 | $x$가 바뀌면 $\sigma$는 그대로입니까? |
| 12 | 학습률이 클수록 빨리 배운다고 생각합니다 | 곡률이 큰 방향에서는 어떻게 됩니까? |
| 13 | 기울기를 지우지 않고 `backward()`를 다시 부릅니다 | 두 번째 기울기에는 무엇이 더해져 있습니까? |
| 13, 19 | 학습에 쓴 글의 손실로 모델을 평가합니다 | 외우기만 하는 모델의 손실은 얼마입니까? |

## 정답

- 규칙 문제: 폴더 `demos/exercises`의 `NAME_solution.py`입니다. 페이지에서도 한 번 채점하면 [풀이]가 나타납니다.
- 예측 문제: 두 번 틀리면 힌트가, 세 번 틀리면 풀이 과정과 계산된 값이 나타납니다. 맞혀도 나타납니다.
- 설명 문제와 체크포인트: [답 열기]에 있습니다.
- 모든 문제와 풀이는 과정을 만들 때마다 자동으로 확인합니다.

## 평가 기준

| 항목 | 비율 | 상 | 중 | 하 |
| --- | ---: | --- | --- | --- |
| 규칙 문제 | 30 % | 혼자 풀고 유도를 설명합니다 | 힌트를 보고 풉니다 | 풀이를 베낍니다 |
| 체크포인트 | 20 % | 자신의 말과 숫자로 답합니다 | 공식만 씁니다 | 답이 없습니다 |
| 최종 프로젝트 | 40 % | 8–10점 | 5–7점 | 4점 이하 |
| 발표 | 10 % | 한 파라미터의 기울기를 손실에서부터 설명합니다 | 손실만 설명합니다 | 결과만 보여 줍니다 |

프로젝트의 10점 채점표는 [19강](#project-marks)에 있습니다.

## 학생의 결과 모으기

학생의 프로그램, 답, 채점 결과는 학생의 브라우저에만 저장됩니다. 서버로 보내는 것은 없습니다. [첫 페이지](../index)의 [결과 내려받기]를 누르면 이 내용이 텍스트 파일 하나가 되므로, 그것을 제출하게 하면 됩니다. 파일 안의 채점 결과는
학생이 고칠 수 있으므로, 성적에 쓰려면 그 안의 프로그램을 `autolm check`로 다시 확인하세요. 페이지는 인쇄할 수도 있습니다.

## 다시 쓰기

글과 코드는 모두 MIT 라이선스입니다. 출처와 라이선스 전문을 남기면 고치고, 나누고, 수업에 쓸 수 있습니다. [라이선스](licences)를 보세요. 인터넷이 없는 교실에서는 폴더 전체를 복사한 뒤 `python -m http.server`로 엽니다.
"""

# %% [markdown] lang="en"
r"""
# For teachers

This page is for those who prepare a class. The overview and the hours are on the [start page](../index).

## Weekly plan (a semester of 15 weeks, 2 hours a week)

| week | lessons | focus | checkpoint |
| ---: | --- | --- | --- |
| 1 | 1, 2 | the chain rule: multiply and add over paths; one neuron by hand |  |
| 2 | 3 | the backward pass of a matrix product; shapes of gradients |  |
| 3 | 4 | where curves are flat; the derivation of √d_k |  |
| 4 | 5 | softmax, loss, p − y |  |
| 5 | 6 | attention and the mask in numbers |  |
| 6 | 7, 8 | positional encoding and heads | 1 |
| 7 | 9 | the whole forward pass, once with a calculator |  |
| 8 | 10 | derivations: one for each pupil, at the board |  |
| 9 | 11 | the whole backward pass, one block for each group | 2, 3 |
| 10 | 12 | optimisation: compare learning rates |  |
| 11 | 13, 14 | the loop, baselines, numerical gradients | 4 |
| 12 | 15, 16 | BPE and scale | 5 |
| 13 | 17, 18 | the lesson's code and Llama |  |
| 14, 15 | 19 | final project and presentations |  |

Explain with the player first, and use the rest of the time for exercises. Each lesson begins with its aim, the lessons that it needs, and its time. The derivations of lesson 10 are long; if time is short, derive softmax and the residual connection, and only
verify the other results. The class does not need lessons 20–27 on tools, but lesson 20 (checking a gradient) helps with the project.

## Typical mistakes, and what to ask

| lesson | mistake | question |
| --- | --- | --- |
| 1 | takes the gradient of one path instead of the sum | If $w$ changes a little, in how many places does something change? |
| 2 | puts the input into $1 - \tanh^2$ instead of the result | What is squared in the formula? |
| 3 | wrong order or transpose, as in $\bar W = \bar Y X^{\mathsf T}$ | Does the gradient have the shape of $W$? |
| 3 | does not sum the gradient of the bias over the rows | How often was $b$ used? |
| 5 | believes that the gradient of wrong words is 0 | What must all gradients add up to? |
| 6 | sets masked scores to 0 before the softmax | What is $e^0$? |
| 8 | believes that more heads need more parameters | What is the shape of $W_Q$? |
| 10, 11 | treats the denominator of layer norm as a constant | Does $\sigma$ stay the same if $x$ changes? |
| 12 | believes that a larger learning rate always learns faster | What happens in a direction of large curvature? |
| 13 | calls `backward()` again without resetting the gradients | What does the second gradient contain? |
| 13, 19 | judges the model by the loss of the training text | What is the loss of a model that only memorizes? |

## Keys

- Rules to write: `NAME_solution.py` in the folder `demos/exercises`. On the page, [Solution] appears after the first check.
- Numbers to predict: a hint appears after two wrong answers, the working and the value after three, or after a right one.
- Explanations and checkpoints: behind [Open the answer].
- Every build of the course checks all exercises and solutions.

## Rubric

| item | share | good | fair | poor |
| --- | ---: | --- | --- | --- |
| rules to write | 30 % | solves them alone and explains the derivation | solves them with hints | copies solutions |
| checkpoints | 20 % | answers in own words and with numbers | gives formulas only | no answers |
| final project | 40 % | 8–10 marks | 5–7 marks | 4 marks or fewer |
| presentation | 10 % | explains the gradient of one parameter, starting at the loss | explains only the loss | only shows results |

The table of 10 marks for the project is in [lesson 19](#project-marks).

## Collect the pupils' work

Programs, answers and verdicts are stored only in the pupil's browser; nothing is sent to a server. [Download my work] on the [start page](../index) writes them into one text file, which pupils can hand in. Pupils can edit the verdicts
in that file, so for grades check the programs in it again with `autolm check`. Pages can also be printed.

## Reuse

All text and code is under the MIT licence: you may change it, share it and use it in class if you keep the notice and the licence; see [licences](licences). In a classroom without internet, copy the whole folder and open it with `python -m http.server`.
"""
