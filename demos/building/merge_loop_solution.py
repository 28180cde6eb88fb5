def learn(text, merges):
    tokens = list(text)
    for _ in range(merges):
        counts = {}
        for pair in zip(tokens, tokens[1:]):
            counts[pair] = counts.get(pair, 0) + 1
        if not counts:
            break
        best = max(counts, key=counts.get)
        merged = []
        while tokens:
            if tuple(tokens[:2]) == best:
                merged.append(tokens[0] + tokens[1])
                tokens = tokens[2:]
            else:
                merged.append(tokens.pop(0))
        tokens = merged
    return tokens
