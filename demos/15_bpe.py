# %% [markdown] lang="ko"
r"""
# 15강: BPE 토큰화

언어 모델은 글자도 단어도 아닌 **토큰**을 읽습니다. **BPE**(byte-pair encoding, 바이트 쌍 부호화)는 이웃한 토큰의 쌍 가운데 가장 자주 나오는 것을 하나의 토큰으로 합치는 일을 되풀이합니다.
자주 나오는 것에 짧은 부호를 주는 것은 정보 이론의 압축과 같은 생각입니다.

(bpe-by-hand)=
## 1. 손으로 해 보기

글 "aaabdaaabac"에서 시작합니다. 규칙은 두 줄입니다.

1. 이웃한 쌍을 모두 세고, 가장 자주 나오는 쌍을 고릅니다(같으면 먼저 나온 것).
2. 그 쌍을 모두 새 토큰 하나로 바꿉니다. 이것을 되풀이합니다.
"""

# %% [markdown] lang="en"
r"""
# Lesson 15: BPE tokenization

A language model reads **tokens**, which are neither letters nor words. **BPE** (byte-pair encoding) repeatedly merges the most frequent pair of neighbouring tokens into one token. Giving short codes
to frequent things is the idea of compression in information theory.

(bpe-by-hand)=
## 1. By hand

We start with the text "aaabdaaabac". There are two rules:

1. count all pairs of neighbours, and choose the most frequent (of several, the one that comes first);
2. replace each such pair by one new token, and repeat.
"""

# %%
from collections import Counter
from itertools import pairwise


def count(tokens):
    return Counter(pairwise(tokens))


def merge(tokens, pair, new):
    merged, i = [], 0
    while i < len(tokens):
        if tuple(tokens[i : i + 2]) == pair:
            merged.append(new)
            i += 2
        else:
            merged.append(tokens[i])
            i += 1
    return merged


tokens = list("aaabdaaabac")
print(" ".join(tokens), f"  ({len(tokens)})")
for new in "ZYX":
    (pair, times), *_ = count(tokens).most_common(1)
    tokens = merge(tokens, pair, new)
    print(f"{new} = {''.join(pair)} ({times}×):  {' '.join(tokens)}  ({len(tokens)})")

# %% [markdown] lang="ko"
r"""
11개가 5개가 되었습니다. 새 토큰은 합쳐진 것끼리 다시 합쳐집니다: $X = Yb$, $Y = Za$, $Z = aa$이므로 $X$는 "aaab"입니다. autolm의 토크나이저도 같은 일을
**바이트** 위에서 합니다. 토큰 0–255는 바이트이고, 합친 것이 256부터입니다.
"""

# %% [markdown] lang="en"
r"""
11 tokens became 5. Merged tokens are merged again: $X = Yb$, $Y = Za$ and $Z = aa$, so $X$ is "aaab". autolm's tokenizer does the same on **bytes**: tokens 0–255 are the bytes, and merged tokens start at 256.
"""

# %%
from autolm import BPETokenizer

small = BPETokenizer.train("aaabdaaabac", 3)
ids = small.encode("aaabdaaabac")
print(ids, [small.token_bytes(i).decode() for i in ids])
print(small.decode(ids))

# %% [markdown] lang="ko"
r"""
(bpe-korean)=
## 2. 왜 바이트인가: 한글과 모르는 글자

한글 한 글자는 UTF-8로 세 바이트입니다. 바이트에서 시작하면 세상의 모든 글을 부호화할 수 있고 "모르는 글자"가 없습니다. 대신 처음에는 한글이 세 배로
길어집니다. 자주 나오는 글자와 단어부터 합쳐집니다.
"""

# %% [markdown] lang="en"
r"""
(bpe-korean)=
## 2. Why bytes: Hangul and unseen characters

A Hangul syllable takes three bytes in UTF-8. Starting from bytes, any text can be encoded, and no character is unknown. At first Hangul texts are three times as long, until frequent syllables and words are
merged.
"""

# %%
korean = "낮말은 새가 듣고 밤말은 쥐가 듣는다. 가는 말이 고와야 오는 말이 곱다. 말 한마디에 천 냥 빚도 갚는다."
print(
    f"len(text) = {len(korean)}   len(text.encode()) = {len(korean.encode())}   {'말'.encode()!r}"
)
for num_merges in (0, 10, 30, 60):
    tokenizer = BPETokenizer.train(korean, num_merges)
    print(f"merges={num_merges:<3} → len(ids) = {len(tokenizer.encode(korean)):3}")
learnt = [tokenizer.token_bytes(256 + i) for i in range(len(tokenizer.merges))]
words = [
    piece.decode()
    for piece in learnt
    if len(piece) >= 3 and piece.decode(errors="ignore").encode() == piece
]
print([word for word in words if len(word) > 1][:8])
assert tokenizer.decode(tokenizer.encode("처음 보는 글자 뷁 🐢")) == "처음 보는 글자 뷁 🐢"

# %% [markdown] lang="ko"
r"""
(bpe-real-text)=
## 3. 진짜 글에서

파이썬의 설명서(영어)로 배웁니다. 합치는 횟수를 늘릴수록 토큰은 길어지고, 글은 짧아지고, 어휘는 커집니다. `nat/token`은 토큰 하나의 유니그램 엔트로피
$-\sum p \ln p$입니다. 토큰이 길어질수록 하나의 정보량은 커지지만, 글자 하나의 비용(`nat/byte`)은 **줄어듭니다**. 토큰 속의 글자들 사이의 관계를 이미 알고 있기
때문입니다. 토크나이저가 다른 모델끼리는 손실을 바이트당으로 비교해야 합니다.
"""

# %% [markdown] lang="en"
r"""
(bpe-real-text)=
## 3. On a real text

The tokenizer learns from Python's documentation. With more merges, tokens become longer, the text shorter and the vocabulary larger. `nat/token` is the unigram entropy of a token, $-\sum p \ln p$. Longer tokens
carry more information each, but the cost per byte (`nat/byte`) **falls**, because the relations between letters inside a token are already known. Compare the losses of models with different tokenizers per byte.
"""

# %% tags=["varies"]
from pydoc_data.topics import topics

import numpy as np

text = "\n".join(topics.values())[:120_000]
print(f"{len(text.encode())} bytes")
print("merges  vocabulary  tokens   bytes/token  nat/token  nat/byte")
for num_merges in (0, 50, 200, 800):
    tokenizer = BPETokenizer.train(text, num_merges, split="gpt")
    ids = tokenizer.encode(text)
    share = np.bincount(ids) / len(ids)
    entropy = -sum(p * np.log(p) for p in share[share > 0])
    size = len(text.encode()) / len(ids)
    print(
        f"{num_merges:6}{tokenizer.vocab_size:12}{len(ids):8}{size:14.2f}{entropy:11.3f}{entropy / size:10.3f}"
    )
longest = sorted((tokenizer.token_bytes(256 + i) for i in range(800)), key=len)[-8:]
print([piece.decode() for piece in longest])
print(
    [tokenizer.token_bytes(i).decode() for i in tokenizer.encode("The function returns a string.")]
)

# %% [markdown] lang="ko"
r"""
**생각해 보세요.** 두 모델의 토큰당 손실이 2.0(글자)과 4.0(BPE, 토큰 하나가 평균 4바이트)입니다. 글은 영어입니다. 어느 쪽이 글을 더 잘 예측합니까?

```{choose} 2
글자 모델
: 토큰의 크기가 다르면 토큰당 손실은 비교할 수 없습니다.

BPE 모델
: 바이트당 손실은 글자 모델이 2.0, BPE 모델이 $4.0/4 = 1.0$입니다.

같습니다
: 손실을 바이트로 나누어 보세요.
```

(bpe-trade)=
## 4. 얼마나 합칠 것인가

| | 글자 | BPE 50 257개 (GPT-3) |
| --- | --- | --- |
| 글의 길이 | 깁니다. 어텐션의 비용은 길이의 제곱에 비례합니다 | 짧습니다. 토큰 하나가 4바이트쯤입니다 |
| 어휘와 임베딩 | 작습니다 | 큽니다: $V \cdot d$ |
| 드문 단어 | 언제나 쓸 수 있습니다 | 조각으로 나누어 씁니다 |

`autolm train book.txt --tokenizer bpe`는 글에서 BPE를 배우고 그것으로 학습합니다.

## 들여다보기

2절의 토크나이저로 나눈 속담을 (학습하지 않은) 작은 모델이 읽습니다. 행렬의 행마다 토큰이 적혀 있습니다.
"""

# %% [markdown] lang="en"
r"""
**Think first.** On an English text, two models have losses per token of 2.0 (letters) and 4.0 (BPE, 4 bytes per token on average). Which one predicts the text better?

```{choose} 2
the letter model
: Losses per token cannot be compared if the tokens differ in size.

the BPE model
: Per byte, the loss is 2.0 for the letter model and $4.0/4 = 1.0$ for the BPE model.

both equally well
: Divide each loss by the number of bytes of a token.
```

(bpe-trade)=
## 4. How much to merge?

| | letters | BPE with 50 257 (GPT-3) |
| --- | --- | --- |
| length of a text | long, and attention costs its square | short: a token is about 4 bytes |
| vocabulary, embedding | small | large: $V \cdot d$ |
| rare words | can always be written | are written in pieces |

`autolm train book.txt --tokenizer bpe` learns a BPE from the text, and trains with it.

## Look into it

A small untrained model reads the beginning of the proverbs in the tokens of section 2. Each row of a matrix is labelled with its token.
"""

# %%
from autolm import TinyLM
from autolm.lm.text_loss import text_loss, tokens_of

proverbs = BPETokenizer.train(korean, 60)
reader = TinyLM(proverbs.vocab_size, 8, 2, 16, 1, seed=0)
read = text_loss(reader, proverbs, "stream", korean[:14])
pieces = tokens_of(read, proverbs)

# %% [markdown] lang="ko"
r"""
```{player} read, tokens=pieces
```

## 직접 실행하기

```{run}
from collections import Counter
from itertools import pairwise

tokens = list("aaabdaaabac")
for new in "ZYX":
    pair = Counter(pairwise(tokens)).most_common(1)[0][0]
    merged = []
    while tokens:
        if tuple(tokens[:2]) == pair:
            merged.append(new)
            tokens = tokens[2:]
        else:
            merged.append(tokens.pop(0))
    tokens = merged
    print(new, "=", "".join(pair), " ", " ".join(tokens))
```

## 연습문제

**1. 값을 예측하세요.** "abababab"에서 한 번 합치면 토큰은 몇 개입니까?

```{predict} len(BPETokenizer.train("abababab", 1).encode("abababab"))
:within: 0

가장 자주 나오는 쌍은 ab이고 네 번 나옵니다.

글자 8개가 ab 네 개로 합쳐집니다: 4개.
```

**2. 값을 예측하세요.** 두 번 더 합치면?

```{predict} len(BPETokenizer.train("abababab", 3).encode("abababab"))
:within: 0

ab를 X라 하면 XXXX입니다. 다시 합치면 YY입니다.

XXXX → YY → Z: 1개.
```

**3. 값을 예측하세요.** "강아지"는 UTF-8로 몇 바이트입니까?

```{predict} len("강아지".encode())
:within: 0

한글 음절 하나는 UTF-8로 3바이트입니다.

$3 \cdot 3 = 9$바이트.
```

**4. 그려서 설명하세요.** "aaabdaaabac"에서 합친 과정을 나무로 그리세요. 토큰 258(aaab)의 잎은 무엇입니까?

```{answer}
258 = (257, b), 257 = (256, a), 256 = (a, a). 잎은 왼쪽부터 a, a, a, b입니다.
```

**5. 만들어 보세요.** BPE로 합치는 루프를 쓰세요. 글자의 리스트에서 시작해, 가장 자주 나오는 이웃한 쌍(같으면 먼저 나온 것)을 합치는 일을 `merges`번 되풀이하고, 토큰의 리스트를 돌려줍니다.

```{build} merge_loop
쌍의 횟수를 딕셔너리에 세면 먼저 나온 쌍이 앞에 옵니다.
합칠 때는 왼쪽부터 보고, 합친 두 토큰은 건너뜁니다.
```
"""

# %% [markdown] lang="en"
r"""
```{player} read, tokens=pieces
```

## Run it yourself

```{run}
from collections import Counter
from itertools import pairwise

tokens = list("aaabdaaabac")
for new in "ZYX":
    pair = Counter(pairwise(tokens)).most_common(1)[0][0]
    merged = []
    while tokens:
        if tuple(tokens[:2]) == pair:
            merged.append(new)
            tokens = tokens[2:]
        else:
            merged.append(tokens.pop(0))
    tokens = merged
    print(new, "=", "".join(pair), " ", " ".join(tokens))
```

## Exercises

**1. Predict.** After one merge in "abababab", how many tokens are there?

```{predict} len(BPETokenizer.train("abababab", 1).encode("abababab"))
:within: 0

The most frequent pair is ab; it occurs four times.

8 letters become four times ab: 4 tokens.
```

**2. Predict.** And after two more?

```{predict} len(BPETokenizer.train("abababab", 3).encode("abababab"))
:within: 0

Call ab X: then XXXX. Merged again: YY.

XXXX → YY → Z: 1 token.
```

**3. Predict.** How many bytes does "강아지" take in UTF-8?

```{predict} len("강아지".encode())
:within: 0

One Korean syllable takes 3 bytes in UTF-8.

$3 \cdot 3 = 9$ bytes.
```

**4. Draw and explain.** Draw the merges of "aaabdaaabac" as a tree. What are the leaves of token 258 (aaab)?

```{answer}
258 = (257, b), 257 = (256, a), 256 = (a, a). From the left, its leaves are a, a, a, b.
```

**5. Build it.** Write the merge loop of BPE: start from the list of letters, merge the most frequent pair of neighbours (of equals, the first) `merges` times, and return the list of tokens.

```{build} merge_loop
Count pairs in a dictionary: the pair that occurs first is in front.
Merge from left to right, and skip the two tokens that were merged.
```
"""
