"""The plan of the course: time, level, prerequisites, aim, summary and reading of each lesson.

The head and the end of each lesson and the table of the start page are generated from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from course.words import LANGUAGES

Both = tuple[str, str]  # English, Korean, in the order of LANGUAGES


@dataclass(frozen=True)
class Plan:
    """The plan of one lesson."""

    minutes: int
    level: int  # of the mathematics: 1 school, 2 first year of university, 3 second year
    needs: tuple[int, ...]  # lessons
    aim: Both
    summary: tuple[Both, ...]
    reading: tuple[str, ...] = ()  # keys of READING


@dataclass(frozen=True)
class Part:
    """A part of the course; `goal` is what the reader can do afterwards."""

    name: Both
    first: int
    last: int
    goal: Both


READING = {
    "micrograd": ("A. Karpathy, micrograd", "https://github.com/karpathy/micrograd"),
    "3b1b": (
        "3Blue1Brown, Backpropagation calculus",
        "https://www.3blue1brown.com/lessons/backpropagation-calculus",
    ),
    "autodiff": (
        "Baydin et al., Automatic differentiation in machine learning: a survey (2018)",
        "https://arxiv.org/abs/1502.05767",
    ),
    "backprop": (
        "Rumelhart, Hinton, Williams, Learning representations by back-propagating errors (1986)",
        "https://doi.org/10.1038/323533a0",
    ),
    "numpy": (
        "NumPy, Broadcasting",
        "https://numpy.org/doc/stable/user/basics.broadcasting.html",
    ),
    "gelu": (
        "Hendrycks, Gimpel, Gaussian error linear units (2016)",
        "https://arxiv.org/abs/1606.08415",
    ),
    "shannon": (
        "C. Shannon, A mathematical theory of communication (1948)",
        "https://doi.org/10.1002/j.1538-7305.1948.tb01338.x",
    ),
    "attention": (
        "Vaswani et al., Attention is all you need (2017)",
        "https://arxiv.org/abs/1706.03762",
    ),
    "bahdanau": (
        "Bahdanau, Cho, Bengio, Neural machine translation by jointly learning to align and "
        "translate (2014)",
        "https://arxiv.org/abs/1409.0473",
    ),
    "layernorm": (
        "Ba, Kiros, Hinton, Layer normalization (2016)",
        "https://arxiv.org/abs/1607.06450",
    ),
    "resnet": ("He et al., Deep residual learning (2015)", "https://arxiv.org/abs/1512.03385"),
    "prenorm": (
        "Xiong et al., On layer normalization in the transformer architecture (2020)",
        "https://arxiv.org/abs/2002.04745",
    ),
    "adam": ("Kingma, Ba, Adam (2014)", "https://arxiv.org/abs/1412.6980"),
    "adamw": (
        "Loshchilov, Hutter, Decoupled weight decay regularization (2017)",
        "https://arxiv.org/abs/1711.05101",
    ),
    "momentum": ("G. Goh, Why momentum really works (2017)", "https://distill.pub/2017/momentum/"),
    "bengio": (
        "Bengio et al., A neural probabilistic language model (2003)",
        "https://www.jmlr.org/papers/v3/bengio03a.html",
    ),
    "complex": (
        "Squire, Trapp, Using complex variables to estimate derivatives of real functions (1998)",
        "https://doi.org/10.1137/S003614459631241X",
    ),
    "bpe": (
        "Sennrich, Haddow, Birch, Neural machine translation of rare words with subword units "
        "(2015)",
        "https://arxiv.org/abs/1508.07909",
    ),
    "gpt3": (
        "Brown et al., Language models are few-shot learners (2020)",
        "https://arxiv.org/abs/2005.14165",
    ),
    "scaling": (
        "Kaplan et al., Scaling laws for neural language models (2020)",
        "https://arxiv.org/abs/2001.08361",
    ),
    "rmsnorm": (
        "Zhang, Sennrich, Root mean square layer normalization (2019)",
        "https://arxiv.org/abs/1910.07467",
    ),
    "rope": ("Su et al., RoFormer (2021)", "https://arxiv.org/abs/2104.09864"),
    "glu": (
        "N. Shazeer, GLU variants improve transformer (2020)",
        "https://arxiv.org/abs/2002.05202",
    ),
    "llama2": ("Touvron et al., Llama 2 (2023)", "https://arxiv.org/abs/2307.09288"),
    "init": (
        "Glorot, Bengio, Understanding the difficulty of training deep networks (2010)",
        "https://proceedings.mlr.press/v9/glorot10a.html",
    ),
    "sampling": (
        "Holtzman et al., The curious case of neural text degeneration (2019)",
        "https://arxiv.org/abs/1904.09751",
    ),
    "nanogpt": ("A. Karpathy, nanoGPT", "https://github.com/karpathy/nanoGPT"),
    "microgpt": (
        "A. Karpathy, microgpt",
        "https://karpathy.github.io/2026/02/12/microgpt/",
    ),
    "zero": (
        "Rajbhandari et al., ZeRO: memory optimizations toward training trillion parameter models "
        "(2019)",
        "https://arxiv.org/abs/1910.02054",
    ),
    "higham": (
        "N. Higham, Accuracy and stability of numerical algorithms (2002)",
        "https://doi.org/10.1137/1.9780898718027",
    ),
}

PARTS = (
    Part(
        ("Derivatives and networks", "도함수와 신경망"),
        1,
        3,
        (
            "compute any derivative by the chain rule, for numbers and for matrices",
            "수와 행렬의 어떤 식이든 연쇄법칙으로 미분할 수 있습니다",
        ),
    ),
    Part(
        ("The transformer, forward and back", "트랜스포머의 순전파와 역전파"),
        4,
        11,
        (
            "compute every number of a transformer, and derive every gradient",
            "트랜스포머의 모든 수를 계산하고 모든 기울기를 유도할 수 있습니다",
        ),
    ),
    Part(
        ("Training", "학습"),
        12,
        16,
        (
            "write a training loop, and judge a loss",
            "학습 루프를 쓰고, 손실이 좋은지 판단할 수 있습니다",
        ),
    ),
    Part(
        ("Your own model", "나의 모델"),
        17,
        19,
        (
            "build a language model from your own text",
            "자신의 글로 언어 모델을 만들 수 있습니다",
        ),
    ),
    Part(
        ("Tools (optional)", "도구 (선택)"),
        20,
        27,
        (
            "check, step through and draw the gradients of your own programs",
            "직접 쓴 프로그램의 기울기를 검증하고, 단계별로 확인하고, 그릴 수 있습니다",
        ),
    ),
)

PLANS = {
    1: Plan(
        40,
        1,
        (),
        (
            "compute a derivative by moving an input, and by going back through a graph",
            "입력을 움직여서, 연쇄법칙으로, 계산 그래프를 거꾸로 따라가서 미분계수를 구합니다",
        ),
        (
            (
                "A derivative is the limit of (change of the output) / (change of the input).",
                "미분계수는 입력의 변화에 대한 출력의 변화의 비의 극한입니다.",
            ),
            (
                "Multiply local slopes along a path, and add over all paths.",
                "한 경로 위의 국소 기울기는 곱하고, 여러 경로의 값은 더합니다.",
            ),
            (
                "Gradient descent moves in the opposite direction of the gradient.",
                "경사하강법은 기울기의 반대 방향으로 움직입니다.",
            ),
        ),
        ("micrograd", "3b1b", "autodiff"),
    ),
    2: Plan(
        40,
        1,
        (1,),
        (
            "compute the output of a neuron and all its gradients by hand, and train it",
            "뉴런의 출력과 모든 기울기를 손으로 계산하고, 뉴런을 학습시킵니다",
        ),
        (
            (
                "A neuron applies a nonlinear function to a weighted sum.",
                "뉴런은 가중합에 비선형 함수를 적용합니다.",
            ),
            (
                "The backward pass multiplies the gradient from above by each local slope.",
                "역전파는 위에서 온 기울기에 국소 기울기를 곱해 내려갑니다.",
            ),
            (
                "Repeating forward pass, backward pass and a small step is training.",
                "순전파, 역전파, 작은 걸음을 되풀이하는 것이 학습입니다.",
            ),
        ),
        ("micrograd", "backprop"),
    ),
    3: Plan(
        50,
        2,
        (1, 2),
        (
            "derive the backward rules of the matrix product and of broadcasting",
            "행렬곱과 브로드캐스팅의 역전파 규칙을 유도합니다",
        ),
        (
            (
                "The gradient of an array has the shape of the array.",
                "배열의 기울기는 배열과 모양이 같습니다.",
            ),
            (
                "A matrix product is differentiated by products with transposes.",
                "행렬곱의 역전파는 전치행렬과의 곱입니다.",
            ),
            (
                "Repetition in the forward pass becomes a sum in the backward pass.",
                "순전파에서 반복한 것은 역전파에서 더합니다.",
            ),
        ),
        ("numpy", "autodiff"),
    ),
    4: Plan(
        50,
        1,
        (1, 3),
        (
            "read the curves of exp, ln, tanh and ReLU, compute norms and angles, and derive √d_k",
            "exp, ln, tanh, ReLU의 그래프를 읽고, 벡터의 크기와 각도를 구하고, √d_k를 유도합니다",
        ),
        (
            (
                "Where a curve is flat, hardly any gradient passes.",
                "그래프가 평평한 곳에서는 기울기가 거의 전달되지 않습니다.",
            ),
            (
                "The dot product is the cosine times the two norms.",
                "내적은 코사인에 두 벡터의 크기를 곱한 것입니다.",
            ),
            (
                "A dot product of d_k terms has variance d_k; dividing by √d_k makes it 1.",
                "항이 d_k개인 내적의 분산은 d_k이고, √d_k로 나누면 1이 됩니다.",
            ),
        ),
        ("gelu",),
    ),
    5: Plan(
        50,
        2,
        (1, 4),
        (
            "turn scores into probabilities, compute the loss and perplexity, and derive p − y",
            "점수를 확률로 바꾸고, 손실과 퍼플렉시티를 구하고, 기울기 p − y를 유도합니다",
        ),
        (
            (
                "Softmax makes scores positive with exp and divides by their sum.",
                "소프트맥스는 지수함수로 점수를 양수로 만들고 합으로 나눕니다.",
            ),
            (
                "The loss is the mean surprise −ln p of the actual words, at least the entropy.",
                "손실은 실제로 나온 단어의 놀라움 −ln p의 평균이고, 엔트로피보다 작을 수 없습니다.",
            ),
            (
                "The gradient of the loss with respect to the scores is prediction − truth.",
                "점수에 대한 손실의 기울기는 예측 − 정답입니다.",
            ),
        ),
        ("shannon", "bengio"),
    ),
    6: Plan(
        60,
        2,
        (3, 4, 5),
        (
            "compute attention step by step with a mask, and its gradients",
            "마스크가 있는 어텐션을 한 단계씩 계산하고, 그 기울기를 구합니다",
        ),
        (
            (
                "Scores are dot products of queries and keys, divided by √d_k.",
                "점수는 쿼리와 키의 내적을 √d_k로 나눈 것입니다.",
            ),
            (
                "The mask gives later words the weight 0.",
                "마스크는 뒤에 올 단어의 가중치를 0으로 만듭니다.",
            ),
            (
                "The output is a weighted sum of values: the context changes the vector of a word.",
                "출력은 밸류의 가중합이므로, 같은 단어도 문맥에 따라 벡터가 달라집니다.",
            ),
        ),
        ("attention", "bahdanau"),
    ),
    7: Plan(
        40,
        2,
        (4, 6),
        (
            "compute a positional encoding, and prove that a shift is a rotation",
            "위치 인코딩을 계산하고, 이동이 회전임을 증명합니다",
        ),
        (
            (
                "Without positions, attention does not know the order.",
                "위치 인코딩이 없으면 어텐션은 순서를 구별하지 못합니다.",
            ),
            (
                "Each pair of dimensions is the hand of a clock.",
                "차원의 쌍 하나가 시곗바늘 하나입니다.",
            ),
            (
                "The dot product of two positions depends only on their distance.",
                "두 위치의 내적은 거리에만 의존합니다.",
            ),
        ),
        ("attention",),
    ),
    8: Plan(
        40,
        2,
        (6,),
        (
            "split attention into heads and join them, with every number",
            "어텐션을 헤드로 나누고 다시 이어 붙이는 과정을 모두 계산합니다",
        ),
        (
            (
                "Each head computes attention from its own columns.",
                "각 헤드는 자기 열만으로 어텐션을 계산합니다.",
            ),
            (
                "The number of parameters stays the same.",
                "헤드를 나누어도 파라미터 수는 그대로입니다.",
            ),
            ("W_O adds what the heads have found.", "W_O는 헤드들의 출력을 섞어 더합니다."),
        ),
        ("attention",),
    ),
    9: Plan(
        60,
        2,
        (5, 6, 7),
        (
            "compute the loss of a whole TinyLM from its parameters, line by line",
            "TinyLM 전체의 손실을 파라미터에서부터 한 줄씩 계산합니다",
        ),
        (
            (
                "Tokens become vectors, positions are added.",
                "토큰을 벡터로 바꾸고 위치 인코딩을 더합니다.",
            ),
            (
                "Each block adds attention and feed-forward to the vectors, after layer norm.",
                "블록마다 층 정규화 뒤에 어텐션과 피드포워드의 결과를 더합니다.",
            ),
            (
                "Logits, softmax and −ln p give the loss.",
                "로짓, 소프트맥스, −ln p로 손실을 구합니다.",
            ),
        ),
        ("attention", "layernorm", "resnet"),
    ),
    10: Plan(
        90,
        3,
        (3, 5, 6, 9),
        (
            "derive the gradients of softmax, layer norm, residuals and attention",
            "소프트맥스, 교차 엔트로피, 층 정규화, 잔차 연결, 어텐션의 기울기를 유도합니다",
        ),
        (
            ("Softmax: z̄ᵢ = pᵢ(p̄ᵢ − Σ p̄ⱼpⱼ).", "소프트맥스: z̄ᵢ = pᵢ(p̄ᵢ − Σ p̄ⱼpⱼ)."),
            (
                "Layer norm removes the mean and the part along x̂ from the gradient.",
                "층 정규화는 기울기에서 평균과 x̂ 방향의 성분을 뺍니다.",
            ),
            (
                "A residual connection passes the gradient on unchanged.",
                "잔차 연결은 기울기를 그대로 내려보냅니다.",
            ),
        ),
        ("layernorm", "resnet", "attention"),
    ),
    11: Plan(
        60,
        3,
        (9, 10),
        (
            "follow the gradient through a whole TinyLM, and verify it with an independent graph",
            "TinyLM 전체에서 기울기를 따라가고, 다른 그래프로 검증합니다",
        ),
        (
            (
                "The backward pass visits the operations in reverse order.",
                "역전파는 연산을 역순으로 지나갑니다.",
            ),
            (
                "A vector that is used several times collects several gradients.",
                "여러 번 쓰인 벡터는 여러 기울기를 더해서 받습니다.",
            ),
            (
                "Only the rows of E that were used get a gradient.",
                "E에서는 쓰인 행만 기울기를 받습니다.",
            ),
        ),
        ("backprop", "autodiff"),
    ),
    12: Plan(
        60,
        2,
        (1, 3),
        (
            "compare gradient descent, momentum and Adam, and compute a step of Adam by hand",
            "경사하강법, 모멘텀, Adam을 비교하고, Adam의 한 걸음을 손으로 계산합니다",
        ),
        (
            ("A learning rate above 2/curvature diverges.", "학습률이 2/곡률보다 크면 발산합니다."),
            (
                "Adam divides the mean gradient by its recent size, for each parameter.",
                "Adam은 파라미터마다 기울기의 평균을 최근 크기로 나눕니다.",
            ),
            (
                "Warm-up, cosine, clipping and weight decay make training stable.",
                "워밍업, 코사인 스케줄, 클리핑, 가중치 감쇠는 학습을 안정시킵니다.",
            ),
        ),
        ("adam", "adamw", "momentum"),
    ),
    13: Plan(
        60,
        2,
        (9, 11, 12),
        (
            "write the training loop, and judge a loss by baselines and entropy",
            "학습 루프를 쓰고, 기준선과 엔트로피로 손실을 판단합니다",
        ),
        (
            (
                "Batch, loss, backward pass, clipping, step: repeat.",
                "배치, 손실, 역전파, 클리핑, 한 걸음을 되풀이합니다.",
            ),
            (
                "A loss means something only in comparison with baselines of the same text.",
                "손실은 같은 글의 기준선과 비교해야 뜻이 있습니다.",
            ),
            (
                "Measure it on text that was not used for training.",
                "학습에 쓰지 않은 글에서 재야 합니다.",
            ),
        ),
        ("bengio", "shannon"),
    ),
    14: Plan(
        50,
        2,
        (1, 11),
        (
            "compare numerical gradients with backpropagation in cost and error, and find a trap",
            "수치 기울기와 역전파의 비용과 오차를 비교하고, 함정을 찾습니다",
        ),
        (
            (
                "A numerical gradient takes one forward pass for each parameter.",
                "수치 기울기에는 파라미터마다 순전파가 한 번씩 필요합니다.",
            ),
            (
                "A small step has a large rounding error, a large one a large truncation error.",
                "간격이 작으면 반올림 오차가, 크면 절단 오차가 커집니다.",
            ),
            (
                "Compute all gradients first, then update.",
                "모든 기울기를 먼저 구하고, 그다음에 갱신합니다.",
            ),
        ),
        ("higham", "complex"),
    ),
    15: Plan(
        40,
        1,
        (5,),
        (
            "merge tokens by hand, and compare tokenizers by the loss per byte",
            "손으로 토큰을 합치고, 바이트당 손실로 토크나이저를 비교합니다",
        ),
        (
            (
                "BPE repeatedly merges the most frequent pair.",
                "BPE는 가장 자주 나오는 쌍을 되풀이해서 합칩니다.",
            ),
            (
                "Starting from bytes, every text can be encoded.",
                "바이트에서 시작하면 모든 글을 부호화할 수 있습니다.",
            ),
            (
                "Longer tokens carry more information; compare losses per byte.",
                "토큰이 길수록 정보량이 크므로 바이트당 손실을 비교합니다.",
            ),
        ),
        ("bpe",),
    ),
    16: Plan(
        40,
        1,
        (9, 13),
        (
            "compute the parameters, the operations and the memory of GPT-3",
            "GPT-3의 파라미터 수, 연산량, 메모리를 계산합니다",
        ),
        (
            ("A block has 12d² parameters.", "블록 하나의 파라미터는 12d²개입니다."),
            (
                "Training takes about 6 operations per parameter and token.",
                "학습에는 파라미터와 토큰마다 연산이 약 6번 필요합니다.",
            ),
            ("The mathematics is the same; the scale is not.", "수학은 같고 규모가 다릅니다."),
        ),
        ("gpt3", "scaling"),
    ),
    17: Plan(
        50,
        2,
        (9, 13, 14),
        (
            "run the lesson's script, check what it does, and predict one token",
            "강의의 스크립트를 실행하고, 하는 일을 확인하고, 다음 토큰을 예측합니다",
        ),
        (
            (
                "Small random weights start near the loss of a random guess.",
                "작은 무작위 가중치로 시작하면 첫 손실은 무작위로 찍을 때와 비슷합니다.",
            ),
            ("An epoch is one pass over the data.", "에폭은 데이터 전체를 한 번 보는 것입니다."),
            (
                "argmax takes the most probable token, sampling draws one.",
                "argmax는 확률이 가장 큰 토큰을 고르고, 표집은 확률대로 뽑습니다.",
            ),
        ),
        ("init", "sampling"),
    ),
    18: Plan(
        50,
        3,
        (8, 10),
        (
            "derive RMSNorm, RoPE and SwiGLU, and build a block of Llama",
            "RMSNorm, RoPE, SwiGLU를 유도하고, Llama의 블록을 만듭니다",
        ),
        (
            (
                "RMSNorm is layer norm without subtracting the mean.",
                "RMSNorm은 평균을 빼지 않는 층 정규화입니다.",
            ),
            (
                "RoPE rotates queries and keys, so scores depend on distances.",
                "RoPE는 쿼리와 키를 회전시켜 점수가 거리에만 의존하게 합니다.",
            ),
            (
                "SwiGLU multiplies one projection by a gate made from another.",
                "SwiGLU는 한 투영에 다른 투영으로 만든 게이트를 곱합니다.",
            ),
        ),
        ("rmsnorm", "rope", "glu", "llama2"),
    ),
    19: Plan(
        180,
        2,
        (13, 15),
        (
            "build, train, judge and explain a language model of your own text",
            "자신의 글로 언어 모델을 만들고, 학습시키고, 평가하고, 설명합니다",
        ),
        (
            (
                "Split the text before anything else.",
                "무엇보다 먼저 글을 학습용과 검증용으로 나눕니다.",
            ),
            (
                "Compute baselines on the validation text, with smoothing.",
                "검증용 글에서 평활화한 기준선을 구합니다.",
            ),
            ("Stop when the validation loss rises.", "검증 손실이 오르기 시작하면 멈춥니다."),
        ),
        ("nanogpt", "microgpt"),
    ),
    20: Plan(
        40,
        2,
        (1, 3),
        (
            "write an operation with its rule, and check it",
            "연산과 그 규칙을 쓰고 검증합니다",
        ),
        (
            (
                "A wrong gradient seldom causes an error.",
                "기울기가 틀려도 오류는 좀처럼 나지 않습니다.",
            ),
            (
                "A complex step has no rounding error by subtraction.",
                "복소수 스텝 미분에는 뺄셈의 반올림 오차가 없습니다.",
            ),
            (
                "A check at points is not a proof, but finds nearly every mistake.",
                "몇 점에서의 검증은 증명이 아니지만, 거의 모든 실수를 찾아냅니다.",
            ),
        ),
        ("complex",),
    ),
    21: Plan(
        30,
        1,
        (2,),
        (
            "step through a backward pass both ways, with breakpoints",
            "중단점을 쓰면서 역전파를 앞뒤로 한 단계씩 따라갑니다",
        ),
        (
            (
                "A walk is always before a step.",
                "Walk는 언제나 단계를 실행하기 직전에 멈춰 있습니다.",
            ),
            (
                "explain breaks a gradient into contributions.",
                "explain은 기울기를 기여로 나누어 보여 줍니다.",
            ),
            (
                "edit shows what changes if a number changes.",
                "edit은 수 하나를 바꾸면 무엇이 변하는지 보여 줍니다.",
            ),
        ),
    ),
    22: Plan(
        40,
        3,
        (8, 11, 21),
        (
            "stop inside an attention head, and expand one of its numbers",
            "어텐션 헤드 안에서 멈추고, 숫자 하나를 펼쳐 봅니다",
        ),
        (
            (
                "The gradient of an attention goes to q, k and v.",
                "어텐션의 기울기는 q, k, v로 내려갑니다.",
            ),
            (
                "A later position is seen by fewer queries.",
                "뒤의 위치일수록 볼 수 있는 쿼리가 적습니다.",
            ),
            (
                "Every array operation consists of sums and products.",
                "배열의 연산은 모두 덧셈과 곱셈으로 이루어져 있습니다.",
            ),
        ),
    ),
    23: Plan(
        30,
        1,
        (2,),
        ("draw computations of any size", "크고 작은 계산을 그립니다"),
        (
            ("Each node is a box, each operand an edge.", "노드는 상자, 피연산자는 화살표입니다."),
            ("Dashed arrows show the chain rule.", "점선 화살표는 연쇄법칙을 보여 줍니다."),
            ("Large parts are collapsed, and counted.", "큰 부분은 접고, 숨긴 수를 적습니다."),
        ),
    ),
    24: Plan(
        20,
        1,
        (2,),
        ("make a page that plays a backward pass", "역전파를 재생하는 페이지를 만듭니다"),
        (
            ("The player is one HTML file.", "플레이어는 HTML 파일 하나입니다."),
            ("A link leads to a step.", "링크로 한 단계를 가리킬 수 있습니다."),
            ("Making it does not change the model.", "만들어도 모델은 바뀌지 않습니다."),
        ),
    ),
    25: Plan(
        40,
        3,
        (9, 12),
        (
            "replay a recorded graph to train faster",
            "기록한 그래프를 다시 계산해서 더 빠르게 학습시킵니다",
        ),
        (
            ("Names of one length have one graph.", "길이가 같은 이름은 그래프가 같습니다."),
            (
                "A tape repeats the arithmetic of a recorded graph.",
                "테이프는 기록한 그래프의 계산을 되풀이합니다.",
            ),
            ("The numbers stay the same.", "계산 결과는 같습니다."),
        ),
        ("microgpt",),
    ),
    26: Plan(
        40,
        2,
        (13, 16),
        (
            "average the gradients of several workers without error",
            "여러 작업자의 기울기를 오차 없이 평균합니다",
        ),
        (
            ("The mean of means is not the mean.", "평균의 평균은 전체 평균이 아닙니다."),
            (
                "DDP stores everything everywhere, FSDP a share.",
                "DDP는 작업자마다 모두 저장하고, FSDP는 자기 몫만 저장합니다.",
            ),
            ("More workers soon stop helping.", "작업자를 늘려도 곧 효과가 없어집니다."),
        ),
        ("zero",),
    ),
    27: Plan(
        40,
        3,
        (10, 20),
        (
            "check a kernel for memory layouts and precision",
            "커널을 메모리 배열과 정밀도까지 검증합니다",
        ),
        (
            (
                "A rule must not depend on the memory layout.",
                "규칙은 메모리 배열에 의존하면 안 됩니다.",
            ),
            (
                "A tolerance is computed, not chosen.",
                "허용 오차는 정하는 것이 아니라 계산하는 것입니다.",
            ),
            ("A rule must not modify its inputs.", "규칙은 입력을 바꾸면 안 됩니다."),
        ),
        ("higham",),
    ),
}

WORDS = {
    "en": {
        "aim": "Aim",
        "needs": "Needs",
        "time": "Time",
        "minutes": "about {} min",
        "level": "Level",
        "lesson": "lesson {}",
        "lessons": "lessons {}",
        "school": "derivatives at school",
        "summary": "In three lines",
        "reading": "Further reading",
        "head": ("part", "lessons", "hours", "afterwards you can"),
    },
    "ko": {
        "aim": "목표",
        "needs": "필요한 것",
        "time": "시간",
        "minutes": "약 {}분",
        "level": "난이도",
        "lesson": "{}강",
        "lessons": "{}강",
        "school": "고등학교 수학의 미분",
        "summary": "세 줄 요약",
        "reading": "더 읽을거리",
        "head": ("부", "강의", "시간", "마치고 나면"),
    },
}


def head(number: int, language: str) -> str:
    """Return the text below a lesson's title: its aim, needs, time and level."""
    plan, words = PLANS[number], WORDS[language]
    needs = lessons_named(plan.needs, language) if plan.needs else words["school"]
    stars = "★" * plan.level + "☆" * (3 - plan.level)
    time = str(words["minutes"]).format(plan.minutes)
    aim = plan.aim[LANGUAGES.index(language)]
    line = " · ".join(f"**{words[k]}** {v}" for k, v in (("needs", needs), ("time", time)))
    return f"> **{words['aim']}** {aim}\n>\n> {line} · **{words['level']}** {stars}"


def end(number: int, language: str) -> str:
    """Return the end of a lesson: its summary and further reading."""
    plan, words, place = PLANS[number], WORDS[language], LANGUAGES.index(language)
    lines = [f"## {words['summary']}", ""]
    lines += [f"{i}. {line[place]}" for i, line in enumerate(plan.summary, 1)]
    if plan.reading:
        lines += ["", f"## {words['reading']}", ""]
        lines += ["- [{}]({})".format(*READING[key]) for key in plan.reading]
    return "\n".join(lines)


def lessons_named(numbers: Sequence[int], language: str) -> str:
    """Name lessons: "lessons 1, 3"."""
    words = WORDS[language]
    word = words["lessons" if len(numbers) > 1 else "lesson"]
    return str(word).format(", ".join(map(str, numbers)))


def overview(language: str) -> list[str]:
    """Return the table of the parts, as lines of Markdown."""
    place, heads = LANGUAGES.index(language), WORDS[language]["head"]
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- | ---: | --- |"]
    for part in PARTS:
        numbers = range(part.first, part.last + 1)
        hours = round(sum(PLANS[n].minutes for n in numbers) / 60)
        lines.append(
            f"| {part.name[place]} | {part.first}–{part.last} | {hours} | {part.goal[place]} |"
        )
    return lines
