EXAMPLES = (
    ("aaabdaaabac", 1, ["aa", "a", "b", "d", "aa", "a", "b", "a", "c"]),
    ("aaabdaaabac", 3, ["aaab", "d", "aaab", "a", "c"]),
    ("abababab", 2, ["abab", "abab"]),
    ("가나가나다", 1, ["가나", "가나", "다"]),
    ("abcd", 0, ["a", "b", "c", "d"]),
    ("ab", 5, ["ab"]),
)


def cases(answer):
    for text, merges, tokens in EXAMPLES:
        yield f"learn({text!r}, {merges})", answer["learn"](text, merges), tokens
