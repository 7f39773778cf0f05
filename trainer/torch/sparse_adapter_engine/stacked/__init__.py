"""Trials in one pass: as many tokens of each, their tensors stacked, and few operations a step.

It is what a GPU needs: done a trial at a time (`SlicedSteps` of training/steps.py) a step is
thousands of small kernels. The forward, the modules and the loop are the same; here rows are laid
out anew (batch.py), trained tensors have a trial axis (stack.py), and a step is captured as a graph
(passes.py, graphs.py).
"""
