"""Triton kernels, each with a plain twin in stacked/ that says what it computes:

attention.py   rows of up to 128 tokens, one program per row and head; as attention.padded
adam.py        AdamW of stacked trials in one pass over its tensors; as update.adam
dropout.py     dropout by a hash; as hash_dropout.drop

Tried and dropped: LayerNorm of a sum in one kernel, which was slower than an addition and PyTorch's
own (0.69 and 0.43 ms for 20,000 tokens of 768 in bfloat16 on an H200).

None of them is required: choose.py takes those that are available, right and fast. Tests run them
on a CPU in Triton's interpreter (TRITON_INTERPRET=1).
"""
