# %% [markdown] lang="ko"
r"""
# 용어

| 용어 | 영어 | 뜻 |
| --- | --- | --- |
| 경사하강법 | gradient descent | 기울기의 반대 방향으로 조금씩 움직이기 ([1강](#gradient-descent)) |
| 교차 엔트로피 | cross entropy | 모델의 확률로 잰 평균 놀라움 ([4강](#cross-entropy)) |
| 국소 기울기 | local slope | 연산 하나의 결과를 피연산자 하나로 미분한 것 ([1강](#chain-rule)) |
| 기울기, 그래디언트 | gradient | 모든 편미분을 모은 것 ([1강](#chain-rule)) |
| 내적 | dot product | 성분끼리 곱해서 더한 수 ([3강](#vectors-and-matrices)) |
| 노드 | node | 계산 그래프에서 값 하나 |
| 로짓 | logit | 소프트맥스에 들어가는 점수 ([4강](#softmax)) |
| 멀티헤드 | multi-head | 폭을 나누어 여러 어텐션을 동시에 하기 ([18강](#split-heads)) |
| 모멘텀 | momentum | 지나온 기울기를 모은 속도 ([20강](#valley)) |
| 배치 | batch | 한 걸음에 함께 보는 예들 ([8강](#training-loop)) |
| 브로드캐스팅 | broadcasting | 모양이 다른 배열의 축을 맞추어 반복하기 ([3강](#broadcasting)) |
| 소프트맥스 | softmax | 점수를 확률로 ([4강](#softmax)) |
| 손실 | loss | 작게 만들려는 수 ([6강](#loss)) |
| 순전파 | forward pass | 입력에서 손실까지 계산하기 ([6강](#tokens)) |
| 야코비 행렬 | Jacobian | 모든 출력을 모든 입력으로 미분한 행렬 ([19강](#softmax-jacobian)) |
| 어텐션 | attention | 단어들이 서로의 밸류를 가중합하기 ([5강](#attention-scores)) |
| 에폭 | epoch | 데이터를 한 번 다 보는 것 ([8강](#training-loop)) |
| 엔트로피 | entropy | 참 분포의 평균 놀라움, 손실의 하한 ([4강](#cross-entropy)) |
| 역전파 | backpropagation | 연쇄법칙으로 손실에서 모든 파라미터까지 ([2강](#neuron-backward)) |
| 연쇄법칙 | chain rule | 경로 위에서는 곱하고, 경로끼리는 더하기 ([1강](#chain-rule)) |
| 임베딩 | embedding | 토큰을 벡터로 바꾸는 표 ([6강](#embedding)) |
| 잔차 연결 | residual connection | 결과를 입력에 더하기 ([19강](#residual-derivation)) |
| 전치 | transpose | 행과 열을 바꾸기 ([3강](#matrix-product-backward)) |
| 층 정규화 | layer normalization | 평균 0, 분산 1로 ([19강](#layer-norm-derivation)) |
| 클리핑 | clipping | 기울기의 크기를 자르기 ([20강](#clipping)) |
| 토큰 | token | 모델이 읽는 단위 ([22강](#bpe-by-hand)) |
| 파라미터, 매개변수 | parameter | 학습으로 바뀌는 수 ([1강](#derivative-as-slope)) |
| 퍼플렉시티 | perplexity | $e^L$, 몇 개 중에서 고르는 것과 같은가 ([4강](#perplexity)) |
| 편미분 | partial derivative | 하나만 변수로 보고 미분하기 ([1강](#chain-rule)) |
| 활성화 함수 | activation function | 합을 휘게 하는 함수 ([2강](#neuron-forward)) |
"""

# %% [markdown] lang="en"
r"""
# Glossary

| term | Korean | meaning |
| --- | --- | --- |
| activation function | 활성화 함수 | what bends a sum ([lesson 2](#neuron-forward)) |
| attention | 어텐션 | words take weighted sums of one another's values ([lesson 5](#attention-scores)) |
| backpropagation | 역전파 | the chain rule, from the loss to every parameter ([lesson 2](#neuron-backward)) |
| batch | 배치 | the examples of one step ([lesson 8](#training-loop)) |
| broadcasting | 브로드캐스팅 | axes matched and repeated ([lesson 3](#broadcasting)) |
| chain rule | 연쇄법칙 | multiply along a path, add over paths ([lesson 1](#chain-rule)) |
| clipping | 클리핑 | cutting the length of a gradient ([lesson 20](#clipping)) |
| cross entropy | 교차 엔트로피 | mean surprise by the model's probabilities ([lesson 4](#cross-entropy)) |
| dot product | 내적 | numbers multiplied pair by pair, and added ([lesson 3](#vectors-and-matrices)) |
| embedding | 임베딩 | the table of a vector for each token ([lesson 6](#embedding)) |
| entropy | 엔트로피 | mean surprise by the true probabilities: the floor of the loss ([lesson 4](#cross-entropy)) |
| epoch | 에폭 | all of the data, once ([lesson 8](#training-loop)) |
| forward pass | 순전파 | from the input to the loss ([lesson 6](#tokens)) |
| gradient | 기울기, 그래디언트 | all partial derivatives together ([lesson 1](#chain-rule)) |
| gradient descent | 경사하강법 | small steps against the gradient ([lesson 1](#gradient-descent)) |
| Jacobian | 야코비 행렬 | the derivative of every output by every input ([lesson 19](#softmax-jacobian)) |
| layer normalization | 층 정규화 | to mean 0 and variance 1 ([lesson 19](#layer-norm-derivation)) |
| local slope | 국소 기울기 | one operation's result by one of its operands ([lesson 1](#chain-rule)) |
| logit | 로짓 | a score that goes into softmax ([lesson 4](#softmax)) |
| loss | 손실 | the number to be made small ([lesson 6](#loss)) |
| momentum | 모멘텀 | a velocity made of gradients ([lesson 20](#valley)) |
| multi-head | 멀티헤드 | several attentions that share the width ([lesson 18](#split-heads)) |
| node | 노드 | one value of a graph |
| parameter | 파라미터, 매개변수 | a number that training changes ([lesson 1](#derivative-as-slope)) |
| partial derivative | 편미분 | the derivative by one variable alone ([lesson 1](#chain-rule)) |
| perplexity | 퍼플렉시티 | $e^L$: among how many one might have guessed ([lesson 4](#perplexity)) |
| residual connection | 잔차 연결 | a result, added to its input ([lesson 19](#residual-derivation)) |
| softmax | 소프트맥스 | scores to probabilities ([lesson 4](#softmax)) |
| token | 토큰 | what a model reads ([lesson 22](#bpe-by-hand)) |
| transpose | 전치 | rows and columns exchanged ([lesson 3](#matrix-product-backward)) |
"""
