"""How a bench says what it found: label and text, in the order what, how, measured, beside, target, limits."""


def say(label, text):
    print(f"{label:<9} {text}", flush=True)
