"""Trials in one pass: as many tokens of each, their tensors stacked, and few operations a step.

What a GPU needs: a trial at a time (cohort.py's other way, `SlicedSteps`) launches thousands of small kernels. The same forward, modules and
loop serve both; here rows are laid out anew (batch.py), trained tensors carry a trial axis (stack.py), and a step is captured as a graph
(steps.py).
"""
