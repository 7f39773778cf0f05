"""Trials in one pass: equally many tokens of each, stacked tensors, and few operations per step.

GPUs need this: one trial at a time (`SlicedSteps` of training/steps.py), a step is thousands of
small kernels. The forward, the modules and the loop are the same. Here rows get another layout
(batch.py), trained tensors have a trial axis (stack.py), and a step is captured as a graph
(passes.py, graphs.py).
"""
