# %% [markdown] lang="ko"
r"""
# 용어

| 용어 | 영어 | 뜻 |
| --- | --- | --- |
| 가중치 | weight | 입력에 곱하는 파라미터 ([2강](#neuron-forward)) |
| 가중치 감쇠 | weight decay | 걸음마다 가중치를 조금 줄이기 ([12강](#weight-decay)) |
| 가중합 | weighted sum | 가중치를 곱해서 더한 것 ([6강](#attention-output)) |
| 검증 | validation | 학습에 쓰지 않은 글로 손실 재기 ([13강](#training-loop)) |
| 경사하강법 | gradient descent | 기울기의 반대 방향으로 조금씩 움직이기 ([1강](#gradient-descent)) |
| 계산 그래프 | computation graph | 값과 연산을 이은 그림, 역전파가 거슬러 가는 길 ([1강](#chain-rule)) |
| 과적합 | overfitting | 규칙 대신 글을 외우기 ([19강](#project-model)) |
| 교차 엔트로피 | cross entropy | 모델의 확률로 잰 평균 놀라움 ([5강](#cross-entropy)) |
| 국소 기울기 | local slope | 연산 하나의 결과를 피연산자 하나로 미분한 것 ([1강](#chain-rule)) |
| 규칙 | rule | 연산이 위에서 온 기울기를 피연산자에게 나누는 방법 ([20강](#write-an-operation)) |
| 기울기, 그래디언트 | gradient | 모든 편미분을 모은 것 ([1강](#chain-rule)) |
| 내적 | dot product | 성분끼리 곱해서 더한 수 ([3강](#vectors-and-matrices)) |
| 노드 | node | 계산 그래프에서 값 하나 ([1강](#chain-rule)) |
| 놀라움, 정보량 | surprise | $-\ln p$, 확률이 $p$인 사건이 일어났을 때 ([5강](#cross-entropy)) |
| 뉴런 | neuron | 입력의 가중합에 비선형 함수를 적용한 것 ([2강](#neuron-forward)) |
| 단위벡터 | unit vector | 크기가 1인 벡터 ([4강](#unit-vectors)) |
| 도함수 | derivative | 입력을 조금 바꿀 때 출력이 변하는 비율 ([1강](#derivative-as-slope)) |
| 로짓 | logit | 소프트맥스에 들어가는 점수 ([5강](#softmax)) |
| 멀티헤드 | multi-head | 폭을 나누어 여러 어텐션을 동시에 하기 ([8강](#split-heads)) |
| 모멘텀 | momentum | 지나온 기울기를 모은 속도 ([12강](#valley)) |
| 게이트 | gate | 얼마나 통과시킬지를 정하는 수 ([4강](#curves)) |
| 문맥 | context | 지금까지 나온 글 ([6강](#context)) |
| 반올림 오차 | rounding error | 컴퓨터의 수가 유한한 자리라서 생기는 오차 ([14강](#step-size)) |
| 배치 | batch | 한 걸음에 함께 보는 예들 ([13강](#training-loop)) |
| 벡터 | vector | 한 줄로 늘어놓은 수 ([3강](#vectors-and-matrices)) |
| 보폭 | stride | 배열에서 다음 원소까지의 거리 ([27강](#kernel-contract)) |
| 복소수 스텝 미분 | complex step | 허수 방향으로 움직여 구한 미분, 뺄셈이 없음 ([20강](#complex-step)) |
| 분산 | variance | 평균에서 떨어진 거리의 제곱의 평균 ([4강](#sqrt-dk)) |
| 브로드캐스팅 | broadcasting | 모양이 다른 배열의 축을 맞추어 반복하기 ([3강](#broadcasting)) |
| 소프트맥스 | softmax | 점수를 확률로 ([5강](#softmax)) |
| 손실 | loss | 작게 만들려는 수 ([9강](#loss)) |
| 수치 미분 | numerical differentiation | 조금 움직여 보고 잰 미분 ([14강](#numerical-cost)) |
| 순전파 | forward pass | 입력에서 손실까지 계산하기 ([9강](#tokens)) |
| 야코비 행렬 | Jacobian | 모든 출력을 모든 입력으로 미분한 행렬 ([10강](#softmax-jacobian)) |
| 어텐션 | attention | 단어들이 서로의 밸류를 가중합하기 ([6강](#attention-scores)) |
| 어휘 | vocabulary | 모델이 아는 모든 토큰 ([9강](#tokens)) |
| 에폭 | epoch | 데이터를 한 번 다 보는 것 ([13강](#training-loop)) |
| 엔트로피 | entropy | 참 분포의 평균 놀라움, 손실의 하한 ([5강](#cross-entropy)) |
| 역전파 | backpropagation | 연쇄법칙으로 손실에서 모든 파라미터까지 ([2강](#neuron-backward)) |
| 연쇄법칙 | chain rule | 경로 위에서는 곱하고, 경로끼리는 더하기 ([1강](#chain-rule)) |
| 온도 | temperature | 로짓을 나누는 수, 작을수록 뾰족하게 ([17강](#predict-one-token)) |
| 워밍업 | warm-up | 학습률을 0에서부터 올리기 ([12강](#warmup-cosine)) |
| 원-핫 | one-hot | 한 성분만 1인 벡터 ([5강](#softmax-minus-one-hot)) |
| 위치 인코딩 | positional encoding | 어디에 있는지를 나타내는 벡터 ([7강](#positional-formula)) |
| 유사도 | similarity | 두 벡터가 얼마나 닮았는지 ([6강](#attention-scores)) |
| 인과 마스크 | causal mask | 뒤에 올 단어를 가리기 ([6강](#causal-mask)) |
| 임베딩 | embedding | 토큰을 벡터로 바꾸는 표 ([9강](#embedding)) |
| 작업자 | worker | 함께 학습하는 프로세스 하나 ([26강](#growing-mean)) |
| 잔차 연결 | residual connection | 결과를 입력에 더하기 ([10강](#residual-derivation)) |
| 전치 | transpose | 행과 열을 바꾸기 ([3강](#matrix-product-backward)) |
| 절단 오차 | truncation error | 극한 대신 유한한 걸음을 써서 생기는 오차 ([14강](#step-size)) |
| 조건부 확률 | conditional probability | 지금까지의 글이 주어졌을 때의 확률 ([5강](#softmax)) |
| 지수함수 | exponential function | $e^x$, 도함수가 자기 자신 ([4강](#curves)) |
| 층 정규화 | layer normalization | 평균 0, 분산 1로 ([10강](#layer-norm-derivation)) |
| 커널 | kernel | 역전파 규칙을 손으로 쓴 빠른 연산 ([27강](#kernel-contract)) |
| 쿼리, 키, 밸류 | query, key, value | 묻는 벡터, 답하는 벡터, 건네는 벡터 ([6강](#attention-scores)) |
| 크기, 노름 | norm | 벡터의 길이 ([4강](#unit-vectors)) |
| 클리핑 | clipping | 기울기의 크기를 자르기 ([12강](#clipping)) |
| 텐서 | tensor | 노드 하나인 배열 ([3강](#vectors-and-matrices)) |
| 토큰 | token | 모델이 읽는 단위 ([15강](#bpe-by-hand)) |
| 투영 | projection | 행렬을 곱해 다른 벡터로 옮기기 ([9강](#qkv)) |
| 파라미터, 매개변수 | parameter | 학습으로 바뀌는 수 ([1강](#derivative-as-slope)) |
| 퍼플렉시티 | perplexity | $e^L$, 몇 개 중에서 고르는 것과 같은가 ([5강](#perplexity)) |
| 편미분 | partial derivative | 하나만 변수로 보고 미분하기 ([1강](#chain-rule)) |
| 편향 | bias | 가중합에 더하는 파라미터 ([2강](#neuron-forward)) |
| 포화 | saturation | 곡선이 평평해져 기울기가 0에 가까운 것 ([4강](#curves)) |
| 표준편차 | standard deviation | 분산의 제곱근 ([4강](#sqrt-dk)) |
| 표집 | sampling | 확률대로 하나를 뽑기 ([17강](#predict-one-token)) |
| 피드포워드 | feed-forward | 단어마다 따로 지나는 두 층 ([9강](#feed-forward)) |
| 학습률 | learning rate | 한 걸음의 크기 $\alpha$ ([13강](#training-loop)) |
| 행렬 | matrix | 직사각형으로 늘어놓은 수 ([3강](#vectors-and-matrices)) |
| 행렬곱 | matrix product | 행과 열의 내적을 모은 행렬 ([3강](#vectors-and-matrices)) |
| 활성화 함수 | activation function | 가중합에 적용하는 비선형 함수 ([2강](#neuron-forward)) |
| BPE, 바이트 쌍 부호화 | byte-pair encoding | 자주 이웃하는 토큰을 하나로 합치기 ([15강](#bpe-by-hand)) |
"""

# %% [markdown] lang="en"
r"""
# Glossary

| term | Korean | meaning |
| --- | --- | --- |
| activation function | 활성화 함수 | the nonlinear function applied to a weighted sum ([lesson 2](#neuron-forward)) |
| attention | 어텐션 | each word takes a weighted sum of the values of other words ([lesson 6](#attention-scores)) |
| backpropagation | 역전파 | the chain rule, from the loss to every parameter ([lesson 2](#neuron-backward)) |
| batch | 배치 | the examples of one step ([lesson 13](#training-loop)) |
| bias | 편향 | a parameter that is added to a weighted sum ([lesson 2](#neuron-forward)) |
| broadcasting | 브로드캐스팅 | matching the axes of arrays of different shapes by repetition ([lesson 3](#broadcasting)) |
| byte-pair encoding | BPE, 바이트 쌍 부호화 | merging tokens that are often neighbours ([lesson 15](#bpe-by-hand)) |
| causal mask | 인과 마스크 | hiding the words that come later ([lesson 6](#causal-mask)) |
| chain rule | 연쇄법칙 | multiply along a path, add over paths ([lesson 1](#chain-rule)) |
| clipping | 클리핑 | limiting the norm of the gradient ([lesson 12](#clipping)) |
| complex step | 복소수 스텝 미분 | a derivative from an imaginary step, without subtraction ([lesson 20](#complex-step)) |
| computation graph | 계산 그래프 | the values and operations of a computation, and how they are connected ([lesson 1](#chain-rule)) |
| conditional probability | 조건부 확률 | the probability, given the text so far ([lesson 5](#softmax)) |
| context | 문맥 | the text that came before ([lesson 6](#context)) |
| cross entropy | 교차 엔트로피 | mean surprise under the model's probabilities ([lesson 5](#cross-entropy)) |
| derivative | 도함수 | the rate at which an output changes with its input ([lesson 1](#derivative-as-slope)) |
| dot product | 내적 | numbers multiplied pair by pair, and added ([lesson 3](#vectors-and-matrices)) |
| embedding | 임베딩 | the table of a vector for each token ([lesson 9](#embedding)) |
| entropy | 엔트로피 | the mean surprise of the true distribution: no loss is smaller ([lesson 5](#cross-entropy)) |
| epoch | 에폭 | one pass over all the data ([lesson 13](#training-loop)) |
| exponential function | 지수함수 | $e^x$, its own derivative ([lesson 4](#curves)) |
| feed-forward | 피드포워드 | two layers that process each word separately ([lesson 9](#feed-forward)) |
| forward pass | 순전파 | from the input to the loss ([lesson 9](#tokens)) |
| gate | 게이트 | a number that lets more or less through ([lesson 4](#curves)) |
| gradient | 기울기, 그래디언트 | all partial derivatives together ([lesson 1](#chain-rule)) |
| gradient descent | 경사하강법 | small steps in the opposite direction of the gradient ([lesson 1](#gradient-descent)) |
| Jacobian | 야코비 행렬 | the derivative of every output with respect to every input ([lesson 10](#softmax-jacobian)) |
| kernel | 커널 | a fast operation with a backward rule of its own ([lesson 27](#kernel-contract)) |
| layer normalization | 층 정규화 | scaling to mean 0 and variance 1 ([lesson 10](#layer-norm-derivation)) |
| learning rate | 학습률 | $\alpha$, the size of a step ([lesson 13](#training-loop)) |
| local slope | 국소 기울기 | the derivative of one operation's result with respect to one operand ([lesson 1](#chain-rule)) |
| logit | 로짓 | a score that goes into softmax ([lesson 5](#softmax)) |
| loss | 손실 | the number that training makes small ([lesson 9](#loss)) |
| matrix | 행렬 | numbers in a rectangle ([lesson 3](#vectors-and-matrices)) |
| matrix product | 행렬곱 | the dot products of rows and columns ([lesson 3](#vectors-and-matrices)) |
| momentum | 모멘텀 | a velocity accumulated from gradients ([lesson 12](#valley)) |
| multi-head | 멀티헤드 | several attentions that share the width ([lesson 8](#split-heads)) |
| neuron | 뉴런 | a nonlinear function of a weighted sum of inputs ([lesson 2](#neuron-forward)) |
| node | 노드 | one value of a graph ([lesson 1](#chain-rule)) |
| norm | 크기, 노름 | the length of a vector ([lesson 4](#unit-vectors)) |
| numerical differentiation | 수치 미분 | a derivative measured by a small change of the input ([lesson 14](#numerical-cost)) |
| one-hot | 원-핫 | a vector with a single 1 and zeros elsewhere ([lesson 5](#softmax-minus-one-hot)) |
| overfitting | 과적합 | memorizing a text instead of learning its rules ([lesson 19](#project-model)) |
| parameter | 파라미터, 매개변수 | a number that training changes ([lesson 1](#derivative-as-slope)) |
| partial derivative | 편미분 | the derivative with respect to one variable ([lesson 1](#chain-rule)) |
| perplexity | 퍼플렉시티 | $e^L$: the number of words for which a random guess is as good ([lesson 5](#perplexity)) |
| positional encoding | 위치 인코딩 | a vector that encodes the position ([lesson 7](#positional-formula)) |
| projection | 투영 | a vector times a matrix ([lesson 9](#qkv)) |
| query, key, value | 쿼리, 키, 밸류 | what a position looks for, what it offers, and what it passes on ([lesson 6](#attention-scores)) |
| residual connection | 잔차 연결 | adding a result to its input ([lesson 10](#residual-derivation)) |
| rounding error | 반올림 오차 | the error because numbers have finitely many digits ([lesson 14](#step-size)) |
| rule | 규칙 | how an operation computes the gradients of its operands ([lesson 20](#write-an-operation)) |
| sampling | 표집 | drawing a token according to its probability ([lesson 17](#predict-one-token)) |
| saturation | 포화 | where a curve is flat, and its slope near 0 ([lesson 4](#curves)) |
| similarity | 유사도 | how alike two vectors are ([lesson 6](#attention-scores)) |
| softmax | 소프트맥스 | scores to probabilities ([lesson 5](#softmax)) |
| standard deviation | 표준편차 | the square root of the variance ([lesson 4](#sqrt-dk)) |
| stride | 보폭 | the distance between neighbouring elements of an array ([lesson 27](#kernel-contract)) |
| surprise | 놀라움, 정보량 | $-\ln p$, for an event with probability $p$ ([lesson 5](#cross-entropy)) |
| temperature | 온도 | the divisor of the logits: a small one makes the distribution sharper ([lesson 17](#predict-one-token)) |
| tensor | 텐서 | an array as a single node ([lesson 3](#vectors-and-matrices)) |
| token | 토큰 | the unit that a model reads ([lesson 15](#bpe-by-hand)) |
| transpose | 전치 | rows and columns exchanged ([lesson 3](#matrix-product-backward)) |
| truncation error | 절단 오차 | the error of a finite step in place of the limit ([lesson 14](#step-size)) |
| unit vector | 단위벡터 | a vector of length 1 ([lesson 4](#unit-vectors)) |
| validation | 검증 | measuring the loss on a text that was not trained on ([lesson 13](#training-loop)) |
| variance | 분산 | the mean square of the distance from the mean ([lesson 4](#sqrt-dk)) |
| vector | 벡터 | numbers in a row ([lesson 3](#vectors-and-matrices)) |
| vocabulary | 어휘 | all tokens of a model ([lesson 9](#tokens)) |
| warm-up | 워밍업 | raising the learning rate from 0 ([lesson 12](#warmup-cosine)) |
| weight | 가중치 | a parameter that an input is multiplied by ([lesson 2](#neuron-forward)) |
| weight decay | 가중치 감쇠 | making the weights a little smaller at each step ([lesson 12](#weight-decay)) |
| weighted sum | 가중합 | numbers times their weights, added ([lesson 6](#attention-output)) |
| worker | 작업자 | one of the processes that train together ([lesson 26](#growing-mean)) |
"""
