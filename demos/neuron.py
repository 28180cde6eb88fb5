from autolm import Value

x1, x2 = Value(2), Value(0)
w1, w2 = Value(-3), Value(1)
b = Value(6.8813735870195432)
x1w1 = x1 * w1
x2w2 = x2 * w2
x1w1x2w2 = x1w1 + x2w2
n = x1w1x2w2 + b
o = n.tanh()
