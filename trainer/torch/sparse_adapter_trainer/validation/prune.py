"""What is wrong in itself with how a trial's adapter is pruned."""

import math

from sparse_adapter.trainer.v1 import job_pb2

from sparse_adapter_engine.modules import forms
from sparse_adapter_engine.pruners import PRUNERS
from sparse_adapter_engine.pruners.pruner import Pruner

from .violations import (
    Found,
    check_at_least_one,
    check_enum,
    check_fraction,
    check_positive,
    write_name,
    write_number,
)


def check_prune(at: str, trial: job_pb2.Trial, task_kind: int) -> Found:
    """task_kind: a TaskKind."""
    prune = trial.prune
    yield from check_enum(f"{at}.pruner", prune.pruner, job_pb2.Pruner)
    yield from check_fraction(f"{at}.sparsity", prune.sparsity)
    # For an unknown pruner, only what is wrong with any pruner.
    pruner = PRUNERS.get(prune.pruner, Pruner())
    if prune.pruner == job_pb2.PRUNER_NONE:
        if prune.sparsity != 0:
            yield (
                f"{at}.sparsity",
                f"{write_number(prune.sparsity)} is not 0, as the pruner NONE needs",
            )
        return
    if not forms.has_matrices(trial.adapter):
        yield (
            f"{at}.pruner",
            f"{write_name(job_pb2.Pruner, prune.pruner)} has no matrix to prune in this adapter; "
            "it is NONE",
        )
    sites = ("attention", "ffn", "query", "value", "ffn_in", "ffn_out")
    prunable = [f"layers.0.{site}.{part}.weight" for site in sites for part in ("down", "up")]
    if any(forms.is_named(name, trial.adapter.frozen) for name in prunable):
        yield (
            f"{at}.pruner",
            f"{write_name(job_pb2.Pruner, prune.pruner)} is not NONE, as it is where "
            "adapter.frozen names matrices that would be pruned",
        )
    yield from check_enum(f"{at}.scope", prune.scope, job_pb2.PruneScope)
    yield from check_enum(f"{at}.control", prune.control, job_pb2.MaskControl)
    yield from check_enum(f"{at}.structure", prune.structure, job_pb2.MaskStructure)
    yield from check_enum(f"{at}.rules", prune.rules, job_pb2.MaskRules)
    if pruner.sets_densities and prune.scope == job_pb2.PRUNE_SCOPE_LOCAL:
        yield (
            f"{at}.scope",
            f"is LOCAL; {pruner.label} sets each matrix's density itself: it is GLOBAL",
        )
    if pruner.reads_rows:
        yield from check_at_least_one(f"{at}.scoring_rows", prune.scoring_rows)
    if pruner.has_temperature:
        yield from check_positive(f"{at}.temperature", prune.temperature)
    if pruner.reads_rows:
        yield from _check_scoring_head(at, prune, task_kind)
    yield from check_at_least_one(f"{at}.rounds", prune.rounds)
    if prune.rounds > 1:
        yield from check_enum(f"{at}.schedule", prune.schedule, job_pb2.PruneSchedule)
        # During training weights change from round to round, and RAND's density falls as for the
        # other pruners. Official rules score anew in every round.
        anew = prune.every_steps or prune.rules == job_pb2.MASK_RULES_OFFICIAL
        if pruner.sets_densities or not (anew or pruner.rescores):
            yield (
                f"{at}.rounds",
                f"{prune.rounds} is not 1; the scores of "
                f"{write_name(job_pb2.Pruner, prune.pruner)} are the same in every round",
            )
    yield from _check_during_training(at, trial, pruner)
    if prune.structure == job_pb2.MASK_STRUCTURE_N_M:
        yield from _check_groups(at, prune)
    if (
        prune.structure in (job_pb2.MASK_STRUCTURE_N_M, job_pb2.MASK_STRUCTURE_UNITS)
        and pruner.sets_densities
    ):
        yield (
            f"{at}.structure",
            f"{write_name(job_pb2.MaskStructure, prune.structure)} is not WEIGHTS, as "
            f"{pruner.label} needs",
        )
    if prune.rules == job_pb2.MASK_RULES_OFFICIAL:
        yield from _check_official_rules(at, trial, pruner)


def _check_scoring_head(at: str, prune: job_pb2.Prune, task_kind: int) -> Found:
    field, head = f"{at}.scoring_head", prune.scoring_head
    is_warmed_up = head == job_pb2.SCORING_HEAD_WARMED_UP
    if head:
        yield from check_enum(field, head, job_pb2.ScoringHead)
        name = write_name(job_pb2.ScoringHead, head)
        if prune.every_steps:
            yield field, f"{name} is set; during training the head is the trained one"
        if prune.rules == job_pb2.MASK_RULES_OFFICIAL:
            yield field, f"{name} is set; the published code scores with the head as it is drawn"
        kinds = "CLASSIFICATION and REGRESSION"
        without = [job_pb2.TASK_KIND_QUESTION_ANSWERING, job_pb2.TASK_KIND_SUMMARIZATION]
        if is_warmed_up:
            kinds = "CLASSIFICATION, REGRESSION and QUESTION_ANSWERING"
            without.remove(job_pb2.TASK_KIND_QUESTION_ANSWERING)
        if task_kind in without:
            kind = write_name(job_pb2.TaskKind, task_kind).removeprefix("TASK_KIND_")
            yield field, f"{name} is set; it is for {kinds}, not for {kind}"
    if is_warmed_up:
        yield from check_at_least_one(f"{field}_steps", prune.scoring_head_steps)
    elif prune.scoring_head_steps:
        yield (
            f"{field}_steps",
            f"{prune.scoring_head_steps} is not 0, as it is unless scoring_head is "
            "SCORING_HEAD_WARMED_UP",
        )


def _check_groups(at: str, prune: job_pb2.Prune) -> Found:
    kept, size = prune.group_kept, prune.group_size
    if size < 2:
        yield f"{at}.group_size", f"{size} is not at least 2"
    elif not 1 <= kept < size:
        yield f"{at}.group_kept", f"{kept} is not in [1, {size}), {size} being group_size"
    elif not math.isclose(prune.sparsity, 1 - kept / size, rel_tol=0, abs_tol=1e-9):
        yield (
            f"{at}.sparsity",
            f"{write_number(prune.sparsity)} is not {write_number(1 - kept / size)}, which is what "
            f"{kept} of {size} leaves: 1 − {kept} / {size}",
        )
    if prune.scope == job_pb2.PRUNE_SCOPE_GLOBAL:
        yield f"{at}.scope", "is GLOBAL; the structure N_M compares within groups: it is LOCAL"
    if prune.rounds > 1:
        yield f"{at}.rounds", f"{prune.rounds} is not 1, as the structure N_M needs"


def _check_official_rules(at: str, trial: job_pb2.Trial, pruner: Pruner) -> Found:
    prune = trial.prune
    if prune.structure in (job_pb2.MASK_STRUCTURE_N_M, job_pb2.MASK_STRUCTURE_UNITS):
        yield (
            f"{at}.structure",
            f"{write_name(job_pb2.MaskStructure, prune.structure)} is not WEIGHTS, as OFFICIAL "
            "rules need",
        )
    if prune.pruner in PRUNERS and not pruner.is_published:
        yield (
            f"{at}.pruner",
            f"PRUNER_{pruner.label} is not in the published code, whose rules are asked for; with "
            f"{pruner.label} rules is EXACT",
        )
    if pruner.flows_through_modules and forms.has_lora(trial.adapter):
        yield (
            f"{at}.rules",
            f"is OFFICIAL; the published {pruner.label} cannot score an adapter with LORA: take "
            "EXACT rules, or another pruner",
        )
    if pruner.has_temperature and prune.temperature != 1:
        yield (
            f"{at}.temperature",
            f"{write_number(prune.temperature)} is not 1, as OFFICIAL rules need: the published "
            "code does not use it",
        )
    if pruner.flows_through_modules and trial.adapter.norm == job_pb2.ADAPTER_NORM_AFTER:
        why = (
            f"a norm's outputs sum to a constant, so that the scores of {pruner.label} are "
            "rounding errors"
        )
        yield (
            f"{at}.rules",
            f"is OFFICIAL where adapter.norm is AFTER: {why}; take EXACT rules, or another norm",
        )


def _check_during_training(at: str, trial: job_pb2.Trial, pruner: Pruner) -> Found:
    prune, total = trial.prune, trial.train.total_steps
    if not prune.every_steps:
        if prune.begin_step:
            yield (
                f"{at}.begin_step",
                f"{prune.begin_step} is not 0, as it is unless every_steps is set",
            )
        for name in ("repeats", "keeps_removed_weights", "keeps_scoring_gradients"):
            if getattr(prune, name):
                yield f"{at}.{name}", "is set, as it is only where every_steps is"
        return
    during = f"where every_steps, {prune.every_steps} here, asks for pruning during training"
    if pruner.sets_densities:
        yield (
            f"{at}.every_steps",
            f"{prune.every_steps} is not 0; {pruner.label} prunes at initialization only",
        )
    if prune.control > job_pb2.MASK_CONTROL_NONE and not prune.repeats:
        yield (
            f"{at}.control",
            f"{write_name(job_pb2.MaskControl, prune.control)} is not NONE, as it is {during}",
        )
    if prune.reinitialize:
        yield f"{at}.reinitialize", f"is not false, as it is {during}"
    if prune.rules == job_pb2.MASK_RULES_OFFICIAL and not prune.repeats:
        yield f"{at}.rules", f"is not EXACT, as it is {during}"
    if prune.repeats:
        yield from _check_repeats(at, trial)
        return
    last = prune.begin_step + (max(prune.rounds, 1) - 1) * prune.every_steps
    if 0 < total <= last:
        sum_of_steps = (
            f"begin_step + (rounds − 1) · every_steps = {prune.begin_step} + ({prune.rounds} − 1) "
            f"· {prune.every_steps} = {last}"
        )
        yield (
            f"{at}.every_steps",
            f"the last round is too late: {sum_of_steps} is not less than train.total_steps, "
            f"{total}",
        )


def _check_repeats(at: str, trial: job_pb2.Trial) -> Found:
    prune, total = trial.prune, trial.train.total_steps
    if prune.rules != job_pb2.MASK_RULES_OFFICIAL:
        yield f"{at}.repeats", f"{prune.repeats} is not 0, as it is unless rules is OFFICIAL"
    last = prune.begin_step + (prune.repeats - 1) * prune.every_steps
    if 0 < total <= last:
        yield (
            f"{at}.repeats",
            "the last rounds are too late: begin_step + (repeats − 1) · every_steps = "
            f"{last} is not less than train.total_steps, {total}",
        )
