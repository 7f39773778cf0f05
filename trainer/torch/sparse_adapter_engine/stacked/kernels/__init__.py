"""Triton kernels, each with a plain twin in stacked/ that says what it computes:

attention.py   rows of up to 128 tokens, a program for each row and head; as attention.padded
adam.py        AdamW of stacked trials in one pass over its tensors; as update.adam
dropout.py     dropout by a hash; as hash_dropout.drop

Tried and not kept: LayerNorm of a sum in one kernel, which was slower than PyTorch's own after an
addition (0.69 and 0.43 ms for 20,000 tokens of 768 in bfloat16 on an H200).

Nothing here is needed: choose.py takes what is there, right and fast. Tests run them in Triton's
interpreter (TRITON_INTERPRET=1), on a CPU.
"""
